/* SPDX-License-Identifier: MIT */
/*
 * What things cost, as one JSON object on stdout:
 *
 *   bench [ROUNDS]
 *
 * Each figure of ours stands beside the bare transport measured in the same run,
 * because machines differ and only ratios travel. ROUNDS scales the work (default
 * 2000; a smoke run takes 20).
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/bench/bare.h"
#include "tests/bench/lua_cases.h"
#include "tests/support/agent_client.h"

static size_t rounds = 2000;
static bool first_row = true;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_key(const char *name)
{
	printf("%s\n  \"%s\": ", first_row ? "{" : ",", name);
	first_row = false;
}

static void print_number(const char *name, double value)
{
	print_key(name);
	printf("%.3f", value);
}

static double print_percentiles(const char *name, double *us, size_t n)
{
	qsort(us, n, sizeof(*us), by_value);
	print_key(name);
	printf("{\"p50_us\": %.1f, \"p99_us\": %.1f}", us[n / 2], us[n * 99 / 100]);
	return us[n / 2];
}

static void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static uint64_t next_job = 1;

/* Runs @lua to its end. Its events stay in *out. */
static void run(struct test_client *client, const char *lua, struct test_outcome *out)
{
	test_client_run(client, next_job++, lua, 0, out);
	if (out->state != SL_STATE_DONE) {
		fprintf(stderr, "bench: %s\n%s\n", out->why, out->message);
		die("a task did not end done");
	}
}

static uint64_t idle_workers(struct test_client *client)
{
	struct sl_request request = test_request(SL_OP_STAT, 0);
	sl_cleanup(test_answer_freep) struct test_answer *answer =
		test_client_call(client, &request);

	return answer->reply.stat.running == 0 ? answer->reply.stat.idle_workers : 0;
}

/* A task that does nothing, on a warm connection: submit to terminal state in one round trip.
 */
static double dispatch(struct test_client *client, const char *name, double *us)
{
	uint64_t stock = idle_workers(client);

	for (size_t i = 0; i < rounds; i++) {
		struct test_outcome outcome;
		int64_t began;

		/* The stock refills while nobody is timed. */
		while (idle_workers(client) < stock)
			test_client_idle(client, 1);
		began = sl_clock_monotonic_ns();
		run(client, "function() return true end", &outcome);
		us[i] = (double)(sl_clock_monotonic_ns() - began) / 1e3;
	}
	return print_percentiles(name, us, rounds);
}

/* Each case logs its number. */
static void lua_cases(struct test_client *client)
{
	for (const struct lua_case *c = all_lua_cases; c->name; c++) {
		struct sl_buffer text = SL_BUFFER_INIT;
		struct test_outcome outcome;

		sl_buffer_printf(&text, "function() log.info((%s)(%g)) return true end",
			c->text, (double)rounds / 2000);
		sl_buffer_append(&text, "", 1);
		run(client, text.data, &outcome);
		print_number(c->name, strtod(outcome.logs, NULL));
		sl_buffer_deinit(&text);
	}
}

static void log_lines(struct test_client *client)
{
	uint64_t n = rounds * 100;
	int64_t began = sl_clock_monotonic_ns();
	struct test_outcome outcome;
	char text[256];

	snprintf(text, sizeof(text),
		"function() local s = string.rep('x', 80) for i = 1, %" PRIu64
		" do log.info(s) end return true end",
		n);
	run(client, text, &outcome);
	if (outcome.n_logs != n)
		die("log lines were lost");
	print_number("log_lines_per_s",
		(double)n / ((double)(sl_clock_monotonic_ns() - began) / 1e9));
}

struct usage {
	double rss_kib;
	uint64_t wakeups; /* of all its threads */
};

static struct usage usage_of(pid_t pid)
{
	struct usage usage = {.rss_kib = (double)test_process_rss(pid) / 1024};
	struct dirent *entry;
	char path[64], line[256];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) != NULL) {
		unsigned long long n;
		FILE *file;

		snprintf(line, sizeof(line), "/proc/%d/task/%.20s/status", pid, entry->d_name);
		file = fopen(line, "r");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
				usage.wakeups += n;
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return usage;
}

/* The first child of @pid, 0 for none. */
static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "r");
	if (file && fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

static void idle(pid_t agent)
{
	const unsigned seconds = rounds < 100 ? 1 : 5;
	pid_t spawner = child_of(agent), worker = child_of(spawner);
	struct usage before[3], after[3];

	sleep(1); /* what is measured is doing nothing: let the last workers go */
	worker = child_of(spawner);
	for (int i = 0; i < 3; i++)
		before[i] = usage_of((pid_t[]){agent, spawner, worker}[i]);
	sleep(seconds);
	for (int i = 0; i < 3; i++)
		after[i] = usage_of((pid_t[]){agent, spawner, worker}[i]);
	print_number("idle_main_rss_kib", after[0].rss_kib);
	print_number("idle_spawner_rss_kib", after[1].rss_kib);
	print_number("idle_worker_rss_kib", after[2].rss_kib);
	print_number("idle_wakeups_per_s",
		(double)(after[0].wakeups + after[1].wakeups + after[2].wakeups -
			 before[0].wakeups - before[1].wakeups - before[2].wakeups) /
			seconds);
}

int main(int argc, char **argv)
{
	char place[] = "/tmp/sloth-bench.XXXXXX", stream_url[64], sockets_url[64];
	struct bare stream, sockets;
	struct test_agent agent;
	struct test_client client;
	double *us, bare_us, ours_us;

	if (argc > 1)
		rounds = strtoul(argv[1], NULL, 10);
	us = calloc(rounds, sizeof(*us));
	if (!us || rounds < 10 || !mkdtemp(place))
		die("usage: bench [ROUNDS], at least 10");
	snprintf(stream_url, sizeof(stream_url), "ipc://%s/stream", place);
	snprintf(sockets_url, sizeof(sockets_url), "ipc://%s/sockets", place);

	/* All forks come before this process uses NNG. */
	if (!bare_start(&stream, stream_url, false) || !bare_start(&sockets, sockets_url, true))
		die("the bare echoes did not start");
	test_agent_start(&agent, NULL);
	test_client_open(&client, agent.address, true);

	if (!bare_measure(&stream, us, rounds))
		die("bare stream");
	bare_us = print_percentiles("bare_stream_ipc", us, rounds);
	if (!bare_measure(&sockets, us, rounds))
		die("bare sockets");
	print_percentiles("bare_reqrep_ipc", us, rounds);
	ours_us = dispatch(&client, "noop_dispatch_ipc", us);
	print_number("noop_dispatch_to_bare_stream", ours_us / bare_us);
	lua_cases(&client);
	log_lines(&client);
	test_client_close(&client);
	idle(agent.pid);
	printf("\n}\n");

	test_agent_stop(&agent, SIGTERM);
	bare_stop(&stream);
	bare_stop(&sockets);
	unlink(stream_url + strlen("ipc://"));
	unlink(sockets_url + strlen("ipc://"));
	rmdir(place);
	free(us);
	return 0;
}
