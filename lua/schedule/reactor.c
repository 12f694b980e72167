/* SPDX-License-Identifier: MIT */
#include "lua/schedule/reactor.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/error.h"

struct sl_reactor {
	pthread_mutex_t lock;
	struct event_base *base; /* guarded by: lock until it is there; then immutable */
	struct event *end;       /* what ends the loop, even one that has not begun yet */
	pthread_t thread;
	bool started; /* guarded by: lock */
	bool held;    /* guarded by: lock; the thread has to wait for sl_reactor_release() */
};

struct sl_watch {
	struct event_base *base;
	struct event *event;
	_Atomic bool over; /* atomic: set by who frees it, read by its callback */
	int fd;
	void (*fn)(void *ctx, unsigned what);
	void *ctx;
};

struct sl_alarm {
	struct event *event;
	_Atomic bool over; /* as of a watch */
	void (*fn)(void *ctx);
	void *ctx;
};

struct post {
	void (*fn)(void *ctx);
	void *ctx;
};

int sl_reactor_new(struct sl_reactor **out, struct sl_error *err)
{
	struct sl_reactor *reactor = calloc(1, sizeof(*reactor));

	if (!reactor)
		return sl_fail(err, SL_ENOMEM, "not enough memory for the reactor");
	pthread_mutex_init(&reactor->lock, NULL);
	*out = reactor;
	return 0;
}

static void *loop(void *arg)
{
	struct sl_reactor *reactor = arg;

	event_base_loop(reactor->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static bool locks_work;

static void use_locks(void)
{
	locks_work = evthread_use_pthreads() == 0;
}

static struct event_base *new_base(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct event_config *config;
	struct event_base *base = NULL;

	pthread_once(&once, use_locks);
	if (!locks_work)
		return NULL;
	config = event_config_new();
	if (!config)
		return NULL;
	/* The environment is the task's; and to ask whether it may be trusted is a dozen calls.
	 */
	if (event_config_set_flag(
		    config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static void on_end(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

/* The signals of the process are for its other threads. */
static int start_thread(struct sl_reactor *reactor)
{
	sigset_t all, old;
	int errnum;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	errnum = pthread_create(&reactor->thread, NULL, loop, reactor);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return errnum;
}

static int start_locked(struct sl_reactor *reactor, struct sl_error *err)
{
	int errnum;

	if (!reactor->base)
		reactor->base = new_base();
	if (reactor->base && !reactor->end)
		reactor->end = event_new(reactor->base, -1, 0, on_end, reactor->base);
	if (!reactor->end)
		return sl_fail(err, SL_ESYSTEM, "cannot make an event loop");
	if (reactor->held)
		return 0;
	errnum = start_thread(reactor);
	if (errnum != 0)
		return sl_fail_errno(err, errnum, "cannot start the reactor's thread");
	reactor->started = true;
	return 0;
}

static int start(struct sl_reactor *reactor, struct sl_error *err)
{
	int code = 0;

	pthread_mutex_lock(&reactor->lock);
	if (!reactor->started)
		code = start_locked(reactor, err);
	pthread_mutex_unlock(&reactor->lock);
	return code;
}

void sl_reactor_hold(struct sl_reactor *reactor)
{
	pthread_mutex_lock(&reactor->lock);
	reactor->held = true;
	pthread_mutex_unlock(&reactor->lock);
}

int sl_reactor_release(struct sl_reactor *reactor, struct sl_error *err)
{
	int code = 0;

	pthread_mutex_lock(&reactor->lock);
	reactor->held = false;
	if (reactor->base && !reactor->started)
		code = start_locked(reactor, err);
	pthread_mutex_unlock(&reactor->lock);
	return code;
}

void sl_reactor_free(struct sl_reactor *reactor)
{
	if (!reactor)
		return;
	if (reactor->started) {
		assert(!pthread_equal(pthread_self(), reactor->thread));
		event_active(reactor->end, EV_TIMEOUT, 0);
		pthread_join(reactor->thread, NULL);
	}
	if (reactor->end)
		event_free(reactor->end);
	if (reactor->base)
		event_base_free(reactor->base);
	pthread_mutex_destroy(&reactor->lock);
	free(reactor);
}

/* libevent takes the event out, and then waits for a callback that is running; which may put it
 * in again. From then on *over holds callbacks back, so that once more is enough. */
static void free_event(struct event *event, _Atomic bool *over)
{
	atomic_store(over, true);
	event_del(event);
	event_free(event);
}

/* ---- descriptors ---- */

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct sl_watch *watch = arg;

	(void)fd;
	watch->fn(watch->ctx, (what & EV_READ ? (unsigned)SL_REACTOR_READ : 0) |
				      (what & EV_WRITE ? (unsigned)SL_REACTOR_WRITE : 0));
}

static short events_of(unsigned what)
{
	return (short)((what & SL_REACTOR_READ ? EV_READ : 0) |
		       (what & SL_REACTOR_WRITE ? EV_WRITE : 0) | EV_PERSIST);
}

void sl_watch_set(struct sl_watch *watch, unsigned what)
{
	event_del(watch->event);
	if (what == 0 || atomic_load(&watch->over))
		return;
	event_assign(watch->event, watch->base, watch->fd, events_of(what), on_fd, watch);
	event_add(watch->event, NULL);
}

int sl_reactor_watch(struct sl_reactor *reactor, int fd, unsigned what,
	void (*fn)(void *ctx, unsigned what), void *ctx, struct sl_watch **out,
	struct sl_error *err)
{
	struct sl_watch *watch;
	int code = start(reactor, err);

	if (code != 0)
		return code;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return sl_fail(err, SL_ENOMEM, "not enough memory to watch a descriptor");
	*watch = (struct sl_watch){.base = reactor->base, .fd = fd, .fn = fn, .ctx = ctx};
	watch->event = event_new(reactor->base, fd, events_of(what), on_fd, watch);
	if (!watch->event || (what != 0 && event_add(watch->event, NULL) != 0)) {
		sl_watch_free(watch);
		return sl_fail(err, SL_ESYSTEM, "cannot watch descriptor %d", fd);
	}
	*out = watch;
	return 0;
}

void sl_watch_free(struct sl_watch *watch)
{
	if (!watch)
		return;
	if (watch->event)
		free_event(watch->event, &watch->over);
	free(watch);
}

/* ---- calls ---- */

static void on_post(evutil_socket_t fd, short what, void *arg)
{
	struct post *post = arg;
	struct post copy = *post;

	(void)fd;
	(void)what;
	free(post);
	copy.fn(copy.ctx);
}

int sl_reactor_post(
	struct sl_reactor *reactor, void (*fn)(void *ctx), void *ctx, struct sl_error *err)
{
	static const struct timeval at_once = {0, 0};
	struct post *post;
	int code = start(reactor, err);

	if (code != 0)
		return code;
	post = malloc(sizeof(*post));
	if (!post)
		return sl_fail(err, SL_ENOMEM, "not enough memory for a call");
	*post = (struct post){fn, ctx};
	if (event_base_once(reactor->base, -1, EV_TIMEOUT, on_post, post, &at_once) == 0)
		return 0;
	free(post);
	return sl_fail(err, SL_ENOMEM, "not enough memory for a call");
}

/* ---- alarms ---- */

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct sl_alarm *alarm = arg;

	(void)fd;
	(void)what;
	alarm->fn(alarm->ctx);
}

int sl_alarm_new(struct sl_reactor *reactor, void (*fn)(void *ctx), void *ctx,
	struct sl_alarm **out, struct sl_error *err)
{
	struct sl_alarm *alarm;
	int code = start(reactor, err);

	if (code != 0)
		return code;
	alarm = calloc(1, sizeof(*alarm));
	if (alarm) {
		*alarm = (struct sl_alarm){.fn = fn, .ctx = ctx};
		alarm->event = evtimer_new(reactor->base, on_alarm, alarm);
	}
	if (!alarm || !alarm->event) {
		free(alarm);
		return sl_fail(err, SL_ENOMEM, "not enough memory for a timer");
	}
	*out = alarm;
	return 0;
}

void sl_alarm_set(struct sl_alarm *alarm, int64_t at_ns)
{
	int64_t left_ns = at_ns - sl_clock_monotonic_ns();
	int64_t left_us = left_ns > 0 ? (left_ns + 999) / 1000 : 0;
	struct timeval left = {.tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000};

	if (!atomic_load(&alarm->over))
		evtimer_add(alarm->event, &left);
}

void sl_alarm_free(struct sl_alarm *alarm)
{
	if (!alarm)
		return;
	free_event(alarm->event, &alarm->over);
	free(alarm);
}

/* ---- timers: alarms that are set once ---- */

struct sl_timer {
	struct sl_alarm *alarm;
};

int sl_reactor_timer(struct sl_reactor *reactor, int64_t at_ns, void (*fn)(void *ctx),
	void *ctx, struct sl_timer **out, struct sl_error *err)
{
	struct sl_timer *timer = calloc(1, sizeof(*timer));
	int code;

	if (!timer)
		return sl_fail(err, SL_ENOMEM, "not enough memory for a timer");
	code = sl_alarm_new(reactor, fn, ctx, &timer->alarm, err);
	if (code != 0) {
		free(timer);
		return code;
	}
	sl_alarm_set(timer->alarm, at_ns);
	*out = timer;
	return 0;
}

void sl_timer_free(struct sl_timer *timer)
{
	if (timer)
		sl_alarm_free(timer->alarm);
	free(timer);
}
