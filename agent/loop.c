/* SPDX-License-Identifier: MIT */
#include "agent/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/histogram.h"

#define MAX_SIGNALS 4

struct signal_watch {
	struct event event;
	struct sl_loop *loop;
	void (*fn)(void *ctx);
	void *ctx;
};

struct sl_loop {
	struct event_base *base;
	bool stopping;
	void (*round_fn)(void *ctx);
	void *round_ctx;
	int64_t round_began_ns; /* 0: nothing has been called in this round */
	struct sl_histogram rounds;
	int64_t late_ms; /* when a late round ended; 0: none has been late */
	struct signal_watch signals[MAX_SIGNALS];
	size_t n_signals;
};

struct sl_loop_watch {
	struct event event;
	struct sl_loop *loop;
	unsigned what; /* what is waited for; 0: the event is not added */
	void (*fn)(void *ctx, unsigned what);
	void *ctx;
};

struct sl_loop_timer {
	struct event event;
	struct sl_loop *loop;
	void (*fn)(void *ctx);
	void *ctx;
};

static void init_rounds(struct sl_loop *loop)
{
	static const int64_t bounds[] = {100000, 250000, 500000, 1000000, 2500000, 5000000,
		10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000,
		2500000000, 5000000000};

	sl_histogram_init(&loop->rounds, bounds, sizeof(bounds) / sizeof(bounds[0]));
}

int sl_loop_new(struct sl_loop **out, struct sl_error *err)
{
	struct event_config *config = event_config_new();
	struct sl_loop *loop = calloc(1, sizeof(*loop));

	if (!config || !loop)
		goto failed;
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) < 0)
		goto failed;
	loop->base = event_base_new_with_config(config);
	if (!loop->base)
		goto failed;
	event_config_free(config);
	init_rounds(loop);
	*out = loop;
	return 0;

failed:
	if (config)
		event_config_free(config);
	free(loop);
	return sl_fail(err, SL_ENOMEM, "no memory for the event loop");
}

void sl_loop_free(struct sl_loop *loop)
{
	if (!loop)
		return;
	for (size_t i = 0; i < loop->n_signals; i++)
		event_del(&loop->signals[i].event);
	event_base_free(loop->base);
	free(loop);
}

/* What waits for descriptors is not the loop's time: a round begins with what it waited for. */
static void note_call(struct sl_loop *loop)
{
	if (loop->round_began_ns == 0)
		loop->round_began_ns = sl_clock_monotonic_ns();
}

static void note_round(struct sl_loop *loop)
{
	int64_t now_ns = sl_clock_monotonic_ns(), ns = now_ns - loop->round_began_ns;

	if (loop->round_began_ns == 0)
		return;
	loop->round_began_ns = 0;
	sl_histogram_observe(&loop->rounds, ns);
	if (ns > SL_LOOP_LATE_MS * INT64_C(1000000))
		loop->late_ms = now_ns / 1000000;
}

const struct sl_histogram *sl_loop_rounds(const struct sl_loop *loop)
{
	return &loop->rounds;
}

bool sl_loop_was_late(const struct sl_loop *loop)
{
	return loop->late_ms > 0 &&
	       sl_clock_monotonic_ms() - loop->late_ms <= SL_LOOP_LATE_FOR_MS;
}

int sl_loop_run(struct sl_loop *loop, struct sl_error *err)
{
	loop->stopping = false;
	while (!loop->stopping) {
		if (event_base_loop(loop->base, EVLOOP_ONCE) < 0)
			return sl_fail_errno(err, errno, "the event loop failed");
		if (loop->round_fn)
			loop->round_fn(loop->round_ctx);
		note_round(loop);
	}
	return 0;
}

void sl_loop_stop(struct sl_loop *loop)
{
	loop->stopping = true;
}

void sl_loop_each_round(struct sl_loop *loop, void (*fn)(void *ctx), void *ctx)
{
	loop->round_fn = fn;
	loop->round_ctx = ctx;
}

static void on_watch(evutil_socket_t fd, short what, void *ctx)
{
	struct sl_loop_watch *watch = ctx;

	(void)fd;
	note_call(watch->loop);
	watch->fn(watch->ctx,
		(what & EV_READ ? SL_LOOP_READ : 0u) | (what & EV_WRITE ? SL_LOOP_WRITE : 0u));
}

static short events_of(unsigned what)
{
	return (short)(EV_PERSIST | (what & SL_LOOP_READ ? EV_READ : 0) |
		       (what & SL_LOOP_WRITE ? EV_WRITE : 0));
}

int sl_loop_watch_new(struct sl_loop *loop, int fd, unsigned what,
	void (*fn)(void *ctx, unsigned what), void *ctx, struct sl_loop_watch **out,
	struct sl_error *err)
{
	struct sl_loop_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return sl_fail(err, SL_ENOMEM, "no memory to watch a descriptor");
	watch->fn = fn;
	watch->ctx = ctx;
	watch->what = what;
	watch->loop = loop;
	event_assign(&watch->event, loop->base, fd, events_of(what), on_watch, watch);
	if (what && event_add(&watch->event, NULL) < 0) {
		free(watch);
		return sl_fail_errno(err, errno, "cannot watch descriptor %d", fd);
	}
	*out = watch;
	return 0;
}

void sl_loop_watch_set(struct sl_loop_watch *watch, unsigned what)
{
	struct event_base *base = event_get_base(&watch->event);
	int fd = event_get_fd(&watch->event);

	if (watch->what == what)
		return;
	if (watch->what)
		event_del(&watch->event);
	watch->what = what;
	event_assign(&watch->event, base, fd, events_of(what), on_watch, watch);
	if (what)
		event_add(&watch->event, NULL);
}

void sl_loop_watch_free(struct sl_loop_watch *watch)
{
	if (!watch)
		return;
	event_del(&watch->event);
	free(watch);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct sl_loop_timer *timer = ctx;

	(void)fd;
	(void)what;
	note_call(timer->loop);
	timer->fn(timer->ctx);
}

int sl_loop_timer_new(struct sl_loop *loop, void (*fn)(void *ctx), void *ctx,
	struct sl_loop_timer **out, struct sl_error *err)
{
	struct sl_loop_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return sl_fail(err, SL_ENOMEM, "no memory for a timer");
	timer->fn = fn;
	timer->ctx = ctx;
	timer->loop = loop;
	evtimer_assign(&timer->event, loop->base, on_timer, timer);
	*out = timer;
	return 0;
}

void sl_loop_timer_set(struct sl_loop_timer *timer, int64_t ms)
{
	struct timeval in = {ms / 1000, (ms % 1000) * 1000};

	event_add(&timer->event, &in);
}

void sl_loop_timer_clear(struct sl_loop_timer *timer)
{
	event_del(&timer->event);
}

bool sl_loop_timer_is_set(const struct sl_loop_timer *timer)
{
	return event_pending(&timer->event, EV_TIMEOUT, NULL);
}

void sl_loop_timer_free(struct sl_loop_timer *timer)
{
	if (!timer)
		return;
	event_del(&timer->event);
	free(timer);
}

static void on_signal(evutil_socket_t signo, short what, void *ctx)
{
	struct signal_watch *watch = ctx;

	(void)signo;
	(void)what;
	note_call(watch->loop);
	watch->fn(watch->ctx);
}

int sl_loop_signal(
	struct sl_loop *loop, int signo, void (*fn)(void *ctx), void *ctx, struct sl_error *err)
{
	struct signal_watch *watch = &loop->signals[loop->n_signals];

	if (loop->n_signals == MAX_SIGNALS)
		return sl_fail(
			err, SL_EINVALID, "the loop watches %d signals already", MAX_SIGNALS);
	watch->fn = fn;
	watch->ctx = ctx;
	watch->loop = loop;
	evsignal_assign(&watch->event, loop->base, signo, on_signal, watch);
	if (event_add(&watch->event, NULL) < 0)
		return sl_fail_errno(err, errno, "cannot watch for signal %d", signo);
	loop->n_signals++;
	return 0;
}
