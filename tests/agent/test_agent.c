/* SPDX-License-Identifier: MIT */

/*
 * The agent as its controllers see it: the real program, its real workers, and
 * nothing between them and the test but the wire.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "proto/identity.h"
#include "proto/limits.h"
#include "proto/task_msg.h"
#include "tests/support/agent_client.h"
#include "tests/support/check_main.h"

/* What a slow reader may cost the agent: the job's ring, and what the way to it holds. */
#define RING_RSS (13u << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SLOW true
#else
#define IS_SLOW false
#endif

static struct test_agent agent;
static struct test_client client;
static struct test_outcome outcome;

static void set_up_with(const char *const flags[])
{
	test_agent_start(&agent, flags);
	test_client_open(&client, agent.address, true);
}

static void set_up(void)
{
	set_up_with(NULL);
}

static void tear_down(void)
{
	int status;

	test_client_close(&client);
	status = test_agent_stop(&agent, SIGTERM);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static struct sl_stat get_stat(void)
{
	struct sl_request request = test_request(SL_OP_STAT, 0);
	sl_cleanup(test_answer_freep) struct test_answer *answer =
		test_client_call(&client, &request);

	ck_assert(answer->reply.ok);
	return answer->reply.stat; /* its strings are gone; nobody here reads them */
}

static uint32_t submit(uint64_t job, const char *lua)
{
	struct sl_buffer task = SL_BUFFER_INIT;
	struct sl_request request = test_submit(job, lua, 0, &task);
	uint32_t id = test_client_send(&client, &request);

	sl_buffer_deinit(&task);
	return id;
}

START_TEST(a_task_that_does_nothing_succeeds_in_one_round_trip)
{
	struct test_answer *answer;
	bool whole = false;

	set_up();
	/* It is not waited for long, and this machine may have more to do. */
	for (uint64_t job = 1; job <= (IS_SLOW ? 3 : 50) && !whole; job++) {
		answer = test_client_take(&client, submit(job, "function() end"), SL_OP_SUBMIT);
		ck_assert(answer->reply.ok);
		whole = answer->reply.state == SL_STATE_DONE;
		if (whole) /* accepted, running, result, done */
			ck_assert_uint_eq(answer->reply.last, 4);
		test_client_follow(&client, job, answer, &outcome);
		ck_assert(outcome.has_result && outcome.ok);
	}
	ck_assert(whole || IS_SLOW);
	tear_down();
}
END_TEST

START_TEST(who_submits_a_long_task_hears_soon_that_it_is_there)
{
	int64_t start_ms = sl_clock_monotonic_ms();
	sl_cleanup(test_answer_freep) struct test_answer *answer = NULL;

	set_up();
	answer = test_client_take(
		&client, submit(1, "function() goroutine.sleep(60000) end"), SL_OP_SUBMIT);
	ck_assert(answer->reply.ok);
	ck_assert(!sl_state_is_terminal(answer->reply.state));
	ck_assert_int_lt(sl_clock_monotonic_ms() - start_ms, 15000);
	test_client_close(&client);
	ck_assert(WIFSIGNALED(test_agent_stop(&agent, SIGKILL)));
}
END_TEST

START_TEST(logs_and_output_stream_in_order)
{
	set_up();
	test_client_run(&client, 1,
		"function() for i = 1, 3 do log.info('line ' .. i) end "
		"io.stdout:write('out\\n') os.execute('echo from sh') return true, 'fine' end",
		0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert_str_eq(outcome.logs, "line 1\nline 2\nline 3\n");
	ck_assert_msg(strstr(outcome.out, "out\n") && strstr(outcome.out, "from sh\n"), "%s",
		outcome.out);
	ck_assert_str_eq(outcome.message, "fine");
	tear_down();
}
END_TEST

START_TEST(a_line_is_seen_while_the_task_still_runs)
{
	struct sl_request next = test_request(SL_OP_NEXT, 1);
	struct test_answer *answer;

	set_up();
	answer = test_client_take(&client,
		submit(1, "function() log.info('now') goroutine.sleep(60000) end"),
		SL_OP_SUBMIT);
	while (answer->reply.last < 3) {
		next.after = answer->reply.last;
		next.wait_ms = 1000;
		test_answer_free(answer);
		answer = test_client_call(&client, &next);
	}
	ck_assert_int_eq(answer->reply.state, SL_STATE_RUNNING);
	test_answer_free(answer);
	test_client_close(&client);
	ck_assert(WIFSIGNALED(test_agent_stop(&agent, SIGKILL)));
}
END_TEST

START_TEST(failure_says_why)
{
	set_up();
	test_client_run(&client, 1, "function() return false, 'no luck' end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_FAILED);
	ck_assert_str_eq(outcome.message, "no luck");
	test_client_run(&client, 2, "function() error('boom') end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_FAILED);
	ck_assert_ptr_nonnull(strstr(outcome.error, "boom"));
	tear_down();
}
END_TEST

START_TEST(a_worker_that_is_killed_is_a_crash_with_its_signal)
{
	set_up();
	test_client_run(&client, 1,
		"function() log.info('before') goroutine.sleep(50) "
		"os.execute('kill -9 $PPID') goroutine.sleep(60000) end",
		0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_CRASHED);
	ck_assert_msg(strncmp(outcome.why, "signal 9 (Killed)", 17) == 0, "%s", outcome.why);
	ck_assert_str_eq(outcome.logs, "before\n");
	ck_assert(!outcome.has_result);
	test_client_run(&client, 2, "function() end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	tear_down();
}
END_TEST

START_TEST(an_exit_in_the_task_ends_the_task_alone)
{
	set_up();
	test_client_run(&client, 1, "function() log.info('a') os.exit(0) end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert_str_eq(outcome.logs, "a\n");
	test_client_run(&client, 2, "function() os.exit(3) end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_FAILED);
	ck_assert_msg(strstr(outcome.why, "exit") || strstr(outcome.message, "exit"), "%s %s",
		outcome.why, outcome.message);
	tear_down();
}
END_TEST

START_TEST(a_deadline_ends_a_task_that_computes)
{
	int64_t start_ms = sl_clock_monotonic_ms();

	set_up();
	test_client_run(&client, 1,
		"function() log.info('in') while true do pcall(function() end) end end", 300,
		&outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_TIMEOUT);
	ck_assert_str_eq(outcome.why, "deadline of 300ms");
	ck_assert_str_eq(outcome.logs, "in\n");
	ck_assert_int_lt(sl_clock_monotonic_ms() - start_ms, 5000);
	tear_down();
}
END_TEST

/* The pid that a command has written; 0: not all of it is there yet. */
static pid_t read_pid(const char *path)
{
	FILE *file = fopen(path, "re");
	int pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1 || fgetc(file) != '\n')
		pid = 0;
	fclose(file);
	return pid;
}

START_TEST(a_deadline_ends_what_the_task_started)
{
	char lua[512], path[128];
	pid_t pid;

	set_up();
	snprintf(path, sizeof(path), "%s/pid", agent.dir);
	snprintf(lua, sizeof(lua),
		"function() os.execute([[setsid sh -c 'echo $$ >%s; sleep 600' &]]) "
		"goroutine.sleep(600000) end",
		path);
	test_client_run(&client, 1, lua, 1000 * SL_SLOWNESS, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_TIMEOUT);
	pid = read_pid(path);
	ck_assert_msg(pid > 0, "the command has not even begun");
	/* Who knows of the end may count on it: nothing is left, not even for a moment. */
	ck_assert_int_lt(kill(pid, 0), 0);
	tear_down();
}
END_TEST

START_TEST(a_cancelled_task_ends_saying_who_and_why)
{
	struct sl_request cancel = test_request(SL_OP_CANCEL, 1);
	struct test_answer *first;

	set_up();
	first = test_client_take(
		&client, submit(1, "function() goroutine.sleep(60000) end"), SL_OP_SUBMIT);
	cancel.reason = sl_bytes_of("enough");
	test_answer_free(test_client_call(&client, &cancel));
	test_answer_free(test_client_call(&client, &cancel));
	test_client_follow(&client, 1, first, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_CANCELLED);
	ck_assert_str_eq(outcome.why, "enough");
	ck_assert_ptr_nonnull(strstr(outcome.by, "test"));
	tear_down();
}
END_TEST

START_TEST(a_queued_task_is_cancelled_without_having_run)
{
	static const char *const flags[] = {"--max-tasks", "1", NULL};
	struct sl_request cancel = test_request(SL_OP_CANCEL, 2);
	struct test_answer *answer;

	set_up_with(flags);
	test_answer_free(test_client_take(
		&client, submit(1, "function() goroutine.sleep(60000) end"), SL_OP_SUBMIT));
	test_answer_free(test_client_take(&client, submit(2, "function() end"), SL_OP_SUBMIT));
	answer = test_client_call(&client, &cancel);
	ck_assert_int_eq(answer->reply.state, SL_STATE_CANCELLED);
	test_answer_free(answer);
	test_client_follow(&client, 2, NULL, &outcome);
	ck_assert_uint_eq(outcome.n_events, 2);
	cancel = test_request(SL_OP_CANCEL, 1);
	test_answer_free(test_client_call(&client, &cancel));
	tear_down();
}
END_TEST

START_TEST(beyond_queue_the_agent_is_busy_and_says_when_to_come_back)
{
	static const char *const flags[] = {"--max-tasks", "1", "--max-queued", "1", NULL};
	struct test_answer *answer;

	set_up_with(flags);
	for (uint64_t job = 1; job <= 2; job++)
		test_answer_free(test_client_take(&client,
			submit(job, "function() goroutine.sleep(300) end"), SL_OP_SUBMIT));
	answer = test_client_take(&client, submit(3, "function() end"), SL_OP_SUBMIT);
	ck_assert(!answer->reply.ok);
	ck_assert_int_eq(answer->reply.code, SL_EBUSY);
	ck_assert_uint_gt(answer->reply.retry_ms, 0);
	test_answer_free(answer);
	test_client_follow(&client, 2, NULL, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	test_client_run(&client, 3, "function() end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	tear_down();
}
END_TEST

START_TEST(a_known_job_is_answered_and_not_run_again)
{
	char lua[256], path[128], text[8] = "";
	FILE *file;

	set_up();
	snprintf(path, sizeof(path), "%s/runs", agent.dir);
	snprintf(lua, sizeof(lua), "function() os.execute('echo x >> %s') end", path);
	test_client_run(&client, 1, lua, 0, &outcome);
	test_client_close(&client);
	test_client_open(&client, agent.address, true);
	test_client_run(&client, 1, lua, 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fread(text, 1, sizeof(text), file), 2);
	fclose(file);
	tear_down();
}
END_TEST

START_TEST(a_job_outlives_the_connection_that_brought_it)
{
	set_up();
	test_answer_free(test_client_take(&client,
		submit(1, "function() goroutine.sleep(200) return true, 'still here' end"),
		SL_OP_SUBMIT));
	test_client_close(&client);
	test_client_open(&client, agent.address, true);
	test_client_follow(&client, 1, NULL, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert_str_eq(outcome.message, "still here");
	tear_down();
}
END_TEST

START_TEST(two_hundred_tasks_at_once_all_come_back)
{
	static uint32_t ids[200];
	size_t fds;

	set_up();
	fds = test_process_fds(agent.pid);
	for (uint64_t i = 0; i < 200; i++)
		ids[i] = submit(i, "function() goroutine.sleep(100) return true, 'ok' end");
	for (uint64_t i = 0; i < 200; i++) {
		test_client_follow(
			&client, i, test_client_take(&client, ids[i], SL_OP_SUBMIT), &outcome);
		ck_assert_int_eq(outcome.state, SL_STATE_DONE);
		ck_assert_str_eq(outcome.message, "ok");
	}
	while (get_stat().running > 0)
		test_client_idle(&client, 10);
	ck_assert_uint_eq(get_stat().jobs_by_state[SL_STATE_DONE], 200);
	/* Those of the stock may be on their way. */
	ck_assert_uint_le(test_process_fds(agent.pid), fds + 1);
	tear_down();
}
END_TEST

START_TEST(several_may_wait_for_one_job)
{
	struct sl_request next = test_request(SL_OP_NEXT, 1);
	uint32_t ids[10];

	set_up();
	test_answer_free(test_client_take(&client,
		submit(1, "function() goroutine.sleep(300) return true, 'for all' end"),
		SL_OP_SUBMIT));
	next.after = 2;
	next.wait_ms = SL_MAX_WAIT_MS;
	for (int i = 0; i < 10; i++)
		ids[i] = test_client_send(&client, &next);
	for (int i = 0; i < 10; i++) {
		sl_cleanup(test_answer_freep) struct test_answer *answer =
			test_client_take(&client, ids[i], SL_OP_NEXT);

		ck_assert(answer->reply.ok);
		ck_assert_uint_gt(answer->reply.last, 2);
	}
	tear_down();
}
END_TEST

START_TEST(a_poll_that_nothing_comes_for_ends_at_its_time)
{
	struct sl_request next = test_request(SL_OP_NEXT, 1);
	struct test_answer *answer;
	int64_t start_ms;

	set_up();
	test_answer_free(test_client_take(
		&client, submit(1, "function() goroutine.sleep(2000) end"), SL_OP_SUBMIT));
	next.after = 2;
	next.wait_ms = 200;
	start_ms = sl_clock_monotonic_ms();
	answer = test_client_call(&client, &next);
	ck_assert_int_ge(sl_clock_monotonic_ms() - start_ms, 190);
	ck_assert_int_lt(sl_clock_monotonic_ms() - start_ms, 1500);
	ck_assert_uint_eq(answer->reply.n_batches, 0);
	ck_assert_int_eq(answer->reply.state, SL_STATE_RUNNING);
	test_answer_free(answer);
	tear_down();
}
END_TEST

START_TEST(large_tasks_and_results_arrive_whole)
{
	static char lua[10u << 20];
	size_t at = (size_t)snprintf(lua, sizeof(lua), "function() local s = '");

	memset(lua + at, 'x', sizeof(lua) - 60 - at);
	strcpy(lua + sizeof(lua) - 60, "' return #s > 10000000, string.rep('y', 3000000) end");
	set_up();
	test_client_run(&client, 1, lua, 0, &outcome);
	ck_assert_msg(outcome.state == SL_STATE_DONE, "%s %s", outcome.why, outcome.error);
	ck_assert_uint_eq(strlen(outcome.message), sizeof(outcome.message) - 1);
	tear_down();
}
END_TEST

START_TEST(what_a_child_writes_makes_it_wait_and_all_of_it_arrives)
{
	set_up();
	test_client_run(&client, 1,
		"function() os.execute('head -c 20000000 /dev/zero; echo end') end", 0,
		&outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert_uint_eq(outcome.out_bytes, 20000004);
	tear_down();
}
END_TEST

static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%d", &child), 1);
	fclose(file);
	return child;
}

static void set_up_with_rogue(void)
{
	ck_assert_int_eq(setenv("LUA_CPATH_5_4", SL_TEST_MODULES "/?.so;;", 1), 0);
	set_up();
}

START_TEST(a_segfault_in_a_module_is_a_crash)
{
	set_up_with_rogue();
	test_client_run(&client, 1, "function() require('rogue').crash() end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_CRASHED);
	ck_assert_str_eq(outcome.why, "signal 11 (Segmentation fault)");
	tear_down();
}
END_TEST

START_TEST(a_module_that_exits_fails_the_task_and_keeps_what_was_said)
{
	set_up_with_rogue();
	test_client_run(&client, 1, "function() log.info('said') require('rogue').exit(3) end",
		0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_FAILED);
	ck_assert_str_eq(outcome.why, "exit status 3");
	ck_assert_str_eq(outcome.logs, "said\n");
	test_client_run(&client, 2, "function() require('rogue').exit(0) end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_FAILED);
	ck_assert_ptr_nonnull(strstr(outcome.why, "without a result"));
	tear_down();
}
END_TEST

START_TEST(what_a_module_prints_arrives)
{
	set_up_with_rogue();
	test_client_run(
		&client, 1, "function() require('rogue').puts('from C') end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert_str_eq(outcome.out, "from C\n");
	tear_down();
}
END_TEST

START_TEST(a_forked_worker_does_not_speak_for_the_task)
{
	set_up_with_rogue();
	test_client_run(&client, 1,
		"function() if require('rogue').fork() == 0 then log.info('me too') "
		"return false, 'the copy' end goroutine.sleep(300) return true, 'the task' end",
		0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert_str_eq(outcome.message, "the task");
	ck_assert_str_eq(outcome.logs, "");
	tear_down();
}
END_TEST

START_TEST(who_writes_to_the_agents_socket_is_ended_and_nobody_else)
{
	size_t rss;

	set_up_with_rogue();
	rss = test_process_rss(agent.pid);
	test_client_run(&client, 1,
		"function() require('rogue').write(3, string.rep('all work and no play', 9)) "
		"goroutine.sleep(60000) end",
		0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_CRASHED);
	/* Well-formed batches, without end and without credit. */
	test_answer_free(test_client_take(&client,
		submit(2, "function() local r = require('rogue') "
			  "local b = string.pack('I4I4I8', 65536, 4, 1) .. string.rep('\\0', "
			  "65536) while true do r.write(3, b) end end"),
		SL_OP_SUBMIT));
	while (get_stat().jobs_by_state[SL_STATE_CRASHED] < 2)
		test_client_idle(&client, 20);
	ck_assert_uint_lt(test_process_rss(agent.pid), rss + 4 * RING_RSS);
	test_client_run(&client, 3, "function() end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	tear_down();
}
END_TEST

START_TEST(a_dead_spawner_is_a_crash_and_the_next_task_runs)
{
	struct test_answer *first;

	set_up();
	first = test_client_take(
		&client, submit(1, "function() goroutine.sleep(60000) end"), SL_OP_SUBMIT);
	kill(child_of(agent.pid), SIGKILL);
	test_client_follow(&client, 1, first, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_CRASHED);
	ck_assert_ptr_nonnull(strstr(outcome.why, "spawner"));
	test_client_run(&client, 2, "function() end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	tear_down();
}
END_TEST

START_TEST(without_a_stock_each_task_waits_for_its_worker)
{
	static const char *const flags[] = {"--prefork", "0", NULL};

	set_up_with(flags);
	for (uint64_t job = 1; job <= 3; job++) {
		test_client_run(&client, job, "function() end", 0, &outcome);
		ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	}
	tear_down();
}
END_TEST

START_TEST(a_task_of_another_user_is_refused)
{
	struct sl_function function = {
		.text = sl_bytes_of("function() end"), .file = sl_bytes_of("x"), .line = 1};
	struct sl_task task = {.name = sl_bytes_of("test"),
		.function = {.kind = SL_VALUE_FUNCTION, .function = &function},
		.user = sl_bytes_of("nobody-at-all")};
	struct sl_request request = test_request(SL_OP_SUBMIT, 1);
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct test_answer *answer;

	set_up();
	ck_assert_int_eq(sl_task_encode(&task, &bytes, NULL), 0);
	request.task = sl_buffer_bytes(&bytes);
	answer = test_client_call(&client, &request);
	ck_assert_int_eq(answer->reply.code, SL_EDENIED);
	test_answer_free(answer);
	sl_buffer_deinit(&bytes);
	tear_down();
}
END_TEST

START_TEST(workdir_environment_and_limits_are_applied)
{
	struct sl_function function = {
		.text = sl_bytes_of("function(this) local p = io.popen('pwd; ulimit -n') "
				    "return true, p:read('a') .. os.getenv('COLOUR') end"),
		.file = sl_bytes_of("x"),
		.line = 1};
	struct sl_pair pair = {{.kind = SL_VALUE_STRING, .string = sl_bytes_of("COLOUR")},
		{.kind = SL_VALUE_STRING, .string = sl_bytes_of("green")}};
	struct sl_table env = {.pairs = &pair, .n_pairs = 1};
	struct sl_task task = {.name = sl_bytes_of("test"),
		.function = {.kind = SL_VALUE_FUNCTION, .function = &function},
		.workdir = sl_bytes_of("/usr"),
		.env = {.kind = SL_VALUE_TABLE, .table = &env},
		.limits = {.files = 77, .memory_bytes = 100u << 20}};
	struct sl_request request = test_request(SL_OP_SUBMIT, 1);
	struct sl_buffer bytes = SL_BUFFER_INIT;

	set_up();
	ck_assert_int_eq(sl_task_encode(&task, &bytes, NULL), 0);
	request.task = sl_buffer_bytes(&bytes);
	request.wait_ms = SL_MAX_WAIT_MS;
	test_client_follow(&client, 1, test_client_call(&client, &request), &outcome);
	ck_assert_str_eq(outcome.message, "/usr\n77\ngreen");
	sl_buffer_clear(&bytes);
	task.workdir = sl_bytes_of("/no/such/place");
	request.job.bytes[0] = 2;
	ck_assert_int_eq(sl_task_encode(&task, &bytes, NULL), 0);
	request.task = sl_buffer_bytes(&bytes);
	test_client_follow(&client, 2, test_client_call(&client, &request), &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_FAILED);
	ck_assert_msg(strstr(outcome.message, "/no/such/place"), "%s", outcome.message);
	sl_buffer_deinit(&bytes);
	tear_down();
}
END_TEST

START_TEST(nothing_but_hello_is_answered_before_hello)
{
	static const enum sl_op ops[] = {SL_OP_STAT, SL_OP_JOBS, SL_OP_NEXT, SL_OP_CANCEL};

	test_agent_start(&agent, NULL);
	test_client_open(&client, agent.address, false);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct sl_request request = test_request(ops[i], 1);
		sl_cleanup(test_answer_freep) struct test_answer *answer =
			test_client_call(&client, &request);

		ck_assert(!answer->reply.ok);
		ck_assert_int_eq(answer->reply.code, SL_EHELLO);
	}
	tear_down();
}
END_TEST

static void start_on_tcp(const char *keys_path)
{
	const char *const flags[] = {"--authorized-keys", keys_path, NULL};

	test_agent_start_on(&agent, "tcp://127.0.0.1:0", flags);
	ck_assert_ptr_nonnull(strstr(agent.address, "tcp://127.0.0.1:"));
	test_client_open(&client, agent.address, false);
}

static void load_local_key(struct sl_identity *out)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/state/local.key", agent.dir);
	ck_assert_int_eq(sl_identity_load(path, out, NULL), 0);
}

START_TEST(on_tcp_the_local_key_is_welcome)
{
	struct sl_identity identity;
	struct test_answer *answer;

	start_on_tcp("/nowhere");
	load_local_key(&identity);
	answer = test_client_sign_in(&client, &identity);
	ck_assert(answer->reply.ok);
	ck_assert_uint_gt(answer->reply.hello.max_message_bytes, 0);
	test_answer_free(answer);
	test_client_run(&client, 1, "function() end", 0, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	tear_down();
}
END_TEST

START_TEST(on_tcp_a_stranger_is_denied_and_put_out)
{
	struct sl_request request = test_request(SL_OP_STAT, 0);
	struct sl_identity stranger, local;
	struct test_answer *answer;

	start_on_tcp("/nowhere");
	ck_assert_int_eq(sl_identity_generate(&stranger, NULL), 0);
	answer = test_client_sign_in(&client, &stranger);
	ck_assert(!answer->reply.ok);
	ck_assert_int_eq(answer->reply.code, SL_EDENIED);
	test_answer_free(answer);
	ck_assert_ptr_null(test_client_call(&client, &request));
	test_client_close(&client);

	/* Who has a known key, but not the secret that belongs to it, is none. */
	test_client_open(&client, agent.address, false);
	load_local_key(&local);
	memcpy(stranger.public_key, local.public_key, sizeof(local.public_key));
	answer = test_client_sign_in(&client, &stranger);
	ck_assert_int_eq(answer->reply.code, SL_EDENIED);
	test_answer_free(answer);
	test_client_close(&client);

	test_client_open(&client, agent.address, false);
	test_answer_free(test_client_sign_in(&client, &local));
	ck_assert_uint_eq(get_stat().hello_failures, 2);
	tear_down();
}
END_TEST

START_TEST(a_key_that_is_added_is_welcome_at_once)
{
	char path[] = "/tmp/sloth-test-XXXXXX", text[80];
	struct sl_identity identity;
	struct test_answer *answer;
	FILE *file = fdopen(mkstemp(path), "w");

	start_on_tcp(path);
	ck_assert_int_eq(sl_identity_generate(&identity, NULL), 0);
	sl_public_key_format(identity.public_key, text, sizeof(text));
	fprintf(file, "%s somebody\n", text);
	fclose(file);
	answer = test_client_sign_in(&client, &identity);
	ck_assert(answer->reply.ok);
	test_answer_free(answer);
	unlink(path);
	tear_down();
}
END_TEST

START_TEST(garbage_is_refused_and_the_next_request_is_fine)
{
	static const char bomb[] = "\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff";
	const struct sl_bytes wrong[] = {{"", 0}, {"garbage", 7}, {bomb, sizeof(bomb) - 1}};
	size_t rss;

	set_up();
	rss = test_process_rss(agent.pid);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		sl_cleanup(test_answer_freep) struct test_answer *answer = test_client_take(
			&client, test_client_send_bytes(&client, wrong[i]), SL_OP_STAT);

		if (!answer) { /* a closed connection is a refusal too */
			test_client_close(&client);
			test_client_open(&client, agent.address, true);
			continue;
		}
		ck_assert(!answer->reply.ok);
		ck_assert_int_eq(answer->reply.code, SL_EPROTOCOL);
	}
	get_stat();
	ck_assert_uint_lt(test_process_rss(agent.pid), rss + RING_RSS / 4);
	tear_down();
}
END_TEST

START_TEST(what_can_not_be_a_task_is_refused_by_name)
{
	struct sl_request request = test_request(SL_OP_SUBMIT, 1);
	struct test_answer *answer;

	set_up();
	request.task = sl_bytes_of("\x80"); /* an empty map */
	answer = test_client_call(&client, &request);
	ck_assert(!answer->reply.ok);
	ck_assert_int_eq(answer->reply.code, SL_EBAD_TASK);
	test_answer_free(answer);
	request = test_request(SL_OP_NEXT, 1);
	answer = test_client_call(&client, &request);
	ck_assert_int_eq(answer->reply.code, SL_ENOT_FOUND);
	test_answer_free(answer);
	tear_down();
}
END_TEST

START_TEST(a_cursor_beyond_the_last_event_is_an_error)
{
	struct sl_request next = test_request(SL_OP_NEXT, 1);
	struct test_answer *answer;

	set_up();
	test_client_run(&client, 1, "function() end", 0, &outcome);
	next.after = 99;
	answer = test_client_call(&client, &next);
	ck_assert_int_eq(answer->reply.code, SL_EINVALID);
	test_answer_free(answer);
	tear_down();
}
END_TEST

START_TEST(jobs_are_listed_filtered_and_forgotten)
{
	struct sl_request request = test_request(SL_OP_JOBS, 0);
	struct test_answer *answer;

	set_up();
	test_client_run(&client, 1, "function() end", 0, &outcome);
	test_client_run(&client, 2, "function() return false end", 0, &outcome);
	answer = test_client_call(&client, &request);
	ck_assert_uint_eq(answer->reply.total, 2);
	ck_assert_uint_eq(answer->reply.n_rows, 2);
	ck_assert_int_eq(answer->reply.rows[0].state, SL_STATE_FAILED);
	test_answer_free(answer);
	request.filter = sl_bytes_of("done");
	answer = test_client_call(&client, &request);
	ck_assert_uint_eq(answer->reply.total, 1);
	ck_assert(sl_bytes_equal(answer->reply.rows[0].name, sl_bytes_of("test")));
	ck_assert_int_gt(answer->reply.rows[0].ended_us, 0);
	test_answer_free(answer);
	request = test_request(SL_OP_FORGET, 1);
	while (get_stat().running > 0)
		test_client_idle(&client, 10);
	answer = test_client_call(&client, &request);
	ck_assert(answer->reply.ok);
	test_answer_free(answer);
	answer = test_client_call(&client, &request);
	ck_assert_int_eq(answer->reply.code, SL_ENOT_FOUND);
	test_answer_free(answer);
	tear_down();
}
END_TEST

START_TEST(a_slow_reader_makes_the_job_wait_and_not_the_agent_grow)
{
	size_t rss, most = 0;

	set_up();
	rss = test_process_rss(agent.pid);
	test_answer_free(test_client_take(&client,
		submit(1, "function() local s = string.rep('x', 1000) "
			  "for i = 1, 100000 do log.info(s) end end"),
		SL_OP_SUBMIT));
	for (int i = 0; i < 15; i++) {
		size_t now;

		test_client_idle(&client, 100);
		now = test_process_rss(agent.pid);
		most = now > most ? now : most;
	}
	ck_assert_int_eq((int)get_stat().running, 1);
	ck_assert_msg(most < rss + RING_RSS, "%zu KiB, then %zu", rss >> 10, most >> 10);
	test_client_follow(&client, 1, NULL, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert(outcome.has_result && outcome.ok);
	/* The cap is on the way: what was left out is counted, and one line says so. */
	ck_assert_uint_gt(outcome.dropped_lines, 0);
	ck_assert_uint_eq(outcome.n_logs - 1 + outcome.dropped_lines, 100000);
	ck_assert_uint_le(outcome.log_bytes, SL_MAX_JOB_LOG_BYTES);
	ck_assert_uint_lt(test_process_rss(agent.pid), rss + RING_RSS);
	tear_down();
}
END_TEST

START_TEST(a_stopping_agent_lets_tasks_finish_and_takes_no_more)
{
	static const char *const flags[] = {"--max-tasks", "1", NULL};
	struct test_answer *answer;
	uint32_t id;
	int status;

	set_up_with(flags);
	test_answer_free(test_client_take(&client,
		submit(1, "function() goroutine.sleep(500) return true, 'to the end' end"),
		SL_OP_SUBMIT));
	test_answer_free(test_client_take(&client, submit(2, "function() end"), SL_OP_SUBMIT));
	kill(agent.pid, SIGTERM);
	while (!get_stat().draining)
		test_client_idle(&client, 10);
	id = submit(3, "function() end");
	answer = test_client_take(&client, id, SL_OP_SUBMIT);
	ck_assert_int_eq(answer->reply.code, SL_EDRAINING);
	test_answer_free(answer);
	test_client_follow(&client, 2, NULL, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_REFUSED);
	test_client_follow(&client, 1, NULL, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_DONE);
	ck_assert_str_eq(outcome.message, "to the end");
	test_client_close(&client);
	status = test_agent_stop(&agent, 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

START_TEST(drain_is_bounded_and_a_second_signal_is_immediate)
{
	static const char *const flags[] = {"--drain", "300ms", NULL};
	int64_t start_ms;
	int status;

	set_up_with(flags);
	test_answer_free(test_client_take(
		&client, submit(1, "function() goroutine.sleep(60000) end"), SL_OP_SUBMIT));
	start_ms = sl_clock_monotonic_ms();
	kill(agent.pid, SIGTERM);
	test_client_follow(&client, 1, NULL, &outcome);
	ck_assert_int_eq(outcome.state, SL_STATE_CANCELLED);
	test_client_close(&client);
	status = test_agent_stop(&agent, 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_lt(sl_clock_monotonic_ms() - start_ms, 5000);

	set_up();
	test_answer_free(test_client_take(
		&client, submit(1, "function() goroutine.sleep(60000) end"), SL_OP_SUBMIT));
	start_ms = sl_clock_monotonic_ms();
	kill(agent.pid, SIGTERM);
	while (!get_stat().draining)
		test_client_idle(&client, 10);
	status = test_agent_stop(&agent, SIGTERM);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_lt(sl_clock_monotonic_ms() - start_ms, 5000);
	test_client_close(&client);
}
END_TEST

START_TEST(the_socket_and_the_state_are_private_things)
{
	char path[128];
	struct stat stat_;

	set_up();
	snprintf(path, sizeof(path), "%s/state", agent.dir);
	ck_assert_int_eq(stat(path, &stat_), 0);
	ck_assert_int_eq(stat_.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/state/local.key", agent.dir);
	ck_assert_int_eq(stat(path, &stat_), 0);
	ck_assert_int_eq(stat_.st_mode & 077, 0);
	test_client_close(&client);
	kill(agent.pid, SIGTERM);
	snprintf(path, sizeof(path), "%s/agent.sock", agent.dir);
	ck_assert_int_eq(waitid(P_PID, (id_t)agent.pid, NULL, WEXITED | WNOWAIT), 0);
	ck_assert_int_lt(stat(path, &stat_), 0);
	test_agent_stop(&agent, 0);
}
END_TEST

SL_CHECK_MAIN("agent", a_task_that_does_nothing_succeeds_in_one_round_trip,
	who_submits_a_long_task_hears_soon_that_it_is_there, logs_and_output_stream_in_order,
	a_line_is_seen_while_the_task_still_runs, failure_says_why,
	a_worker_that_is_killed_is_a_crash_with_its_signal,
	an_exit_in_the_task_ends_the_task_alone, a_deadline_ends_a_task_that_computes,
	a_deadline_ends_what_the_task_started, a_cancelled_task_ends_saying_who_and_why,
	a_queued_task_is_cancelled_without_having_run,
	beyond_queue_the_agent_is_busy_and_says_when_to_come_back,
	a_known_job_is_answered_and_not_run_again,
	a_job_outlives_the_connection_that_brought_it, two_hundred_tasks_at_once_all_come_back,
	several_may_wait_for_one_job, a_poll_that_nothing_comes_for_ends_at_its_time,
	large_tasks_and_results_arrive_whole,
	what_a_child_writes_makes_it_wait_and_all_of_it_arrives,
	a_segfault_in_a_module_is_a_crash,
	a_module_that_exits_fails_the_task_and_keeps_what_was_said,
	what_a_module_prints_arrives, a_forked_worker_does_not_speak_for_the_task,
	who_writes_to_the_agents_socket_is_ended_and_nobody_else,
	a_dead_spawner_is_a_crash_and_the_next_task_runs,
	without_a_stock_each_task_waits_for_its_worker, a_task_of_another_user_is_refused,
	workdir_environment_and_limits_are_applied, nothing_but_hello_is_answered_before_hello,
	on_tcp_the_local_key_is_welcome, on_tcp_a_stranger_is_denied_and_put_out,
	a_key_that_is_added_is_welcome_at_once, garbage_is_refused_and_the_next_request_is_fine,
	what_can_not_be_a_task_is_refused_by_name, a_cursor_beyond_the_last_event_is_an_error,
	jobs_are_listed_filtered_and_forgotten,
	a_slow_reader_makes_the_job_wait_and_not_the_agent_grow,
	a_stopping_agent_lets_tasks_finish_and_takes_no_more,
	drain_is_bounded_and_a_second_signal_is_immediate,
	the_socket_and_the_state_are_private_things)
