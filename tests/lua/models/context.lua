-- One that is cancelled takes all along that were derived from it, also those that come later;
-- whoever waits for it goes on, and what runs under it ends.
local steps, _, crew = ...
local N <const>, CONTEXTS <const>, CANCELLED <const> = 12, 150, 1000
local probe = require("probe")
local contexts, parents = {goroutine.context()}, {}
for i = 2, CONTEXTS do
	parents[i] = math.random(i - 1)
	contexts[i] = contexts[parents[i]]:with_cancel()
end

-- Whether it or one that it comes from has been cancelled, for sure.
local function is_over(i)
	while i do
		if probe.get(CANCELLED + i) > 0 then return true end
		i = parents[i]
	end
	return false
end

local function check(i)
	local over, ctx = is_over(i), contexts[i]
	if over then
		assert(ctx:is_cancelled() and ctx:err() == "context canceled")
		assert(ctx:done():is_closed())
		local child = ctx:with_cancel()
		assert(child:is_cancelled(), "one that came late is left out")
	end
	if ctx:is_cancelled() then assert(ctx:err() == "context canceled") end
end

local function wait_for(i)
	local ctx, how = contexts[i], math.random(3)
	if how == 1 then
		local value, ok = ctx:done():receive()
		assert(value == nil and not ok)
	elseif how == 2 then
		local n = goroutine.select({
			{channel = ctx:done(), receive = true},
			{channel = goroutine.channel(), receive = true},
		})
		assert(n == 1)
	else
		local ok, why = ctx:run(function()
			probe.add(1, 1)
			goroutine.channel():receive()
		end)
		assert(ok == false and why == "context canceled", why)
	end
	assert(ctx:is_cancelled())
end

crew(2 * N, function(me)
	if me > N then
		for i = me - N, CONTEXTS, N do wait_for(CONTEXTS + 1 - i) end
		return
	end
	for k = 1, steps // N // 2 do
		local i = math.random(CONTEXTS)
		if math.random(steps // N // 8) == 1 or (me == 1 and k == steps // N // 2) then
			if me == 1 and k == steps // N // 2 then i = 1 end
			contexts[i]:cancel()
			probe.add(CANCELLED + i, 1)
		end
		check(i)
	end
end)
for i = 1, CONTEXTS do assert(is_over(i) and contexts[i]:is_cancelled()) end
