/* SPDX-License-Identifier: MIT */

/*
 * Goroutines that compute: they let others run, and they stop.
 */

#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "lua/schedule/glance.h"
#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

#define LOOP " while true do end "

/* Bodies that don't end by themselves; each is stopped within its bound. */
static const char *const endless[] = {
	LOOP,
	"while true do pcall(function() " LOOP " end) end",
	"local function f() while true do pcall(f) end end f()",
	"while true do pcall(error) end",
	"while true do xpcall(function() " LOOP " end, function() " LOOP " end) end",
	"table.sort({3, 2, 1}, function() " LOOP " end)",
	"while true do pcall(table.sort, {3, 2, 1}, function() " LOOP " end) end",
	"string.gsub('aaa', 'a', function() " LOOP " end)",
	"coroutine.wrap(function() " LOOP " end)()",
	"coroutine.wrap(function() coroutine.wrap(function() while true do\n"
	"  pcall(function() " LOOP " end) end end)() end)()",
	"while true do coroutine.resume(coroutine.create(function() " LOOP " end)) end",
	"local x <close> = setmetatable({}, {__close = function() " LOOP " end})",
	"local x <close> = setmetatable({}, {__close = function() " LOOP " end}) " LOOP,
	"local x <close> = setmetatable({}, {__close = function()\n"
	"  while true do pcall(goroutine.sleep, 1000) end end}) goroutine.sleep(100000)",
	"local t = {} while true do t[#t % 1000 + 1] = ('x'):rep(1000) .. #t end",
	"while true do ('x'):rep(100000):upper() end",
	"setmetatable({}, {__gc = function() " LOOP " end}) collectgarbage()",
	"setmetatable({}, {__gc = function() goroutine.sleep(1e9) end}) collectgarbage()",
	"x = setmetatable({}, {__gc = function() " LOOP " end}) " LOOP,
	"goroutine.sleep(1000000)",
	"while true do pcall(goroutine.sleep, 1000000) end",
	"goroutine.spawn(goroutine.sleep, 1e9)\n"
	"local w = goroutine.wait_group() w:add() w:wait()",
	"while true do pcall(function() local w = goroutine.wait_group() w:add() w:wait() end) "
	"end",
	"goroutine.await(goroutine.async(function() " LOOP " end))",
	"goroutine.timeout(1e9, function() " LOOP " end)",
	"while true do goroutine.timeout(1, function() " LOOP " end) end",
	"goroutine.pool_create('p') goroutine.pool_submit('p', function() " LOOP " end)\n"
	"goroutine.pool_close('p')",
	"table.sort({2, 1}, function() goroutine.sleep(1000000) end)",
	"setmetatable({}, {__index = function() " LOOP " end}).x()",
	"for _ in function() return 1 end do end",
	"load(function() " LOOP " end)",
	"local t = setmetatable({}, {__lt = function() " LOOP " end}) return t < t",
	"tostring(setmetatable({}, {__tostring = function() " LOOP " end}))",
	"while true do goroutine.spawn(function() end) end",
	"while true do goroutine.sleep(0) end",
	"local function f() goroutine.spawn(f) goroutine.spawn(f) " LOOP " end f()",
	"require('goroutine').spawn_many(1000, function() " LOOP " end) " LOOP,
};

/* Ten times the bound, on a machine that has no CPU for it, and what else a test does. */
#define LAST_MS (5000 + 2500 * SL_SLOWNESS)

/* Runs a function that is stopped when it has counted itself @inside. */
#define AS_SOON_AS_INSIDE                                                                      \
	"local ctx, inside = goroutine.context():with_cancel(), goroutine.atomic_int()\n"      \
	"goroutine.spawn(function()\n"                                                         \
	"  while inside:load() == 0 do goroutine.sleep(1) end ctx:cancel() end)\n"             \
	"ctx:run(function()\n"

START_TEST(a_timeout_stops_whatever_runs)
{
	char body[2048];

	snprintf(body, sizeof(body),
		"local t = os.clock()\n"
		"local ok, e = goroutine.timeout(30, function() %s end)\n"
		"t = os.clock() - t\n"
		"assert(not ok and e == 'timeout exceeded', tostring(e))\n"
		"assert(t < %d, t)\n"
		"assert(goroutine.await(goroutine.async(function() return true end)))",
		endless[_i], LAST_MS / 1000);
	task_ok(body);
}
END_TEST

START_TEST(a_cancel_stops_whatever_runs)
{
	struct sl_runtime_config config = {.threads = 2};
	pthread_t thread;
	char body[2048];

	snprintf(body, sizeof(body), "log.info('on') %s", endless[_i]);
	task_prepare(&run, &config, body);
	pthread_create(&thread, NULL, task_cancel_after_log, &run);
	run.state = sl_runtime_run(run.runtime, &run.task);
	pthread_join(thread, NULL);
	ck_assert_int_eq(run.state, SL_STATE_CANCELLED);
	task_finish(&run);
}
END_TEST

static void *cancel_at_once(void *arg)
{
	struct task_run *task = arg;
	size_t n = 0;

	while (n == 0) {
		pthread_mutex_lock(&task->lock);
		n = task->n_events;
		pthread_mutex_unlock(&task->lock);
		sched_yield();
	}
	sl_runtime_cancel(task->runtime, "enough");
	return NULL;
}

START_TEST(a_cancel_may_come_at_the_very_end)
{
	struct sl_runtime_config config = {.threads = 1};
	pthread_t thread;

	for (int i = 0; i < 100; i++) {
		task_prepare(&run, &config, "log.info('on')");
		pthread_create(&thread, NULL, cancel_at_once, &run);
		run.state = sl_runtime_run(run.runtime, &run.task);
		pthread_join(thread, NULL);
		ck_assert_str_eq(run.message, run.state == SL_STATE_DONE ? "" : "enough");
		task_finish(&run);
	}
}
END_TEST

/* Whoever waits for another one must not see its end and go on as if it had failed by itself.
 */
START_TEST(nobody_goes_on_because_another_was_stopped)
{
	struct sl_runtime_config config = {.threads = 4};
	pthread_t thread;

	task_prepare(&run, &config,
		"for i = 1, 200 do goroutine.spawn(function()\n"
		"  local ok = goroutine.await(goroutine.async(goroutine.sleep, 1e9))\n"
		"  log.info('went on')\n"
		"end) end\n"
		"goroutine.sleep(50) log.info('on') goroutine.sleep(1e9)");
	pthread_create(&thread, NULL, task_cancel_after_log, &run);
	run.state = sl_runtime_run(run.runtime, &run.task);
	pthread_join(thread, NULL);
	sl_buffer_append(&run.events, "", 1);
	ck_assert_int_eq(run.state, SL_STATE_CANCELLED);
	ck_assert_ptr_null(strstr(run.events.data, "went on"));
	task_finish(&run);
}
END_TEST

START_TEST(those_that_compute_let_others_run)
{
	struct sl_runtime_config config = {.threads = 2};

	/* Else it never ends. */
	task_run_with(&run, &config,
		"goroutine.spawn_many(5, function() " LOOP " end)\n"
		"goroutine.sleep(20)\n"
		"for i = 1, 10 do goroutine.sleep(10) end os.exit(0)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

START_TEST(one_thread_is_enough_for_many_that_compute)
{
	struct sl_runtime_config config = {.threads = 1};

	task_run_with(&run, &config,
		"local wg = goroutine.wait_group() wg:add(5)\n"
		"local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - "
		"2) end\n"
		"for i = 1, 5 do goroutine.spawn(function() assert(fib(22) == 17711)\n"
		"  local f = coroutine.wrap(function() coroutine.yield(fib(22)) end)\n"
		"  assert(f() == 17711) wg:done() end) end\n"
		"wg:wait()");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_uint_eq(run.result.failed_goroutines, 0);
	task_finish(&run);
}
END_TEST

START_TEST(variables_are_closed_inside_of_coroutines_too)
{
	task_run(&run, "local function closing(name)\n"
		       "  return setmetatable({}, {__close = function() log.info(name) end}) "
		       "end\n" AS_SOON_AS_INSIDE "  local a <close> = closing('a')\n"
		       "  coroutine.wrap(function() local b <close> = closing('b')\n"
		       "    coroutine.wrap(function() local c <close> = closing('c')\n"
		       "      inside:inc() goroutine.sleep(100000) end)() end)() end)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "c\nb\na\n");
	task_finish(&run);
}
END_TEST

START_TEST(hooks_are_not_for_scripts)
{
	task_ok("assert(debug.sethook == nil)");
}
END_TEST

START_TEST(a_long_call_into_c_does_not_hold_up_the_others)
{
	struct sl_runtime_config config = {.threads = 1};

	/* Longer and longer matching, without an instruction of Lua: until the other one has
	 * had five turns during it. */
	task_run_with(&run, &config,
		"local turns, n = goroutine.atomic_int(), 20\n"
		"goroutine.spawn(function() while true do turns:inc() goroutine.sleep(2) end "
		"end)\n"
		"local before, after\n"
		"repeat n = n + 1 before = turns:load()\n"
		"  string.find(('a'):rep(n * 10), ('.-'):rep(3) .. 'b') after = turns:load()\n"
		"until after - before >= 5\n"
		"os.exit(0)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

/* What the process of a given-up task says on its way out. */
static int abandoned[2];

static void abandon(void *ctx, enum sl_state state)
{
	struct task_run *task = ctx;
	char text[1200];

	snprintf(text, sizeof(text), "%s: %s", sl_state_name(state), task->message);
	if (write(abandoned[1], text, strlen(text)) < 0)
		_exit(2);
	_exit(42);
}

/* Runs @body in a process of its own, which has to be given up; writes what it said. Returns
 * the milliseconds that it lived. */
static int64_t run_given_up(
	const struct sl_runtime_config *config, const char *body, char *text, size_t size)
{
	struct sl_runtime_host host = {.ctx = &run, .emit = task_emit, .abandon = abandon};
	int64_t began = sl_clock_monotonic_ms();
	int status, silent[2];
	pid_t child;

	ck_assert_int_eq(pipe(abandoned), 0);
	ck_assert_int_eq(pipe(silent), 0);
	child = fork();
	if (child == 0) {
		dup2(silent[0], STDIN_FILENO);
		task_prepare(&run, config, body);
		sl_runtime_free(run.runtime);
		if (sl_runtime_new(config, &host, &run.runtime, NULL) == 0)
			sl_runtime_run(run.runtime, &run.task);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	memset(text, 0, size);
	ck_assert_int_gt(read(abandoned[0], text, size - 1), 0);
	return sl_clock_monotonic_ms() - began;
}

/* They don't come back: one that computes, and one that is blocked. */
static const char *const stuck[] = {
	"string.find(('a'):rep(100000), ('.-'):rep(20) .. 'b')",
	"io.stdin:read(1)",
};

/* Until the time is over when it is inside. */
#define AGAIN_AND_AGAIN "while true do goroutine.timeout(50, function() %s end) end"

START_TEST(what_cannot_be_stopped_ends_the_process_and_says_so)
{
	struct sl_runtime_config config = {.threads = 2};
	char body[400], text[1200];
	int64_t lived_ms;

	snprintf(body, sizeof(body), AGAIN_AND_AGAIN, stuck[_i]);
	lived_ms = run_given_up(&config, body, text, sizeof(text));
	ck_assert_msg(strncmp(text, "failed: goroutine ", 18) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "sits in a function in C"));
	ck_assert_int_lt(lived_ms, LAST_MS);
}
END_TEST

static const struct {
	const char *end, *words;
} ends[] = {
	{"error('boom', 0)", "failed: boom; goroutine 1 sits in"},
	{"os.exit(3)", "failed: exit status 3; goroutine 1 sits in"},
	{"os.exit(0)", "failed: goroutine 1 sits in"},
	{"local t = {} while true do t[#t + 1] = {} end",
		"failed: the task's memory limit of 33554432 bytes is reached; goroutine 1 "
		"sits"},
};

START_TEST(who_is_given_up_after_the_tasks_end_does_not_hide_what_that_was)
{
	struct sl_runtime_config config = {.threads = 2, .task_memory_bytes = 32 << 20};
	char body[400], text[1200];

	/* Whenever it is stopped, it comes to where it sits. */
	snprintf(body, sizeof(body),
		"local w = goroutine.wait_group() w:add()\n"
		"goroutine.spawn(function()\n"
		"  local x <close> = setmetatable({}, {__close = function() %s end})\n"
		"  w:done() goroutine.sleep(1e9) end)\n"
		"w:wait() %s",
		stuck[0], ends[_i].end);
	run_given_up(&config, body, text, sizeof(text));
	ck_assert_msg(strncmp(text, ends[_i].words, strlen(ends[_i].words)) == 0, "%s", text);
}
END_TEST

/* As on a machine that has no CPU for it. */
static void see_it_wait(pthread_t thread, pid_t tid, struct sl_glance *out)
{
	sl_glance_take(thread, tid, out);
	out->cpu_ns = 0;
	out->state = SL_GLANCE_WANTS_CPU;
}

static int input[2]; /* of the task: what its function in C waits for */

/* The same; and in the end it comes back. */
static void see_it_wait_for_long(pthread_t thread, pid_t tid, struct sl_glance *out)
{
	static int64_t first_ns;

	see_it_wait(thread, tid, out);
	if (first_ns == 0)
		first_ns = out->at_ns;
	if (out->at_ns - first_ns > INT64_C(600000000) * SL_SLOWNESS &&
		write(input[1], "x", 1) < 0)
		_exit(EXIT_FAILURE);
}

START_TEST(who_only_waits_for_a_cpu_is_not_given_up)
{
	struct sl_runtime_config config = {
		.threads = 2, .stop_ms = 500 * SL_SLOWNESS, .glance = see_it_wait_for_long};

	ck_assert_int_eq(pipe(input), 0);
	ck_assert_int_ge(dup2(input[0], STDIN_FILENO), 0);
	task_run_with(&run, &config,
		"local closed = goroutine.atomic_int(0)\n"
		"repeat local ok, why = goroutine.timeout(50, function()\n"
		"  local x <close> = setmetatable({}, {__close = function()\n"
		"    log.info(io.stdin:read(1)) closed:add(1) end}) goroutine.sleep(1e9) end)\n"
		"  assert(not ok and why == 'timeout exceeded', why)\n"
		"until closed:get() > 0");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_str_eq(run.log.data, "x\n");
	task_finish(&run);
}
END_TEST

START_TEST(closing_variables_may_wait_for_a_cpu)
{
	struct sl_runtime_config config = {
		.threads = 2, .stop_ms = 1000 * SL_SLOWNESS, .glance = see_it_wait};

	task_run_with(&run, &config,
		AS_SOON_AS_INSIDE
		"  local x <close> = setmetatable({}, {__close = function()\n"
		"    local t = os.clock() repeat until os.clock() - t > 0.5 log.info('closed') "
		"end})\n"
		"  inside:inc() " LOOP "end)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_str_eq(run.log.data, "closed\n");
	task_finish(&run);
}
END_TEST

START_TEST(waiting_for_a_cpu_has_an_end_too)
{
	struct sl_runtime_config config = {.threads = 2, .stop_ms = 20, .glance = see_it_wait};
	char body[400], text[1200];

	snprintf(body, sizeof(body), AGAIN_AND_AGAIN, stuck[0]);
	ck_assert_int_ge(run_given_up(&config, body, text, sizeof(text)), 200);
	ck_assert_msg(strstr(text, "has not ended 200 ms after it was stopped"), "%s", text);
}
END_TEST

int main(void)
{
	static const int n = sizeof(endless) / sizeof(endless[0]);
	Suite *suite = suite_create("stop");
	TCase *tcase = tcase_create("stop");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, a_timeout_stops_whatever_runs, 0, n);
	tcase_add_loop_test(tcase, a_cancel_stops_whatever_runs, 0, n);
	tcase_add_test(tcase, a_cancel_may_come_at_the_very_end);
	tcase_add_test(tcase, nobody_goes_on_because_another_was_stopped);
	tcase_add_test(tcase, those_that_compute_let_others_run);
	tcase_add_test(tcase, one_thread_is_enough_for_many_that_compute);
	tcase_add_test(tcase, variables_are_closed_inside_of_coroutines_too);
	tcase_add_test(tcase, hooks_are_not_for_scripts);
	tcase_add_test(tcase, a_long_call_into_c_does_not_hold_up_the_others);
	tcase_add_loop_test(tcase, what_cannot_be_stopped_ends_the_process_and_says_so, 0, 2);
	tcase_add_loop_test(tcase,
		who_is_given_up_after_the_tasks_end_does_not_hide_what_that_was, 0,
		sizeof(ends) / sizeof(ends[0]));
	tcase_add_test(tcase, who_only_waits_for_a_cpu_is_not_given_up);
	tcase_add_test(tcase, closing_variables_may_wait_for_a_cpu);
	tcase_add_test(tcase, waiting_for_a_cpu_has_an_end_too);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
