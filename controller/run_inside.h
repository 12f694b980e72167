/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run is made of, for the files that make it: run.c begins what can
 * begin, run_end.c ends what has to end before its time.
 *
 * Threads: the loop's.
 */

#include "controller/part.h"
#include "controller/stage.h"

struct sl_options;

enum sl_run_phase {
	SL_RUN_RUNNING,
	SL_RUN_ASKED,    /* Ctrl-C once: leaves when a second one doesn't come */
	SL_RUN_STOPPING, /* jobs were told to stop */
	SL_RUN_OVER,
};

struct sl_run {
	const struct sl_plan *plan;
	const struct sl_options *options;
	struct sl_part_env env;
	struct sl_stage **stages; /* one a step */
	size_t n_running;         /* parts that were begun and aren't over */
	size_t max_parallel;
	bool local_died;
	enum sl_run_phase phase;
	int64_t timeout_ms;
	int64_t begun_ms;
	struct sl_alarm deadline, leave, stop_deadline, next, tick;
};

/* Begins what may run now, and finishes when nothing is left. */
void sl_run_go_on(struct sl_run *run);

/* Ends the loop: the summary follows. */
void sl_run_finish(struct sl_run *run);

/* Calls fn(run, part) for each part that is not over. */
void sl_run_each_open(struct sl_run *run, void (*fn)(struct sl_run *run, struct sl_part *part));

/* Tells all jobs to stop, and begins no more. What ends so is @verdict, for @reason. */
void sl_run_stop(struct sl_run *run, enum sl_verdict verdict, const char *reason);

/* Each takes the run as @ctx. */
void sl_run_leave(void *ctx);       /* the jobs go on without us */
void sl_run_on_unread(void *ctx);   /* nobody reads stdout any more */
void sl_run_on_deadline(void *ctx); /* its time is up */
void sl_run_on_signal(void *ctx, int number);
