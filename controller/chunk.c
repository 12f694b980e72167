/* SPDX-License-Identifier: MIT */
#include "controller/chunk.h"

#include "common/error.h"
#include "controller/command.h"
#include "controller/plan.h"
#include "controller/run.h"
#include "lua/workflow/workflow.h"
#include "proto/limits.h"

static int make_plan(struct sl_plan *plan, const char *where, const char *name,
	const char *chunk, const char *file, struct sl_targets *targets, struct sl_error *err)
{
	struct sl_step *step = sl_plan_add(plan, name);
	int rc;

	plan->name = "";
	if (!step)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = sl_targets_resolve(targets, where, &step->targets, err);
	if (rc)
		return rc;
	step->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!step->parcel)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	return sl_workflow_pack_chunk(chunk, file, name, step->parcel, &step->task, err);
}

int sl_chunk_run(const char *where, const char *name, const char *chunk, const char *file,
	const struct sl_options *options)
{
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = NULL;
	enum sl_exit status = SL_EXIT_USAGE;
	struct sl_plan plan = {0};
	struct sl_error err;
	int rc = sl_options_targets(options, &targets, &err);

	if (!rc)
		rc = make_plan(&plan, where, name, chunk, file, targets, &err);
	if (!rc)
		rc = sl_run(&plan, options, &status, &err);
	if (rc)
		status = (enum sl_exit)sl_command_fail(&err);
	sl_plan_deinit(&plan);
	return status;
}
