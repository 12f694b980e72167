/* SPDX-License-Identifier: MIT */
#include "controller/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "controller/render.h"
#include "proto/limits.h"

struct sl_stage {
	struct sl_part_env *env;
	const struct sl_step *step;
	struct sl_stage *const *others;
	enum sl_stage_phase phase;
	struct sl_target_list targets; /* known late; else the step's */
	struct sl_part **parts;
	size_t n_parts, n_over;
	struct sl_parcel
		*parcel;      /* owns the tables of @deps and @outputs, not what is in them */
	struct sl_value deps; /* by the names of tasks: what they came to */
	struct sl_value outputs; /* what this one came to */
};

/* What a part shows where the target is not known. */
static const struct sl_target no_target = {"-", NULL};

struct sl_stage *sl_stage_new(
	struct sl_part_env *env, const struct sl_step *step, struct sl_stage *const *others)
{
	struct sl_stage *stage = calloc(1, sizeof(*stage));

	if (!stage)
		return NULL;
	stage->env = env;
	stage->step = step;
	stage->others = others;
	stage->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!stage->parcel) {
		free(stage);
		return NULL;
	}
	return stage;
}

void sl_stage_free(struct sl_stage *stage)
{
	if (!stage)
		return;
	for (size_t i = 0; i < stage->n_parts; i++)
		sl_part_free(stage->parts[i]);
	free(stage->parts);
	sl_target_list_deinit(&stage->targets);
	sl_parcel_free(stage->parcel);
	free(stage);
}

enum sl_stage_phase sl_stage_phase(const struct sl_stage *stage)
{
	return stage->phase;
}

const char *sl_stage_name(const struct sl_stage *stage)
{
	return stage->step->name;
}

struct sl_value sl_stage_outputs(const struct sl_stage *stage)
{
	return stage->outputs;
}

size_t sl_stage_n_parts(const struct sl_stage *stage)
{
	return stage->n_parts;
}

struct sl_part *sl_stage_part(const struct sl_stage *stage, size_t i)
{
	return stage->parts[i];
}

static const struct sl_stage *dependency(const struct sl_stage *stage, size_t i)
{
	return stage->others[stage->step->depends_on[i]];
}

static bool is_over(const struct sl_stage *stage)
{
	return stage->phase == SL_STAGE_SUCCEEDED || stage->phase == SL_STAGE_FAILED;
}

bool sl_stage_is_due(const struct sl_stage *stage)
{
	for (size_t i = 0; i < stage->step->n_depends_on; i++)
		if (!is_over(dependency(stage, i)))
			return false;
	return stage->phase == SL_STAGE_WAITING;
}

static bool add_part(struct sl_stage *stage, const struct sl_target *target)
{
	struct sl_part *part =
		sl_part_new(stage->env, stage->step, target, &stage->deps, stage);

	if (!part)
		return false;
	stage->parts[stage->n_parts++] = part;
	return true;
}

/* A part for each of @targets. */
static bool add_parts(struct sl_stage *stage, const struct sl_target *targets, size_t n)
{
	stage->parts = calloc(n ? n : 1, sizeof(struct sl_part *));
	for (size_t i = 0; stage->parts && i < n; i++)
		if (!add_part(stage, &targets[i]))
			return false;
	return stage->parts != NULL;
}

void sl_stage_drop(struct sl_stage *stage, enum sl_verdict verdict, const char *why)
{
	const struct sl_target_list *list = &stage->step->targets;

	stage->phase = verdict == SL_VERDICT_SKIPPED ? SL_STAGE_SUCCEEDED : SL_STAGE_FAILED;
	if (!add_parts(stage, list->n ? list->items : &no_target, list->n ? list->n : 1))
		sl_log(SL_LOG_ERROR, "no memory to show task %s", stage->step->name);
	for (size_t i = 0; i < stage->n_parts; i++)
		sl_part_end(stage->parts[i], verdict, why);
	stage->n_over = stage->n_parts;
}

/* A table with the given pairs in the stage's own memory; nil when that ran out. */
static struct sl_value table_of(struct sl_stage *stage, struct sl_pair *pairs, size_t n)
{
	struct sl_table *table = sl_parcel_alloc(stage->parcel, sizeof(*table));

	if (!table)
		return (struct sl_value){0};
	table->pairs = pairs;
	table->n_pairs = n;
	return (struct sl_value){.kind = SL_VALUE_TABLE, .table = table};
}

/* { [name of task] = what it came to } */
static void gather_deps(struct sl_stage *stage)
{
	size_t n = stage->step->n_depends_on;
	struct sl_pair *pairs = sl_parcel_array(stage->parcel, n, sizeof(*pairs));
	size_t filled = 0;

	for (size_t i = 0; pairs && i < n; i++) {
		const struct sl_stage *other = dependency(stage, i);

		if (other->outputs.kind == SL_VALUE_NIL)
			continue;
		pairs[filled].key = (struct sl_value){
			.kind = SL_VALUE_STRING, .string = sl_bytes_of(other->step->name)};
		pairs[filled++].value = other->outputs;
	}
	if (pairs)
		stage->deps = table_of(stage, pairs, filled);
}

/* Outputs of the one target, or { [target] = outputs }; a table in any case. */
static void gather_outputs(struct sl_stage *stage)
{
	struct sl_pair *pairs = sl_parcel_array(stage->parcel, stage->n_parts, sizeof(*pairs));
	size_t filled = 0;

	for (size_t i = 0; pairs && i < stage->n_parts; i++) {
		const struct sl_job *job = sl_part_job(stage->parts[i]);

		if (!job->has_result || job->result.outputs.kind == SL_VALUE_NIL)
			continue;
		pairs[filled].key = (struct sl_value){
			.kind = SL_VALUE_STRING, .string = sl_bytes_of(job->target)};
		pairs[filled++].value = job->result.outputs;
	}
	if (pairs && stage->n_parts == 1 && filled == 1)
		stage->outputs = pairs[0].value;
	else if (pairs)
		stage->outputs = table_of(stage, pairs, filled);
}

static struct sl_workflow_context context_of(
	const struct sl_stage *stage, const struct sl_job *job)
{
	return (struct sl_workflow_context){
		.agent = job ? job->target : NULL,
		.attempt = job ? job->attempt : 0,
		.job = job && job->begun ? job->id_text : NULL,
		.params = stage->step->task.params,
		.deps = stage->deps,
	};
}

/* Asks run_if and abort_if. Returns true when the stage shall go on. */
static bool ask_conditions(struct sl_stage *stage, enum sl_stage_start *answer)
{
	struct sl_workflow_context context = context_of(stage, NULL);
	struct sl_workflow *workflow = stage->env->plan->workflow;
	bool run = true, abort = false;
	struct sl_error err;
	int rc =
		sl_workflow_ask_abort_if(workflow, stage->step->number, &context, &abort, &err);

	if (!rc && !abort)
		rc = sl_workflow_ask_run_if(
			workflow, stage->step->number, &context, &run, &err);
	if (rc) {
		sl_stage_drop(stage, SL_VERDICT_FAILED, err.text);
	} else if (abort) {
		sl_stage_drop(stage, SL_VERDICT_FAILED, "its abort_if stopped the run");
		*answer = SL_STAGE_ABORT;
	} else if (!run) {
		sl_stage_drop(stage, SL_VERDICT_SKIPPED, "its run_if said no");
	}
	return !rc && !abort && run;
}

static int find_late_targets(struct sl_stage *stage, struct sl_error *err)
{
	struct sl_workflow_context context = context_of(stage, NULL);
	const char *const *texts;
	size_t n = 0;
	int rc = sl_workflow_ask_targets(
		stage->env->plan->workflow, stage->step->number, &context, &texts, &n, err);

	for (size_t i = 0; !rc && i < n; i++)
		rc = sl_targets_resolve(
			stage->env->plan->inventory, texts[i], &stage->targets, err);
	if (!rc && n == 0)
		rc = sl_targets_resolve(
			stage->env->plan->inventory, SL_TARGET_LOCAL, &stage->targets, err);
	return rc;
}

/* The first of those it depends on that failed; NULL for none. */
static const struct sl_stage *failed_dependency(const struct sl_stage *stage)
{
	for (size_t i = 0; i < stage->step->n_depends_on; i++)
		if (dependency(stage, i)->phase == SL_STAGE_FAILED)
			return dependency(stage, i);
	return NULL;
}

static bool knows_targets_late(const struct sl_stage *stage)
{
	return stage->step->targets.n == 0 && stage->step->of && stage->step->of->late_targets;
}

enum sl_stage_start sl_stage_begin(struct sl_stage *stage)
{
	const struct sl_stage *failed = failed_dependency(stage);
	const struct sl_target_list *list = &stage->step->targets;
	enum sl_stage_start answer = SL_STAGE_STARTED;
	struct sl_error err;
	char why[200];

	if (failed) {
		snprintf(why, sizeof(why), "task '%.100s' has not succeeded",
			failed->step->name);
		sl_stage_drop(stage, SL_VERDICT_SKIPPED, why);
		/* Its own dependents must not think that it ran. */
		stage->phase = SL_STAGE_FAILED;
		return answer;
	}
	gather_deps(stage);
	if (stage->step->of && !ask_conditions(stage, &answer))
		return answer;
	if (knows_targets_late(stage)) {
		if (find_late_targets(stage, &err)) {
			sl_stage_drop(stage, SL_VERDICT_FAILED, err.text);
			return answer;
		}
		list = &stage->targets;
	}
	stage->phase = SL_STAGE_RUNNING;
	if (!add_parts(stage, list->items, list->n)) {
		sl_log(SL_LOG_ERROR, "no memory to run task %s", stage->step->name);
		stage->phase = SL_STAGE_FAILED;
		stage->env->outcome.hook_failed = true;
	}
	return answer;
}

/* The first part that is not done; NULL for none. */
static struct sl_part *first_bad(const struct sl_stage *stage, size_t *n_bad)
{
	struct sl_part *bad = NULL;

	*n_bad = 0;
	for (size_t i = 0; i < stage->n_parts; i++)
		if (sl_part_job(stage->parts[i])->verdict != SL_VERDICT_DONE) {
			bad = bad ? bad : stage->parts[i];
			++*n_bad;
		}
	return bad;
}

static void tell_workflow(struct sl_stage *stage, const struct sl_part *bad)
{
	const struct sl_job *job = bad ? sl_part_job(bad) : sl_part_job(stage->parts[0]);
	struct sl_workflow_context context = context_of(stage, job);
	enum sl_workflow_end end = SL_WORKFLOW_SUCCEEDED;
	struct sl_error err;
	char why[500];

	if (bad)
		end = job->verdict == SL_VERDICT_TIMEOUT ? SL_WORKFLOW_TIMED_OUT
		                                         : SL_WORKFLOW_FAILED;
	snprintf(why, sizeof(why), "%.*s",
		(int)(sl_job_message(job).size < 499 ? sl_job_message(job).size : 499),
		sl_job_message(job).data ? sl_job_message(job).data : "");
	sl_render_clear(stage->env->render); /* it may print */
	if (sl_workflow_tell(stage->env->plan->workflow, stage->step->number, end, &context,
		    &stage->outputs, why, &err) == 0)
		return;
	snprintf(why, sizeof(why), "task '%.80s': %.400s", stage->step->name, err.text);
	sl_render_say(stage->env->render, why);
	stage->env->outcome.hook_failed = true;
}

void sl_stage_part_over(struct sl_stage *stage)
{
	struct sl_part *bad;
	size_t n_bad;

	if (++stage->n_over < stage->n_parts)
		return;
	bad = first_bad(stage, &n_bad);
	if (bad && n_bad <= stage->env->plan->config.max_fail && !stage->env->stopping) {
		for (size_t i = 0; i < stage->n_parts; i++)
			if (sl_part_job(stage->parts[i])->verdict != SL_VERDICT_DONE)
				sl_part_allow(stage->parts[i]);
		bad = NULL;
	}
	stage->phase = bad ? SL_STAGE_FAILED : SL_STAGE_SUCCEEDED;
	gather_outputs(stage);
	/* Whoever stopped the run knows; its functions are about the task. */
	if (stage->step->of && !stage->env->stopping)
		tell_workflow(stage, bad);
}
