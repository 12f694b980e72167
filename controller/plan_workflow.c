/* SPDX-License-Identifier: MIT */

/*
 * How a workflow becomes a plan.
 */

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/nearest.h"
#include "controller/plan.h"
#include "lua/workflow.h"
#include "proto/limits.h"

static bool is_chosen(const struct sl_texts *tasks, const char *name)
{
	for (size_t i = 0; i < tasks->n; i++)
		if (strcmp(tasks->items[i], name) == 0)
			return true;
	return tasks->n == 0;
}

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
		return sl_fail(err, rc, "task '%.80s': %.380s", task->name, why.text);
	return 0;
}

static int add_step(struct sl_plan *plan, struct sl_workflow *workflow, size_t i,
	const struct sl_texts *instead, struct sl_targets *targets, struct sl_error *err)
{
	const struct sl_workflow_task *task = sl_workflow_task(workflow, i);
	struct sl_step *step = sl_plan_add(plan, task->name);
	int rc;

	if (!step)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = find_targets(step, task, instead, targets, err);
	if (rc)
		return rc;
	step->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!step->parcel)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	return sl_workflow_pack(workflow, i, step->parcel, &step->task, err);
}

int sl_plan_workflow(struct sl_plan *plan, struct sl_workflow *workflow,
	const struct sl_plan_choice *choice, struct sl_targets *targets, struct sl_error *err)
{
	int rc = check_choice(workflow, choice->tasks, err);

	plan->workflow = sl_workflow_name(workflow);
	plan->timeout_ms = sl_workflow_timeout_ms(workflow);
	for (size_t i = 0; !rc && i < sl_workflow_n_tasks(workflow); i++)
		if (is_chosen(choice->tasks, sl_workflow_task(workflow, i)->name))
			rc = add_step(plan, workflow, i, choice->targets, targets, err);
	return rc;
}
