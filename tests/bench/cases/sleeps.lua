-- SPDX-License-Identifier: MIT
-- Sleeps side by side take as long as one of them.
local _, report = ...

local function side_by_side(n, ms)
	local handles = {}
	local began = os.clock()
	for i = 1, n do
		handles[i] = goroutine.async(function()
			goroutine.sleep(ms)
		end)
	end
	for _, result in ipairs(goroutine.await_all(handles)) do
		assert(result.success)
	end
	return (os.clock() - began) * 1000
end

report("sleep_20_of_250_ms", side_by_side(20, 250))
report("sleep_1000_of_1_s_ms", side_by_side(1000, 1000))
