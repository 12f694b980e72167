/* SPDX-License-Identifier: MIT */
/*
 * What things cost, as one JSON object on stdout:
 *
 *   bench [--table] [--only GROUP]... [ROUNDS]
 *
 * --table prints for people instead, with what is aimed at. --only measures some
 * of the groups: idle, transport, dispatch, tasks, logs, cold, peers (as far as they
 * are installed), after, and one that has to be asked for: sequence. ROUNDS scales the work
 * (default 2000; a smoke run takes 20).
 *
 * Machines differ and only ratios travel: what can be compared is measured in the
 * same run. Everything has two processors, however many there are.
 */
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/agent_cases.h"
#include "tests/bench/bare.h"
#include "tests/bench/figures.h"
#include "tests/bench/peers.h"
#include "tests/bench/redis.h"
#include "tests/support/agent_client.h"

#define N_PROCESSORS 2
#define SMOKE_ROUNDS 100 /* fewer only try whether it all works */
#define MAX_WANTED 16

struct bench {
	char place[32]; /* a directory */
	size_t rounds;
	double scale; /* what @rounds is to the usual */
	struct bare stream, sockets;
	struct test_agent agent;
	struct test_client client;
};

enum when {
	ALWAYS,
	NOT_FOR_SMOKE, /* it takes long, whatever the number of rounds */
	IF_ASKED,
};

struct group {
	const char *name;
	enum when when; /* if nothing is asked for */
	void (*measure)(struct bench *bench);
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static void measure_bare(const struct bare *bare, const char *name, size_t rounds)
{
	double *us = calloc(rounds, sizeof(*us));

	if (!us || !bare_measure(bare, us, rounds))
		die("the bare transport failed");
	figures_add_samples(name, us, rounds);
	free(us);
}

static void measure_transport(struct bench *bench)
{
	measure_bare(&bench->stream, "bare_stream_ipc_us", bench->rounds);
	measure_bare(&bench->sockets, "bare_reqrep_ipc_us", bench->rounds);
}

static void measure_dispatch(struct bench *bench)
{
	agent_measure_dispatch(&bench->client, bench->rounds);
	agent_measure_throughput(&bench->client, bench->rounds);
}

static void measure_tasks(struct bench *bench)
{
	static const char *const cases[] = {
		"spawn_run_join",
		"async_await",
		"pool_no_ops",
		"sleepers",
		"sleeps",
		"fib_speed_up",
		"fairness",
		"timeout_stop",
		"merge",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		agent_run_case(&bench->client, cases[i], bench->scale);
}

static void measure_sequence(struct bench *bench)
{
	agent_run_case(&bench->client, "sequence", bench->scale);
}

static void measure_logs(struct bench *bench)
{
	agent_measure_logs(&bench->client, bench->rounds);
}

static void measure_cold(struct bench *bench)
{
	agent_measure_cold_start(&bench->agent, bench->rounds);
}

static void measure_peers(struct bench *bench)
{
	peers_measure_fib(&bench->client, bench->scale);
	redis_measure(bench->place, bench->rounds);
	peers_measure_programs(bench->scale);
}

static void measure_idle(struct bench *bench)
{
	test_client_close(&bench->client);
	agent_measure_idle(&bench->agent, bench->rounds < SMOKE_ROUNDS ? 1 : 5);
	test_client_open(&bench->client, bench->agent.address, true);
}

/* What the agent keeps of all that: the records of its jobs, above all. */
static void measure_after(struct bench *bench)
{
	figures_add("main_rss_after_all_kib", (double)test_process_rss(bench->agent.pid) / 1024,
		NAN);
}

static const struct group groups[] = {
	{"idle", ALWAYS, measure_idle},
	{"transport", ALWAYS, measure_transport},
	{"dispatch", ALWAYS, measure_dispatch},
	{"tasks", ALWAYS, measure_tasks},
	{"sequence", IF_ASKED, measure_sequence},
	{"logs", ALWAYS, measure_logs},
	{"cold", ALWAYS, measure_cold},
	{"peers", NOT_FOR_SMOKE, measure_peers},
	{"after", ALWAYS, measure_after},
};

#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

struct options {
	bool table;
	size_t rounds;
	const char *wanted[MAX_WANTED]; /* names of groups; none: the usual ones */
	size_t n_wanted;
};

static void usage(void)
{
	fprintf(stderr,
		"usage: bench [--table] [--only GROUP]... [ROUNDS], at least 10\ngroups:");
	for (size_t i = 0; i < N_GROUPS; i++)
		fprintf(stderr, " %s", groups[i].name);
	fputc('\n', stderr);
	exit(2);
}

static bool is_wanted(const struct options *options, const struct group *group)
{
	for (size_t i = 0; i < options->n_wanted; i++)
		if (strcmp(options->wanted[i], group->name) == 0)
			return true;
	if (options->n_wanted > 0 || group->when == IF_ASKED)
		return false;
	return group->when == ALWAYS || options->rounds >= SMOKE_ROUNDS;
}

static void want(struct options *options, const char *name)
{
	size_t i = 0;

	while (i < N_GROUPS && strcmp(groups[i].name, name) != 0)
		i++;
	if (i == N_GROUPS || options->n_wanted == MAX_WANTED)
		usage();
	options->wanted[options->n_wanted++] = name;
}

static struct options parse(char **args)
{
	struct options options = {.rounds = 2000};
	char *end = NULL;

	for (; *args; args++) {
		if (strcmp(*args, "--table") == 0) {
			options.table = true;
		} else if (strcmp(*args, "--only") == 0 && args[1]) {
			want(&options, *++args);
		} else {
			options.rounds = strtoul(*args, &end, 10);
			if (*end || options.rounds < 10)
				usage();
		}
	}
	return options;
}

/* What is started inherits it. */
static void take_two_processors(void)
{
	cpu_set_t all, some;
	int n = 0;

	CPU_ZERO(&some);
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		die("sched_getaffinity failed");
	for (int i = 0; i < CPU_SETSIZE && n < N_PROCESSORS; i++)
		if (CPU_ISSET(i, &all)) {
			CPU_SET(i, &some);
			n++;
		}
	if (sched_setaffinity(0, sizeof(some), &some) < 0)
		die("sched_setaffinity failed");
}

int main(int argc, char **argv)
{
	char stream_url[64], sockets_url[64];
	struct options options = parse(argv + (argc > 0));
	struct bench bench = {.place = "/tmp/sloth-bench.XXXXXX",
		.rounds = options.rounds,
		.scale = (double)options.rounds / 2000};

	take_two_processors();
	if (!mkdtemp(bench.place))
		die("can't make a directory in /tmp");
	snprintf(stream_url, sizeof(stream_url), "ipc://%s/stream", bench.place);
	snprintf(sockets_url, sizeof(sockets_url), "ipc://%s/sockets", bench.place);

	/* All forks come before this process uses NNG. */
	if (!bare_start(&bench.stream, stream_url, false) ||
		!bare_start(&bench.sockets, sockets_url, true))
		die("the bare echoes did not start");
	test_agent_start(&bench.agent, NULL);
	test_client_open(&bench.client, bench.agent.address, true);
	for (size_t i = 0; i < N_GROUPS; i++)
		if (is_wanted(&options, &groups[i]))
			groups[i].measure(&bench);
	(options.table ? figures_print_table : figures_print_json)(stdout);

	test_client_close(&bench.client);
	test_agent_stop(&bench.agent, SIGTERM);
	bare_stop(&bench.stream);
	bare_stop(&bench.sockets);
	unlink(stream_url + strlen("ipc://"));
	unlink(sockets_url + strlen("ipc://"));
	rmdir(bench.place);
	return 0;
}
