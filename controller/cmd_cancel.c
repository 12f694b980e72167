/* SPDX-License-Identifier: MIT */

/*
 * sloth cancel: stops a job.
 */

#include <stdio.h>

#include "common/error.h"
#include "controller/command.h"
#include "controller/job.h"
#include "controller/job_list.h"
#include "controller/report.h"

static const char *const keys[] = {"target", "job", "task", "state", "error", NULL};

struct cancel {
	struct sl_report *report;
	const char *target;
	const struct sl_job_found *job;
};

static void begin_row(struct cancel *cancel)
{
	char id[SL_JOB_ID_TEXT];

	sl_job_id_format(&cancel->job->id, id);
	sl_report_row(cancel->report, 0);
	sl_report_text(cancel->report, "target", sl_bytes_of(cancel->target));
	sl_report_text(cancel->report, "job", sl_bytes_of(id));
	sl_report_text(cancel->report, "task", sl_bytes_of(cancel->job->name));
}

static bool replied(void *ctx, size_t i, const struct sl_reply *reply, int64_t took_us,
	struct sl_request *request)
{
	struct cancel *cancel = ctx;

	(void)i;
	(void)took_us;
	(void)request;
	begin_row(cancel);
	if (reply->ok)
		sl_report_text(
			cancel->report, "state", sl_bytes_of(sl_state_name(reply->state)));
	else
		sl_report_text(cancel->report, "error", reply->msg);
	return false;
}

static void failed(void *ctx, size_t i, const struct sl_error *why)
{
	struct cancel *cancel = ctx;

	(void)i;
	begin_row(cancel);
	sl_report_text(cancel->report, "error", sl_bytes_of(why->text));
}

static int cancel_job(void *ctx, struct sl_target_list *target, const struct sl_job_found *job,
	const struct sl_options *options)
{
	sl_cleanup(sl_report_freep) struct sl_report *report = sl_report_new("jobs", keys);
	const char *const *reason = ctx;
	struct cancel cancel = {report, target->items[0].name, job};
	struct sl_survey survey = {
		.targets = target,
		.options = options,
		.first = {.op = SL_OP_CANCEL, .job = job->id, .reason = sl_bytes_of(*reason)},
		.replied = replied,
		.failed = failed,
		.ctx = &cancel,
	};

	return sl_command_survey(&survey, report, options->quiet);
}

static int cmd_cancel(const struct sl_command *command, int n_args, char **args)
{
	const char *reason = "sloth cancel";
	const struct sl_flag own[] = {
		{"reason", 'r', "TEXT", "what the job's own watchers are told", SL_FLAG_TEXT,
			&reason, NULL},
		{NULL, 0, NULL, NULL, SL_FLAG_SWITCH, NULL, NULL},
	};

	return sl_command_on_job(command, own, n_args, args, cancel_job, &reason);
}

const struct sl_command sl_cmd_cancel = {
	.name = "cancel",
	.usage = "TARGET JOB [-r REASON]",
	.summary = "stop a job; the beginning of its id will do",
	.example = "  sloth cancel web-01 7f3a\n",
	.flags = SL_FLAGS_ASK,
	.run = cmd_cancel,
};
