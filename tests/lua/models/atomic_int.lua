-- The sum comes out, no number is given twice, and what is swapped is neither lost nor doubled.
local steps, _, crew = ...
local N <const> = 16
local sum, ticket, hand = goroutine.atomic_int(), goroutine.atomic_int(), goroutine.atomic_int()

local results = crew(N, function(me)
	local net, tickets, held = 0, {}, me
	for _ = 1, steps // N do
		local what, d = math.random(6), math.random(-1000, 1000)
		if what == 1 then
			sum:add(d)
			net = net + d
		elseif what == 2 then
			sum:sub(d)
			net = net - d
		elseif what == 3 then
			local old = sum:load()
			if sum:compare_and_swap(old, old + d) then net = net + d end
		elseif what == 4 then
			tickets[#tickets + 1] = ticket:inc()
		elseif what == 5 then
			held = hand:swap(held)
		else
			tickets[#tickets + 1] = ticket:add(1)
			sum:dec()
			net = net - 1
		end
	end
	return net, tickets, held
end)

local net, given, n, held = 0, {}, 0, {[hand:load()] = true}
for _, values in ipairs(results) do
	net = net + values[1]
	for _, number in ipairs(values[2]) do
		assert(not given[number], "a number was given twice")
		given[number] = true
		n = n + 1
	end
	assert(not held[values[3]], "what was swapped is there twice")
	held[values[3]] = true
end
assert(sum:load() == net, "the sum is wrong")
assert(ticket:load() == n and #given == n, "a number was left out")
for i = 0, N do assert(held[i], "what was swapped is gone") end
