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

static int watch(struct sl_target_list *list, const struct sl_job_found *job, uint64_t after,
	const struct sl_options *options)
{
	enum sl_exit status = SL_EXIT_USAGE;
	struct sl_plan plan = {.name = ""};
	struct sl_error err;
	struct sl_step *step = sl_plan_add(&plan, job->name[0] ? job->name : "job");
	int rc = step ? 0 : sl_fail(&err, SL_ENOMEM, "out of memory");

	if (!rc) {
		step->targets = *list;
		*list = (struct sl_target_list){0};
		step->attach = true;
		step->job = job->id;
		step->after = after;
		rc = sl_run(&plan, options, &status, &err);
	}
	if (rc)
		status = (enum sl_exit)sl_command_fail(&err);
	sl_plan_deinit(&plan);
	return status;
}

static int find_and_watch(const char *target, const char *prefix, uint64_t after,
	const struct sl_options *options)
{
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = NULL;
	struct sl_target_list list = {0};
	enum sl_exit status = SL_EXIT_USAGE;
	struct sl_job_found job = {0};
	struct sl_error err;
	int rc = sl_options_targets(options, &targets, &err);

	if (!rc)
		rc = sl_targets_resolve(targets, target, &list, &err);
	if (!rc && list.n != 1)
		rc = sl_fail(
			&err, SL_EINVALID, "'%.80s' is %zu agents: name one", target, list.n);
	if (!rc)
		rc = sl_job_list_find(&list, options, prefix, &job, &status, &err);
	if (rc)
		sl_command_fail(&err);
	else
		status = (enum sl_exit)watch(&list, &job, after, options);
	sl_target_list_deinit(&list);
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
	struct sl_texts operands;
	struct sl_options options;
	int status = sl_command_begin(command, own, n_args, args, &options, &operands);

	if (status < 0 && operands.n != 2)
		status = sl_command_misused(command, "an agent and a job are wanted");
	if (status < 0)
		status = find_and_watch(operands.items[0], operands.items[1], after, &options);
	sl_command_end(&options, &operands);
	return status;
}

const struct sl_command sl_cmd_attach = {
	.name = "attach",
	.usage = "TARGET JOB [--after N]",
	.summary = "watch a job that an agent has; the beginning of its id will do",
	.example = "  sloth attach web-01 7f3a\n",
	.flags = SL_FLAGS_RUN,
	.run = cmd_attach,
};
