-- SPDX-License-Identifier: MIT
-- How late an endless loop is stopped by its timeout.
local scale, report, percentiles = ...
local n = math.max(5, math.ceil(200 * scale))
local late = {}
for i = 1, n do
	local began = os.clock()
	local ok, why = goroutine.timeout(10, function()
		while true do
		end
	end)
	late[i] = (os.clock() - began) * 1000 - 10
	assert(not ok and why == "timeout exceeded", why)
end
report("timeout_of_loop_late_ms", percentiles(late))
