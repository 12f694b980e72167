-- What all models need. Returns functions.
local seed = ...
local goroutine, probe = goroutine, require("probe")
local BEGUN <const> = 65535

probe.reset()
math.randomseed(seed)

-- Runs fn(1, ...) … fn(n, ...) side by side, each with dice of its own, and returns their results.
-- They begin when all of them are there: else the first would be done before the last comes.
-- Tables are for "...", which is copied: what is captured is merged, which is slow for large ones.
local function crew(n, fn, ...)
	local handles = {}
	probe.add(BEGUN, -probe.get(BEGUN))
	for i = 1, n do
		handles[i] = goroutine.async(function(...)
			math.randomseed(seed, i)
			probe.add(BEGUN, 1)
			while probe.get(BEGUN) < n do goroutine.sleep(0) end
			return fn(i, ...)
		end, ...)
	end
	local results = goroutine.await_all(handles)
	for i = 1, n do
		if not results[i].success then error(results[i].error, 0) end
		results[i] = results[i].values
	end
	return results
end

-- Runs fn(...) and stops it at some moment, or a little too late. What fn did before is done.
local function stopped(patience, fn, ...)
	local ctx, cancel = goroutine.context():with_cancel()
	goroutine.spawn(function()
		for _ = 1, math.random(0, patience) do goroutine.sleep(0) end
		cancel()
	end)
	return ctx:run(fn, ...)
end

-- Calls fn(...), now and then where Lua can't yield, so that a wait in it blocks its thread.
local function anywhere(fn, ...)
	if math.random(10) > 1 then return fn(...) end
	local args, results = table.pack(...), nil
	table.sort({2, 1}, function()
		results = results or table.pack(fn(table.unpack(args, 1, args.n)))
		return false
	end)
	return table.unpack(results, 1, results.n)
end

return crew, stopped, anywhere
