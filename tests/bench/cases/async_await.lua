-- SPDX-License-Identifier: MIT
-- One at a time: there and back.
local scale, report = ...
local n = math.ceil(20000 * scale)
local began = os.clock()
for _ = 1, n do
	local ok, v = goroutine.await(goroutine.async(function()
		return "r"
	end))
	assert(ok and v == "r")
end
report("async_await_us", (os.clock() - began) * 1e6 / n)
