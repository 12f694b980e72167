/* SPDX-License-Identifier: MIT */
#include "controller/render.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/log.h"
#include "controller/options.h"
#include "controller/printable.h"

#define FLUSH_BYTES ((size_t)64 << 10)

/* Waits until stdout takes a little; false, with errno, if it never will. A reader who has
 * stopped reading must not make us deaf: a signal that comes in this wait ends the program as
 * it would end any other. */
static bool wait_for_room(void)
{
	struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
	sigset_t none;

	if (poll(&fd, 1, 0) == 0) {
		sigemptyset(&none);
		ppoll(&fd, 1, NULL, &none);
	}
	if (!(fd.revents & (POLLERR | POLLNVAL)))
		return true;
	errno = fd.revents & POLLERR ? EPIPE : EBADF;
	return false;
}

/* One write that doesn't block once there is room; a pipe has room for PIPE_BUF then. */
static ssize_t write_some(const char *data, size_t size)
{
	ssize_t n;

	do {
		if (!wait_for_room())
			return -1;
		n = write(STDOUT_FILENO, data, size < PIPE_BUF ? size : PIPE_BUF);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n;
}

/* A reader who has gone wants no more of it. What a full disk swallows does not stop the tasks,
 * but must not pass for success. */
static void note_failure(struct sl_render *render)
{
	if (errno == EPIPE) {
		render->broken = true;
		return;
	}
	render->lost = true;
	sl_log(SL_LOG_ERROR, "can't write to stdout, what comes is not shown: %s",
		strerrordesc_np(errno));
}

/* What has gathered, as it is. */
static bool write_out(struct sl_render *render)
{
	const char *at = render->out->data;
	size_t left = render->out->size;

	while (left && !render->broken && !render->lost) {
		ssize_t n = write_some(at, left);

		if (n < 0) {
			note_failure(render);
			break;
		}
		at += n;
		left -= (size_t)n;
	}
	sl_buffer_clear(render->out);
	return !render->broken;
}

static struct sl_render *new_of(enum sl_output output)
{
	switch (output) {
	case SL_OUTPUT_PRETTY:
		return sl_render_pretty_new();
	case SL_OUTPUT_PLAIN:
		return sl_render_plain_new();
	case SL_OUTPUT_JSON:
	case SL_OUTPUT_JSONL:
		break;
	}
	return sl_render_json_new(output == SL_OUTPUT_JSONL);
}

struct sl_render *sl_render_new(const struct sl_options *options, size_t host_width)
{
	struct sl_render *render = new_of((enum sl_output)options->output);

	if (!render)
		return NULL;
	render->style = (struct sl_render_style){
		.color = sl_options_colored(options),
		.escape = isatty(STDOUT_FILENO),
		.quiet = options->quiet,
		.level = (enum sl_log_level)options->log_level,
		.host_width = host_width,
	};
	render->out = calloc(1, sizeof(*render->out));
	if (!render->out) {
		sl_render_free(render);
		return NULL;
	}
	return render;
}

void sl_render_free(struct sl_render *render)
{
	if (!render)
		return;
	if (render->out)
		sl_buffer_deinit(render->out);
	free(render->out);
	render->ops->free(render);
}

/* A burst must not gather in memory. */
static void flush_much(struct sl_render *render)
{
	if (render->out->size > FLUSH_BYTES)
		write_out(render);
}

void sl_render_event(struct sl_render *render, const struct sl_job *job, uint64_t number,
	const struct sl_event *event)
{
	render->ops->event(render, job, number, event);
	flush_much(render);
}

void sl_render_begun(struct sl_render *render, const struct sl_job *job)
{
	if (render->ops->begun)
		render->ops->begun(render, job);
}

void sl_render_clear(struct sl_render *render)
{
	if (!render->ops->clear)
		return;
	render->ops->clear(render);
	write_out(render);
}

void sl_render_say(struct sl_render *render, const char *text)
{
	struct sl_buffer line = SL_BUFFER_INIT;

	/* What was there before it comes before it. */
	sl_render_clear(render);
	write_out(render);
	sl_printable(&line, sl_bytes_of(text), false);
	fprintf(stderr, "sloth: %.*s\n", (int)line.size, line.data ? line.data : "");
	sl_buffer_deinit(&line);
}

bool sl_render_ticks(const struct sl_render *render)
{
	return render->ops->draw && render->style.escape && !render->style.quiet;
}

void sl_render_note(struct sl_render *render, const char *target, const char *text)
{
	char line[700];

	if (render->ops->note) {
		render->ops->note(render, target, text);
	} else if (!render->style.quiet) {
		snprintf(line, sizeof(line), "%s %s", target, text);
		sl_render_say(render, line);
	}
}

void sl_render_ended(struct sl_render *render, const struct sl_job *job)
{
	if (render->ops->ended)
		render->ops->ended(render, job);
}

void sl_render_finish(struct sl_render *render, const struct sl_render_run *run)
{
	sl_render_clear(render);
	render->ops->finish(render, run);
	write_out(render);
}

bool sl_render_lost(const struct sl_render *render)
{
	return render->lost;
}

bool sl_render_flush(struct sl_render *render)
{
	if (sl_render_ticks(render))
		render->ops->draw(render);
	return write_out(render);
}
