/* SPDX-License-Identifier: MIT */
#include "controller/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/error.h"
#include "controller/fleet.h"
#include "controller/loop.h"
#include "controller/options.h"
#include "controller/plan.h"
#include "controller/remote.h"
#include "controller/render.h"
#include "controller/run_inside.h"
#include "proto/identity.h"
#include "proto/limits.h"

/* Jobs at once: each has a request waiting at its agent, which reads no more than
 * SL_MAX_REQUESTS_PER_CONNECTION of them; some are left for cancelling. */
#define MAX_PARALLEL 200

static void begin_part(struct sl_run *run, struct sl_part *part)
{
	struct sl_error err;

	if (sl_part_is_local(part) && sl_fleet_start_local(run->env.fleet, &err)) {
		sl_part_end(part, SL_VERDICT_UNREACHABLE, err.text);
		sl_stage_part_over(sl_part_owner(part));
		return;
	}
	if (sl_part_is_local(part) && run->local_died) {
		sl_part_end(part, SL_VERDICT_UNREACHABLE, "the agent of this run is gone");
		sl_stage_part_over(sl_part_owner(part));
		return;
	}
	run->n_running++;
	sl_part_begin(part);
}

/* Begins what may run now. Returns false when nothing changed. */
static bool begin_some(struct sl_run *run)
{
	bool changed = false;

	for (size_t s = 0; s < run->plan->n_steps; s++) {
		struct sl_stage *stage = run->stages[s];

		if (sl_stage_is_due(stage)) {
			changed = true;
			if (sl_stage_begin(stage) == SL_STAGE_ABORT) {
				char why[200];

				snprintf(why, sizeof(why), "abort_if of task '%.100s'",
					sl_stage_name(stage));
				sl_run_stop(run, SL_VERDICT_STOPPED, why);
				return false;
			}
		}
		for (size_t i = 0; i < sl_stage_n_parts(stage); i++) {
			struct sl_part *part = sl_stage_part(stage, i);

			if (sl_part_job(part)->begun || sl_part_job(part)->over ||
				run->n_running >= run->max_parallel)
				continue;
			changed = true;
			begin_part(run, part);
		}
	}
	return changed;
}

/* Whether a task failed and that ends the run. */
static const struct sl_stage *failed_fast(const struct sl_run *run)
{
	for (size_t s = 0; run->plan->config.fail_fast && s < run->plan->n_steps; s++)
		if (sl_stage_phase(run->stages[s]) == SL_STAGE_FAILED)
			return run->stages[s];
	return NULL;
}

void sl_run_go_on(struct sl_run *run)
{
	const struct sl_stage *failed;
	char why[200];

	while (run->phase == SL_RUN_RUNNING || run->phase == SL_RUN_ASKED) {
		failed = failed_fast(run);
		if (failed) {
			snprintf(why, sizeof(why), "task '%.100s' failed, and fail_fast is set",
				sl_stage_name(failed));
			sl_run_stop(run, SL_VERDICT_STOPPED, why);
			return;
		}
		if (!begin_some(run))
			break;
	}
	if (run->n_running == 0 && run->phase != SL_RUN_OVER)
		sl_run_finish(run);
}

static void on_over(void *ctx, struct sl_part *part)
{
	struct sl_run *run = ctx;

	run->n_running--;
	sl_stage_part_over(sl_part_owner(part));
	sl_run_go_on(run);
}

static void on_note(void *ctx, const char *target, const char *text)
{
	struct sl_run *run = ctx;

	sl_render_note(run->env.render, target, text);
	sl_render_flush(run->env.render);
}

static void local_ready_one(struct sl_run *run, struct sl_part *part)
{
	(void)run;
	if (sl_part_is_local(part))
		sl_part_local_ready(part);
}

static void on_local_ready(void *ctx)
{
	sl_run_each_open(ctx, local_ready_one);
}

static void on_local_died(void *ctx, const char *why)
{
	struct sl_run *run = ctx;

	run->local_died = true;
	for (size_t s = 0; s < run->plan->n_steps; s++)
		for (size_t i = 0; i < sl_stage_n_parts(run->stages[s]); i++) {
			struct sl_part *part = sl_stage_part(run->stages[s], i);

			if (!sl_part_is_local(part) || sl_part_job(part)->over ||
				!sl_part_job(part)->begun)
				continue;
			run->n_running--;
			sl_part_end(part,
				sl_part_was_sent(part) ? SL_VERDICT_LOST
						       : SL_VERDICT_UNREACHABLE,
				why);
			sl_stage_part_over(run->stages[s]);
		}
	sl_run_go_on(run);
}

static int make_stages(struct sl_run *run, struct sl_error *err)
{
	size_t n = run->plan->n_steps;

	run->stages = calloc(n ? n : 1, sizeof(struct sl_stage *));
	for (size_t s = 0; run->stages && s < n; s++) {
		run->stages[s] = sl_stage_new(&run->env, &run->plan->steps[s], run->stages);
		if (!run->stages[s])
			return sl_fail(err, SL_ENOMEM, "out of memory");
	}
	return run->stages ? 0 : sl_fail(err, SL_ENOMEM, "out of memory");
}

static bool needs_local(const struct sl_plan *plan)
{
	for (size_t s = 0; s < plan->n_steps; s++)
		for (size_t t = 0; t < plan->steps[s].targets.n; t++)
			if (!plan->steps[s].targets.items[t].address)
				return true;
	return false;
}

static int prepare(struct sl_run *run, struct sl_error *err)
{
	static const struct sl_fleet_ops ops = {
		.note = on_note, .local_ready = on_local_ready, .local_died = on_local_died};
	uint64_t random;
	int rc = make_stages(run, err);

	sl_random(&random, sizeof(random));
	snprintf(run->env.run_id, sizeof(run->env.run_id), "%016llx",
		(unsigned long long)random);
	run->env.plan = run->plan;
	run->env.over = on_over;
	run->env.unread = sl_run_on_unread;
	run->env.ctx = run;
	run->max_parallel = run->plan->config.max_parallel;
	if (!run->max_parallel || run->max_parallel > MAX_PARALLEL)
		run->max_parallel = MAX_PARALLEL;
	run->env.render = sl_render_new(run->options, sl_plan_host_width(run->plan));
	if (!rc && !run->env.render)
		rc = sl_fail(err, SL_ENOMEM, "out of memory");
	if (!rc)
		rc = sl_loop_new(&sl_remote_endpoint_ops, &run->env.loop, err);
	if (!rc)
		rc = sl_fleet_new(run->env.loop, run->options, &ops, run, &run->env.fleet, err);
	/* What it takes to start is known before anything runs. */
	if (!rc && needs_local(run->plan))
		rc = sl_fleet_start_local(run->env.fleet, err);
	return rc;
}

/* What bounds the run: the flag, the workflow, or the shorter of both. */
static void set_deadline(struct sl_run *run)
{
	int64_t flag = run->options->timeout_ms, file = run->plan->config.timeout_ms;

	run->timeout_ms = flag && file ? (flag < file ? flag : file) : flag + file;
	run->begun_ms = sl_clock_monotonic_ms();
	if (run->timeout_ms)
		sl_loop_set(run->env.loop, &run->deadline, run->begun_ms + run->timeout_ms,
			sl_run_on_deadline, run);
}

static void on_tick(void *ctx)
{
	struct sl_run *run = ctx;

	sl_render_flush(run->env.render);
	sl_loop_set(run->env.loop, &run->tick, sl_clock_monotonic_ms() + SL_RENDER_TICK_MS,
		on_tick, run);
}

static void start(void *ctx)
{
	struct sl_run *run = ctx;

	if (sl_render_ticks(run->env.render))
		on_tick(run);
	sl_run_go_on(run);
}

static void clean_up(struct sl_run *run)
{
	for (size_t s = 0; run->stages && s < run->plan->n_steps; s++)
		sl_stage_free(run->stages[s]);
	sl_fleet_free(run->env.fleet);
	sl_loop_free(run->env.loop);
	sl_render_free(run->env.render);
	free(run->stages);
}

static struct sl_value string_of(const char *text)
{
	return (struct sl_value){.kind = SL_VALUE_STRING, .string = sl_bytes_of(text)};
}

/* { success =, outputs = } */
static bool add_result(
	struct sl_parcel *parcel, const struct sl_stage *stage, struct sl_pair *out)
{
	bool succeeded = sl_stage_phase(stage) == SL_STAGE_SUCCEEDED;
	struct sl_value outputs = sl_stage_outputs(stage);
	struct sl_table *table = sl_parcel_alloc(parcel, sizeof(*table));

	if (table)
		table->pairs = sl_parcel_array(parcel, 2, sizeof(*table->pairs));
	if (!table || !table->pairs)
		return false;
	table->pairs[table->n_pairs++] = (struct sl_pair){
		string_of("success"), {.kind = SL_VALUE_BOOLEAN, .boolean = succeeded}};
	if (outputs.kind != SL_VALUE_NIL)
		table->pairs[table->n_pairs++] =
			(struct sl_pair){string_of("outputs"), outputs};
	*out = (struct sl_pair){
		string_of(sl_stage_name(stage)), {.kind = SL_VALUE_TABLE, .table = table}};
	return true;
}

/* Tells the workflow's on_complete, unless jobs were left to their agents: it isn't over then.
 */
static void tell_complete(struct sl_run *run)
{
	struct sl_parcel *parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	size_t n = run->plan->n_steps;
	struct sl_table table = {0};
	struct sl_value results = {.kind = SL_VALUE_TABLE, .table = &table};
	struct sl_error err;
	bool ok = sl_outcome_exit(&run->env.outcome) == SL_EXIT_OK;
	char text[560];
	int rc = 0;

	sl_render_clear(run->env.render); /* it may print */

	if (parcel)
		table.pairs = sl_parcel_array(parcel, n, sizeof(*table.pairs));
	while (table.pairs && table.n_pairs < n &&
		add_result(parcel, run->stages[table.n_pairs], &table.pairs[table.n_pairs]))
		table.n_pairs++;
	if (table.n_pairs < n)
		rc = sl_fail(&err, SL_ENOMEM, "out of memory");
	if (!rc)
		rc = sl_workflow_tell_complete(run->plan->workflow, ok, &results, &err);
	if (rc) {
		snprintf(text, sizeof(text), "workflow '%.80s': %.450s", run->plan->name,
			err.text);
		sl_render_say(run->env.render, text);
		run->env.outcome.hook_failed = true;
	}
	sl_parcel_free(parcel);
}

static int show_summary(struct sl_run *run, struct sl_error *err)
{
	struct sl_render_run summary = {
		.id = run->env.run_id,
		.workflow = run->plan->name,
		.duration_ms = sl_clock_monotonic_ms() - run->begun_ms,
		.outcome = run->env.outcome,
	};
	const struct sl_job **jobs;
	size_t n = 0;

	for (size_t s = 0; s < run->plan->n_steps; s++)
		n += sl_stage_n_parts(run->stages[s]);
	jobs = calloc(n ? n : 1, sizeof(const struct sl_job *));
	if (!jobs)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	for (size_t s = 0; s < run->plan->n_steps; s++)
		for (size_t i = 0; i < sl_stage_n_parts(run->stages[s]); i++)
			jobs[summary.n_jobs++] = sl_part_job(sl_stage_part(run->stages[s], i));
	summary.jobs = jobs;
	sl_render_finish(run->env.render, &summary);
	free(jobs);
	return 0;
}

int sl_run(const struct sl_plan *plan, const struct sl_options *options, enum sl_exit *out,
	struct sl_error *err)
{
	struct sl_run run = {.plan = plan, .options = options};
	int rc;

	/* A reader of stdout who leaves must not end us: private agents are to be ended. */
	signal(SIGPIPE, SIG_IGN);
	rc = prepare(&run, err);
	if (!rc) {
		sl_loop_on_signal(run.env.loop, sl_run_on_signal, &run);
		set_deadline(&run);
		sl_loop_set(run.env.loop, &run.next, run.begun_ms, start, &run);
		sl_loop_run(run.env.loop);
		if (plan->workflow && !run.env.outcome.n[SL_VERDICT_DETACHED])
			tell_complete(&run);
		rc = show_summary(&run, err);
		*out = sl_outcome_exit(&run.env.outcome);
		if (*out == SL_EXIT_OK && sl_render_lost(run.env.render))
			*out = SL_EXIT_FAILED;
	}
	clean_up(&run);
	return rc;
}
