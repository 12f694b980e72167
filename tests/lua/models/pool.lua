-- Each task that is accepted runs once, no more at a time than there are workers, and the counts
-- add up at any moment.
local steps, _, crew = ...
local RUNS <const>, ACTIVE <const>, REJECTED <const> = 0, 30000, 30001
local probe = require("probe")
local workers, queue = math.random(1, 6), math.random(1, 8)
local SUBMITTERS <const> = 6
local patience = math.random(2) == 1 and 0 or 20000
assert(goroutine.pool_create("p", {workers = workers, queue = queue, submit_timeout = patience,
	stream = false}))

local function task(i)
	assert(probe.add(ACTIVE, 1) <= workers, "more at once than there are workers")
	if math.random(4) == 1 then goroutine.sleep(0) end
	probe.add(RUNS + i, 1)
	probe.add(ACTIVE, -1)
	if i % 10 == 0 then error("tenth", 0) end
	return i
end

local function check_stats()
	local s = goroutine.pool_stats("p")
	assert(s.workers == workers and s.capacity == queue)
	assert(s.active <= workers and s.queued <= queue and s.peak_active <= workers)
	assert(s.submitted == s.completed + s.failed + s.active + s.queued, "it doesn't add up")
end

local each = steps // 6 // SUBMITTERS
local results = crew(SUBMITTERS + 2, function(me)
	local accepted, failed = 0, 0
	if me > SUBMITTERS then
		for _ = 1, each // 4 do
			check_stats()
			assert(goroutine.pool_wait("p"))
		end
		return 0, 0
	end
	for k = 1, each do
		local i = (me - 1) * each + k
		local id, why = goroutine.pool_submit("p", task, i)
		while not id do
			assert(patience == 0 and why == "pool queue is full", why)
			probe.add(REJECTED, 1)
			goroutine.sleep(0.05)
			id, why = goroutine.pool_submit("p", task, i)
		end
		accepted = accepted + 1
		if i % 10 == 0 then failed = failed + 1 end
	end
	return accepted, failed
end)
assert(goroutine.pool_wait("p"))
local accepted, failed = 0, 0
for _, values in ipairs(results) do
	accepted, failed = accepted + values[1], failed + values[2]
end
local s = goroutine.pool_stats("p")
check_stats()
assert(s.active == 0 and s.queued == 0)
assert(s.submitted == accepted and s.failed == failed and s.rejected == probe.get(REJECTED))
for i = 1, each * SUBMITTERS do assert(probe.get(RUNS + i) == 1, "a task did not run once") end

-- What the last wait returns is in the order of submission.
local ids = {}
for i = 1, queue do ids[i] = assert(goroutine.pool_submit("p", task, i * 10 + 1)) end
local ok, last = goroutine.pool_wait("p")
assert(ok and #last == queue)
for i = 1, queue do assert(last[i].id == ids[i] and last[i].values[1] == i * 10 + 1) end
assert(goroutine.pool_close("p"))
