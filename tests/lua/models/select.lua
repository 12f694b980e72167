-- Whoever selects has exactly one thing happen: a value that is offered to several channels goes
-- into one of them, and what is received was sent once.
local steps, _, crew, _, anywhere = ...
local N <const>, ARRIVED <const>, SENT <const> = 12, 0, 20000
local probe = require("probe")
local a, b, c = goroutine.channel(), goroutine.channel(1), goroutine.channel(4)
local each, sending = steps // 2 // N, goroutine.atomic_int(N)

local function got(value, ok)
	if ok then assert(probe.add(ARRIVED + value, 1) == 1, "a value arrived twice") end
end

local function receiving(channel) return {channel = channel, receive = true, handler = got} end

-- One of its ways to wait; whether @value is sent then.
local function step(value)
	local cases, sends = {}, {}
	local always = math.random(3) -- the others may have nothing left to send
	for n, channel in ipairs({a, b, c}) do
		local what = n == always and math.random(2) or math.random(3)
		if what > 1 then cases[#cases + 1] = receiving(channel) end
		if what < 3 then
			cases[#cases + 1] = {channel = channel, send = value}
			sends[#cases] = true
		end
	end
	local how = math.random(4)
	if how == 1 then
		cases[#cases + 1] = {default = true}
	elseif how == 2 then
		local late, i = goroutine.select_timeout(math.random() / 5, cases)
		return not late and sends[i]
	end
	return sends[anywhere(goroutine.select, cases)]
end

-- Until all have sent what they had; those that have nothing left only receive.
local function drain()
	local open = {receiving(a), receiving(b), receiving(c)}
	while #open > 0 do
		local i, _, ok = goroutine.select(open)
		if not ok then table.remove(open, i) end
	end
end

crew(N, function(me)
	for k = 1, each do
		local value = (me - 1) * each + k
		while not step(value) do end
		assert(probe.add(SENT + value, 1) == 1)
	end
	if sending:dec() == 0 then
		a:close()
		b:close()
		c:close()
	end
	drain()
end)
for value = 1, N * each do
	assert(probe.get(SENT + value) == 1 and probe.get(ARRIVED + value) == 1, "a value is lost")
end
