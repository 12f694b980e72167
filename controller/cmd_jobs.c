/* SPDX-License-Identifier: MIT */

/*
 * sloth jobs: what runs and ran on agents.
 */

#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/error.h"
#include "controller/command.h"
#include "controller/job.h"
#include "controller/job_list.h"
#include "controller/report.h"

static const char *const keys[] = {"target", "job", "task", "workflow", "state", "age_ms",
	"took_ms", "run", "controller", "error", NULL};

struct jobs {
	const struct sl_target_list *targets;
	struct sl_report *report;
	int64_t now_us;
};

static void put_ms(struct jobs *jobs, const char *key, int64_t us)
{
	char text[40];
	int64_t ms = us > 0 ? us / 1000 : 0;

	sl_report_int(jobs->report, key, ms, sl_duration_format(ms, text, sizeof(text)));
}

static void row(void *ctx, size_t i, const struct sl_job_row *row)
{
	struct jobs *jobs = ctx;
	char id[SL_JOB_ID_TEXT];

	sl_job_id_format(&row->job, id);
	sl_report_row(jobs->report, i);
	sl_report_text(jobs->report, "target", sl_bytes_of(jobs->targets->items[i].name));
	sl_report_text(jobs->report, "job", sl_bytes_of(id));
	sl_report_text(jobs->report, "task", row->name);
	sl_report_text(jobs->report, "workflow", row->workflow);
	sl_report_text(jobs->report, "state", sl_bytes_of(sl_state_name(row->state)));
	if (row->accepted_us)
		put_ms(jobs, "age_ms", jobs->now_us - row->accepted_us);
	if (row->started_us)
		put_ms(jobs, "took_ms",
			(row->ended_us ? row->ended_us : jobs->now_us) - row->started_us);
	sl_report_text(jobs->report, "run", row->run);
	sl_report_text(jobs->report, "controller", row->controller);
}

static void failed(void *ctx, size_t i, const struct sl_error *why)
{
	struct jobs *jobs = ctx;

	sl_report_row(jobs->report, i);
	sl_report_text(jobs->report, "target", sl_bytes_of(jobs->targets->items[i].name));
	sl_report_text(jobs->report, "error", sl_bytes_of(why->text));
}

static int show(const struct sl_target_list *targets, const struct sl_options *options)
{
	sl_cleanup(sl_report_freep) struct sl_report *report = sl_report_new("jobs", keys);
	struct jobs jobs = {targets, report, sl_clock_wall_us()};
	struct sl_job_list list = {
		.targets = targets,
		.options = options,
		.row = row,
		.failed = failed,
		.ctx = &jobs,
	};
	struct sl_survey survey = sl_job_list_survey(&list);

	return sl_command_survey(&survey, report, false);
}

static int cmd_jobs(const struct sl_command *command, int n_args, char **args)
{
	return sl_command_on_targets(command, n_args, args, "@all", show);
}

const struct sl_command sl_cmd_jobs = {
	.name = "jobs",
	.usage = "[TARGETS]",
	.summary = "list what runs and ran on agents (@all)",
	.example = "  sloth jobs\n  sloth jobs web-01 -o jsonl\n",
	.flags = SL_FLAGS_ASK,
	.run = cmd_jobs,
};
