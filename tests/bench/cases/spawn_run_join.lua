-- SPDX-License-Identifier: MIT
-- Goroutines that capture a text and a number, and a wait group that they report to.
local scale, report = ...
local n = math.ceil(20000 * scale)
local best = math.huge
for _ = 1, 3 do
	local wg, name, x = goroutine.wait_group(), "web-01", 42
	local began = os.clock()
	wg:add(n)
	for _ = 1, n do
		goroutine.spawn(function()
			local s = name .. x
			wg:done()
		end)
	end
	wg:wait()
	best = math.min(best, (os.clock() - began) * 1e6 / n)
end
report("spawn_run_join_us", best)
