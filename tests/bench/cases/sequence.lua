-- SPDX-License-Identifier: MIT
-- A million goroutines, one generation after the other: nothing grows.
local scale, report = ...
local generation = 1000
local n = math.ceil(1000 * scale)

local function rss()
	for line in io.lines("/proc/self/status") do
		local kib = line:match("^VmRSS:%s+(%d+)")
		if kib then
			return tonumber(kib)
		end
	end
end

local before
local began = os.clock()
for i = 1, n do
	local wg = goroutine.wait_group()
	wg:add(generation)
	goroutine.spawn_many(generation, function()
		wg:done()
	end)
	wg:wait()
	before = before or rss()
end
report("sequence_us_each", (os.clock() - began) * 1e6 / (n * generation))
report("sequence_grown_kib", rss() - before)
