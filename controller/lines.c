/* SPDX-License-Identifier: MIT */
#include "controller/lines.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/buffer.h"

#define MAX_LINE_BYTES ((size_t)1 << 20)
#define MAX_OPEN 64 /* lines that are open at once; the oldest is handed on as it is */

struct open_line {
	TAILQ_ENTRY(open_line) link; /* sl_lines.open, the oldest first */
	struct sl_buffer bytes;
	struct sl_event event; /* of the line's last piece; its bytes are in @bytes */
	uint64_t number;
};

struct sl_lines {
	void (*event)(void *ctx, uint64_t number, const struct sl_event *event);
	void *ctx;
	TAILQ_HEAD(, open_line) open;
	size_t n_open;
};

struct sl_lines *sl_lines_new(
	void (*event)(void *ctx, uint64_t number, const struct sl_event *event), void *ctx)
{
	struct sl_lines *lines = calloc(1, sizeof(*lines));

	if (!lines)
		return NULL;
	lines->event = event;
	lines->ctx = ctx;
	TAILQ_INIT(&lines->open);
	return lines;
}

static void drop(struct sl_lines *lines, struct open_line *line)
{
	TAILQ_REMOVE(&lines->open, line, link);
	lines->n_open--;
	sl_buffer_deinit(&line->bytes);
	free(line);
}

void sl_lines_free(struct sl_lines *lines)
{
	struct open_line *line;

	if (!lines)
		return;
	while ((line = TAILQ_FIRST(&lines->open)) != NULL)
		drop(lines, line);
	free(lines);
}

static uint64_t goroutine_of(const struct sl_event *event)
{
	return event->kind == SL_EVENT_LOG ? event->log.goroutine : event->out.goroutine;
}

static bool goes_on(const struct sl_event *event)
{
	return event->kind == SL_EVENT_LOG ? event->log.continued : event->out.continued;
}

static struct sl_bytes *text_of(struct sl_event *event)
{
	return event->kind == SL_EVENT_LOG ? &event->log.message : &event->out.bytes;
}

static struct open_line *find(struct sl_lines *lines, const struct sl_event *event)
{
	struct open_line *line;

	TAILQ_FOREACH(line, &lines->open, link)
	if (line->event.kind == event->kind &&
		goroutine_of(&line->event) == goroutine_of(event) &&
		(event->kind == SL_EVENT_LOG || line->event.out.stream == event->out.stream))
		break;
	return line;
}

static void hand_on(struct sl_lines *lines, struct open_line *line)
{
	*text_of(&line->event) = sl_buffer_bytes(&line->bytes);
	if (line->event.kind == SL_EVENT_LOG)
		line->event.log.continued = false;
	else
		line->event.out.continued = false;
	lines->event(lines->ctx, line->number, &line->event);
}

static struct open_line *open_line(struct sl_lines *lines)
{
	struct open_line *line = calloc(1, sizeof(*line));

	if (!line)
		return NULL;
	if (lines->n_open == MAX_OPEN) {
		hand_on(lines, TAILQ_FIRST(&lines->open));
		drop(lines, TAILQ_FIRST(&lines->open));
	}
	TAILQ_INSERT_TAIL(&lines->open, line, link);
	lines->n_open++;
	return line;
}

void sl_lines_add(struct sl_lines *lines, uint64_t number, const struct sl_event *event)
{
	struct open_line *line = NULL;
	struct sl_event piece = *event;
	struct sl_bytes *text;

	/* Most lines are whole, and none is open. */
	if ((event->kind != SL_EVENT_LOG && event->kind != SL_EVENT_OUT) ||
		(TAILQ_EMPTY(&lines->open) && !goes_on(event))) {
		lines->event(lines->ctx, number, event);
		return;
	}
	line = find(lines, event);
	if (!line && goes_on(event))
		line = open_line(lines);
	text = text_of(&piece);
	if (!line || !sl_buffer_append(&line->bytes, text->data, text->size)) {
		lines->event(lines->ctx, number, event);
		if (line)
			drop(lines, line);
		return;
	}
	line->number = number;
	line->event = piece;
	/* The fields of a log event live in the reply: with pieces, the last one's count. */
	if (goes_on(event)) {
		if (event->kind == SL_EVENT_LOG)
			line->event.log.fields = (struct sl_value){0};
		if (line->bytes.size < MAX_LINE_BYTES)
			return;
	}
	hand_on(lines, line);
	drop(lines, line);
}

void sl_lines_end(struct sl_lines *lines)
{
	struct open_line *line;

	while ((line = TAILQ_FIRST(&lines->open)) != NULL) {
		hand_on(lines, line);
		drop(lines, line);
	}
}
