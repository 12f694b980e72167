/* SPDX-License-Identifier: MIT */

/*
 * Goroutines that wait for each other, and how a task ends.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

#define ASLEEP "deadlock: all goroutines are asleep"

START_TEST(who_waits_for_what_is_named)
{
	task_raises("local wg = goroutine.wait_group() wg:add(2) wg:wait()",
		ASLEEP "; goroutine 0 waits for a wait group (2 to go)");
	task_raises("goroutine.pool_create('p')\n"
		    "local w = goroutine.wait_group() w:add()\n"
		    "goroutine.pool_submit('p', function() goroutine.pool_create('q')\n"
		    "  goroutine.pool_submit('q', goroutine.pool_wait, 'p')\n"
		    "  goroutine.pool_close('q') end) w:wait()",
		ASLEEP "; goroutine 2 waits for a pool; goroutine 1 waits for a pool; "
		       "goroutine 0 waits for a wait group (1 to go)");
}
END_TEST

/* Each kind of wait, and what it says of itself. */
START_TEST(each_wait_says_what_it_is)
{
	static const char *const rows[][2] = {
		{"goroutine.channel():receive()",
			"; goroutine 0 waits for a channel (to receive)"},
		{"goroutine.channel():send(1)", "; goroutine 0 waits for a channel (to send)"},
		{"goroutine.channel(1):range(print)",
			"; goroutine 0 waits for a channel (to receive)"},
		{"local a = goroutine.channel()\n"
		 "goroutine.select{{channel = a, receive = true}, {channel = a, send = 1}}",
			"; goroutine 0 waits for a channel (select of 2)"},
		{"goroutine.context():done():receive()",
			"; goroutine 0 waits for a channel (to receive)"},
		{"local mu = goroutine.mutex() mu:lock() mu:lock()",
			"; goroutine 0 waits for a mutex (last taken by goroutine 0)"},
		{"local rw = goroutine.rwmutex() rw:rlock() rw:lock()",
			"; goroutine 0 waits for an rwmutex (last taken by goroutine 0)"},
		{"local sem = goroutine.semaphore(2) sem:acquire() sem:acquire(2)",
			"; goroutine 0 waits for a semaphore (last taken by goroutine 0)"},
		{"local cond = goroutine.cond() cond:get_mutex():lock() cond:wait()",
			"; goroutine 0 waits for a cond"},
		{"local once, wg = goroutine.once(), goroutine.wait_group() wg:add()\n"
		 "local inside = goroutine.atomic_int()\n"
		 "goroutine.spawn(function()\n"
		 "  once:call(function() inside:inc() wg:wait() end) end)\n"
		 "while inside:load() == 0 do goroutine.sleep(1) end once:call(print)",
			"; goroutine 1 waits for a wait group (1 to go); goroutine 0 waits for "
			"a once (goroutine 1 runs it)"},
		{"goroutine.await(goroutine.async(function() goroutine.channel():receive() "
		 "end))",
			"; goroutine 1 waits for a channel (to receive); goroutine 0 waits for "
			"an async handle"},
		{"local cond = goroutine.cond() local mu = cond:get_mutex()\n"
		 "local held = goroutine.atomic_int()\n"
		 "goroutine.spawn(function() mu:lock() held:inc() cond:wait() end)\n"
		 "while held:load() == 0 do goroutine.sleep(1) end\n"
		 "mu:lock() cond:signal() goroutine.channel():receive()",
			"; goroutine 1 waits for a mutex of a cond (last taken by goroutine "
			"0); goroutine 0 waits for a channel (to receive)"},
		{"local wg = goroutine.wait_group() wg:add()\n"
		 "goroutine.pool_create('p') goroutine.pool_submit('p', function() wg:wait() "
		 "end)\n"
		 "goroutine.pool_close('p')",
			"; goroutine 1 waits for a wait group (1 to go); goroutine 0 waits for "
			"a pool"},
	};
	char error[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(error, sizeof(error), ASLEEP "%s", rows[i][1]);
		task_raises(rows[i][0], error);
	}
}
END_TEST

START_TEST(each_waiting_call_raises)
{
	task_ok("local n, a = goroutine.atomic_int(), goroutine.channel()\n"
		"local function fails(wait, ...)\n"
		"  local ok, e = pcall(wait, ...)\n"
		"  assert(not ok and e:find('" ASLEEP "', 1, true), e) n:inc()\n"
		"end\n"
		"for i = 1, 5 do goroutine.spawn(function() fails(a.receive, a) end) end\n"
		"local mu = goroutine.mutex() mu:lock() fails(mu.lock, mu)\n"
		"while n:load() < 6 do goroutine.sleep(1) end");
}
END_TEST

START_TEST(one_that_forgot_its_done_is_named)
{
	task_raises("local wg = goroutine.wait_group() wg:add(2)\n"
		    "goroutine.spawn(function() wg:done() end)\n"
		    "goroutine.spawn(function() error('before') wg:done() end)\n"
		    "wg:wait()",
		ASLEEP "; goroutine 0 waits for a wait group (1 to go; goroutine 2 ended "
		       "without its done())");
}
END_TEST

START_TEST(it_can_be_caught_and_life_goes_on)
{
	task_ok("local wg = goroutine.wait_group() wg:add()\n"
		"local ok, e = pcall(wg.wait, wg)\n"
		"assert(not ok and e:find('" ASLEEP "', 1, true), e)\n"
		"goroutine.spawn(function() wg:done() end) wg:wait()\n"
		"local a = goroutine.async(function()\n"
		"  local w = goroutine.wait_group() w:add() w:wait() end)\n"
		"local none, why = pcall(goroutine.await, a)\n"
		"assert(not none and why:find('" ASLEEP "'), why)");
}
END_TEST

START_TEST(those_left_over_are_ended_and_logged)
{
	task_run(&run, "goroutine.spawn(function()\n"
		       "  local w = goroutine.wait_group() w:add() w:wait() end) return true");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_uint_eq(run.result.failed_goroutines, 1);
	task_seen(&run, "goroutine 1 failed: test.sloth:2: " ASLEEP);
	task_finish(&run);
}
END_TEST

START_TEST(who_sleeps_or_may_run_out_of_time_is_not_asleep)
{
	task_ok("local wg = goroutine.wait_group() wg:add()\n"
		"goroutine.spawn(function() goroutine.sleep(60) wg:done() end) wg:wait()\n"
		"wg:add() local a = goroutine.async(function() wg:wait() return 1 end)\n"
		"local ok, e = goroutine.await(a, 30) assert(e == 'timeout exceeded')\n"
		"wg:done() assert(select(2, goroutine.await(a)) == 1)");
}
END_TEST

START_TEST(who_waits_for_a_process_is_not_asleep)
{
	task_ok("local wg = goroutine.wait_group() wg:add(3)\n"
		"goroutine.spawn(function() os.execute('sleep 0.05') wg:done() end)\n"
		"goroutine.spawn(function() exec.run('sleep 0.05') wg:done() end)\n"
		"goroutine.spawn(function() io.popen('sleep 0.05'):read('a') wg:done() end)\n"
		"wg:wait()");
}
END_TEST

START_TEST(waits_that_block_their_thread_count)
{
	task_ok("local wg = goroutine.wait_group() wg:add()\n"
		"local ok, e = pcall(table.sort, {2, 1}, function() wg:wait() end)\n"
		"assert(not ok and e:find('" ASLEEP "', 1, true), e)");
}
END_TEST

START_TEST(busy_tasks_are_never_taken_for_asleep)
{
	task_ok("for round = 1, 300 do\n"
		"  local a, b = goroutine.wait_group(), goroutine.wait_group()\n"
		"  a:add() b:add()\n"
		"  goroutine.spawn(function() a:wait() b:done() end)\n"
		"  a:done() b:wait()\n"
		"  assert(goroutine.await(goroutine.async(function()\n"
		"    return goroutine.await(goroutine.async(function() end)) end)))\n"
		"end");
}
END_TEST

SL_CHECK_MAIN("deadlock", who_waits_for_what_is_named, each_wait_says_what_it_is,
	each_waiting_call_raises, one_that_forgot_its_done_is_named,
	it_can_be_caught_and_life_goes_on, those_left_over_are_ended_and_logged,
	who_sleeps_or_may_run_out_of_time_is_not_asleep, who_waits_for_a_process_is_not_asleep,
	waits_that_block_their_thread_count, busy_tasks_are_never_taken_for_asleep)
