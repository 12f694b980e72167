/* SPDX-License-Identifier: MIT */
#include "tests/bench/agent_cases.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "tests/bench/figures.h"
#include "tests/support/agent_client.h"

#define IN_FLIGHT 64
#define NO_OP "function() return true end"

static uint64_t next_job = 1;

static void die(const char *what, const char *more)
{
	fprintf(stderr, "bench: %s %s\n", what, more);
	exit(1);
}

static void check_done(const struct test_outcome *outcome)
{
	if (outcome->state != SL_STATE_DONE) {
		fprintf(stderr, "bench: %s\n%s\n", outcome->why, outcome->error);
		die("a task did not end done", outcome->message);
	}
}

void agent_run(struct test_client *client, const char *lua, struct test_outcome *out)
{
	test_client_run(client, next_job++, lua, 0, out);
	check_done(out);
}

/* ---- what is measured inside of a task ---- */

static const char prelude[] =
	"local lines = {}\n"
	"local function report(name, value, p99)\n"
	"  lines[#lines + 1] = p99 and ('%s %.3f %.3f'):format(name, value, p99)\n"
	"    or ('%s %.3f'):format(name, value)\n"
	"end\n"
	"local function percentiles(samples)\n"
	"  table.sort(samples)\n"
	"  return samples[#samples // 2 + 1], samples[#samples * 99 // 100 + 1]\n"
	"end\n";

static void append_file(struct sl_buffer *text, const char *name)
{
	char path[512], piece[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/cases/%s.lua", SL_BENCH_DIR, name);
	file = fopen(path, "re");
	if (!file)
		die("can't open", path);
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		sl_buffer_append(text, piece, n);
	fclose(file);
}

void agent_run_case(struct test_client *client, const char *name, double scale)
{
	struct sl_buffer text = SL_BUFFER_INIT;
	struct test_outcome outcome;

	sl_buffer_printf(&text, "function() %s local function case(...)\n", prelude);
	append_file(&text, name);
	sl_buffer_printf(&text,
		"\nend case(%g, report, percentiles) return true, table.concat(lines, '\\n') "
		"end",
		scale);
	sl_buffer_append(&text, "", 1);
	agent_run(client, text.data, &outcome);
	figures_add_lines(outcome.message);
	if (outcome.n_logs > 0) {
		char late[96];

		snprintf(late, sizeof(late), "%s_log_late_ms", name);
		figures_add(late, (double)outcome.max_log_delay_us / 1e3, NAN);
	}
	sl_buffer_deinit(&text);
}

/* ---- tasks that do nothing ---- */

static uint64_t idle_workers(struct test_client *client)
{
	struct sl_request request = test_request(SL_OP_STAT, 0);
	sl_cleanup(test_answer_freep) struct test_answer *answer =
		test_client_call(client, &request);

	return answer->reply.stat.running == 0 ? answer->reply.stat.idle_workers : 0;
}

/* On a warm connection: submit to terminal state in one round trip. */
void agent_measure_dispatch(struct test_client *client, size_t rounds)
{
	uint64_t stock = idle_workers(client);
	double *us = calloc(rounds, sizeof(*us));

	for (size_t i = 0; i < rounds; i++) {
		struct test_outcome outcome;
		int64_t began;

		/* The stock refills while nobody is timed. */
		while (idle_workers(client) < stock)
			test_client_idle(client, 1);
		began = sl_clock_monotonic_ns();
		agent_run(client, NO_OP, &outcome);
		us[i] = (double)(sl_clock_monotonic_ns() - began) / 1e3;
	}
	figures_add_samples("noop_dispatch_ipc_us", us, rounds);
	free(us);
}

struct flight {
	uint64_t job;
	uint32_t request;
};

static struct flight take_off(struct test_client *client)
{
	struct sl_buffer task = SL_BUFFER_INIT;
	struct flight flight = {.job = next_job++};
	struct sl_request request = test_submit(flight.job, NO_OP, 0, &task);

	flight.request = test_client_send(client, &request);
	sl_buffer_deinit(&task);
	return flight;
}

static void land(struct test_client *client, const struct flight *flight)
{
	struct test_answer *answer = test_client_take(client, flight->request, SL_OP_SUBMIT);
	struct test_outcome outcome;

	if (!answer)
		die("the agent closed the connection", "");
	test_client_follow(client, flight->job, answer, &outcome);
	check_done(&outcome);
}

/* The oldest is waited for, while the others go on. */
void agent_measure_throughput(struct test_client *client, size_t rounds)
{
	struct flight flights[IN_FLIGHT];
	size_t n = rounds * 4 > 2 * IN_FLIGHT ? rounds * 4 : 2 * IN_FLIGHT;
	int64_t began = sl_clock_monotonic_ns();

	for (size_t i = 0; i < n + IN_FLIGHT; i++) {
		struct flight *flight = &flights[i % IN_FLIGHT];

		if (i >= IN_FLIGHT)
			land(client, flight);
		if (i < n)
			*flight = take_off(client);
	}
	figures_add("noop_64_in_flight_per_s",
		(double)n / ((double)(sl_clock_monotonic_ns() - began) / 1e9), NAN);
}

/* ---- logs ---- */

void agent_measure_logs(struct test_client *client, size_t rounds)
{
	uint64_t n = rounds * 100;
	int64_t began = sl_clock_monotonic_ns();
	struct test_outcome outcome;
	char text[256];

	snprintf(text, sizeof(text),
		"function() local s = string.rep('x', 80) for i = 1, %" PRIu64
		" do log.info(s) end return true end",
		n);
	agent_run(client, text, &outcome);
	if (outcome.n_logs != n)
		die("log lines were lost", "");
	figures_add("log_lines_per_s",
		(double)n / ((double)(sl_clock_monotonic_ns() - began) / 1e9), NAN);
}

/* ---- the command line ---- */

/* Milliseconds from the start of @argv to its exit. */
static double run_program(char *const argv[])
{
	posix_spawn_file_actions_t quiet;
	int64_t began;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	began = sl_clock_monotonic_ns();
	if (posix_spawn(&pid, argv[0], &quiet, NULL, argv, environ) != 0 ||
		waitpid(pid, &status, 0) != pid || status != 0)
		die("did not end with 0:", argv[0]);
	posix_spawn_file_actions_destroy(&quiet);
	return (double)(sl_clock_monotonic_ns() - began) / 1e6;
}

void agent_measure_cold_start(const struct test_agent *agent, size_t rounds)
{
	size_t n = rounds / 10 > 5 ? rounds / 10 : 5;
	double *ours = calloc(n, sizeof(*ours)), *none = calloc(n, sizeof(*none));
	char named[300], key[128];
	char *argv[] = {(char[]){SL_BENCH_SLOTH}, (char[]){"exec"}, (char[]){"a"},
		(char[]){"-a"}, named, (char[]){"--key-file"}, key, (char[]){"-e"},
		(char[]){"return"}, NULL};
	char *nothing[] = {(char[]){"/bin/true"}, NULL};

	snprintf(named, sizeof(named), "a=%s", agent->address);
	snprintf(key, sizeof(key), "%s/state/local.key", agent->dir);
	for (size_t i = 0; i < n; i++) {
		none[i] = run_program(nothing);
		ours[i] = run_program(argv);
	}
	figures_add_samples("cold_true_ms", none, n);
	figures_add_samples("cold_exec_ms", ours, n);
	free(ours);
	free(none);
}
