/* SPDX-License-Identifier: MIT */

/*
 * The goroutine module as its page promises it: a row of the page, a test.
 */

#include <stdio.h>
#include <unistd.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

START_TEST(spawn_runs_with_its_arguments_and_returns_nothing)
{
	task_run(&run, "local wg = goroutine.wait_group() wg:add(2)\n"
		       "assert(select('#', goroutine.spawn(function(a, b, ...)\n"
		       "  log.info(a, b.c, select('#', ...)) wg:done() end, 1, {c = 2}, nil, "
		       "nil)) == 0)\n"
		       "goroutine.spawn(function() wg:done() return 'ignored' end)\n"
		       "wg:wait()");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "1\t2\t2\n");
	ck_assert_uint_eq(run.result.goroutines, 3);
	task_finish(&run);
}
END_TEST

START_TEST(an_error_in_a_spawned_one_is_logged_and_counted)
{
	task_run(&run, "goroutine.spawn(function() error('boom') end)\n"
		       "goroutine.spawn(function() error({message = 'table'}) end)\n"
		       "return true");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_uint_eq(run.result.failed_goroutines, 2);
	task_seen(&run, "failed: test.sloth:1: boom\nstack traceback:");
	task_seen(&run, "log error ");
	task_seen(&run, "failed: table\n");
	task_seen(&run, " failed test.sloth:1: boom\n");
	task_finish(&run);
}
END_TEST

START_TEST(what_a_spawned_one_returns_is_ignored)
{
	task_run(&run, "goroutine.spawn(function() return nil, 'no failure' end)\n"
		       "goroutine.spawn_many(2, function() return nil, 'nor here' end)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_uint_eq(run.result.failed_goroutines, 0);
	ck_assert_str_eq(run.log.data, "");
	task_finish(&run);
}
END_TEST

START_TEST(spawn_many_numbers_from_one)
{
	task_run(&run,
		"local wg = goroutine.wait_group() wg:add(100)\n"
		"goroutine.spawn_many(100, function(id) log.info(id) wg:done() end)\n"
		"wg:wait() goroutine.spawn_many(0, print) goroutine.spawn_many(-3, print)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_uint_eq(run.result.goroutines, 101);
	task_seen(&run, ": 1\n");
	task_seen(&run, ": 57\n");
	task_seen(&run, ": 100\n");
	task_finish(&run);
}
END_TEST

START_TEST(wrong_arguments_raise)
{
	static const char *const rows[][2] = {
		{"goroutine.spawn(1)",
			"bad argument #1 to 'spawn' (function expected, got number)"},
		{"goroutine.spawn_many('x', print)",
			"bad argument #1 to 'spawn_many' (number expected, got string)"},
		{"goroutine.spawn_many(1)",
			"bad argument #2 to 'spawn_many' (function expected, got no value)"},
		{"goroutine.spawn_many(1.5, print)",
			"bad argument #1 to 'spawn_many' (number has no integer "
			"representation)"},
		{"goroutine.async()",
			"bad argument #1 to 'async' (function expected, got no value)"},
		{"goroutine.await({})",
			"bad argument #1 to 'await' (async handle expected, got table)"},
		{"goroutine.await(goroutine.async(print), 'x')",
			"bad argument #2 to 'await' (number expected, got string)"},
		{"goroutine.await_all({}, 'x')",
			"bad argument #2 to 'await_all' (number expected, got string)"},
		{"goroutine.sleep('x')",
			"bad argument #1 to 'sleep' (number expected, got string)"},
		{"goroutine.sleep(0 / 0)", "bad argument #1 to 'sleep' (not a time)"},
		{"goroutine.timeout(0 / 0, print)",
			"bad argument #1 to 'timeout' (not a time)"},
		{"goroutine.await_all(3)",
			"bad argument #1 to 'await_all' (table expected, got number)"},
		{"goroutine.sleep()",
			"bad argument #1 to 'sleep' (number expected, got no value)"},
		{"goroutine.timeout('x', print)",
			"bad argument #1 to 'timeout' (number expected, got string)"},
		{"goroutine.timeout(5)",
			"bad argument #2 to 'timeout' (function expected, got no value)"},
		{"goroutine.pool_create()",
			"bad argument #1 to 'pool_create' (string expected, got no value)"},
		{"goroutine.pool_create('p', {workers = 0})",
			"bad argument #2 to 'pool_create' (workers must be at least 1)"},
		{"goroutine.pool_create('p', {workers = 'x'})",
			"bad argument #2 to 'pool_create' (workers must be a number, not a "
			"string)"},
		{"goroutine.pool_create('p', 5)",
			"bad argument #2 to 'pool_create' (table expected, got number)"},
		{"goroutine.pool_submit({}, print)",
			"bad argument #1 to 'pool_submit' (string expected, got table)"},
		{"goroutine.pool_wait()",
			"bad argument #1 to 'pool_wait' (string expected, got no value)"},
		{"goroutine.pool_close()",
			"bad argument #1 to 'pool_close' (string expected, got no value)"},
		{"goroutine.pool_stats()",
			"bad argument #1 to 'pool_stats' (string expected, got no value)"},
		{"goroutine.pool_submit('p', 1)",
			"bad argument #2 to 'pool_submit' (function expected, got number)"},
		{"goroutine.wait_group().add()",
			"bad argument #1 to 'add' (wait group expected, got no value)"},
		{"local wg = goroutine.wait_group() wg:add('x')",
			"bad argument #1 to 'add' (number expected, got string)"},
		{"local f = io.tmpfile() goroutine.spawn(function() return f end)",
			"cannot send upvalue 'f' to a goroutine: open file"},
		{"goroutine.async(print, coroutine.create(print))",
			"cannot send argument #2 to a goroutine: coroutine"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		task_raises(rows[i][0], rows[i][1]);
}
END_TEST

START_TEST(a_wait_group_never_goes_below_zero)
{
	task_raises(
		"local wg = goroutine.wait_group() wg:done()", "negative WaitGroup counter");
	task_ok("local wg = goroutine.wait_group() wg:add(2)\n"
		"local ok, e = pcall(wg.add, wg, -3)\n"
		"assert(not ok and e == 'negative WaitGroup counter', e)\n"
		"wg:done() wg:done() wg:wait() wg:add() wg:done() wg:wait()");
	task_raises("local wg = goroutine.wait_group() wg:add(math.maxinteger) wg:add(1)",
		"WaitGroup counter too large");
}
END_TEST

START_TEST(many_can_wait_for_one_group)
{
	task_ok("local go, done = goroutine.wait_group(), goroutine.wait_group()\n"
		"go:add() done:add(50)\n"
		"for i = 1, 50 do goroutine.spawn(function() go:wait() done:done() end) end\n"
		"goroutine.sleep(5) go:done() done:wait()");
}
END_TEST

START_TEST(async_gives_what_the_function_returned)
{
	task_ok("local h = goroutine.async(function(a, b) return a + b, nil, {x = 1}, nil end, "
		"1, 2)\n"
		"local t = table.pack(goroutine.await(h))\n"
		"assert(t.n == 5 and t[1] == true and t[2] == 3 and t[3] == nil and t[4].x == "
		"1)\n"
		"t = table.pack(goroutine.await(goroutine.async(function() end)))\n"
		"assert(t.n == 1 and t[1] == true)\n"
		"t = table.pack(goroutine.await(goroutine.async(function() return nil, nil "
		"end)))\n"
		"assert(t.n == 3 and t[1] == true)");
}
END_TEST

START_TEST(await_gives_the_error_as_it_was_raised)
{
	task_ok("local ok, e, tb = goroutine.await(goroutine.async(function() error('x') "
		"end))\n"
		"assert(ok == false and e == 'test.sloth:1: x' and tb:find('stack "
		"traceback'))\n"
		"ok, e = goroutine.await(goroutine.async(function() error({code = 7}) end))\n"
		"assert(not ok and e.code == 7)\n"
		"ok, e = goroutine.await(goroutine.async(function() error() end))\n"
		"assert(not ok and e == nil)");
}
END_TEST

START_TEST(the_traceback_of_async_is_in_the_log_too)
{
	task_run(&run, "goroutine.async(function() error('unseen') end)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_uint_eq(run.result.failed_goroutines, 0);
	task_seen(&run, "log warning 1: goroutine 1 failed: test.sloth:1: unseen\nstack "
			"traceback:\n");
	task_seen(&run, "task async-1 failed test.sloth:1: unseen\n");
	task_finish(&run);
}
END_TEST

START_TEST(nil_and_a_message_is_a_failure)
{
	task_ok("local function try(...)\n"
		"  local t = table.pack(...)\n"
		"  return goroutine.await(goroutine.async(function() return table.unpack(t, 1, "
		"t.n) end))\n"
		"end\n"
		"local ok, e, tb = try(nil, 'down') assert(not ok and e == 'down' and tb == "
		"nil)\n"
		"ok, e = try(nil, 'down', 2) assert(not ok and e == 'down')\n"
		"assert(try(nil, 'a', 'b')) assert(try(nil, 'a', 1, 2)) assert(try(nil, 5))\n"
		"assert(try(false, 'a')) assert(try(nil, 'a', 1.5))\n"
		"ok, e = goroutine.timeout(1000, function() return nil, 'no' end)\n"
		"assert(not ok and e == 'no')");
}
END_TEST

START_TEST(one_that_failed_so_has_published_what_it_wrote)
{
	task_ok("local t, n = {}, 0\n"
		"local ok, e = goroutine.await(goroutine.async(function()\n"
		"  t.x, n = 1, 2 return nil, 'down' end))\n"
		"assert(not ok and e == 'down' and t.x == 1 and n == 2)\n"
		"ok, e = goroutine.timeout(5000, function() t.x = 3 return nil, 'no' end)\n"
		"assert(not ok and t.x == 3)\n"
		"ok = goroutine.await(goroutine.async(function() t.x = 4 error('raised') "
		"end))\n"
		"assert(not ok and t.x == 3)");
}
END_TEST

START_TEST(a_handle_is_awaited_once)
{
	task_ok("local h = goroutine.async(function() return 1 end)\n"
		"assert(goroutine.await(h))\n"
		"local ok, e = goroutine.await(h)\n"
		"assert(ok == false and e == 'async handle already awaited')\n"
		"local r = goroutine.await_all({h})\n"
		"assert(not r[1].success and r[1].error == 'async handle already awaited')");
}
END_TEST

START_TEST(await_with_a_time_keeps_the_handle)
{
	task_ok("local go = goroutine.channel(1)\n"
		"local h = goroutine.async(function() go:receive() return 'late' end)\n"
		"local ok, e = goroutine.await(h, 5)\n"
		"assert(ok == false and e == 'timeout exceeded')\n"
		"ok, e = goroutine.await(h, 0) assert(not ok and e == 'timeout exceeded')\n"
		"go:send(true) ok, e = goroutine.await(h, 50000) assert(ok and e == 'late')");
}
END_TEST

START_TEST(await_all_keeps_the_order_and_names_what_is_no_handle)
{
	task_ok("local h = {}\n"
		"for i = 1, 20 do h[i] = goroutine.async(function()\n"
		"  goroutine.sleep((20 - i) / 4) return i, nil, i * 2 end) end\n"
		"h[21] = goroutine.async(function() error('bad') end)\n"
		"h[22] = 'no handle' h[24] = goroutine.async(function() return nil, 'msg' "
		"end)\n"
		"local r = goroutine.await_all(h)\n"
		"for i = 1, 20 do assert(r[i].success and r[i].values[1] == i and "
		"r[i].values.n == 3\n"
		"  and r[i].values[3] == i * 2) end\n"
		"assert(r[21].success == false and r[21].error == 'test.sloth:4: bad')\n"
		"assert(r[22].error == 'not an async handle' and r[23].error == 'not an async "
		"handle')\n"
		"assert(r[24].error == 'msg' and r[24].values == nil and r[25] == nil)\n"
		"assert(next(goroutine.await_all({})) == nil)");
}
END_TEST

START_TEST(await_all_with_a_time_bounds_the_whole)
{
	/* With more and more time, until the first and the last one have ended in it. */
	task_ok("local ms, r = 15\n"
		"repeat ms = ms * 2\n"
		"  local h = {goroutine.async(function() return 1 end),\n"
		"    goroutine.async(function() goroutine.sleep(1e9) end),\n"
		"    goroutine.async(function() return 3 end)}\n"
		"  r = goroutine.await_all(h, ms)\n"
		"  for i = 1, 3 do\n"
		"    assert(r[i].success or r[i].error == 'timeout exceeded', r[i].error) end\n"
		"  assert(not r[2].success)\n"
		"until r[1].success and r[3].success\n"
		"os.exit(0)");
}
END_TEST

START_TEST(sleep_takes_its_time)
{
	task_ok("local t = os.clock() goroutine.sleep(20.5) t = os.clock() - t\n"
		"assert(t >= 0.0205 and t < 5) goroutine.sleep(0) goroutine.sleep(-5)");
}
END_TEST

START_TEST(a_sleep_of_nothing_lets_the_others_run)
{
	task_run_in_turn(&run, "for _, ms in ipairs{0, -5} do\n"
			       "  goroutine.spawn(function() log.info('other') end)\n"
			       "  goroutine.sleep(ms) log.info('slept') end");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "other\nslept\nother\nslept\n");
	task_finish(&run);
}
END_TEST

START_TEST(timeout_gives_results_and_errors)
{
	task_ok("local t = table.pack(goroutine.timeout(5000, function(x) return x, nil end, "
		"3))\n"
		"assert(t.n == 3 and t[1] == true and t[2] == 3)\n"
		"local ok, e, tb = goroutine.timeout(5000, function() error('x') end)\n"
		"assert(not ok and e == 'test.sloth:3: x' and tb)");
}
END_TEST

START_TEST(timeout_stops_the_body_and_what_it_started)
{
	task_run(&run,
		/* The task is over when all of them are. */
		"local ok, e = goroutine.timeout(20, function()\n"
		"  goroutine.spawn(function() goroutine.sleep(1e9) log.info('child') end)\n"
		"  goroutine.async(function() goroutine.sleep(1e9) log.info('async') end)\n"
		"  goroutine.timeout(1e9, function() goroutine.sleep(1e9) log.info('inner') "
		"end)\n"
		"  log.info('body')\n"
		"end)\n"
		"assert(not ok and e == 'timeout exceeded')\n"
		"for _, ms in ipairs{0, -1} do\n"
		"  ok, e = goroutine.timeout(ms, function() log.info('ran') end)\n"
		"  assert(not ok and e == 'timeout exceeded')\n"
		"end");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "");
	task_finish(&run);
}
END_TEST

START_TEST(what_a_body_started_outlives_it_if_it_is_in_time)
{
	task_run(&run,
		"goroutine.timeout(10000, function()\n"
		"  goroutine.spawn(function() goroutine.sleep(20) log.info('later') end)\n"
		"end)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "later\n");
	task_finish(&run);
}
END_TEST

/* When it returns, nothing runs any more. */
START_TEST(what_a_body_started_ends_with_it_if_it_fails)
{
	static const char *const calls[] = {
		"goroutine.timeout(60000, ", "goroutine.context():run("};
	static const char *const ends[] = {"error('x', 0)", "return nil, 'x'"};
	char text[1200];

	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text),
			"local n, handles = goroutine.atomic_int(), goroutine.channel(2)\n"
			"goroutine.pool_create('p')\n"
			"local function spin() while true do n:inc() end end\n"
			"local ok, e, tb = %sfunction()\n"
			"  goroutine.spawn(goroutine.timeout, 60000, spin)\n"
			"  goroutine.spawn(function() goroutine.channel():receive() end)\n"
			"  goroutine.pool_submit('p', function() spin() end)\n"
			"  handles:send(goroutine.async(goroutine.sleep, 60000))\n"
			"  while n:load() == 0 do goroutine.sleep(1) end\n"
			"  %s\n"
			"end)\n"
			"assert(ok == false and e == 'x' and (tb ~= nil) == %s)\n"
			"local now = n:load() goroutine.sleep(5) assert(n:load() == now)\n"
			"ok, e = goroutine.await((handles:receive())) assert(not ok)\n"
			"goroutine.pool_close('p')",
			calls[i % 2], ends[i / 2], i / 2 == 0 ? "true" : "false");
		task_ok(text);
	}
}
END_TEST

START_TEST(a_pool_runs_all_that_is_submitted)
{
	task_ok("assert(goroutine.pool_create('p', {workers = 5}) == true)\n"
		"for i = 1, 50 do\n"
		"  local id = goroutine.pool_submit('p', function(n) return n * 2 end, i)\n"
		"  assert(id == 'p-' .. i)\n"
		"end\n"
		"local ok, r = goroutine.pool_wait('p')\n"
		"assert(ok == true and #r == 50, 'n=' .. #r)\n"
		"for i = 1, 50 do assert(r[i].id == 'p-' .. i and r[i].success\n"
		"  and r[i].values[1] == 2 * i, r[i].id .. ' ' .. tostring(r[i].values[1])) "
		"end\n"
		"local s = goroutine.pool_stats('p')\n"
		"assert(s.name == 'p' and s.workers == 5 and s.active == 0 and s.completed == "
		"50)\n"
		"assert(s.failed == 0 and s.queued == 0 and s.submitted == 50 and s.rejected "
		"== 0)\n"
		"assert(s.capacity == 10 and s.peak_active >= 1 and s.peak_active <= 5)\n"
		"assert(math.type(s.completed) == 'integer' and math.type(s.run_ms_avg) == "
		"'float')\n"
		"ok, r = goroutine.pool_wait('p') assert(ok and #r == 0)\n"
		"goroutine.pool_submit('p', function() error('x') end)\n"
		"goroutine.pool_submit('p', function() return nil, 'y' end)\n"
		"ok, r = goroutine.pool_wait('p')\n"
		"assert(#r == 2 and not r[1].success and r[1].error == 'test.sloth:16: x')\n"
		"assert(r[2].error == 'y' and r[2].id == 'p-52')\n"
		"assert(goroutine.pool_close('p') == true)\n"
		"local no, e = goroutine.pool_close('p')\n"
		"assert(no == false and e == 'pool not found: p')");
}
END_TEST

START_TEST(a_pool_has_four_workers_if_nothing_else_is_said)
{
	task_ok("goroutine.pool_create('p')\n"
		"for i = 1, 10 do goroutine.pool_submit('p', goroutine.sleep, 2) end\n"
		"goroutine.pool_wait('p')\n"
		"local s = goroutine.pool_stats('p')\n"
		"assert(s.workers == 4 and s.capacity == 8)\n"
		"assert(math.type(s.wait_ms_avg) == 'float' and s.wait_ms_avg >= 0)\n"
		"assert(s.run_ms_avg >= 2, s.run_ms_avg)\n"
		"goroutine.pool_close('p')\n"
		"goroutine.pool_create('q', {workers = 3})\n"
		"assert(goroutine.pool_stats('q').capacity == 6) goroutine.pool_close('q')");
}
END_TEST

START_TEST(a_pool_is_closed_when_all_its_tasks_have_ended)
{
	task_ok("local n = goroutine.atomic_int()\n"
		"goroutine.pool_create('p', {workers = 2, queue = 10})\n"
		"for i = 1, 10 do goroutine.pool_submit('p', function()\n"
		"  goroutine.sleep(2) n:inc() end) end\n"
		"assert(goroutine.pool_close('p') == true and n:load() == 10)\n"
		"assert(goroutine.pool_create('p') == true)\n"
		"goroutine.pool_submit('p', function() end) assert(goroutine.pool_wait('p'))\n"
		"assert(goroutine.pool_submit('p', function() end) == 'p-2')\n"
		"local ok, r = goroutine.pool_wait('p') assert(ok and r[1].id == 'p-2' and #r "
		"== 1)\n"
		"assert(goroutine.pool_close('p') == true)");
}
END_TEST

START_TEST(a_close_that_did_not_get_to_its_end_can_be_repeated)
{
	task_ok("local go = goroutine.channel() goroutine.pool_create('p')\n"
		"goroutine.pool_submit('p', go.receive, go)\n"
		"for i = 1, 3 do\n"
		"  local ok, e = goroutine.timeout(5, goroutine.pool_close, 'p')\n"
		"  assert(not ok and e == 'timeout exceeded', e)\n"
		"  ok, e = goroutine.pool_submit('p', print) assert(e == 'pool is closed')\n"
		"  ok, e = goroutine.pool_create('p') assert(e == 'pool already exists: p')\n"
		"end\n"
		"goroutine.spawn(go.send, go, 1) assert(goroutine.pool_close('p') == true)\n"
		"assert(goroutine.pool_create('p'))\n"
		/* It ends by a deadlock: its task does too. */
		"goroutine.pool_submit('p', go.receive, go)\n"
		"local ok, e = pcall(goroutine.pool_close, 'p') assert(not ok)\n"
		"assert(goroutine.pool_close('p') == true and goroutine.pool_create('p'))\n"
		"goroutine.pool_close('p')");
}
END_TEST

START_TEST(of_many_who_close_a_pool_one_does)
{
	task_ok("local go, n = goroutine.wait_group(), 0 go:add()\n"
		"goroutine.pool_create('p') goroutine.pool_submit('p', function() go:wait() "
		"end)\n"
		"local handles = {}\n"
		"for i = 1, 8 do handles[i] = goroutine.async(function()\n"
		"  local ok, e = goroutine.pool_close('p')\n"
		"  assert(ok or e == 'pool not found: p') return ok end) end\n"
		"goroutine.sleep(2) go:done()\n"
		"for _, r in ipairs(goroutine.await_all(handles)) do\n"
		"  assert(r.success, r.error) if r.values[1] then n = n + 1 end end\n"
		"assert(n == 1 and goroutine.pool_create('p')) goroutine.pool_close('p')");
}
END_TEST

START_TEST(a_pool_never_runs_more_than_its_workers)
{
	task_ok("goroutine.pool_create('p', {workers = 3, queue = 100})\n"
		"for i = 1, 30 do goroutine.pool_submit('p', function()\n"
		"  goroutine.sleep(3) return goroutine.pool_stats('p').active end) end\n"
		"local _, r = goroutine.pool_wait('p')\n"
		"for _, x in ipairs(r) do assert(x.success and x.values[1] <= 3, x.error) end\n"
		"assert(goroutine.pool_stats('p').peak_active == 3) goroutine.pool_close('p')");
}
END_TEST

START_TEST(pool_errors_have_their_words)
{
	task_ok("local function is(no, text, ok, e)\n"
		"  assert(ok == no and e == text, tostring(e)) end\n"
		"is(nil, 'pool not found: q', goroutine.pool_submit('q', print))\n"
		"is(false, 'pool not found: q', goroutine.pool_wait('q'))\n"
		"is(false, 'pool not found: q', goroutine.pool_close('q'))\n"
		"is(nil, 'pool not found: q', goroutine.pool_stats('q'))\n"
		"goroutine.pool_create('p', {workers = 1, queue = 1, submit_timeout = 0})\n"
		"is(nil, 'pool already exists: p', goroutine.pool_create('p'))\n"
		"local go = goroutine.wait_group() go:add()\n"
		"local function task() go:wait() end\n"
		"assert(goroutine.pool_submit('p', task)) assert(goroutine.pool_submit('p', "
		"task))\n"
		"is(nil, 'pool queue is full', goroutine.pool_submit('p', task))\n"
		"assert(goroutine.pool_stats('p').rejected == 1)\n"
		"local h = goroutine.async(function() return goroutine.pool_close('p') end)\n"
		"while true do\n"
		"  local ok, e = goroutine.pool_submit('p', task)\n"
		"  if e == 'pool is closed' then break end\n"
		"  assert(e == 'pool queue is full') goroutine.sleep(1)\n"
		"end\n"
		"go:done() assert(select(2, goroutine.await(h)) == true)");
}
END_TEST

/* What submitted them is stopped: none can begin. */
START_TEST(a_long_queue_ends_at_once_with_who_filled_it)
{
	task_ok("goroutine.pool_create('p', {workers = 1, queue = 30000, stream = false})\n"
		"local full = goroutine.context():with_cancel()\n"
		"local ok = full:run(function()\n"
		"  goroutine.pool_submit('p', goroutine.sleep, 1e9)\n"
		"  for i = 1, 30000 do goroutine.pool_submit('p', print) end\n"
		"  full:cancel() goroutine.sleep(1e9)\n"
		"end)\n"
		"local s = goroutine.pool_stats('p') goroutine.pool_close('p')\n"
		"assert(not ok and s.failed == 30001 and s.queued == 0 and s.active == 0)");
}
END_TEST

START_TEST(a_full_queue_makes_the_submitter_wait)
{
	task_ok("local go = goroutine.wait_group() go:add()\n"
		"for name, ms in pairs{p = 20, q = 60000} do\n"
		"  goroutine.pool_create(name, {workers = 1, queue = 0, submit_timeout = ms})\n"
		"  goroutine.pool_submit(name, function() go:wait() end)\n"
		"end\n"
		"local t = os.clock()\n"
		"local ok, e = goroutine.pool_submit('p', print)\n"
		"assert(ok == nil and e == 'pool queue is full' and os.clock() - t >= 0.02)\n"
		"goroutine.spawn(function() goroutine.sleep(5) go:done() end)\n"
		"assert(goroutine.pool_submit('q', function() end) == 'q-2')\n"
		"goroutine.pool_close('p') goroutine.pool_close('q')");
}
END_TEST

START_TEST(a_place_in_the_queue_is_for_who_waits_to_submit)
{
	task_ok("goroutine.pool_create('p', {workers = 1, queue = 1, submit_timeout = 60000})\n"
		"local go = goroutine.channel()\n"
		"local function task() go:receive() end\n"
		"goroutine.pool_submit('p', task) goroutine.pool_submit('p', task)\n"
		"for i = 3, 10 do\n"
		"  local h = goroutine.async(goroutine.pool_submit, 'p', task)\n"
		"  assert(not goroutine.await(h, 1)) go:send(true)\n"
		"  assert(select(2, goroutine.await(h, 10000)) == 'p-' .. i)\n"
		"  assert(goroutine.pool_stats('p').active == 1)\n"
		"end go:send(true) go:send(true) goroutine.pool_close('p')");
}
END_TEST

START_TEST(a_pool_task_that_waits_for_its_pool_raises)
{
	task_ok("goroutine.pool_create('p')\n"
		"goroutine.pool_submit('p', function() goroutine.pool_wait('p') end)\n"
		"local _, r = goroutine.pool_wait('p')\n"
		"assert(r[1].error:find(\"pool_wait: a task of pool 'p' would wait for "
		"itself\"))\n"
		"goroutine.pool_submit('p', function() goroutine.pool_close('p') end)\n"
		"_, r = goroutine.pool_wait('p')\n"
		"assert(r[1].error:find(\"pool_close: a task of pool 'p' would wait for "
		"itself\"))\n"
		"goroutine.pool_close('p')");
}
END_TEST

/* Runs the task of @arg, a struct task_run, to its end. */
static void *run_prepared(void *arg)
{
	struct task_run *live = arg;

	sl_runtime_run(live->runtime, &live->task);
	return NULL;
}

/* Waits until the task has emitted @text; false: it did not within ten seconds. */
static bool hears(struct task_run *live, const char *text)
{
	bool heard = false;

	for (int i = 0; i < 10000 && !heard; i++) {
		usleep(1000);
		pthread_mutex_lock(&live->lock);
		heard = live->events.size > 0 &&
		        memmem(live->events.data, live->events.size, text, strlen(text));
		pthread_mutex_unlock(&live->lock);
	}
	return heard;
}

START_TEST(news_of_a_pool_arrive_though_nothing_else_happens)
{
	struct sl_runtime_config config = {.threads = 2};
	struct task_run live;
	pthread_t thread;
	bool came, told;

	task_prepare(&live, &config,
		"goroutine.pool_create('p', {stream = false})\n"
		"goroutine.pool_submit('p', function() end) goroutine.sleep(60000)");
	pthread_create(&thread, NULL, run_prepared, &live);
	came = hears(&live, "pool p 0\n");
	told = hears(&live, "pool p 1\n");
	sl_runtime_cancel(live.runtime, "heard enough");
	pthread_join(thread, NULL);
	ck_assert(came && told);
	task_finish(&live);
}
END_TEST

START_TEST(a_pool_left_open_is_closed_with_a_warning)
{
	task_run(&run, "goroutine.pool_create('p')\n"
		       "goroutine.pool_submit('p', function() goroutine.sleep(20) end)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	task_seen(&run, "log warning 0: pool 'p' was left open\n");
	task_seen(&run, "task p-1 ok \n");
	task_seen(&run, "pool p 0\n");
	task_seen(&run, "pool p 1 closed\n");
	task_finish(&run);
}
END_TEST

START_TEST(a_silent_pool_sends_no_tasks)
{
	task_run(&run,
		"goroutine.pool_create('p', {stream = false})\n"
		"for i = 1, 5 do goroutine.pool_submit('p', function() return i end) end\n"
		"assert(#select(2, goroutine.pool_wait('p')) == 5) goroutine.pool_close('p')");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_ptr_null(strstr(run.events.data, "task p"));
	task_finish(&run);
}
END_TEST

START_TEST(functions_that_look_alike_are_told_apart)
{
	task_ok("local function value(f, ...)\n"
		"  return select(2, goroutine.await(goroutine.async(f, ...))) end\n"
		"for i = 1, 1500 do\n"
		"  local f = load('return function(x) return ' .. i .. ' + x end')()\n"
		"  assert(value(f, i) == 2 * i) f = nil\n"
		"  if i % 7 == 0 then collectgarbage() end end\n"
		"local a, b = function() return 'a' end, function() return 'b' end\n"
		"for i = 1, 20 do assert(value(a) == 'a' and value(b) == 'b') end\n"
		"local function of_global() return made_later end\n"
		"assert(value(of_global) == nil) made_later = 7\n"
		"assert(value(of_global) == 7) made_later = {8}\n"
		"assert(value(of_global)[1] == 8) made_later = nil\n"
		"assert(value(of_global) == nil)");
}
END_TEST

START_TEST(plain_values_are_captured_as_they_are)
{
	task_ok("local s, i, f, b, n, lib, fn, env = 'a\\0b', 1 << 62, 0.5, false, nil, "
		"string, "
		"math.floor, _ENV\n"
		"local ch = goroutine.channel(1) ch:send('in')\n"
		"for _ = 1, 3 do local _, ok, rest = "
		"goroutine.await(goroutine.async(function(...)\n"
		"  local x, y, z = ...\n"
		"  return s == 'a\\0b' and i == 1 << 62 and math.type(i) == 'integer' and f == "
		"0.5\n"
		"    and b == false and n == nil and lib == string and fn == math.floor and "
		"env == _G\n"
		"    and ch:len() == 1 and select('#', ...) == 4 and x == nil and y == 'y' and "
		"z == "
		"lib.upper, 'rest' end, nil, 'y', string.upper, nil))\n"
		"  assert(ok == true and rest == 'rest') end\n"
		"local p, q = print, print local function twins() p = 5 return q end\n"
		"debug.upvaluejoin(twins, 1, twins, 2)\n"
		"assert(select(2, goroutine.await(goroutine.async(twins))) == 5)");
}
END_TEST

START_TEST(a_pool_task_finds_nothing_of_those_before)
{
	task_ok("goroutine.pool_create('p', {workers = 1, queue = 100, stream = false})\n"
		"for i = 1, 60 do assert(goroutine.pool_submit('p', function(n)\n"
		"  local seen = leak or string.leak or ('').leak or package.loaded.leak or "
		"debug.getregistry().leak\n"
		"    or json.leak or getmetatable('').leak or rawget(_G, 'big')\n"
		"  leak, string.leak, package.loaded.leak, json.leak = i, i, i, i\n"
		"  debug.getregistry().leak = i getmetatable('').leak = i\n"
		"  big = {} for k = 1, 20000 do big[k] = {k} end print = nil\n"
		"  big = string.rep('x', 100000) goroutine = nil\n"
		"  if n % 3 == 0 then error('third') end\n"
		"  return i, seen end, i)) end\n"
		"local _, r = goroutine.pool_wait('p')\n"
		"for i = 1, 60 do assert(r[i].success == (i % 3 ~= 0), r[i].error)\n"
		"  if r[i].success then assert(r[i].values[1] == i and not r[i].values[2]) end "
		"end\n"
		"goroutine.pool_close('p')");
}
END_TEST

START_TEST(finalizers_of_pool_tasks_run)
{
	task_run(&run, "goroutine.pool_create('p', {workers = 1, queue = 10, stream = false})\n"
		       "for i = 1, 5 do goroutine.pool_submit('p', function()\n"
		       "  x = setmetatable({}, {__gc = function() log.info('gone ' .. i) end}) "
		       "end) end\n"
		       "goroutine.pool_wait('p') goroutine.pool_close('p')");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	task_seen(&run, "gone 1\n");
	task_seen(&run, "gone 5\n");
	task_finish(&run);
}
END_TEST

START_TEST(a_pool_keeps_the_last_ten_thousand_results)
{
	task_ok("goroutine.pool_create('p', {stream = false})\n"
		"for i = 1, 10050 do goroutine.pool_submit('p', function() return i end) end\n"
		"local _, r = goroutine.pool_wait('p')\n"
		"assert(#r == 10000 and r[10000].id == 'p-10050')\n"
		"for i = 2, #r do assert(tonumber(r[i].id:sub(3)) > tonumber(r[i - "
		"1].id:sub(3))) end\n"
		"goroutine.pool_close('p')");
}
END_TEST

START_TEST(they_nest_ten_deep)
{
	task_ok("local function down(n)\n"
		"  if n == 0 then return 0 end\n"
		"  local wg = goroutine.wait_group() wg:add(1)\n"
		"  goroutine.spawn(function() require('goroutine').sleep(1) wg:done() end)\n"
		"  local ok, v = goroutine.await(goroutine.async(down, n - 1)) assert(ok, v)\n"
		"  ok, v = goroutine.timeout(60000, function() return v + 1 end) assert(ok, "
		"v)\n"
		"  goroutine.pool_create('p' .. n)\n"
		"  goroutine.pool_submit('p' .. n, function() return v end)\n"
		"  local _, r = goroutine.pool_wait('p' .. n) goroutine.pool_close('p' .. n)\n"
		"  wg:add(2) goroutine.spawn_many(2, function() wg:done() end)\n"
		"  ok, v = goroutine.context():run(function() return n end) assert(ok and v == "
		"n)\n"
		"  local all = goroutine.await_all({goroutine.async(function()\n"
		"    local ch = goroutine.channel()\n"
		"    goroutine.spawn(function() ch:send(n) end)\n"
		"    return select(2, goroutine.select{{channel = ch, receive = true}}) "
		"end)})\n"
		"  assert(all[1].values[1] == n, all[1].error)\n"
		"  wg:wait() return r[1].values[1]\n"
		"end\n"
		"assert(down(10) == 10)");
}
END_TEST

START_TEST(ten_thousand_wait_at_once)
{
	task_ok("local wg = goroutine.wait_group() wg:add(10000)\n"
		"goroutine.spawn_many(10000, function() goroutine.sleep(50) wg:done() end)\n"
		"wg:wait()");
}
END_TEST

/* Each eighth waits for something else. */
START_TEST(ten_thousand_wait_for_each_other)
{
	task_ok("local g = goroutine\n"
		"local go, over, begun, ended = g.wait_group(), g.wait_group(), "
		"g.atomic_int(), g.atomic_int()\n"
		"local ch, mu, rw, sem, once = g.channel(), g.mutex(), g.rwmutex(), "
		"g.semaphore(1), g.once()\n"
		"local cond, flag = g.cond(), g.atomic_int() local cmu = cond:get_mutex()\n"
		"go:add() over:add(10000) mu:lock() rw:lock() sem:acquire()\n"
		"local ways = {\n"
		"  function() go:wait() end,\n"
		"  function() ch:receive() end,\n"
		"  function() mu:lock() mu:unlock() end,\n"
		"  function() rw:rlock() rw:runlock() end,\n"
		"  function() sem:acquire() sem:release() end,\n"
		"  function() cmu:lock() while flag:load() == 0 do cond:wait() end "
		"cmu:unlock() "
		"end,\n"
		"  function() once:call(function() go:wait() end) end,\n"
		"  function() g.select{{channel = ch, receive = true}} end}\n"
		"for i = 1, 10000 do\n"
		"  g.spawn(function(wait) begun:inc() wait() ended:inc() over:done() end,\n"
		"    ways[i % 8 + 1])\n"
		"end\n"
		"while begun:load() < 10000 do g.sleep(1) end assert(ended:load() == 0)\n"
		"go:done() ch:close() mu:unlock() rw:unlock() sem:release()\n"
		"cmu:lock() flag:set(1) cond:broadcast() cmu:unlock()\n"
		"over:wait() assert(ended:load() == 10000)");
}
END_TEST

START_TEST(they_wait_inside_of_coroutines)
{
	task_ok("local gen = coroutine.wrap(function()\n"
		"  for i = 1, 3 do goroutine.sleep(2) coroutine.yield(i) end end)\n"
		"local s = '' for x in gen do s = s .. x end assert(s == '123')\n"
		"local co = coroutine.create(function(a)\n"
		"  local b = coroutine.yield(a + 1) goroutine.sleep(1) error('e' .. b) end)\n"
		"assert(select(2, coroutine.resume(co, 1)) == 2)\n"
		"local ok, e = coroutine.resume(co, 5) assert(not ok and e == 'test.sloth:5: "
		"e5')\n"
		"assert(coroutine.status(co) == 'dead')\n"
		"local function deep(n) if n == 0 then goroutine.sleep(1) return 'leaf' end\n"
		"  return coroutine.wrap(function() coroutine.yield(deep(n - 1)) end)() end\n"
		"assert(deep(20) == 'leaf')\n"
		"assert(select(2, coroutine.running()) and not coroutine.isyieldable())\n"
		"ok, e = pcall(coroutine.yield, 1)\n"
		"assert(not ok and e == 'attempt to yield from outside a coroutine')\n"
		"ok, e = pcall(coroutine.wrap(function() error('w') end))\n"
		"assert(not ok and e:find('w'), e)");
}
END_TEST

START_TEST(they_wait_where_lua_cannot_yield)
{
	task_ok("local t = {3, 1, 2}\n"
		"table.sort(t, function(a, b) goroutine.sleep(1) return a < b end)\n"
		"assert(t[1] == 1 and t[3] == 3)\n"
		"local s = ('abc'):gsub('%w', function(c)\n"
		"  return select(2, goroutine.await(goroutine.async(function() return "
		"c:upper() end))) end)\n"
		"assert(s == 'ABC')\n"
		"local v = setmetatable({}, {__tostring = function() goroutine.sleep(1) return "
		"'v' end})\n"
		"assert(tostring(v) == 'v')\n"
		"package.preload.slow = function() goroutine.sleep(1) return {n = 1} end\n"
		"assert(require('slow').n == 1)\n"
		"t = {2, 1} table.sort(t, function(a, b)\n"
		"  return coroutine.wrap(function() goroutine.sleep(1) return a < b end)() "
		"end)\n"
		"assert(t[1] == 1)");
}
END_TEST

START_TEST(open_files_are_closed_with_their_goroutine)
{
	struct sl_runtime_config config = {.threads = 2};

	task_run_with(&run, &config,
		"local wg = goroutine.wait_group() wg:add(10000)\n"
		"goroutine.spawn_many(10000, function() local f = "
		"assert(io.open('/dev/null'))\n"
		"  wg:done() end) wg:wait()");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_uint_eq(run.result.failed_goroutines, 0);
	task_finish(&run);
}
END_TEST

START_TEST(finalizers_and_close_variables_run)
{
	task_run(&run,
		"goroutine.spawn(function()\n"
		"  keep = setmetatable({}, {__gc = function() log.info('gc') end}) end)\n"
		"goroutine.spawn(function()\n"
		"  local x <close> = setmetatable({}, {__close = function() log.info('close') "
		"end})\n"
		"  error('e') end)\n"
		"local ctx, inside = goroutine.context():with_cancel(), "
		"goroutine.atomic_int()\n"
		"goroutine.spawn(function()\n"
		"  while inside:load() == 0 do goroutine.sleep(1) end ctx:cancel() end)\n"
		"ctx:run(function()\n"
		"  local x <close> = setmetatable({}, {__close = function() log.info('stop') "
		"end})\n"
		"  inside:inc() goroutine.sleep(1e9) end)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	task_seen(&run, ": gc\n");
	task_seen(&run, ": close\n");
	task_seen(&run, ": stop\n");
	task_finish(&run);
}
END_TEST

START_TEST(a_table_with_a_finalizer_crosses_with_it)
{
	task_run(&run, "local t = setmetatable({}, {__gc = function() log.info('gc') end})\n"
		       "local ok, has = goroutine.await(goroutine.async(function()\n"
		       "  return getmetatable(t).__gc ~= nil end))\n"
		       "assert(ok and has, has)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_str_eq(run.log.data, "gc\ngc\n");
	task_finish(&run);
}
END_TEST

START_TEST(if_the_function_raises_the_rest_is_stopped)
{
	task_run(&run, "goroutine.spawn(function() goroutine.sleep(100000) end)\n"
		       "goroutine.sleep(5) error('boom')");
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_str_eq(run.error, "test.sloth:2: boom");
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("goroutine", spawn_runs_with_its_arguments_and_returns_nothing,
	an_error_in_a_spawned_one_is_logged_and_counted, what_a_spawned_one_returns_is_ignored,
	spawn_many_numbers_from_one, wrong_arguments_raise, a_wait_group_never_goes_below_zero,
	many_can_wait_for_one_group, async_gives_what_the_function_returned,
	await_gives_the_error_as_it_was_raised, the_traceback_of_async_is_in_the_log_too,
	nil_and_a_message_is_a_failure, one_that_failed_so_has_published_what_it_wrote,
	a_handle_is_awaited_once, await_with_a_time_keeps_the_handle,
	await_all_keeps_the_order_and_names_what_is_no_handle,
	await_all_with_a_time_bounds_the_whole, sleep_takes_its_time,
	a_sleep_of_nothing_lets_the_others_run, timeout_gives_results_and_errors,
	timeout_stops_the_body_and_what_it_started,
	what_a_body_started_outlives_it_if_it_is_in_time,
	what_a_body_started_ends_with_it_if_it_fails, a_pool_runs_all_that_is_submitted,
	a_pool_has_four_workers_if_nothing_else_is_said,
	a_pool_is_closed_when_all_its_tasks_have_ended,
	a_close_that_did_not_get_to_its_end_can_be_repeated, of_many_who_close_a_pool_one_does,
	a_pool_never_runs_more_than_its_workers, pool_errors_have_their_words,
	a_long_queue_ends_at_once_with_who_filled_it, a_full_queue_makes_the_submitter_wait,
	a_place_in_the_queue_is_for_who_waits_to_submit,
	a_pool_task_that_waits_for_its_pool_raises,
	news_of_a_pool_arrive_though_nothing_else_happens,
	a_pool_left_open_is_closed_with_a_warning, a_silent_pool_sends_no_tasks,
	a_pool_keeps_the_last_ten_thousand_results, functions_that_look_alike_are_told_apart,
	plain_values_are_captured_as_they_are, a_pool_task_finds_nothing_of_those_before,
	finalizers_of_pool_tasks_run, they_nest_ten_deep, ten_thousand_wait_at_once,
	ten_thousand_wait_for_each_other, they_wait_inside_of_coroutines,
	they_wait_where_lua_cannot_yield, open_files_are_closed_with_their_goroutine,
	finalizers_and_close_variables_run, a_table_with_a_finalizer_crosses_with_it,
	if_the_function_raises_the_rest_is_stopped)
