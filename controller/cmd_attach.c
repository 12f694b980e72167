/* SPDX-License-Identifier: MIT */

/*
 * sloth attach: watches a job that an agent has.
 */

#include <stdio.h>

#include "common/error.h"
#include "controller/command.h"
#include "controller/job.h"
#include "controller/job_list.h"
#include "controller/plan.h"
#include "controller/run.h"

static int watch(void *ctx, struct sl_target_list *target, const struct sl_job_found *job,
	const struct sl_options *options)
{
	const uint64_t *after = ctx;
	enum sl_exit status = SL_EXIT_USAGE;
	struct sl_plan plan = {.name = ""};
	struct sl_error err;
	struct sl_step *step = sl_plan_add(&plan, job->name[0] ? job->name : "job");
	int rc = step ? 0 : sl_fail(&err, SL_ENOMEM, "out of memory");

	if (!rc) {
		step->targets = *target;
		*target = (struct sl_target_list){0};
		step->attach = true;
		step->job = job->id;
		step->after = *after;
		rc = sl_run(&plan, options, &status, &err);
	}
	if (rc)
		status = (enum sl_exit)sl_command_fail(&err);
	sl_plan_deinit(&plan);
	return status;
}

static int cmd_attach(const struct sl_command *command, int n_args, char **args)
{
	uint64_t after = 0;
	const struct sl_flag own[] = {
		{"after", 0, "N", "begin behind event number N (0: what the agent still has)",
			SL_FLAG_NUMBER, &after, NULL},
		{NULL, 0, NULL, NULL, SL_FLAG_SWITCH, NULL, NULL},
	};

	return sl_command_on_job(command, own, n_args, args, watch, &after);
}

const struct sl_command sl_cmd_attach = {
	.name = "attach",
	.usage = "TARGET JOB [--after N]",
	.summary = "watch a job that an agent has; the beginning of its id will do",
	.example = "  sloth attach web-01 7f3a\n",
	.flags = SL_FLAGS_RUN,
	.run = cmd_attach,
};
