-- Never is more held than there is, and whatever a stopped one was handed goes on: at the end all
-- is free. @what is held: a mutex, an rwmutex or a semaphore.
local steps, what, crew, stopped, anywhere = ...
local N <const>, ALL <const>, STOPPED <const> = 16, 0, 1000
local probe, lock = require("probe"), goroutine[what](5)
local limit, ways = 1, {} -- ways: what it counts for; methods that take, give and try; argument

if what == "semaphore" then
	limit = 5
	for n = 1, 5 do ways[n] = {n, "acquire", "release", "try_acquire", n} end
elseif what == "rwmutex" then
	limit = 1 << 20 -- a writer counts for as much as all readers
	for n = 1, 4 do ways[n] = {1, "rlock", "runlock", "try_rlock"} end
	ways[5] = {limit, "lock", "unlock", "try_lock"}
else
	ways[1] = {1, "lock", "unlock", "try_lock"}
end

-- Holds the lock for a moment; @slot knows whether it does.
local function hold(slot, count, take, give, try, amount)
	if math.random(4) > 1 then
		anywhere(probe.take, slot, ALL, count, limit, lock[take], lock, amount)
	elseif not probe.take(slot, ALL, count, limit, lock[try], lock, amount) then
		return
	end
	if math.random(4) == 1 then goroutine.sleep(0) end
	probe.give(slot, ALL, count, limit, lock[give], lock, amount)
end

crew(N, function(me, ways)
	for round = 1, steps // N do
		local count, take, give, try, amount = table.unpack(ways[math.random(#ways)], 1, 5)
		if math.random(20) > 1 then
			hold(me, count, take, give, try, amount)
		else
			local slot = STOPPED + me * 2000 + round
			stopped(5, hold, slot, count, take, give, try, amount)
			if probe.get(slot) > 0 then -- it was stopped while it had it
				probe.give(slot, ALL, count, limit, lock[give], lock, amount)
			end
		end
	end
end, ways)
assert(probe.get(ALL) == 0)
local most = ways[#ways]
assert(lock[most[4]](lock, most[5]), "it is still held")
