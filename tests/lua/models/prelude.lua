-- What all models need. Returns functions.
local seed = ...
local goroutine, probe = goroutine, require("probe")

probe.reset()
math.randomseed(seed)

-- Runs fn(1, ...) … fn(n, ...) side by side, each with dice of its own, and returns their results.
-- Tables are for "...", which is copied: what is captured is merged, which is slow for large ones.
local function crew(n, fn, ...)
	local handles = {}
	for i = 1, n do
		handles[i] = goroutine.async(function(...)
			math.randomseed(seed, i)
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

return crew, stopped
