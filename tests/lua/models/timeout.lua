-- Either it is in time, with all its results, or nothing of it runs any more, what closes its
-- variables included.
local steps, _, crew, _, anywhere = ...
local N <const>, ALIVE <const>, OPEN <const>, CLOSED <const> = 12, 0, 100, 200
local probe = require("probe")

-- Goes on for ever in one of several ways, with others that it starts; leaves a trace.
local function live(slot, depth)
	local open <close> = setmetatable({}, {__close = function()
		for _ = 1, 500 do probe.get(slot) end
		probe.add(CLOSED + slot, 1)
	end})
	probe.add(OPEN + slot, 1)
	if depth > 0 then
		goroutine.spawn(live, slot, depth - 1)
		if math.random(2) == 1 then
			goroutine.timeout(10000, live, slot, depth - 1)
		end
	end
	while true do
		probe.add(slot, 1)
		if math.random(3) == 1 then goroutine.sleep(0.01) end
	end
end

local function brief(slot, n)
	for _ = 1, n do
		probe.add(slot, 1)
		goroutine.sleep(0)
	end
	return n, nil, "end"
end

crew(N, function(me)
	for _ = 1, steps // N // 40 do
		local ms, n = math.random() / 2, math.random(0, 5)
		local slot = ALIVE + me
		if math.random(2) == 1 then
			local ok, why = anywhere(goroutine.timeout, ms, live, slot, math.random(0, 2))
			assert(ok == false and why == "timeout exceeded", why)
		else
			local ok, first, second, third = goroutine.timeout(ms, brief, slot, n)
			if ok then
				assert(first == n and second == nil and third == "end")
			else
				assert(first == "timeout exceeded", first)
			end
		end
		assert(probe.get(CLOSED + slot) >= probe.get(OPEN + slot), "not all is closed")
		local before = probe.get(slot)
		for _ = 1, math.random(20) do goroutine.sleep(0) end
		assert(probe.get(slot) == before, "something still runs")
	end
end)
