/* SPDX-License-Identifier: MIT */

/*
 * Plain: a line for each thing that happens, `host │ message`, and at the end a
 * line for each task and target. For people, and for logs of other programs.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/duration.h"
#include "common/log.h"
#include "controller/json.h"
#include "controller/printable.h"
#include "controller/render.h"

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define DIM "\033[2m"
#define RESET "\033[0m"

static void color(struct sl_render *r, const char *code)
{
	if (r->style.color)
		sl_buffer_append(r->out, code, strlen(code));
}

static void put(struct sl_render *r, const char *text)
{
	sl_buffer_append(r->out, text, strlen(text));
}

static void put_text(struct sl_render *r, struct sl_bytes text)
{
	if (r->style.escape)
		sl_printable(r->out, text, false);
	else
		sl_buffer_append(r->out, text.data, text.size);
}

static void put_padded(struct sl_render *r, const char *text, size_t width)
{
	size_t n = sl_printable_width(text);

	put_text(r, sl_bytes_of(text));
	for (; n < width; n++)
		put(r, " ");
}

static void put_host(struct sl_render *r, const char *host)
{
	put_padded(r, host, r->style.host_width);
	color(r, DIM);
	put(r, " │ ");
	color(r, RESET);
}

/* Each line of @text behind its host, the first after @label. @tail ends the last one. */
static void put_lines(struct sl_render *r, const char *host, const char *paint,
	const char *label, struct sl_bytes text, struct sl_bytes tail)
{
	bool first = true;

	if (text.size && text.data[text.size - 1] == '\n')
		text.size--;
	for (;;) {
		const char *end = text.size ? memchr(text.data, '\n', text.size) : NULL;
		size_t n = end ? (size_t)(end - text.data) : text.size;

		put_host(r, host);
		if (paint)
			color(r, paint);
		if (first)
			put(r, label);
		put_text(r, (struct sl_bytes){text.data, n});
		if (!end)
			put_text(r, tail);
		if (paint)
			color(r, RESET);
		put(r, "\n");
		if (!end)
			return;
		text.data += n + 1;
		text.size -= n + 1;
		first = false;
	}
}

static void put_log(struct sl_render *r, const char *host, const struct sl_event_log *log)
{
	static const struct {
		const char *label, *paint;
	} looks[] = {
		[SL_LOG_ERROR] = {"error: ", RED},
		[SL_LOG_WARNING] = {"warning: ", YELLOW},
		[SL_LOG_NOTICE] = {"", NULL},
		[SL_LOG_INFO] = {"", NULL},
		[SL_LOG_DEBUG] = {"debug: ", DIM},
	};
	struct sl_buffer fields = SL_BUFFER_INIT;

	if (log->level > r->style.level)
		return;
	if (log->fields.kind == SL_VALUE_TABLE)
		sl_json_words(&fields, log->fields.table);
	put_lines(r, host, looks[log->level].paint, looks[log->level].label, log->message,
		sl_buffer_bytes(&fields));
	sl_buffer_deinit(&fields);
}

static void put_task(struct sl_render *r, const char *host, const struct sl_event_task *task)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	/* One that is of no pool has a line of its own in the log, with a traceback. */
	if (task->success || task->pool.size == 0)
		return;
	sl_buffer_append(&text, task->id.data, task->id.size);
	sl_buffer_printf(&text, " failed: ");
	if (task->error.kind == SL_VALUE_STRING)
		sl_buffer_append(&text, task->error.string.data, task->error.string.size);
	else
		sl_json_value(&text, &task->error);
	put_lines(r, host, YELLOW, "", sl_buffer_bytes(&text), (struct sl_bytes){0});
	sl_buffer_deinit(&text);
}

static void put_pool(struct sl_render *r, const char *host, const struct sl_pool_stats *pool)
{
	char numbers[200];

	if (!pool->closed && r->style.level < SL_LOG_DEBUG)
		return;
	snprintf(numbers, sizeof(numbers),
		": %" PRIu64 " completed, %" PRIu64 " failed, %" PRIu64 " queued, %" PRIu64
		" workers%s",
		pool->completed, pool->failed, pool->queued, pool->workers,
		pool->closed ? "; closed" : "");
	put_lines(r, host, DIM, "pool ", pool->name, sl_bytes_of(numbers));
}

static void put_dropped(
	struct sl_render *r, const char *host, const struct sl_event_dropped *dropped)
{
	char text[120];

	snprintf(text, sizeof(text),
		"%" PRIu64 " lines (%" PRIu64 " bytes) were left out: too much output",
		dropped->lines, dropped->bytes);
	put_lines(r, host, YELLOW, "", sl_bytes_of(text), (struct sl_bytes){0});
}

static void plain_event(struct sl_render *r, const struct sl_job *job, uint64_t number,
	const struct sl_event *event)
{
	(void)number;
	if (r->style.quiet)
		return;
	switch (event->kind) {
	case SL_EVENT_LOG:
		put_log(r, job->target, &event->log);
		break;
	case SL_EVENT_OUT:
		put_lines(r, job->target, NULL, "", event->out.bytes, (struct sl_bytes){0});
		break;
	case SL_EVENT_TASK:
		put_task(r, job->target, &event->task);
		break;
	case SL_EVENT_POOL:
		put_pool(r, job->target, &event->pool);
		break;
	case SL_EVENT_DROPPED:
		put_dropped(r, job->target, &event->dropped);
		break;
	case SL_EVENT_STATE:
	case SL_EVENT_RESULT: /* the summary has them */
		break;
	}
}

/* Behind four blanks each. */
static void put_indented(struct sl_render *r, struct sl_bytes text)
{
	while (text.size) {
		const char *end = memchr(text.data, '\n', text.size);
		size_t n = end ? (size_t)(end - text.data) : text.size;

		put(r, "    ");
		put_text(r, (struct sl_bytes){text.data, n});
		put(r, "\n");
		n += end != NULL;
		text.data += n;
		text.size -= n;
	}
}

static void put_outputs(struct sl_render *r, const struct sl_value *outputs)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	if (outputs->kind == SL_VALUE_NIL)
		return;
	sl_buffer_printf(&text, "outputs ");
	sl_json_value(&text, outputs);
	put_indented(r, sl_buffer_bytes(&text));
	sl_buffer_deinit(&text);
}

static void put_details(struct sl_render *r, const struct sl_job *job)
{
	const struct sl_event_result *result = &job->result;

	if (job->has_result) {
		put_outputs(r, &result->outputs);
		if (result->error.kind != SL_VALUE_NIL &&
			result->error.kind != SL_VALUE_STRING) {
			struct sl_buffer text = SL_BUFFER_INIT;

			sl_buffer_printf(&text, "error ");
			sl_json_value(&text, &result->error);
			put_indented(r, sl_buffer_bytes(&text));
			sl_buffer_deinit(&text);
		}
		if (job->verdict != SL_VERDICT_DONE)
			put_indented(r, result->traceback);
	}
	if (job->allowed_to_fail)
		put_indented(r, sl_bytes_of("allowed by the workflow's max_fail"));
	put_indented(r, sl_bytes_of(job->hint));
}

void sl_render_plain_job(struct sl_render *r, const struct sl_job *job, size_t task_width)
{
	bool done = job->verdict == SL_VERDICT_DONE,
	     skipped = job->verdict == SL_VERDICT_SKIPPED ||
	               job->verdict == SL_VERDICT_STOPPED || job->allowed_to_fail;
	const char *paint = done ? GREEN : skipped ? DIM : RED;
	struct sl_bytes message = sl_job_message(job);
	char took[40] = "";

	if (job->begun)
		sl_duration_format(job->duration_ms, took, sizeof(took));
	color(r, paint);
	put(r, done ? "✓ " : skipped ? "- " : "✗ ");
	color(r, RESET);
	put_padded(r, job->task, task_width);
	put(r, "  ");
	put_padded(r, job->target, r->style.host_width);
	put(r, "  ");
	color(r, paint);
	put_padded(r, sl_verdict_name(job->verdict), 4);
	color(r, RESET);
	put(r, "  ");
	put_padded(r, took, message.size ? 5 : 0);
	if (message.size) {
		const char *end = memchr(message.data, '\n', message.size);
		size_t n = end ? (size_t)(end - message.data) : message.size;

		put(r, "  ");
		put_text(r, (struct sl_bytes){message.data, n});
		put(r, "\n");
		if (end)
			put_indented(r, (struct sl_bytes){end + 1, message.size - n - 1});
	} else {
		put(r, "\n");
	}
	put_details(r, job);
}

void sl_render_plain_counts(struct sl_render *r, const struct sl_render_run *run)
{
	char counts[300], took[40];

	if (r->style.quiet || run->n_jobs < 2)
		return;
	sl_buffer_printf(r->out, "%s in %s\n",
		sl_outcome_format(&run->outcome, counts, sizeof(counts)),
		sl_duration_format(run->duration_ms, took, sizeof(took)));
}

static void plain_finish(struct sl_render *r, const struct sl_render_run *run)
{
	size_t width = 0;

	for (size_t i = 0; i < run->n_jobs; i++) {
		size_t n = sl_printable_width(run->jobs[i]->task);

		if (n > width)
			width = n;
	}
	for (size_t i = 0; i < run->n_jobs; i++)
		if (!r->style.quiet || run->jobs[i]->verdict != SL_VERDICT_DONE)
			sl_render_plain_job(r, run->jobs[i], width);
	sl_render_plain_counts(r, run);
}

static void plain_free(struct sl_render *r)
{
	free(r);
}

const struct sl_render_ops sl_render_plain_ops = {
	.event = plain_event,
	.finish = plain_finish,
	.free = plain_free,
};

struct sl_render *sl_render_plain_new(void)
{
	struct sl_render *render = calloc(1, sizeof(*render));

	if (render)
		render->ops = &sl_render_plain_ops;
	return render;
}
