/* SPDX-License-Identifier: MIT */
#include "agent/outbox.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/link.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/event.h"
#include "common/tally.h"
#include "lua/schedule/reactor.h"
#include "proto/event_msg.h"

/* What may wait before those who emit are asked to. */
#define MAX_PENDING (256u << 10)

struct sl_outbox {
	int fd;
	struct sl_reactor *reactor;
	struct sl_tally *tally;
	void (*drained)(void *ctx);
	void *ctx;
	int timer_fd; /* fires when the batch is SL_BATCH_MS old */
	struct sl_watch *timer_watch;
	struct sl_watch *write_watch; /* owner: reactor; made when the socket is first full */

	pthread_mutex_t lock;
	/* guarded by: lock */
	struct sl_buffer batch; /* events that no frame holds yet */
	uint64_t n_batch;
	struct sl_buffer held; /* frames for which there is no credit */
	struct sl_buffer out;  /* bytes for the socket */
	struct sl_buffer result;
	uint64_t credit;
	bool write_posted;  /* on_blocked() is on its way to the reactor */
	bool asked_to_wait; /* somebody was, and waits for drained() */
	uint64_t log_bytes;
	struct sl_event_dropped dropped;
	bool result_failed; /* the result couldn't be sent; one that says so stands for it */
	bool closed;        /* main is gone */
	bool finished;      /* the end has been told; whoever still speaks is too late */
};

static size_t pending_locked(const struct sl_outbox *outbox)
{
	return outbox->batch.size + outbox->held.size + outbox->out.size;
}

/* Moves the frames that there is credit for to the socket's bytes. The last of them may go
 * over: no batch is too big to be sent for ever. */
static void use_credit_locked(struct sl_outbox *outbox)
{
	struct sl_link_frame frame;
	size_t at = 0, used;

	while (outbox->credit > 0 &&
		sl_link_next((struct sl_bytes){outbox->held.data + at, outbox->held.size - at},
			&frame, &used, NULL) == 0) {
		uint64_t cost = SL_LINK_COST(frame.bytes.size);

		sl_buffer_append(&outbox->out, outbox->held.data + at, used);
		outbox->credit -= cost < outbox->credit ? cost : outbox->credit;
		at += used;
	}
	sl_buffer_consume(&outbox->held, at);
}

/* Makes a frame of the events in the batch, which are its first @size bytes. */
static void seal_first_locked(struct sl_outbox *outbox, size_t size)
{
	struct sl_link_frame frame = {
		SL_LINK_BATCH, outbox->n_batch, {outbox->batch.data, size}};

	if (outbox->n_batch == 0)
		return;
	sl_link_append(&outbox->held, &frame);
	sl_buffer_consume(&outbox->batch, size);
	outbox->n_batch = 0;
	/* What one big event needed isn't needed for ever. */
	if (outbox->batch.size == 0 && outbox->batch.capacity > MAX_PENDING)
		sl_buffer_deinit(&outbox->batch);
	use_credit_locked(outbox);
}

static void seal_locked(struct sl_outbox *outbox)
{
	seal_first_locked(outbox, outbox->batch.size);
}

static void on_blocked(void *ctx);

/* To wait for the socket is the reactor's: from another thread, to change a watch is to wait
 * for its callback, which waits for the lock. */
static void write_locked(struct sl_outbox *outbox)
{
	int result;

	if (outbox->closed || outbox->out.size == 0)
		return;
	result = sl_link_flush(outbox->fd, &outbox->out, NULL);
	if (result < 0)
		outbox->closed = true;
	if (result == SL_LINK_MORE && !outbox->write_posted)
		outbox->write_posted =
			sl_reactor_post(outbox->reactor, on_blocked, outbox, NULL) == 0;
}

/* Whether drained() is due; it is called without the lock. */
static bool take_drained_locked(struct sl_outbox *outbox)
{
	if (!outbox->asked_to_wait || pending_locked(outbox) > MAX_PENDING / 2)
		return false;
	outbox->asked_to_wait = false;
	return true;
}

static void unlock_and_tell(struct sl_outbox *outbox)
{
	bool drained = take_drained_locked(outbox);

	pthread_mutex_unlock(&outbox->lock);
	if (drained)
		outbox->drained(outbox->ctx);
}

/* On the reactor: waits for the socket for as long as something is left. */
static void on_writable(void *ctx, unsigned what)
{
	struct sl_outbox *outbox = ctx;

	pthread_mutex_lock(&outbox->lock);
	outbox->write_posted = true;
	write_locked(outbox);
	outbox->write_posted = !outbox->closed && outbox->out.size > 0;
	if (!outbox->write_posted)
		sl_watch_set(outbox->write_watch, 0);
	else if (what == 0)
		sl_watch_set(outbox->write_watch, SL_REACTOR_WRITE);
	unlock_and_tell(outbox);
}

static void on_blocked(void *ctx)
{
	struct sl_outbox *outbox = ctx;

	if (!outbox->write_watch &&
		sl_reactor_watch(outbox->reactor, outbox->fd, SL_REACTOR_WRITE, on_writable,
			outbox, &outbox->write_watch, NULL) < 0) {
		pthread_mutex_lock(&outbox->lock);
		outbox->write_posted = false; /* what is written next tries again */
		pthread_mutex_unlock(&outbox->lock);
		return;
	}
	on_writable(outbox, 0);
}

static void on_timer(void *ctx, unsigned what)
{
	struct sl_outbox *outbox = ctx;
	uint64_t n;

	(void)what;
	if (read(outbox->timer_fd, &n, sizeof(n)) != sizeof(n))
		return;
	pthread_mutex_lock(&outbox->lock);
	seal_locked(outbox);
	write_locked(outbox);
	unlock_and_tell(outbox);
}

static void set_timer(struct sl_outbox *outbox)
{
	struct itimerspec in = {.it_value = {.tv_nsec = SL_BATCH_MS * 1000000}};

	timerfd_settime(outbox->timer_fd, 0, &in, NULL);
}

int sl_outbox_new(int fd, struct sl_reactor *reactor, struct sl_tally *tally,
	void (*drained)(void *ctx), void *ctx, struct sl_outbox **out, struct sl_error *err)
{
	struct sl_outbox *outbox = calloc(1, sizeof(*outbox));
	int result;

	if (!outbox)
		return sl_fail(err, SL_ENOMEM, "no memory for the outbox");
	outbox->fd = fd;
	outbox->reactor = reactor;
	outbox->tally = tally;
	outbox->drained = drained;
	outbox->ctx = ctx;
	outbox->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (outbox->timer_fd < 0) {
		result = sl_fail_errno(err, errno, "cannot make the outbox's timer");
		free(outbox);
		return result;
	}
	pthread_mutex_init(&outbox->lock, NULL);
	result = sl_reactor_watch(reactor, outbox->timer_fd, SL_REACTOR_READ, on_timer, outbox,
		&outbox->timer_watch, err);
	if (result < 0) {
		sl_outbox_free(outbox);
		return result;
	}
	*out = outbox;
	return 0;
}

void sl_outbox_free(struct sl_outbox *outbox)
{
	if (!outbox)
		return;
	if (outbox->timer_watch)
		sl_watch_free(outbox->timer_watch);
	if (outbox->write_watch)
		sl_watch_free(outbox->write_watch);
	close(outbox->timer_fd);
	pthread_mutex_destroy(&outbox->lock);
	sl_buffer_deinit(&outbox->batch);
	sl_buffer_deinit(&outbox->held);
	sl_buffer_deinit(&outbox->out);
	sl_buffer_deinit(&outbox->result);
	free(outbox);
}

/* Appends the event to @out. False, with @out as it was, when it can't be sent. */
static bool encode(const struct sl_event *event, struct sl_buffer *out)
{
	size_t before = out->size;
	struct sl_error err;

	if (sl_event_encode(event, out, &err) != 0)
		return false;
	if (out->size - before <= SL_LINK_MAX_BYTES)
		return true;
	out->size = before;
	return false;
}

/* An event was encoded into the batch, behind its first @before bytes. */
static void count_event_locked(struct sl_outbox *outbox, size_t before)
{
	if (outbox->batch.size > SL_LINK_MAX_BYTES)
		seal_first_locked(outbox, before);
	outbox->n_batch++;
	if (outbox->n_batch == 1)
		set_timer(outbox);
}

static bool add_event_locked(struct sl_outbox *outbox, const struct sl_event *event)
{
	size_t before = outbox->batch.size;

	if (!encode(event, &outbox->batch))
		return false;
	count_event_locked(outbox, before);
	return true;
}

/* Nobody else counts what is counted here: no other processor need be kept away. */
static void count_locked(struct sl_outbox *outbox, unsigned item, uint64_t n)
{
	sl_tally_set(outbox->tally, item, sl_tally_get(outbox->tally, item) + n);
}

static void drop_locked(struct sl_outbox *outbox, size_t bytes)
{
	outbox->dropped.bytes += bytes;
	count_locked(outbox, SL_TALLY_DROPPED_BYTES, bytes);
	outbox->dropped.lines++;
}

static void say_cap_reached_locked(struct sl_outbox *outbox)
{
	struct sl_event event = {.kind = SL_EVENT_LOG, .time_us = sl_clock_wall_us()};
	char text[128];

	snprintf(text, sizeof(text),
		"this job's output has passed %u MiB; what follows is left out",
		SL_MAX_JOB_LOG_BYTES >> 20);
	event.log.level = SL_LOG_WARNING;
	event.log.message = sl_bytes_of(text);
	add_event_locked(outbox, &event);
}

/* What the task says, whether it is sent or not. A line in pieces is one. */
static void count_output_locked(struct sl_outbox *outbox, const struct sl_event *event)
{
	if (event->kind == SL_EVENT_OUT)
		count_locked(outbox,
			event->out.stream == 1 ? SL_TALLY_STDOUT_BYTES : SL_TALLY_STDERR_BYTES,
			event->out.bytes.size);
	else if (!event->log.continued)
		count_locked(outbox, SL_TALLY_LOG_LINES + event->log.level, 1);
}

static void add_output_locked(struct sl_outbox *outbox, const struct sl_event *event)
{
	size_t bytes =
		event->kind == SL_EVENT_LOG ? event->log.message.size : event->out.bytes.size;
	size_t before = outbox->batch.size, size;

	count_output_locked(outbox, event);
	if (outbox->dropped.lines > 0 || !encode(event, &outbox->batch)) {
		drop_locked(outbox, bytes);
		return;
	}
	size = outbox->batch.size - before;
	if (outbox->log_bytes + size > SL_MAX_JOB_LOG_BYTES) {
		outbox->batch.size = before;
		drop_locked(outbox, bytes);
		say_cap_reached_locked(outbox);
		return;
	}
	outbox->log_bytes += size;
	count_event_locked(outbox, before);
}

/* Values too big for a message are what a function returned: its success is still news. */
static void add_task_locked(struct sl_outbox *outbox, const struct sl_event *event)
{
	static const char text[] = "(too large to be sent)";
	struct sl_event small = *event;
	struct sl_value stand_in = {
		.kind = SL_VALUE_STRING, .string = {text, sizeof(text) - 1}};

	if (add_event_locked(outbox, event))
		return;
	small.task.n_values = event->task.success ? 1 : 0;
	small.task.values = &stand_in;
	if (!event->task.success)
		small.task.error = stand_in;
	add_event_locked(outbox, &small);
}

static void keep_result_locked(struct sl_outbox *outbox, const struct sl_event *event)
{
	size_t older = outbox->result.size;
	struct sl_event small = *event;
	char text[128];

	if (!encode(event, &outbox->result)) {
		snprintf(text, sizeof(text),
			"what the task returned is too large to be sent: an event has at most "
			"%u "
			"MiB",
			SL_MAX_EVENT_BYTES >> 20);
		small.result.ok = false;
		small.result.message = sl_bytes_of(text);
		small.result.outputs = (struct sl_value){0};
		small.result.error = (struct sl_value){0};
		small.result.traceback = (struct sl_bytes){0};
		outbox->result_failed = true;
		if (!encode(&small, &outbox->result))
			return;
	}
	sl_buffer_consume(&outbox->result, older);
}

static void add_locked(struct sl_outbox *outbox, const struct sl_event *event)
{
	switch (event->kind) {
	case SL_EVENT_LOG:
	case SL_EVENT_OUT:
		add_output_locked(outbox, event);
		break;
	case SL_EVENT_RESULT:
		keep_result_locked(outbox, event);
		break;
	case SL_EVENT_TASK:
		add_task_locked(outbox, event);
		break;
	default:
		add_event_locked(outbox, event);
	}
}

bool sl_outbox_emit(struct sl_outbox *outbox, const struct sl_event *event)
{
	bool wait, drained;

	pthread_mutex_lock(&outbox->lock);
	if (outbox->finished) {
		pthread_mutex_unlock(&outbox->lock);
		return false;
	}
	add_locked(outbox, event);
	if (outbox->batch.size >= SL_BATCH_BYTES) {
		seal_locked(outbox);
		write_locked(outbox);
	}
	wait = pending_locked(outbox) > MAX_PENDING;
	if (wait)
		outbox->asked_to_wait = true;
	drained = take_drained_locked(outbox);
	pthread_mutex_unlock(&outbox->lock);
	if (drained)
		outbox->drained(outbox->ctx);
	return wait;
}

void sl_outbox_credit(struct sl_outbox *outbox, uint64_t bytes)
{
	pthread_mutex_lock(&outbox->lock);
	outbox->credit += bytes;
	use_credit_locked(outbox);
	write_locked(outbox);
	unlock_and_tell(outbox);
}

/* Everything into the socket's bytes, credit or not: it is bounded, and the last. */
static void seal_all_locked(struct sl_outbox *outbox)
{
	seal_locked(outbox);
	sl_buffer_append(&outbox->out, outbox->held.data, outbox->held.size);
	sl_buffer_clear(&outbox->held);
}

static void add_last_words_locked(struct sl_outbox *outbox)
{
	struct sl_event event = {.kind = SL_EVENT_DROPPED, .time_us = sl_clock_wall_us()};

	event.dropped = outbox->dropped;
	if (outbox->dropped.lines > 0)
		add_event_locked(outbox, &event);
	if (outbox->batch.size + outbox->result.size > SL_LINK_MAX_BYTES)
		seal_locked(outbox);
	if (outbox->result.size > 0 &&
		sl_buffer_append(&outbox->batch, outbox->result.data, outbox->result.size))
		outbox->n_batch++;
	seal_all_locked(outbox);
}

/* Writes until all is gone, or @until_ms. */
static void write_all(struct sl_outbox *outbox, int64_t until_ms)
{
	struct pollfd fd = {.fd = outbox->fd, .events = POLLOUT};
	bool left;

	for (;;) {
		int64_t rest_ms = until_ms - sl_clock_monotonic_ms();

		pthread_mutex_lock(&outbox->lock);
		write_locked(outbox);
		left = outbox->out.size > 0 && !outbox->closed;
		pthread_mutex_unlock(&outbox->lock);
		if (!left || rest_ms <= 0)
			return;
		if (poll(&fd, 1, rest_ms > INT32_MAX ? -1 : (int)rest_ms) < 0 && errno != EINTR)
			return;
	}
}

int sl_outbox_finish(struct sl_outbox *outbox, enum sl_state state, struct sl_error *err)
{
	struct sl_link_frame frame = {.kind = SL_LINK_FINISHED};
	bool failed;

	pthread_mutex_lock(&outbox->lock);
	add_last_words_locked(outbox);
	frame.number = outbox->result_failed ? SL_STATE_FAILED : state;
	sl_link_append(&outbox->out, &frame);
	outbox->finished = true;
	failed = outbox->out.failed || outbox->held.failed || outbox->batch.failed;
	pthread_mutex_unlock(&outbox->lock);
	if (failed)
		return sl_fail(err, SL_ENOMEM, "no memory for the task's last events");
	write_all(outbox, INT64_MAX);
	if (outbox->closed)
		return sl_fail(err, SL_ECLOSED, "the agent is gone");
	return 0;
}

void sl_outbox_rescue(struct sl_outbox *outbox, int ms)
{
	/* Who makes the process exit may hold the lock. */
	if (pthread_mutex_trylock(&outbox->lock) != 0)
		return;
	seal_all_locked(outbox);
	pthread_mutex_unlock(&outbox->lock);
	write_all(outbox, sl_clock_monotonic_ms() + ms);
}
