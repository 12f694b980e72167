-- SPDX-License-Identifier: MIT
-- Tasks of a pool that do nothing but return what they captured.
local scale, report = ...
local n = math.ceil(100000 * scale)
goroutine.pool_create("p", { workers = 4, queue = 256, stream = false })
local began = os.clock()
for i = 1, n do
	assert(goroutine.pool_submit("p", function()
		return i
	end))
end
goroutine.pool_wait("p")
local took = os.clock() - began
assert(goroutine.pool_stats("p").completed == n)
goroutine.pool_close("p")
report("pool_tasks_per_s", n / took)
