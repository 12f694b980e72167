-- A result goes to one of those who await it, whole, and the others are told; one that is stopped
-- while it waits takes nothing.
local steps, _, crew, stopped, anywhere = ...
local N <const>, HANDLES <const>, ALL <const>, TAKEN <const> = 4, steps // 8, 0, 1
local probe = require("probe")
local AWAITED <const> = "async handle already awaited"

local function body(i)
	if i % 3 == 0 then goroutine.sleep(0) end
	if i % 5 == 0 then error({i}) end
	return i, nil, -i
end

local function judge(i, ok, first, second, third)
	if ok then
		assert(i % 5 ~= 0 and first == i and second == nil and third == -i)
	elseif type(first) == "table" then
		assert(i % 5 == 0 and first[1] == i)
	else
		return first
	end
	assert(probe.add(TAKEN + i, 1) == 1, "two have it")
end

local function await(i, handle)
	local how = math.random(3)
	if how == 1 then
		local r = goroutine.await_all({handle})[1]
		local why = r.success and judge(i, true, table.unpack(r.values, 1, 3))
			or judge(i, false, r.error)
		assert(why == nil or why == AWAITED, why)
		return
	end
	local why
	repeat
		why = judge(i, anywhere(goroutine.await, handle,
			how == 2 and math.random() / 10 or nil))
	until why ~= "timeout exceeded"
	assert(why == nil or why == AWAITED, why)
end

-- All of a batch are awaited by each of the crew, and by some that are stopped first.
for first = 1, HANDLES, 50 do
	local handles = {}
	for i = first, first + 49 do handles[i] = goroutine.async(body, i) end
	local gone = goroutine.wait_group()
	for i = first, first + 49, 10 do
		local handle = handles[i]
		gone:add()
		goroutine.spawn(function()
			stopped(3, probe.take, TAKEN + i, ALL, 1, 1 << 40, goroutine.await, handle)
			gone:done()
		end)
	end
	crew(N, function(me)
		for i = first, first + 49 do
			if (i + me) % 2 == 0 then goroutine.sleep(0) end
			await(i, handles[i])
		end
	end)
	gone:wait()
	for i = first, first + 49 do
		assert(probe.get(TAKEN + i) == 1, "nobody has it, or two")
	end
end
