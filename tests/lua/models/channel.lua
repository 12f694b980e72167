-- Each value arrives once, those of a sender in the order in which it sent them, and there is
-- never more in the channel than it holds. @what is its capacity.
local steps, what, crew, _, anywhere = ...
local SENDERS <const>, RECEIVERS <const>, MOST <const> = 6, 5, 1 << 20
local cap = tonumber(what)
local ch, left = goroutine.channel(cap), goroutine.atomic_int(SENDERS)
local each = steps // 2 // SENDERS

local function send(me)
	for k = 1, each do
		local value = me * MOST + k
		if math.random(3) > 1 then
			assert(anywhere(ch.send, ch, value) == true)
		else
			while not ch:try_send(value) do goroutine.sleep(0) end
		end
	end
	if left:dec() == 0 then
		assert(ch:close() == true)
		local ok, why = ch:close()
		assert(ok == false and why == "the channel is closed already")
		assert(not pcall(ch.send, ch, 1))
	end
end

local function receive()
	local got, how = {}, math.random(4)
	if how == 1 then
		ch:range(function(value) got[#got + 1] = value end)
	elseif how == 2 then
		for value in ch:iter() do got[#got + 1] = value end
	else
		while true do
			local value, ok = anywhere(ch.receive, ch)
			if not ok then break end
			got[#got + 1] = value
			value, ok = ch:try_receive()
			if ok then got[#got + 1] = value end
		end
	end
	assert(ch:is_closed())
	return got
end

local function watch()
	repeat
		local n = ch:len()
		assert(n >= 0 and n <= cap, "more in it than it holds")
		assert(ch:cap() == cap)
		goroutine.sleep(0.05)
	until ch:is_closed()
end

local results = crew(SENDERS + RECEIVERS + 1, function(me)
	if me <= SENDERS then
		send(me)
	elseif me <= SENDERS + RECEIVERS then
		return receive()
	else
		watch()
	end
end)

local arrived, n = {}, 0
for i = SENDERS + 1, SENDERS + RECEIVERS do
	local last = {}
	for _, value in ipairs(results[i][1]) do
		local sender, k = value // MOST, value % MOST
		assert(k > (last[sender] or 0), "two values of a sender changed places")
		assert(not arrived[value], "a value arrived twice")
		last[sender], arrived[value], n = k, true, n + 1
	end
end
assert(n == each * SENDERS, "a value is lost")
