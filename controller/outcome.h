/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Outcome: how one task on one target came out, and what all of them together
 * mean for the exit status. The one place that decides it.
 *
 * Threads: any.
 */

#include "common/base.h"

enum sl_verdict {
	SL_VERDICT_DONE,
	SL_VERDICT_FAILED,      /* its function said so, or raised */
	SL_VERDICT_CRASHED,     /* its process died under it */
	SL_VERDICT_TIMEOUT,     /* its time was up, or the run's */
	SL_VERDICT_CANCELLED,   /* somebody stopped it */
	SL_VERDICT_DETACHED,    /* goes on without us */
	SL_VERDICT_LOST,        /* its agent died under it */
	SL_VERDICT_UNKNOWN,     /* its agent is out of reach: it may still run */
	SL_VERDICT_UNREACHABLE, /* its agent was never reached: it didn't run */
	SL_VERDICT_REFUSED,     /* its agent wouldn't have it */
	SL_VERDICT_STOPPED,     /* stopped by the workflow itself, for what another task did */
	SL_VERDICT_SKIPPED, /* its turn never came, for a reason that is no failure of its own
	                     */
};

#define SL_N_VERDICTS (SL_VERDICT_SKIPPED + 1)

/* "done", "failed", …: what a person and JSON read. Static memory. */
const char *sl_verdict_name(enum sl_verdict verdict);

enum sl_exit {
	SL_EXIT_OK = 0,
	SL_EXIT_FAILED = 1,
	SL_EXIT_USAGE = 2, /* usage, file, target: before anything ran */
	SL_EXIT_UNKNOWN = 3,
	SL_EXIT_TIMEOUT = 4,
	SL_EXIT_REFUSED = 5,
	SL_EXIT_CANCELLED = 130,
};

/* How many came out how. A zeroed one is empty. */
struct sl_outcome {
	size_t n[SL_N_VERDICTS];
	size_t n_allowed[SL_N_VERDICTS]; /* of them: the workflow's max_fail allows it */
	bool hook_failed;                /* a function of the workflow, after a task */
};

void sl_outcome_add(struct sl_outcome *outcome, enum sl_verdict verdict);

/* One that was added is allowed, and weighs nothing. */
void sl_outcome_allow(struct sl_outcome *outcome, enum sl_verdict verdict);

/* The first of 130, 3, 5, 4, 1 that applies to one of them; 0 when none does. */
enum sl_exit sl_outcome_exit(const struct sl_outcome *outcome);

/* "3 done, 1 failed" to @out; returns @out. */
char *sl_outcome_format(const struct sl_outcome *outcome, char *out, size_t size);
