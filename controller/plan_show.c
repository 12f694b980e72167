/* SPDX-License-Identifier: MIT */

/*
 * What a plan looks like before it is run.
 */

#include <stdio.h>

#include "common/buffer.h"
#include "common/duration.h"
#include "controller/plan.h"
#include "controller/report.h"

static const char *const keys[] = {
	"task", "targets", "after", "timeout_ms", "retries", "description", NULL};

static void put_targets(struct sl_report *report, const struct sl_step *step)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	for (size_t i = 0; i < step->targets.n; i++)
		sl_buffer_printf(&text, "%s%s", i ? "," : "", step->targets.items[i].name);
	if (step->targets.n == 0)
		sl_buffer_printf(&text, "(known when it starts)");
	sl_report_text(report, "targets", sl_buffer_bytes(&text));
	sl_buffer_deinit(&text);
}

static void put_after(
	struct sl_report *report, const struct sl_plan *plan, const struct sl_step *step)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	for (size_t i = 0; i < step->n_depends_on; i++)
		sl_buffer_printf(
			&text, "%s%s", i ? "," : "", plan->steps[step->depends_on[i]].name);
	sl_report_text(report, "after", sl_buffer_bytes(&text));
	sl_buffer_deinit(&text);
}

void sl_plan_show(const struct sl_plan *plan, const struct sl_options *options)
{
	sl_cleanup(sl_report_freep) struct sl_report *report = sl_report_new("tasks", keys);
	char text[40];

	for (size_t i = 0; report && i < plan->n_steps; i++) {
		const struct sl_step *step = &plan->steps[i];

		sl_report_row(report, i);
		sl_report_text(report, "task", sl_bytes_of(step->name));
		put_targets(report, step);
		put_after(report, plan, step);
		if (step->task.timeout_ms)
			sl_report_int(report, "timeout_ms", (int64_t)step->task.timeout_ms,
				sl_duration_format(
					(int64_t)step->task.timeout_ms, text, sizeof(text)));
		if (step->of && step->of->retries.n)
			sl_report_int(report, "retries", step->of->retries.n, NULL);
		if (step->of)
			sl_report_text(
				report, "description", sl_bytes_of(step->of->description));
	}
	if (report)
		sl_report_print(report, options);
	else
		fprintf(stderr, "sloth: out of memory\n");
}
