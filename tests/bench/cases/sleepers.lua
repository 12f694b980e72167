-- SPDX-License-Identifier: MIT
-- Many that sleep at once: what it takes beside the sleep, and what memory each holds.
local scale, report = ...
local n = math.max(100, math.ceil(10000 * scale))

local function rss()
	for line in io.lines("/proc/self/status") do
		local kib = line:match("^VmRSS:%s+(%d+)")
		if kib then
			return tonumber(kib) * 1024
		end
	end
end

local before = rss()
local wg = goroutine.wait_group()
local began = os.clock()
wg:add(n)
goroutine.spawn_many(n, function()
	goroutine.sleep(2000)
	wg:done()
end)
goroutine.sleep(1500)
report("parked_goroutine_bytes", (rss() - before) / n)
wg:wait()
report("sleepers_extra_ms", (os.clock() - began) * 1000 - 2000)
