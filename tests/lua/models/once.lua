-- Each function runs to its end once, whoever is stopped on the way, and nobody returns earlier.
local steps, _, crew, stopped, anywhere = ...
local N <const>, RAN <const>, TRUE <const> = 16, 0, 20000
local probe = require("probe")
local onces = {}
for i = 1, steps // N do onces[i] = goroutine.once() end

local function call(i, once)
	return once:call(function()
		if math.random(2) == 1 then goroutine.sleep(0) end
		if i % 7 == 0 then
			probe.add(RAN + i, 1)
			error("seventh", 0)
		end
		return probe.add(RAN + i, 1) -- nobody is stopped behind it
	end)
end

crew(N, function(me, onces)
	for i = 1, #onces do
		if (i + me) % 32 == 0 then
			stopped(3, call, i, onces[i])
		else
			local ok, first = pcall(anywhere, call, i, onces[i])
			assert(ok or (i % 7 == 0 and first == "seventh"), first)
			if not ok or first then probe.add(TRUE + i, 1) end
			assert(probe.get(RAN + i) > 0, "call() returned before it had run")
		end
	end
end, onces)
for i = 1, #onces do
	assert(probe.get(RAN + i) == 1 or i % 7 == 0, "it ran to its end more than once")
	assert(probe.get(TRUE + i) <= 1, "two were the first")
end
