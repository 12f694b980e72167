-- SPDX-License-Identifier: MIT
-- How late one that sleeps wakes up, and what it logs arrives, among four that only compute.
local scale, report, percentiles = ...
local for_ms = math.max(200, math.ceil(6000 * scale))
local samples = goroutine.channel(for_ms)
local ok, why = goroutine.timeout(for_ms, function()
	for _ = 1, 4 do
		goroutine.spawn(function()
			while true do
			end
		end)
	end
	while true do
		local began = os.clock()
		goroutine.sleep(10)
		samples:send((os.clock() - began) * 1000 - 10)
		log.info("tick")
	end
end)
assert(not ok and why == "timeout exceeded", why)
samples:close()
local late = {}
for ms in samples:iter() do
	late[#late + 1] = ms
end
report("sleeper_among_loops_late_ms", percentiles(late))
