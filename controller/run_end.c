/* SPDX-License-Identifier: MIT */

/*
 * How a run ends before its plan does: people and signals, its deadline, a
 * workflow that stops itself. Jobs are left to their agents, or told to stop.
 */

#include <signal.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/duration.h"
#include "controller/fleet.h"
#include "controller/render.h"
#include "controller/run_inside.h"

#define DETACH_MS 2000 /* between the first Ctrl-C and leaving */
#define STOP_MS 5000   /* for jobs that were told to stop */

void sl_run_finish(struct sl_run *run)
{
	run->phase = SL_RUN_OVER;
	sl_loop_stop(run->env.loop);
}

void sl_run_each_open(struct sl_run *run, void (*fn)(struct sl_run *run, struct sl_part *part))
{
	for (size_t s = 0; s < run->plan->n_steps; s++)
		for (size_t i = 0; i < sl_stage_n_parts(run->stages[s]); i++) {
			struct sl_part *part = sl_stage_part(run->stages[s], i);

			if (!sl_part_job(part)->over)
				fn(run, part);
		}
}

static void drop_waiting(struct sl_run *run, enum sl_verdict verdict, const char *why)
{
	for (size_t s = 0; s < run->plan->n_steps; s++)
		if (sl_stage_phase(run->stages[s]) == SL_STAGE_WAITING)
			sl_stage_drop(run->stages[s], verdict, why);
}

static void leave_one(struct sl_run *run, struct sl_part *part)
{
	(void)run;
	if (!sl_part_was_sent(part))
		sl_part_end(part, SL_VERDICT_CANCELLED, "its turn never came");
	else if (sl_part_is_local(part))
		sl_part_end(part, SL_VERDICT_CANCELLED, "it ended with this command");
	else
		sl_part_end(part, SL_VERDICT_DETACHED, "");
}

void sl_run_leave(void *ctx)
{
	struct sl_run *run = ctx;

	sl_run_each_open(run, leave_one);
	drop_waiting(run, SL_VERDICT_CANCELLED, "its turn never came");
	sl_run_finish(run);
}

void sl_run_on_unread(void *ctx)
{
	struct sl_run *run = ctx;

	if (run->phase == SL_RUN_RUNNING)
		sl_run_leave(run);
}

static void give_up_one(struct sl_run *run, struct sl_part *part)
{
	(void)run;
	sl_part_end(part, SL_VERDICT_CANCELLED, "");
}

static void give_up_stopping(void *ctx)
{
	struct sl_run *run = ctx;

	sl_run_each_open(run, give_up_one);
	sl_run_finish(run);
}

static void cancel_one(struct sl_run *run, struct sl_part *part)
{
	if (sl_part_job(part)->begun)
		sl_part_cancel(part, run->env.stop_why);
	else
		sl_part_end(part, SL_VERDICT_CANCELLED, "");
}

/* Tells all jobs to sl_run_stop, and begins no more. What ends so is @verdict, for @reason. */
void sl_run_stop(struct sl_run *run, enum sl_verdict verdict, const char *reason)
{
	run->phase = SL_RUN_STOPPING;
	run->env.stopping = true;
	run->env.stop_verdict = verdict;
	snprintf(run->env.stop_why, sizeof(run->env.stop_why), "%s", reason);
	sl_loop_unset(run->env.loop, &run->leave);
	sl_loop_unset(run->env.loop, &run->deadline);
	drop_waiting(run, verdict == SL_VERDICT_STOPPED ? SL_VERDICT_SKIPPED : verdict, reason);
	sl_run_each_open(run, cancel_one);
	sl_loop_set(run->env.loop, &run->stop_deadline, sl_clock_monotonic_ms() + STOP_MS,
		give_up_stopping, run);
	if (run->n_running == 0)
		sl_run_go_on(run);
}

/* Whom nobody can tell to stop needs no wait: what came of it is not known. */
static void give_up_unreachable(struct sl_run *run, struct sl_part *part)
{
	char why[300];

	/* One whose turn hasn't come has nobody to be told. */
	if (!sl_part_job(part)->begun || sl_part_is_up(part) || sl_part_is_local(part))
		return;
	snprintf(why, sizeof(why), "%.200s is out of reach", sl_part_job(part)->target);
	if (sl_part_job(part)->begun)
		run->n_running--;
	sl_part_end(part, sl_part_was_sent(part) ? SL_VERDICT_UNKNOWN : SL_VERDICT_UNREACHABLE,
		why);
}

void sl_run_on_deadline(void *ctx)
{
	struct sl_run *run = ctx;
	char reason[80], limit[40];

	snprintf(reason, sizeof(reason), "the run's time was up after %s",
		sl_duration_format(run->timeout_ms, limit, sizeof(limit)));
	sl_run_each_open(run, give_up_unreachable);
	sl_run_stop(run, SL_VERDICT_TIMEOUT, reason);
}

static bool has_remote_jobs(const struct sl_run *run)
{
	for (size_t s = 0; s < run->plan->n_steps; s++)
		for (size_t i = 0; i < sl_stage_n_parts(run->stages[s]); i++) {
			const struct sl_part *part = sl_stage_part(run->stages[s], i);

			if (!sl_part_job(part)->over && !sl_part_is_local(part) &&
				sl_part_was_sent(part))
				return true;
		}
	return false;
}

static void on_interrupt(struct sl_run *run)
{
	if (run->phase == SL_RUN_RUNNING && has_remote_jobs(run)) {
		run->phase = SL_RUN_ASKED;
		sl_render_say(run->env.render,
			"leaving the jobs to their agents; press Ctrl-C again "
			"within 2 seconds to stop them instead");
		sl_loop_set(run->env.loop, &run->leave, sl_clock_monotonic_ms() + DETACH_MS,
			sl_run_leave, run);
	} else if (run->phase == SL_RUN_STOPPING) {
		give_up_stopping(run);
	} else {
		sl_render_say(run->env.render, "stopping");
		sl_run_stop(run, SL_VERDICT_CANCELLED, "somebody pressed Ctrl-C");
	}
}

void sl_run_on_signal(void *ctx, int number)
{
	struct sl_run *run = ctx;

	if (run->phase == SL_RUN_OVER)
		return;
	if (number == SIGINT)
		on_interrupt(run);
	else if (number == SIGHUP)
		sl_run_leave(run);
	else if (run->phase != SL_RUN_STOPPING)
		sl_run_stop(run, SL_VERDICT_CANCELLED, "sloth was told to end (SIGTERM)");
}
