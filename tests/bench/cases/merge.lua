-- SPDX-License-Identifier: MIT
-- A lock and an unlock of a goroutine that captured a table with so many keys (0: no table), of
-- which it changes one or none in between.
local scale, report = ...
local n = math.max(100, math.ceil(5000 * scale))
local mutex = goroutine.mutex()

local function measure(name, body)
	local ok, took = goroutine.await(goroutine.async(body))
	assert(ok, took)
	report(name, took * 1e6 / n)
end

measure("merge_0_keys_us", function()
	local began = os.clock()
	for _ = 1, n do
		mutex:lock()
		mutex:unlock()
	end
	return os.clock() - began
end)

for _, keys in ipairs({ 10, 1000 }) do
	local captured = {}
	for i = 1, keys do
		captured["key" .. i] = 0
	end
	measure("merge_" .. keys .. "_keys_none_changed_us", function()
		local began = os.clock()
		local seen
		for _ = 1, n do
			mutex:lock()
			seen = captured.key1
			mutex:unlock()
		end
		return os.clock() - began, seen
	end)
	measure("merge_" .. keys .. "_keys_one_changed_us", function()
		local began = os.clock()
		for i = 1, n do
			mutex:lock()
			captured.key1 = i
			mutex:unlock()
		end
		return os.clock() - began
	end)
	assert(captured.key1 == n)
end
