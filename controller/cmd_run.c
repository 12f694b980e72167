/* SPDX-License-Identifier: MIT */

/*
 * sloth run: a workflow file. sloth check: all of it but the running.
 */

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "controller/command.h"
#include "controller/plan.h"
#include "controller/run.h"
#include "controller/values_file.h"
#include "lua/workflow/workflow.h"
#include "proto/limits.h"

struct wishes {
	const char *workflow;
	struct sl_texts tasks, targets, params;
	const char *values;
	bool dry; /* show the plan, run nothing */
};

static int read_params(const struct sl_texts *texts, struct sl_parcel *parcel,
	struct sl_workflow_args *args, struct sl_error *err)
{
	struct sl_pair *pairs = sl_parcel_array(parcel, texts->n, sizeof(*pairs));

	if (!pairs)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	for (size_t i = 0; i < texts->n; i++) {
		const char *equals = strchr(texts->items[i], '=');

		if (!equals || equals == texts->items[i])
			return sl_fail(err, SL_EINVALID, "--param '%.80s' is not KEY=VALUE",
				texts->items[i]);
		pairs[i].key.kind = pairs[i].value.kind = SL_VALUE_STRING;
		pairs[i].key.string =
			(struct sl_bytes){texts->items[i], (size_t)(equals - texts->items[i])};
		pairs[i].value.string = sl_bytes_of(equals + 1);
	}
	args->params = pairs;
	args->n_params = texts->n;
	return 0;
}

static int load(const char *file, const struct wishes *wishes, struct sl_parcel *parcel,
	struct sl_workflow **out, struct sl_error *err)
{
	struct sl_workflow_args args = {.select = wishes->workflow, .words = SL_PLAN_WORDS};
	int rc = read_params(&wishes->params, parcel, &args, err);

	if (!rc && wishes->values)
		rc = sl_values_file_read(wishes->values, parcel, &args.values, err);
	return rc ? rc : sl_workflow_load(file, &args, out, err);
}

static int run_file(
	const char *file, const struct wishes *wishes, const struct sl_options *options)
{
	sl_cleanup(sl_parcel_freep) struct sl_parcel *parcel =
		sl_parcel_new(SL_MAX_PARCEL_BYTES);
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = NULL;
	struct sl_plan_choice choice = {&wishes->tasks, &wishes->targets};
	struct sl_workflow *workflow = NULL;
	enum sl_exit status = SL_EXIT_USAGE;
	struct sl_plan plan = {0};
	struct sl_error err;
	int rc = parcel ? 0 : sl_fail(&err, SL_ENOMEM, "out of memory");

	if (!rc)
		rc = sl_options_targets(options, &targets, &err);
	if (!rc)
		rc = load(file, wishes, parcel, &workflow, &err);
	if (!rc)
		rc = sl_plan_workflow(&plan, workflow, &choice, targets, &err);
	if (!rc && wishes->dry) {
		if (!options->quiet)
			sl_plan_show(&plan, options);
		status = SL_EXIT_OK;
	} else if (!rc) {
		rc = sl_run(&plan, options, &status, &err);
	}
	if (rc)
		status = (enum sl_exit)sl_command_fail(&err);
	sl_plan_deinit(&plan);
	sl_workflow_free(workflow);
	return status;
}

static int run_or_check(const struct sl_command *command, int n_args, char **args, bool check)
{
	struct wishes wishes = {.dry = check};
	const struct sl_flag own[] = {
		{"workflow", 'w', "NAME", "the workflow, where the file has several",
			SL_FLAG_TEXT, &wishes.workflow, NULL},
		{"task", 't', "NAME", "this task and what it depends on; repeatable",
			SL_FLAG_LIST, &wishes.tasks, NULL},
		{"delegate-to", 'd', "TARGET",
			"run there instead of where the file says; repeatable", SL_FLAG_LIST,
			&wishes.targets, NULL},
		{"param", 'p', "KEY=VALUE", "for the tasks' params; repeatable", SL_FLAG_LIST,
			&wishes.params, NULL},
		{"values", 'v', "FILE", "YAML for the global `values`", SL_FLAG_TEXT,
			&wishes.values, NULL},
		/* The last one: a check is dry in any case. */
		{check ? NULL : "dry-run", 0, NULL, "show the plan, run nothing",
			SL_FLAG_SWITCH, &wishes.dry, NULL},
		{NULL, 0, NULL, NULL, SL_FLAG_SWITCH, NULL, NULL},
	};
	struct sl_texts operands;
	struct sl_options options;
	int status = sl_command_begin(command, own, n_args, args, &options, &operands);

	if (status < 0 && operands.n != 1)
		status = sl_command_misused(command, "one workflow file is wanted");
	if (status < 0)
		status = run_file(operands.items[0], &wishes, &options);
	sl_texts_deinit(&wishes.tasks);
	sl_texts_deinit(&wishes.targets);
	sl_texts_deinit(&wishes.params);
	sl_command_end(&options, &operands);
	return status;
}

static int cmd_run(const struct sl_command *command, int n_args, char **args)
{
	return run_or_check(command, n_args, args, false);
}

static int cmd_check(const struct sl_command *command, int n_args, char **args)
{
	return run_or_check(command, n_args, args, true);
}

const struct sl_command sl_cmd_run = {
	.name = "run",
	.usage = "FILE [-w WORKFLOW] [-t TASK]… [-d TARGET]… [-p KEY=VALUE]… [-v FILE]",
	.summary = "run the tasks of a workflow file",
	.example = "  sloth run deploy.sloth -a web-01=tcp://127.0.0.1:7117 -p version=1.4\n"
		   "  sloth run deploy.sloth -d @web -o jsonl | jq .message\n",
	.flags = SL_FLAGS_RUN,
	.run = cmd_run,
};

const struct sl_command sl_cmd_check = {
	.name = "check",
	.usage = "FILE [-w WORKFLOW] [-t TASK]… [-d TARGET]… [-p KEY=VALUE]… [-v FILE]",
	.summary = "check that a workflow file can run, and show its plan",
	.example = "  sloth check deploy.sloth -a web-01=tcp://127.0.0.1:7117\n",
	.flags = SL_FLAGS_QUIET | SL_FLAGS_AGENTS | SL_FLAGS_LOG,
	.run = cmd_check,
};
