-- Each round brings some tokens, with a signal for each, to goroutines that wait and to others
-- that are stopped while they do. A signal that is lost leaves a token behind, and the round
-- never ends.
local steps, _, crew, stopped, anywhere = ...
local N <const>, STOPPED <const>, ROUNDS <const> = 2, 5, steps // 80
local INSIDE <const>, TOKENS <const>, HELD <const>, TOOK <const> = 0, 1, 1000, 30000
local probe, mu = require("probe"), goroutine.mutex()
local cond = goroutine.cond(mu)

-- Takes one token; its slots know what it holds and whether it has.
local function take(me)
	probe.take(HELD + me, INSIDE, 1, 1, mu.lock, mu)
	while probe.get(TOKENS) == 0 do
		anywhere(probe.away, HELD + me, INSIDE, 1, 1, cond.wait, cond)
	end
	probe.move(TOKENS, TOOK + me)
	probe.give(HELD + me, INSIDE, 1, 1, mu.unlock, mu)
end

-- The same, but it is stopped on the way; true if it had its token.
local function try_to_take(me)
	stopped(20, take, me)
	if probe.get(HELD + me) > 0 then
		cond:signal() -- it may have had one
		probe.give(HELD + me, INSIDE, 1, 1, mu.unlock, mu)
	end
	return probe.get(TOOK + me) > 0
end

local taken, over = goroutine.wait_group(), false
for me = 1, N do
	goroutine.spawn(function()
		while true do
			take(me)
			if over then break end
			taken:done()
		end
	end)
end

for round = 1, ROUNDS do
	local n = math.random(2 * N)
	taken:add(n)
	local others = goroutine.wait_group()
	others:add(STOPPED)
	for i = 1, STOPPED do
		goroutine.spawn(function()
			if try_to_take(N + (round - 1) * STOPPED + i) then taken:done() end
			others:done()
		end)
	end
	for _ = 1, math.random(0, 20) do goroutine.sleep(0) end -- some stand in line by then
	for _ = 1, n do
		probe.take(HELD, INSIDE, 1, 1, mu.lock, mu)
		probe.add(TOKENS, 1)
		if math.random(8) > 1 then cond:signal() else cond:broadcast() end
		for _ = 1, math.random(0, 6) do goroutine.sleep(0) end -- they want the mutex
		probe.give(HELD, INSIDE, 1, 1, mu.unlock, mu)
		if math.random(2) == 1 then goroutine.sleep(0) end
	end
	others:wait()
	taken:wait()
	assert(probe.get(TOKENS) == 0)
end

over = true
probe.add(TOKENS, N)
mu:lock()
cond:broadcast()
mu:unlock()
