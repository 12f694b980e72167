/* SPDX-License-Identifier: MIT */

/*
 * Pretty: what plain writes, and below it, while there is something to wait for,
 * a line for each job that runs, with its state and how long it takes, and under
 * it a bar for each goroutine pool. Those lines are rewritten in place, so they
 * are for a terminal; anywhere else nothing of them is drawn. A job that is over
 * gets its line of the summary at once.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/duration.h"
#include "controller/printable.h"
#include "controller/render.h"

#define BAR 24        /* columns of a bar */
#define MAX_POOLS 8   /* of one job, that are shown */
#define MAX_NAME 40   /* bytes of a name, that are shown */
#define MAX_LINES 100 /* below the others, whatever the terminal's height */

struct pool {
	char name[MAX_NAME + 1];
	uint64_t done, failed, active, submitted;
};

struct shown {
	TAILQ_ENTRY(shown) link; /* pretty.jobs, the oldest first */
	const struct sl_job *job;
	const char *state; /* what its agent said last; "" for nothing yet */
	struct pool pools[MAX_POOLS];
	size_t n_pools;
};

struct pretty {
	struct sl_render render;
	TAILQ_HEAD(, shown) jobs;
	size_t n_drawn; /* lines that stand below the others on the screen */
	size_t task_width;
};

static struct shown *find(struct pretty *p, const struct sl_job *job)
{
	struct shown *shown;

	TAILQ_FOREACH(shown, &p->jobs, link)
	if (shown->job == job)
		break;
	return shown;
}

static void pretty_begun(struct sl_render *r, const struct sl_job *job)
{
	struct pretty *p = (struct pretty *)r;
	struct shown *shown = calloc(1, sizeof(*shown));
	size_t width = sl_printable_width(job->task);

	if (!shown) /* it is shown when it is over */
		return;
	shown->job = job;
	shown->state = "";
	TAILQ_INSERT_TAIL(&p->jobs, shown, link);
	if (width > p->task_width)
		p->task_width = width;
}

static void forget(struct pretty *p, struct shown *shown)
{
	TAILQ_REMOVE(&p->jobs, shown, link);
	free(shown);
}

static void pretty_clear(struct sl_render *r)
{
	struct pretty *p = (struct pretty *)r;

	/* Up to where they begin, and away with all from there on. */
	if (p->n_drawn)
		sl_buffer_printf(r->out, "\033[%zuA\r\033[J", p->n_drawn);
	p->n_drawn = 0;
}

static void take_pool(struct shown *shown, const struct sl_pool_stats *stats)
{
	struct pool pool = {.done = stats->completed,
		.failed = stats->failed,
		.active = stats->active,
		.submitted = stats->submitted};
	size_t i = 0;

	snprintf(pool.name, sizeof(pool.name), "%.*s",
		(int)(stats->name.size < MAX_NAME ? stats->name.size : MAX_NAME),
		stats->name.data ? stats->name.data : "");
	while (i < shown->n_pools && strcmp(shown->pools[i].name, pool.name) != 0)
		i++;
	if (i == MAX_POOLS)
		return;
	if (!stats->closed) {
		shown->pools[i] = pool;
		shown->n_pools += i == shown->n_pools;
	} else if (i < shown->n_pools) {
		shown->pools[i] = shown->pools[--shown->n_pools];
	}
}

static void pretty_event(struct sl_render *r, const struct sl_job *job, uint64_t number,
	const struct sl_event *event)
{
	struct pretty *p = (struct pretty *)r;
	struct shown *shown = find(p, job);

	pretty_clear(r);
	if (shown && event->kind == SL_EVENT_STATE)
		shown->state = sl_state_name(event->state.state);
	if (shown && event->kind == SL_EVENT_POOL)
		take_pool(shown, &event->pool);
	sl_render_plain_ops.event(r, job, number, event);
}

static void pretty_ended(struct sl_render *r, const struct sl_job *job)
{
	struct pretty *p = (struct pretty *)r;
	struct shown *shown = find(p, job);
	size_t width = sl_printable_width(job->task);

	pretty_clear(r);
	if (shown)
		forget(p, shown);
	if (!r->style.quiet || job->verdict != SL_VERDICT_DONE)
		sl_render_plain_job(r, job, width > p->task_width ? width : p->task_width);
}

/* Appends @line, cut to @columns, to what stands below the others. */
static void put_line(struct pretty *p, const struct sl_buffer *line, size_t columns)
{
	struct sl_buffer safe = SL_BUFFER_INIT;
	size_t n = 0, end = 0;

	sl_printable(&safe, sl_buffer_bytes(line), false);
	/* A letter may be two columns wide: half as many fit for sure. */
	while (end < safe.size && n < columns) {
		unsigned char byte = (unsigned char)safe.data[end++];

		if ((byte & 0xc0) != 0x80)
			n += byte >= 0xe3 ? 2 : 1;
	}
	while (end < safe.size && ((unsigned char)safe.data[end] & 0xc0) == 0x80)
		end++;
	sl_buffer_append(p->render.out, safe.data, end);
	sl_buffer_append(p->render.out, "\n", 1);
	sl_buffer_deinit(&safe);
	p->n_drawn++;
}

static void draw_job(struct pretty *p, const struct shown *shown, size_t columns)
{
	const struct sl_job *job = shown->job;
	struct sl_buffer line = SL_BUFFER_INIT;
	char took[40];

	sl_duration_format(sl_clock_monotonic_ms() - job->begun_ms, took, sizeof(took));
	sl_buffer_printf(&line, "… %-*s  %-*s  %s", (int)p->task_width, job->task,
		(int)p->render.style.host_width, job->target,
		shown->state[0] ? shown->state : "connecting");
	if (job->attempt > 1)
		sl_buffer_printf(&line, " (attempt %" PRIu64 ")", job->attempt);
	sl_buffer_printf(&line, "  %s", took);
	put_line(p, &line, columns);
	sl_buffer_deinit(&line);
}

static void draw_pool(struct pretty *p, const struct pool *pool, size_t columns)
{
	uint64_t over = pool->done + pool->failed;
	uint64_t all = pool->submitted > over ? pool->submitted : over;
	size_t full = all ? (size_t)((double)over / (double)all * BAR) : 0;
	struct sl_buffer line = SL_BUFFER_INIT;

	sl_buffer_printf(&line, "    %s ", pool->name);
	for (size_t i = 0; i < BAR; i++)
		sl_buffer_printf(&line, "%s", i < full ? "█" : "░");
	sl_buffer_printf(
		&line, " %" PRIu64 "/%" PRIu64 ", %" PRIu64 " active", over, all, pool->active);
	if (pool->failed)
		sl_buffer_printf(&line, ", %" PRIu64 " failed", pool->failed);
	put_line(p, &line, columns);
	sl_buffer_deinit(&line);
}

static void pretty_draw(struct sl_render *r)
{
	struct pretty *p = (struct pretty *)r;
	struct winsize size = {0};
	size_t columns = 79, lines = 12, left = 0;
	struct shown *shown;

	/* Lines that wrap, or are more than the screen has, could not be cleared any more. */
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
		columns = size.ws_col > 1 ? size.ws_col - 1u : columns;
		lines = size.ws_row > 0 ? size.ws_row / 2u : lines;
	}
	if (lines > MAX_LINES)
		lines = MAX_LINES;
	pretty_clear(r);
	if (lines == 0)
		return;
	TAILQ_FOREACH(shown, &p->jobs, link)
	{
		if (p->n_drawn + 1 >= lines) {
			left++;
			continue;
		}
		draw_job(p, shown, columns);
		for (size_t i = 0; i < shown->n_pools && p->n_drawn + 1 < lines; i++)
			draw_pool(p, &shown->pools[i], columns);
	}
	if (left) {
		struct sl_buffer line = SL_BUFFER_INIT;

		sl_buffer_printf(&line, "… and %zu more", left);
		put_line(p, &line, columns);
		sl_buffer_deinit(&line);
	}
}

static void pretty_free(struct sl_render *r)
{
	struct pretty *p = (struct pretty *)r;
	struct shown *shown;

	while ((shown = TAILQ_FIRST(&p->jobs)) != NULL)
		forget(p, shown);
	free(p);
}

static const struct sl_render_ops pretty_ops = {
	.begun = pretty_begun,
	.event = pretty_event,
	.ended = pretty_ended,
	.draw = pretty_draw,
	.clear = pretty_clear,
	.finish = sl_render_plain_counts,
	.free = pretty_free,
};

struct sl_render *sl_render_pretty_new(void)
{
	struct pretty *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->render.ops = &pretty_ops;
	TAILQ_INIT(&p->jobs);
	return &p->render;
}
