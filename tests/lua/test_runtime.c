/* SPDX-License-Identifier: MIT */
#include "lua/runtime.h"

#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

static size_t count_threads(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[128];
	size_t n = 0;

	while (fgets(line, sizeof(line), status))
		sscanf(line, "Threads: %zu", &n);
	fclose(status);
	return n;
}

START_TEST(what_a_function_returns_or_raises_decides)
{
	static const struct {
		const char *body;
		enum sl_state state;
		const char *message;
	} rows[] = {
		{"", SL_STATE_DONE, ""},
		{"return nil", SL_STATE_DONE, ""},
		{"return true", SL_STATE_DONE, ""},
		{"return true, 'fine'", SL_STATE_DONE, "fine"},
		{"return {}", SL_STATE_DONE, ""},
		{"return false", SL_STATE_FAILED, ""},
		{"return false, 'broken'", SL_STATE_FAILED, "broken"},
		{"return nil, 'no such host'", SL_STATE_FAILED, "no such host"},
		{"return os.execute('true')", SL_STATE_DONE, ""},
		{"return os.execute('exit 3')", SL_STATE_FAILED, "exit status 3"},
		{"return os.execute('kill -9 $$')", SL_STATE_FAILED, "killed by signal 9"},
		{"return io.popen('exit 4'):close()", SL_STATE_FAILED, "exit status 4"},
		{"return exec.run('exit 5')", SL_STATE_FAILED, "exit status 5"},
		{"return exec.run('kill -9 $$')", SL_STATE_FAILED, "killed by SIGKILL"},
		{"return exec.run('sleep 60', { timeout = 0.01 })", SL_STATE_FAILED,
			"timed out"},
		{"return exec.run('exit 5'), 'so it goes'", SL_STATE_FAILED, "so it goes"},
		{"return exec.run('true')", SL_STATE_DONE, ""},
		{"return { success = false, status = '404 Not Found' }", SL_STATE_FAILED,
			"404 Not Found"},
		{"return { success = false }", SL_STATE_FAILED, ""},
		{"return { success = 0 }", SL_STATE_DONE, ""},
		{"return true, '', { success = false }", SL_STATE_DONE, ""},
		{"error('in error, not here', 0)", SL_STATE_FAILED, ""},
		{"error({ message = 'no such host' })", SL_STATE_FAILED, "no such host"},
		{"error({ code = 7 })", SL_STATE_FAILED, "(error object is a table)"},
		{"error(nil)", SL_STATE_FAILED, "(error object is nil)"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		task_run(&run, rows[i].body);
		ck_assert_msg(run.state == rows[i].state, "%s", rows[i].body);
		ck_assert_str_eq(run.message, rows[i].message);
		ck_assert(run.result.ok == (run.state == SL_STATE_DONE));
		ck_assert_uint_eq(run.result.goroutines, 1);
		task_finish(&run);
	}
}
END_TEST

START_TEST(outputs_are_in_the_result)
{
	static struct sl_value outputs;

	task_run(&run, "return true, 'x', {n = 42}");
	outputs = run.result.outputs;
	ck_assert_int_eq(outputs.kind, SL_VALUE_TABLE);
	ck_assert_int_eq(sl_table_get(outputs.table, "n")->integer, 42);
	task_finish(&run);
	task_run(&run, "return false, 'x', 42");
	ck_assert_int_eq(run.result.outputs.integer, 42);
	task_finish(&run);
	/* A number of the system's, and no output. */
	task_run(&run, "return io.open('/nonexistent/x')");
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_int_eq(run.result.outputs.kind, SL_VALUE_NIL);
	task_finish(&run);
}
END_TEST

START_TEST(an_error_has_its_line_and_traceback)
{
	task_run(&run, "\nlocal function inner() error('boom') end\ninner()");
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_str_eq(run.error, "test.sloth:2: boom");
	ck_assert_ptr_nonnull(strstr(run.traceback, "test.sloth:2: in upvalue 'inner'")
				      ?: strstr(run.traceback, "test.sloth:2: in "));
	ck_assert_ptr_nonnull(strstr(run.traceback, "test.sloth:3: in "));
	task_finish(&run);
}
END_TEST

START_TEST(a_task_knows_what_it_is)
{
	task_ok("assert(this.name == 'test' and this.agent == 'here' and this.attempt == 1)\n"
		"assert(this.workdir:sub(1, 1) == '/')\n"
		"assert(type(params) == 'table' and params.values == values and deps)\n"
		"assert(goroutine == require('goroutine') and log == require('log'))\n"
		"assert(goroutine == package.loaded.goroutine)");
}
END_TEST

START_TEST(a_task_that_needs_no_thread_starts_none)
{
	struct sl_runtime_config config = {.threads = 4};

	size_t n = count_threads(); /* sanitizers have one of their own */

	task_prepare(&run, &config, "log.info('hello') return true");
	ck_assert_uint_eq(count_threads(), n);
	run.state = sl_runtime_run(run.runtime, &run.task);
	ck_assert_uint_eq(count_threads(), n);
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	task_finish(&run);
}
END_TEST

START_TEST(what_it_says_becomes_events)
{
	task_run(&run,
		"log.info('a', 1, nil) log.warn('w') log.error('e') log.debug('d')\n"
		"log.print('p') print('x', 2) io.write('b', 3, '\\n')\n"
		"io.stderr:write('err') io.stdout:write('o1', 'o2') io.output():write('z')");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	task_seen(&run, "log info 0: a\t1\tnil\n");
	task_seen(&run, "log warning 0: w\n");
	task_seen(&run, "log error 0: e\n");
	task_seen(&run, "log debug 0: d\n");
	task_seen(&run, "log info 0: p\n");
	task_seen(&run, "out 1: x\t2\n\n");
	task_seen(&run, "out 1: b3\n\n");
	task_seen(&run, "out 2: err\n");
	task_seen(&run, "out 1: o1o2\n");
	task_seen(&run, "out 1: z\n");
	task_finish(&run);
}
END_TEST

START_TEST(os_exit_ends_the_task)
{
	task_run(&run,
		"goroutine.spawn(function() while true do goroutine.sleep(1000) end end)\n"
		"goroutine.spawn(function() pcall(os.exit, 7) log.info('still') end)\n"
		"goroutine.sleep(100000)");
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_str_eq(run.message, "exit status 7");
	ck_assert_str_eq(run.log.data, "");
	task_finish(&run);
	task_run(&run, "os.exit(true)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	task_finish(&run);
	task_run(&run, "os.exit(false)");
	ck_assert_str_eq(run.message, "exit status 1");
	task_finish(&run);
}
END_TEST

static void *cancel_soon(void *arg)
{
	struct task_run *task = arg;

	for (;;) {
		size_t n;

		pthread_mutex_lock(&task->lock);
		n = task->n_events;
		pthread_mutex_unlock(&task->lock);
		if (n > 0)
			break;
		sched_yield();
	}
	sl_runtime_cancel(task->runtime, "enough");
	return NULL;
}

START_TEST(a_cancelled_task_stops_where_it_waits)
{
	struct sl_runtime_config config = {.threads = 2};
	pthread_t thread;

	task_prepare(&run, &config,
		"for i = 1, 50 do goroutine.spawn(function() goroutine.sleep(100000) end) end\n"
		"local wg = goroutine.wait_group() wg:add() log.info('here') wg:wait()");
	pthread_create(&thread, NULL, cancel_soon, &run);
	run.state = sl_runtime_run(run.runtime, &run.task);
	pthread_join(thread, NULL);
	ck_assert_int_eq(run.state, SL_STATE_CANCELLED);
	ck_assert_str_eq(run.message, "enough");
	task_finish(&run);
}
END_TEST

START_TEST(a_task_cancelled_before_it_runs_never_does)
{
	struct sl_runtime_config config = {.threads = 2};

	task_prepare(&run, &config, "log.info('ran')");
	sl_runtime_cancel(run.runtime, "changed my mind");
	ck_assert_int_eq(sl_runtime_run(run.runtime, &run.task), SL_STATE_CANCELLED);
	ck_assert_uint_eq(run.n_events, 1);
	task_finish(&run);
}
END_TEST

static void *drain_soon(void *arg)
{
	struct task_run *task = arg;
	bool full = true;

	while (full) {
		pthread_mutex_lock(&task->lock);
		full = task->n_events < 2;
		if (!full)
			task->full = false;
		pthread_mutex_unlock(&task->lock);
		sched_yield();
	}
	sl_runtime_drained(task->runtime);
	return NULL;
}

START_TEST(a_full_host_makes_those_who_emit_wait)
{
	struct sl_runtime_config config = {.threads = 2};
	pthread_t thread;

	task_prepare(&run, &config,
		"local function talk() log.info('one') log.info('two') end\n"
		"goroutine.spawn(talk) talk()");
	run.full = true;
	pthread_create(&thread, NULL, drain_soon, &run);
	run.state = sl_runtime_run(run.runtime, &run.task);
	pthread_join(thread, NULL);
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_uint_eq(run.n_events, 5);
	task_finish(&run);
}
END_TEST

START_TEST(a_long_line_goes_in_pieces)
{
	task_run(&run, "log.info(('x'):rep(200000))");
	ck_assert_uint_eq(run.n_events, 5);
	task_finish(&run);
}
END_TEST

START_TEST(a_function_that_does_not_compile_fails_the_task)
{
	task_run(&run, "x = = 1");
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_str_eq(run.error, "test.sloth:1: unexpected symbol near '='");
	task_finish(&run);
}
END_TEST

/* Runs what was prepared in a child of this process; what it says is written to @out. */
static void run_in_a_child(char *out, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		sl_runtime_warm(run.runtime);
		run.state = sl_runtime_run(run.runtime, &run.task);
		n = write(ends[1], run.message, strlen(run.message));
		_exit(run.state == SL_STATE_DONE && n > 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	n = read(ends[0], out, size - 1);
	ck_assert_int_gt(n, 0);
	out[n] = '\0';
	close(ends[0]);
	close(ends[1]);
}

START_TEST(a_runtime_made_before_a_fork_serves_each_child_as_its_own)
{
	struct sl_runtime_config config = {.threads = 2};
	char one[64], other[64];

	task_prepare(&run, &config,
		"local sum, wg = 0, goroutine.wait_group()\n"
		"wg:add(10)\n"
		"goroutine.spawn_many(10, function() goroutine.sleep(1) wg:done() end)\n"
		"wg:wait()\n"
		"for i = 1, 10 do\n"
		"  local ok, n = goroutine.await(goroutine.async(function() return i end))\n"
		"  sum = sum + n end\n"
		"assert(sum == 55)\n"
		"return true, tostring(math.random(0))");
	run_in_a_child(one, sizeof(one));
	run_in_a_child(other, sizeof(other));
	ck_assert_str_ne(one, other);
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("runtime", what_a_function_returns_or_raises_decides, outputs_are_in_the_result,
	an_error_has_its_line_and_traceback, a_task_knows_what_it_is,
	a_task_that_needs_no_thread_starts_none, what_it_says_becomes_events,
	os_exit_ends_the_task, a_cancelled_task_stops_where_it_waits,
	a_task_cancelled_before_it_runs_never_does, a_full_host_makes_those_who_emit_wait,
	a_long_line_goes_in_pieces, a_function_that_does_not_compile_fails_the_task,
	a_runtime_made_before_a_fork_serves_each_child_as_its_own)
