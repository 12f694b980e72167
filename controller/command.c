/* SPDX-License-Identifier: MIT */
#include "controller/command.h"

#include <stdio.h>

#include "common/buffer.h"
#include "common/error.h"
#include "controller/job_list.h"
#include "controller/outcome.h"
#include "controller/printable.h"
#include "controller/report.h"
#include "controller/survey.h"
#include "controller/targets.h"

static void show_help(const struct sl_command *command, const struct sl_flag *own,
	const struct sl_flag *common)
{
	printf("%s\n\nUsage: sloth %s%s%s\n\n", command->summary, command->name,
		*command->usage ? " " : "", command->usage);
	sl_flags_print(own, stdout);
	sl_flags_print(common, stdout);
	printf("\nExample:\n%s", command->example);
}

int sl_command_begin(const struct sl_command *command, const struct sl_flag *own, int n_args,
	char **args, struct sl_options *options, struct sl_texts *operands)
{
	struct sl_flag common[SL_N_COMMON_FLAGS];
	struct sl_error err;

	sl_options_init(options);
	*operands = (struct sl_texts){0};
	sl_options_flags(options, command->flags, common);
	if (sl_flags_parse(own, common, n_args, args, operands, &err))
		return sl_command_fail(&err);
	sl_log_setup("sloth", (enum sl_log_level)options->log_level);
	if (!options->help)
		return -1;
	show_help(command, own, common);
	return SL_EXIT_OK;
}

void sl_command_end(struct sl_options *options, struct sl_texts *operands)
{
	sl_options_deinit(options);
	sl_texts_deinit(operands);
}

int sl_command_fail(const struct sl_error *err)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	/* File names and words of peers are in it; its own lines stay lines. */
	sl_printable(&text, sl_bytes_of(err->text), true);
	fprintf(stderr, "sloth: %.*s\n", (int)text.size, text.data ? text.data : "");
	sl_buffer_deinit(&text);
	return SL_EXIT_USAGE;
}

int sl_command_misused(const struct sl_command *command, const char *what)
{
	fprintf(stderr, "sloth: %s\nUsage: sloth %s%s%s\n(sloth %s --help says more)\n", what,
		command->name, *command->usage ? " " : "", command->usage, command->name);
	return SL_EXIT_USAGE;
}

/* The list borrows from *targets, which is the caller's to free. */
static int resolve(const char *text, const struct sl_options *options,
	struct sl_targets **targets, struct sl_target_list *out, struct sl_error *err)
{
	int rc = sl_options_targets(options, targets, err);

	return rc ? rc : sl_targets_resolve(*targets, text, out, err);
}

static int on_targets(const char *text, const struct sl_options *options,
	int (*fn)(const struct sl_target_list *targets, const struct sl_options *options))
{
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = NULL;
	struct sl_target_list list = {0};
	struct sl_error err;
	int rc = resolve(text, options, &targets, &list, &err);
	int status = rc ? sl_command_fail(&err) : fn(&list, options);

	sl_target_list_deinit(&list);
	return status;
}

int sl_command_on_targets(const struct sl_command *command, int n_args, char **args,
	const char *usual,
	int (*fn)(const struct sl_target_list *targets, const struct sl_options *options))
{
	struct sl_texts operands;
	struct sl_options options;
	int status = sl_command_begin(command, NULL, n_args, args, &options, &operands);

	if (status < 0 && (operands.n > 1 || (operands.n == 0 && !usual)))
		status = sl_command_misused(
			command, "targets are wanted, with commas between several");
	if (status < 0)
		status = on_targets(operands.n ? operands.items[0] : usual, &options, fn);
	sl_command_end(&options, &operands);
	return status;
}

/* Finds the job that begins with @prefix. */
static int find_job(const struct sl_target_list *target, const char *prefix,
	const struct sl_options *options, struct sl_job_found *out, enum sl_exit *out_status,
	struct sl_error *err)
{
	*out_status = SL_EXIT_USAGE;
	if (target->n != 1)
		return sl_fail(err, SL_EINVALID, "%zu agents are meant: name one", target->n);
	return sl_job_list_find(target, options, prefix, out, out_status, err);
}

int sl_command_on_job(const struct sl_command *command, const struct sl_flag *own, int n_args,
	char **args,
	int (*fn)(void *ctx, struct sl_target_list *target, const struct sl_job_found *job,
		const struct sl_options *options),
	void *ctx)
{
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = NULL;
	enum sl_exit why = SL_EXIT_USAGE;
	struct sl_target_list list = {0};
	struct sl_job_found job = {0};
	struct sl_texts operands;
	struct sl_options options;
	struct sl_error err;
	int status = sl_command_begin(command, own, n_args, args, &options, &operands), rc;

	if (status < 0 && operands.n != 2)
		status = sl_command_misused(command, "an agent and a job are wanted");
	if (status < 0) {
		rc = resolve(operands.items[0], &options, &targets, &list, &err);
		if (!rc)
			rc = find_job(&list, operands.items[1], &options, &job, &why, &err);
		if (rc)
			sl_command_fail(&err);
		status = rc ? (int)why : fn(ctx, &list, &job, &options);
	}
	sl_target_list_deinit(&list);
	sl_command_end(&options, &operands);
	return status;
}

int sl_command_survey(const struct sl_survey *survey, struct sl_report *report, bool quiet)
{
	enum sl_exit status = SL_EXIT_USAGE;
	struct sl_error err;
	int rc = report ? sl_survey_run(survey, &status, &err)
	                : sl_fail(&err, SL_ENOMEM, "out of memory");

	if (rc)
		return sl_command_fail(&err);
	if (!quiet || status)
		sl_report_print(report, survey->options);
	return status;
}
