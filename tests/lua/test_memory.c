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
};

START_TEST(a_task_at_its_limit_fails_with_that_reason)
{
	struct sl_runtime_config config = {.threads = 2, .task_memory_bytes = 32 << 20};

	task_run_with(&run, &config, eaters[_i]);
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_str_eq(run.message, "the task's memory limit of 33554432 bytes is reached");
	ck_assert_uint_le(run.result.peak_memory_bytes, 34 << 20);
	task_finish(&run);
}
END_TEST

/* Sanitizers keep what is freed for a while. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static size_t rss_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * 4;
}

START_TEST(goroutines_in_sequence_leave_nothing_behind)
{
	static const char body[] = "local t = {n = 0}\n"
				   "for i = 1, 5000 do\n"
				   "  goroutine.await(goroutine.async(function() t.n = t.n + 1 "
				   "return {i} end)) end\n"
				   "assert(t.n == 5000)";
	size_t before;

	task_ok(body);
	before = rss_kib();
	for (int i = 0; i < 3; i++)
		task_ok(body);
	ck_assert_uint_lt(rss_kib(), before + 8 * 1024);
}
END_TEST
#endif

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
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	tcase_add_test(tcase, goroutines_in_sequence_leave_nothing_behind);
#endif
	tcase_add_test(tcase, at_most_so_many_threads_wait_inside_of_c);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
