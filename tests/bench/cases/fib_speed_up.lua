-- SPDX-License-Identifier: MIT
-- 8 x fib(27): one after the other, and as goroutines. In turns, the best of each.
local scale, report = ...
local n = scale < 0.05 and 18 or 27

local function fib(i)
	if i < 2 then
		return i
	end
	return fib(i - 1) + fib(i - 2)
end

local function in_a_row()
	local began = os.clock()
	for _ = 1, 8 do
		fib(n)
	end
	return (os.clock() - began) * 1000
end

local function on_all_threads()
	local handles = {}
	local began = os.clock()
	for i = 1, 8 do
		handles[i] = goroutine.async(function()
			return fib(n)
		end)
	end
	goroutine.await_all(handles)
	return (os.clock() - began) * 1000
end

local row, all = math.huge, math.huge
for _ = 1, 5 do
	row = math.min(row, in_a_row())
	all = math.min(all, on_all_threads())
end
report("fib_8_in_a_row_ms", row)
report("fib_8_on_all_threads_ms", all)
report("fib_8_speed_up", row / all)
