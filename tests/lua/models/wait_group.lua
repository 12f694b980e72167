-- Who waits goes on when all are done that were added before, and not earlier.
local steps, _, crew, _, anywhere = ...
local N <const>, ADDED <const>, DONE <const>, ROUND <const> = 16, 1, 2, 100
local probe, wg = require("probe"), goroutine.wait_group()
local rounds = {} -- of each ends who comes last
for i = 1, 40 do
	rounds[i] = goroutine.wait_group()
	rounds[i]:add(N)
end

crew(N, function(_, rounds)
	local mine = 0
	local function done(n)
		mine = mine - n
		probe.add(DONE, n) -- before it is
		if n == 1 then wg:done() else wg:add(-n) end
	end
	for i = 1, steps // N do
		local what = math.random(8)
		if what == 1 then
			if mine > 0 then done(mine) end -- else nobody would
			local added = probe.get(ADDED)
			anywhere(wg.wait, wg)
			assert(probe.get(DONE) >= added, "wait() returned too early")
		elseif what == 2 then
			local ok, why = pcall(wg.add, wg, -1000000)
			assert(not ok and why == "negative WaitGroup counter", why)
		elseif what <= 5 then
			local n = math.random(3)
			wg:add(n)
			probe.add(ADDED, n) -- after it is
			mine = mine + n
		elseif mine > 0 then
			done(math.random(mine))
		end
		if i % 10 == 0 and rounds[i // 10] then
			if mine > 0 then done(mine) end
			probe.add(ROUND + i, 1)
			rounds[i // 10]:done()
			anywhere(rounds[i // 10].wait, rounds[i // 10])
			assert(probe.get(ROUND + i) == N, "wait() returned before the last had come")
		end
	end
	if mine > 0 then done(mine) end
end, rounds)
wg:wait()
assert(probe.get(ADDED) == probe.get(DONE))
assert(not pcall(wg.done, wg), "the counter is not zero")
