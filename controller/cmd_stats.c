/* SPDX-License-Identifier: MIT */

/*
 * sloth stats: what agents say of themselves.
 */

#include <inttypes.h>
#include <stdio.h>

#include "common/duration.h"
#include "common/error.h"
#include "controller/command.h"
#include "controller/report.h"
#include "controller/survey.h"

static const char *const keys[] = {"target", "name", "version", "host", "uptime_ms", "running",
	"queued", "max_tasks", "idle_workers", "tasks_total", "connections", "load", "cpus",
	"rss_bytes", "draining", "error", NULL};

struct stats {
	const struct sl_target_list *targets;
	struct sl_report *report;
};

static void put_stat(struct sl_report *report, const struct sl_stat *stat)
{
	char text[40];

	sl_report_text(report, "name", stat->name);
	sl_report_text(report, "version", stat->version);
	sl_report_text(report, "host", stat->host);
	sl_report_int(report, "uptime_ms", (int64_t)stat->uptime_ms,
		sl_duration_format((int64_t)stat->uptime_ms, text, sizeof(text)));
	sl_report_int(report, "running", (int64_t)stat->running, NULL);
	sl_report_int(report, "queued", (int64_t)stat->queued, NULL);
	sl_report_int(report, "max_tasks", (int64_t)stat->max_tasks, NULL);
	sl_report_int(report, "idle_workers", (int64_t)stat->idle_workers, NULL);
	sl_report_int(report, "tasks_total", (int64_t)stat->tasks_total, NULL);
	sl_report_int(report, "connections", (int64_t)stat->connections, NULL);
	snprintf(text, sizeof(text), "%.2f", stat->load1);
	sl_report_double(report, "load", stat->load1, text);
	sl_report_int(report, "cpus", (int64_t)stat->cpus, NULL);
	snprintf(text, sizeof(text), "%.1fM", (double)stat->rss_bytes / (1 << 20));
	sl_report_int(report, "rss_bytes", (int64_t)stat->rss_bytes, text);
	sl_report_bool(report, "draining", stat->draining);
}

static bool replied(void *ctx, size_t i, const struct sl_reply *reply, int64_t took_us,
	struct sl_request *request)
{
	struct stats *stats = ctx;

	(void)took_us;
	(void)request;
	sl_report_row(stats->report, i);
	sl_report_text(stats->report, "target", sl_bytes_of(stats->targets->items[i].name));
	if (reply->ok)
		put_stat(stats->report, &reply->stat);
	else
		sl_report_text(stats->report, "error", reply->msg);
	return false;
}

static void failed(void *ctx, size_t i, const struct sl_error *why)
{
	struct stats *stats = ctx;

	sl_report_row(stats->report, i);
	sl_report_text(stats->report, "target", sl_bytes_of(stats->targets->items[i].name));
	sl_report_text(stats->report, "error", sl_bytes_of(why->text));
}

static int show(const struct sl_target_list *targets, const struct sl_options *options)
{
	sl_cleanup(sl_report_freep) struct sl_report *report = sl_report_new("agents", keys);
	struct stats stats = {.targets = targets, .report = report};
	struct sl_survey survey = {
		.targets = targets,
		.options = options,
		.first = {.op = SL_OP_STAT},
		.replied = replied,
		.failed = failed,
		.ctx = &stats,
	};

	return sl_command_survey(&survey, report, false);
}

static int cmd_stats(const struct sl_command *command, int n_args, char **args)
{
	return sl_command_on_targets(command, n_args, args, NULL, show);
}

const struct sl_command sl_cmd_stats = {
	.name = "stats",
	.usage = "TARGETS",
	.summary = "show what agents say of themselves",
	.example = "  sloth stats @web\n  sloth stats web-01 -o json\n",
	.flags = SL_FLAGS_ASK,
	.run = cmd_stats,
};
