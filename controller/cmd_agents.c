/* SPDX-License-Identifier: MIT */

/*
 * sloth agents: the inventory.
 */

#include "common/error.h"
#include "controller/command.h"
#include "controller/outcome.h"
#include "controller/report.h"
#include "controller/targets.h"

static const char *const keys[] = {"name", "address", "groups", NULL};

/* An empty list is an answer, and who sees one wants to know what to do about it. */
static void explain_none(struct sl_targets *targets)
{
	struct sl_target_list list = {0};
	struct sl_error err;

	if (sl_targets_resolve(targets, "@all", &list, &err) < 0)
		sl_command_fail(&err);
	sl_target_list_deinit(&list);
}

static int show(const struct sl_options *options)
{
	sl_cleanup(sl_report_freep) struct sl_report *report = sl_report_new("agents", keys);
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = NULL;
	struct sl_error err;

	if (sl_options_targets(options, &targets, &err))
		return sl_command_fail(&err);
	for (size_t i = 0; report && i < sl_targets_n(targets); i++) {
		struct sl_target target = sl_targets_at(targets, i);
		char groups[1000];

		sl_report_row(report, i);
		sl_report_text(report, "name", sl_bytes_of(target.name));
		sl_report_text(report, "address", sl_bytes_of(target.address));
		sl_targets_groups_of(targets, target.name, groups, sizeof(groups));
		sl_report_text(report, "groups", sl_bytes_of(groups));
	}
	if (report)
		sl_report_print(report, options);
	if (sl_targets_n(targets) == 0)
		explain_none(targets);
	return SL_EXIT_OK;
}

static int cmd_agents(const struct sl_command *command, int n_args, char **args)
{
	struct sl_texts operands;
	struct sl_options options;
	int status = sl_command_begin(command, NULL, n_args, args, &options, &operands);

	if (status < 0 && operands.n)
		status = sl_command_misused(command, "nothing is wanted behind it");
	if (status < 0)
		status = show(&options);
	sl_command_end(&options, &operands);
	return status;
}

const struct sl_command sl_cmd_agents = {
	.name = "agents",
	.usage = "",
	.summary = "list the agents that are known by name",
	.example = "  sloth agents -o json\n",
	.flags = SL_FLAGS_AGENTS,
	.run = cmd_agents,
};
