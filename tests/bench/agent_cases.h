/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Agent cases: what is measured from outside of a task, through an agent.
 *
 * Threads: one.
 */

#include <sys/types.h>

#include "common/base.h"

struct test_agent;
struct test_client;
struct test_outcome;

/* Runs the function @lua to its end; a task that doesn't end done ends the program. */
void agent_run(struct test_client *client, const char *lua, struct test_outcome *out);

/* Runs the file @name of cases/: a chunk that gets a factor for how much to do, report(name,
 * value[, p99]), and percentiles(samples), which gives two values. */
void agent_run_case(struct test_client *client, const char *name, double scale);

/* Tasks that do nothing, one after the other, and many at once. */
void agent_measure_dispatch(struct test_client *client, size_t rounds);
void agent_measure_throughput(struct test_client *client, size_t rounds);

/* Lines of 80 bytes from one task. */
void agent_measure_logs(struct test_client *client, size_t rounds);

/* The command line from its start to its exit, with an agent that is there already. */
void agent_measure_cold_start(const struct test_agent *agent, size_t rounds);

/* What an agent takes that does nothing, for @seconds. Nobody may be connected. */
void agent_measure_idle(const struct test_agent *agent, unsigned seconds);
