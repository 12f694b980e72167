/* SPDX-License-Identifier: MIT */
#include "agent/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "common/error.h"

#define MAX_SIGNALS 4

struct signal_watch {
	struct event event;
	void (*fn)(void *ctx);
	void *ctx;
};

struct sl_loop {
	struct event_base *base;
	bool stopping;
	void (*round_fn)(void *ctx);
	void *round_ctx;
	struct signal_watch signals[MAX_SIGNALS];
	size_t n_signals;
};

struct sl_loop_watch {
	struct event event;
	unsigned what; /* what is waited for; 0: the event is not added */
	void (*fn)(void *ctx, unsigned what);
	void *ctx;
};

struct sl_loop_timer {
	struct event event;
	void (*fn)(void *ctx);
	void *ctx;
};

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

int sl_loop_run(struct sl_loop *loop, struct sl_error *err)
{
	loop->stopping = false;
	while (!loop->stopping) {
		if (event_base_loop(loop->base, EVLOOP_ONCE) < 0)
			return sl_fail_errno(err, errno, "the event loop failed");
		if (loop->round_fn)
			loop->round_fn(loop->round_ctx);
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
	evsignal_assign(&watch->event, loop->base, signo, on_signal, watch);
	if (event_add(&watch->event, NULL) < 0)
		return sl_fail_errno(err, errno, "cannot watch for signal %d", signo);
	loop->n_signals++;
	return 0;
}
