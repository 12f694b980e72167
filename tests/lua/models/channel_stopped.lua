-- Senders and receivers are stopped wherever they are. What has been sent arrives; what a
-- receiver was handed and never looked at is for another; nothing arrives twice. @what is the
-- channel's capacity.
local steps, what, crew, stopped, anywhere = ...
local N <const>, EACH <const>, SENT <const>, ARRIVED <const> = 6, 10, 0, 20000
local probe = require("probe")
local ch = goroutine.channel(tonumber(what))
local finished = goroutine.wait_group()
finished:add(N)

-- In C, so that nobody is stopped between receiving and saying so.
local function receive() anywhere(ch.range, ch, probe.see) end

local function send(first)
	for value = first, first + EACH - 1 do
		probe.take(SENT + value, 0, 1, 1 << 40, ch.send, ch, ARRIVED + value)
	end
end

local batches = steps // 5 // N // EACH
goroutine.spawn(function()
	finished:wait()
	ch:close()
end)
crew(2 * N, function(me)
	if me > N then
		while not ch:is_closed() do stopped(20, receive) end
		return
	end
	for i = 1, batches do
		local first = ((me - 1) * batches + i - 1) * EACH + 1
		if math.random(3) == 1 then stopped(10, send, first) else send(first) end
	end
	finished:done()
end)
receive() -- what was given back last

for value = 1, N * batches * EACH do
	local sent, arrived = probe.get(SENT + value), probe.get(ARRIVED + value)
	assert(arrived <= 1, "a value arrived twice")
	assert(sent == 0 or arrived == 1, "a value that was sent is lost")
end
