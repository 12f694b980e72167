/* SPDX-License-Identifier: MIT */
#include "tests/bench/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/agent_cases.h"
#include "tests/bench/figures.h"
#include "tests/support/agent_client.h"

#define PAIRS 7

/* What @command says on stdout. False when it is not there, or fails. */
static bool read_command(const char *command, char *out, size_t size)
{
	FILE *pipe = popen(command, "re");
	size_t n = pipe ? fread(out, 1, size - 1, pipe) : 0;

	out[n] = '\0';
	return pipe && pclose(pipe) == 0 && n > 0;
}

static bool plain_fib(int n, double *out_ms)
{
	char command[512], text[256];

	snprintf(command, sizeof(command), "lua5.4 %s/peers/fib.lua %d 2>/dev/null",
		SL_BENCH_DIR, n);
	if (!read_command(command, text, sizeof(text)))
		return false;
	*out_ms = strtod(text, NULL);
	return true;
}

static double our_fib(struct test_client *client, int n)
{
	struct test_outcome outcome;
	char text[256];

	snprintf(text, sizeof(text),
		"function() local function fib(n) if n < 2 then return n end\n"
		"  return fib(n - 1) + fib(n - 2) end\n"
		"  goroutine.await(goroutine.async(function() fib(%d) end)) end",
		n);
	agent_run(client, text, &outcome);
	return outcome.cpu_ms;
}

/* In turns, and processor time: what else runs here hits both sides alike. */
void peers_measure_fib(struct test_client *client, double scale)
{
	int n = scale < 0.05 ? 22 : 32;
	double ours[PAIRS], theirs[PAIRS], ratios[PAIRS];

	for (int i = 0; i < PAIRS; i++) {
		if (!plain_fib(n, &theirs[i]))
			return;
		ours[i] = our_fib(client, n);
		ratios[i] = ours[i] / theirs[i];
	}
	figures_add_samples("fib_32_ms", ours, PAIRS);
	figures_add_samples("lua_fib_32_ms", theirs, PAIRS);
	figures_add_samples("fib_32_to_lua", ratios, PAIRS);
}

void peers_measure_programs(double scale)
{
	static const struct {
		const char *run, *file;
	} programs[] = {
		{"lua5.4", "coroutines.lua"},
		{"GO111MODULE=off go run", "goroutines.go"},
		{"GO111MODULE=off GOPATH=/usr/share/gocode go run", "gopher_lua.go"},
		{"escript", "processes.erl"},
	};
	char command[512], text[4096];

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		snprintf(command, sizeof(command), "%s %s/peers/%s %.3f 2>/dev/null",
			programs[i].run, SL_BENCH_DIR, programs[i].file, scale);
		if (read_command(command, text, sizeof(text)))
			figures_add_lines(text);
	}
}
