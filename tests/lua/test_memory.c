/* SPDX-License-Identifier: MIT */

/*
 * Memory: a goroutine's, a task's, and where it goes.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

START_TEST(a_goroutine_at_its_limit_gets_an_error_of_lua)
{
	struct sl_runtime_config config = {.threads = 2, .goroutine_memory_bytes = 2 << 20};

	task_run_with(&run, &config,
		"local function grow() local t = {} while true do t[#t + 1] = {#t} end end\n"
		"local other = goroutine.async(function() goroutine.sleep(20) return 'fine' "
		"end)\n"
		"local ok, e = goroutine.await(goroutine.async(grow))\n"
		"assert(not ok and e == 'not enough memory', e)\n"
		"ok, e = pcall(grow) assert(not ok and e == 'not enough memory')\n"
		"ok, e = pcall(string.rep, 'x', 1 << 30) assert(not ok and e == 'not enough "
		"memory')\n"
		"collectgarbage()\n"
		"local t = {} for i = 1, 1000 do t[i] = i end\n"
		"assert(select(2, goroutine.await(other)) == 'fine')");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

START_TEST(garbage_does_not_count_against_the_limit)
{
	struct sl_runtime_config config = {.threads = 2, .goroutine_memory_bytes = 4 << 20};

	task_run_with(&run, &config,
		"for i = 1, 300 do local s = ('x'):rep(100000 + i) .. i end\n"
		"for i = 1, 100000 do local t = {i, {i}} end\n"
		"for i = 1, 2000 do local s = ('y'):rep(i % 7000 + 1000) .. i end");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

static const char *const eaters[] = {
	"local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
	"goroutine.spawn_many(1000000, function() goroutine.sleep(100000) end)",
	"goroutine.spawn(function() local t = {} while true do t[#t + 1] = {} end end)\n"
	"goroutine.sleep(100000)",
	"while true do goroutine.async(function() goroutine.sleep(100000) end) end",
	"local s = ('x'):rep(1000000)\n"
	"while true do goroutine.spawn(function(x) goroutine.sleep(100000) end, s) end",
	/* What was returned or raised and nobody takes. */
	"local h = {} for i = 1, 1000 do\n"
	"  h[i] = goroutine.async(function() return ('x'):rep(1 << 18) end) end\n"
	"goroutine.sleep(1e7)",
	"local h = {} for i = 1, 1000 do\n"
	"  h[i] = goroutine.async(function() error(('x'):rep(1 << 18)) end) end\n"
	"goroutine.sleep(1e7)",
	"goroutine.pool_create('p', {stream = false}) for i = 1, 1000 do\n"
	"  goroutine.pool_submit('p', function() return ('x'):rep(1 << 18) end) end\n"
	"goroutine.sleep(1e7)",
};

START_TEST(a_task_at_its_limit_fails_with_that_reason)
{
	struct sl_runtime_config config = {.threads = 2, .task_memory_bytes = 12 << 20};

	task_run_with(&run, &config, eaters[_i]);
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_str_eq(run.message, "the task's memory limit of 12582912 bytes is reached");
	ck_assert_uint_le(run.result.peak_memory_bytes, 14 << 20);
	task_finish(&run);
}
END_TEST

START_TEST(results_that_are_taken_do_not_count_against_the_limit)
{
	struct sl_runtime_config config = {.threads = 2, .task_memory_bytes = 8 << 20};

	task_run_with(&run, &config,
		"local function f() return ('x'):rep(1 << 18) end\n"
		"for i = 1, 40 do\n"
		"  local ok, v = goroutine.await(goroutine.async(f))\n"
		"  assert(ok and #v == 1 << 18)\n"
		"  assert(goroutine.timeout(1e7, f))\n"
		"  goroutine.async(f) collectgarbage()\n"
		"end");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

/* Sanitizers keep what is freed for a while. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RSS                                                                                    \
	"local function rss()\n"                                                               \
	"  for line in io.lines('/proc/self/status') do\n"                                     \
	"    local kib = line:match('^VmRSS:%s+(%d+)') if kib then return tonumber(kib) end\n" \
	"  end end\n"

/* A page more in each state would be seen. */
START_TEST(ten_thousand_parked_ones_are_small_and_give_their_memory_back)
{
	task_ok(RSS "local ready, go = goroutine.wait_group(), goroutine.wait_group()\n"
		    "local done, n, before = goroutine.wait_group(), 10000, rss()\n"
		    "ready:add(n) go:add() done:add(n)\n"
		    "goroutine.spawn_many(n, function() ready:done() go:wait() done:done() "
		    "end)\n"
		    "ready:wait() goroutine.sleep(20)\n"
		    "local each = (rss() - before) / n\n"
		    "assert(each < 19, each .. ' KiB each')\n"
		    "go:done() done:wait()\n"
		    "local kept\n"
		    "for _ = 1, 500 do\n"
		    "  kept = rss() - before if kept < 48 * 1024 then break end\n"
		    "  goroutine.sleep(10) end\n"
		    "assert(kept < 48 * 1024, kept .. ' KiB are left')\n");
}
END_TEST

/* A thousand bytes that each one leaves would be 200 MB. */
START_TEST(two_hundred_thousand_in_sequence_leave_nothing_behind)
{
	task_ok(RSS "local shared = { n = 0 }\n"
		    "local function some(n) for i = 1, n do\n"
		    "  goroutine.await(goroutine.async(function() return {i} end))\n"
		    "  if i % 10 == 0 then goroutine.await(goroutine.async(function()\n"
		    "    shared.n = shared.n + 1 end)) end\n"
		    "end end\n"
		    "some(10000)\n"
		    "local before = rss()\n"
		    "some(190000)\n"
		    "assert(shared.n == 20000)\n"
		    "assert(rss() - before < 1024, rss() - before .. ' KiB more')\n");
}
END_TEST
#endif

/* What is charged to the task, in any build. */
static uint64_t peak_of(int n)
{
	struct sl_runtime_config config = {.threads = 2};
	char body[200];
	uint64_t peak;

	snprintf(body, sizeof(body),
		"for i = 1, %d do goroutine.await(goroutine.async(function() return {i} end)) "
		"end",
		n);
	task_run_with(&run, &config, body);
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	peak = run.result.peak_memory_bytes;
	task_finish(&run);
	return peak;
}

START_TEST(a_long_row_of_goroutines_needs_no_more_than_a_short_one)
{
	peak_of(10);
	ck_assert_uint_le(peak_of(5000), peak_of(500) + 16384);
}
END_TEST

START_TEST(at_most_so_many_threads_wait_inside_of_c)
{
	struct sl_runtime_config config = {.threads = 2};

	task_run_with(&run, &config,
		"local go, failed = goroutine.wait_group(), goroutine.atomic_int() go:add()\n"
		"local h = {}\n"
		"for i = 1, 100 do h[i] = goroutine.async(function()\n"
		"  table.sort({2, 1}, function(a, b) go:wait() return a < b end) end) end\n"
		"goroutine.sleep(200) go:done()\n"
		"local ok, refused = 0, 0\n"
		"for _, r in ipairs(goroutine.await_all(h)) do\n"
		"  if r.success then ok = ok + 1 else refused = refused + 1\n"
		"    assert(r.error:find('too many goroutines wait inside of calls', 1, true), "
		"r.error)\n"
		"  end end\n"
		"assert(ok >= 60 and ok + refused == 100, ok)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

/* And whoever is refused, or stopped there, takes no thread along. */
START_TEST(threads_that_waited_inside_of_c_come_back)
{
	struct sl_runtime_config config = {.threads = _i == 0 ? 1 : 8};

	task_run_with(&run, &config,
		"local function wave(n)\n"
		"  local h, ok = {}, 0\n"
		"  for i = 1, n do h[i] = goroutine.async(function()\n"
		"    table.sort({2, 1}, function(a, b) goroutine.sleep(50) return a < b end)\n"
		"    return true end) end\n"
		"  assert(goroutine.await(goroutine.async(goroutine.sleep, 1)))\n"
		"  for _, r in ipairs(goroutine.await_all(h)) do\n"
		"    if r.success then ok = ok + 1 end end\n"
		"  return ok end\n"
		"assert(wave(64) == 64)\n"
		"assert(wave(200) >= 64)\n"
		"local ok, e = goroutine.timeout(50, function()\n"
		"  goroutine.spawn_many(60, function() table.sort({2, 1}, function()\n"
		"    goroutine.sleep(1e9) end) end) goroutine.sleep(1e9) end)\n"
		"assert(not ok and e == 'timeout exceeded')\n"
		"local last = wave(64) assert(last == 64, last)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("memory");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, a_goroutine_at_its_limit_gets_an_error_of_lua);
	tcase_add_test(tcase, garbage_does_not_count_against_the_limit);
	tcase_add_loop_test(tcase, a_task_at_its_limit_fails_with_that_reason, 0,
		sizeof(eaters) / sizeof(eaters[0]));
	tcase_add_test(tcase, results_that_are_taken_do_not_count_against_the_limit);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	tcase_add_test(tcase, ten_thousand_parked_ones_are_small_and_give_their_memory_back);
	tcase_add_test(tcase, two_hundred_thousand_in_sequence_leave_nothing_behind);
#endif
	tcase_add_test(tcase, a_long_row_of_goroutines_needs_no_more_than_a_short_one);
	tcase_add_test(tcase, at_most_so_many_threads_wait_inside_of_c);
	tcase_add_loop_test(tcase, threads_that_waited_inside_of_c_come_back, 0, 2);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
