/* SPDX-License-Identifier: MIT */

/*
 * sloth ping: which agents answer, and how fast.
 */

#include <stdio.h>
#include <stdlib.h>

#include "common/error.h"
#include "controller/command.h"
#include "controller/report.h"
#include "controller/survey.h"

static const char *const keys[] = {"target", "ok", "ms", "version", "address", "error", NULL};

struct ping {
	const struct sl_target_list *targets;
	struct sl_report *report;
	bool *warm; /* by target: the connection stands, so this reply's time is the round trip
	             */
};

static void begin_row(struct ping *ping, size_t i, bool ok)
{
	const char *address = ping->targets->items[i].address;

	sl_report_row(ping->report, i);
	sl_report_text(ping->report, "target", sl_bytes_of(ping->targets->items[i].name));
	sl_report_bool(ping->report, "ok", ok);
	if (address)
		sl_report_text(ping->report, "address", sl_bytes_of(address));
}

static bool replied(void *ctx, size_t i, const struct sl_reply *reply, int64_t took_us,
	struct sl_request *request)
{
	struct ping *ping = ctx;
	char ms[40];

	(void)request;
	if (!ping->warm[i] && reply->ok) {
		ping->warm[i] = true;
		return true;
	}
	begin_row(ping, i, reply->ok);
	if (reply->ok) {
		snprintf(ms, sizeof(ms), "%.2f", (double)took_us / 1000);
		sl_report_double(ping->report, "ms", (double)took_us / 1000, ms);
		sl_report_text(ping->report, "version", reply->stat.version);
	} else {
		sl_report_text(ping->report, "error", reply->msg);
	}
	return false;
}

static void failed(void *ctx, size_t i, const struct sl_error *why)
{
	struct ping *ping = ctx;

	begin_row(ping, i, false);
	sl_report_text(ping->report, "error", sl_bytes_of(why->text));
}

static int ping_all(const struct sl_target_list *targets, const struct sl_options *options)
{
	sl_cleanup(sl_report_freep) struct sl_report *report = sl_report_new("agents", keys);
	struct ping ping = {.targets = targets, .report = report};
	struct sl_survey survey = {
		.targets = targets,
		.options = options,
		.first = {.op = SL_OP_STAT},
		.replied = replied,
		.failed = failed,
		.ctx = &ping,
	};
	int status;

	ping.warm = calloc(targets->n, sizeof(*ping.warm));
	status = sl_command_survey(&survey, ping.warm ? report : NULL, false);
	free(ping.warm);
	return status;
}

static int cmd_ping(const struct sl_command *command, int n_args, char **args)
{
	return sl_command_on_targets(command, n_args, args, NULL, ping_all);
}

const struct sl_command sl_cmd_ping = {
	.name = "ping",
	.usage = "TARGETS",
	.summary = "see which agents answer, and how fast",
	.example = "  sloth ping @all\n  sloth ping web-01,tcp://127.0.0.1:7117\n",
	.flags = SL_FLAGS_ASK,
	.run = cmd_ping,
};
