/* SPDX-License-Identifier: MIT */

/*
 * How a workflow becomes a plan.
 */

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/nearest.h"
#include "controller/plan.h"
#include "lua/workflow/workflow.h"
#include "proto/limits.h"
#include "proto/task_msg.h"

/* Each -t must be a task. */
static int check_choice(
	const struct sl_workflow *workflow, const struct sl_texts *tasks, struct sl_error *err)
{
	size_t n = sl_workflow_n_tasks(workflow);
	const char **names = calloc(n + 1, sizeof(*names));
	int rc = names ? 0 : sl_fail(err, SL_ENOMEM, "out of memory");

	for (size_t i = 0; names && i < n; i++)
		names[i] = sl_workflow_task(workflow, i)->name;
	for (size_t i = 0; !rc && i < tasks->n; i++) {
		const char *nearest;
		size_t k = 0;

		while (k < n && strcmp(names[k], tasks->items[i]) != 0)
			k++;
		if (k < n)
			continue;
		nearest = sl_nearest(tasks->items[i], names);
		rc = sl_fail(err, SL_ENOT_FOUND, "no task is called '%.80s'%s%.80s%s",
			tasks->items[i], nearest ? "; did you mean '" : "",
			nearest ? nearest : "", nearest ? "'?" : "");
	}
	free(names);
	return rc;
}

static int find_targets(struct sl_step *step, const struct sl_workflow_task *task,
	const struct sl_texts *instead, struct sl_targets *targets, struct sl_error *err)
{
	const char *const *texts = instead->n ? instead->items : task->targets;
	size_t n = instead->n ? instead->n : task->n_targets;
	struct sl_error why;
	int rc = 0;

	if (n == 0)
		return sl_targets_resolve(targets, SL_TARGET_LOCAL, &step->targets, err);
	for (size_t i = 0; !rc && i < n; i++)
		rc = sl_targets_resolve(targets, texts[i], &step->targets, &why);
	if (rc && instead->n)
		return sl_fail(err, rc, "%s", why.text);
	if (rc)
		return sl_fail(err, rc, "%s:%d: task '%.80s': %.380s", task->file, task->line,
			task->name, why.text);
	return 0;
}

static int copy_depends_on(struct sl_step *step, const size_t *step_of, struct sl_error *err)
{
	const struct sl_workflow_task *task = step->of;

	step->depends_on = calloc(task->n_depends_on + 1, sizeof(*step->depends_on));
	if (!step->depends_on)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	for (size_t i = 0; i < task->n_depends_on; i++)
		step->depends_on[step->n_depends_on++] = step_of[task->depends_on[i]];
	return 0;
}

/* What is too large to be sent is found before anything runs; deps are yet to come. */
static int check_size(
	const struct sl_step *step, const struct sl_workflow_task *task, struct sl_error *err)
{
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_error why;
	int rc = sl_task_encode(&step->task, &bytes, &why);

	sl_buffer_deinit(&bytes);
	if (rc)
		return sl_fail(err, rc,
			"%s:%d: task '%.80s': %.200s: it captures too much, or its params do",
			task->file, task->line, task->name, why.text);
	return 0;
}

/* @step_of: where in the plan each task before this one is. */
static int add_step(struct sl_plan *plan, size_t number, const size_t *step_of,
	const struct sl_texts *instead, struct sl_error *err)
{
	const struct sl_workflow_task *task = sl_workflow_task(plan->workflow, number);
	struct sl_step *step = sl_plan_add(plan, task->name);
	int rc = 0;

	if (!step)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	step->of = task;
	step->number = number;
	if (!task->late_targets || instead->n)
		rc = find_targets(step, task, instead, plan->inventory, err);
	if (!rc)
		rc = copy_depends_on(step, step_of, err);
	if (rc)
		return rc;
	step->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!step->parcel)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = sl_workflow_pack(plan->workflow, number, step->parcel, &step->task, err);
	return rc ? rc : check_size(step, task, err);
}

/* Marks task @i and all that it depends on, which stand before it. */
static void choose(const struct sl_workflow *workflow, size_t i, bool *chosen)
{
	const struct sl_workflow_task *task = sl_workflow_task(workflow, i);

	if (chosen[i])
		return;
	chosen[i] = true;
	for (size_t k = 0; k < task->n_depends_on; k++)
		choose(workflow, task->depends_on[k], chosen);
}

static int add_steps(struct sl_plan *plan, const struct sl_plan_choice *choice, bool *chosen,
	size_t *step_of, struct sl_error *err)
{
	size_t n = sl_workflow_n_tasks(plan->workflow);
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		const char *name = sl_workflow_task(plan->workflow, i)->name;
		bool wanted = choice->tasks->n == 0;

		for (size_t k = 0; k < choice->tasks->n; k++)
			wanted |= strcmp(choice->tasks->items[k], name) == 0;
		if (wanted)
			choose(plan->workflow, i, chosen);
	}
	for (size_t i = 0; !rc && i < n; i++) {
		step_of[i] = plan->n_steps;
		if (chosen[i])
			rc = add_step(plan, i, step_of, choice->targets, err);
	}
	return rc;
}

int sl_plan_workflow(struct sl_plan *plan, struct sl_workflow *workflow,
	const struct sl_plan_choice *choice, struct sl_targets *targets, struct sl_error *err)
{
	size_t n = sl_workflow_n_tasks(workflow);
	int rc = check_choice(workflow, choice->tasks, err);
	size_t *step_of = calloc(n + 1, sizeof(*step_of));
	bool *chosen = calloc(n + 1, sizeof(*chosen));

	plan->workflow = workflow;
	plan->name = sl_workflow_name(workflow);
	plan->inventory = targets;
	plan->config = sl_workflow_config(workflow);
	if (!rc && (!step_of || !chosen))
		rc = sl_fail(err, SL_ENOMEM, "out of memory");
	if (!rc)
		rc = add_steps(plan, choice, chosen, step_of, err);
	free(step_of);
	free(chosen);
	return rc;
}
