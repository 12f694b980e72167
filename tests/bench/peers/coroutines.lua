-- SPDX-License-Identifier: MIT
-- What plain Lua's own coroutines cost, and those of cqueues and the threads of luv, if they are
-- installed: all of cqueues' share one state and one thread.
local scale = tonumber(arg[1])
local n = math.ceil(20000 * scale)

local function report(name, value)
	print(("%s %.3f"):format(name, value))
end

local function plain()
	local co = coroutine.wrap(function()
		while true do
			coroutine.yield()
		end
	end)
	local began = os.clock()
	for _ = 1, 10 * n do
		co()
	end
	report("lua_resume_yield_us", (os.clock() - began) * 1e6 / (10 * n))
end

local function cqueues()
	local there, queues = pcall(require, "cqueues")
	if not there then
		return
	end
	local queue, done, name, x = queues.new(), 0, "web-01", 42
	local began = queues.monotime()
	for _ = 1, n do
		queue:wrap(function()
			local s = name .. x
			done = done + 1
		end)
	end
	assert(queue:loop())
	assert(done == n)
	report("cqueues_spawn_run_join_us", (queues.monotime() - began) * 1e6 / n)
end

local function luv()
	local there, uv = pcall(require, "luv")
	if not there then
		return
	end
	local left, work = math.ceil(n / 10), nil
	local rounds = left
	work = uv.new_work(function()
		return "r"
	end, function(r)
		assert(r == "r")
		left = left - 1
		if left > 0 then
			work:queue()
		end
	end)
	local began = uv.hrtime()
	work:queue()
	uv.run()
	report("luv_await_us", (uv.hrtime() - began) / 1e3 / rounds)
end

plain()
cqueues()
luv()
