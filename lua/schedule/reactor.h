/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reactor: one thread that waits for timers and descriptors (libevent) and
 * calls back. It runs no Lua and its callbacks don't block.
 *
 * Threads: any, unless a function says otherwise; callbacks come on the reactor.
 */

#include "common/base.h"

struct sl_error;
struct sl_reactor;
struct sl_watch;

enum {
	SL_REACTOR_READ = 1,
	SL_REACTOR_WRITE = 2,
};

/* The thread starts with the first watch or timer, not here: a fork before that is fine. */
int sl_reactor_new(struct sl_reactor **out, struct sl_error *err) sl_must_check;

/* Until sl_reactor_release() the thread doesn't start: what is to be watched from the beginning
 * doesn't wake it piece by piece. Before it has started. */
void sl_reactor_hold(struct sl_reactor *reactor);

/* Starts the thread if there is something to do for it. */
int sl_reactor_release(struct sl_reactor *reactor, struct sl_error *err) sl_must_check;

/* Ends the thread, frees what is left. Not from a callback. */
void sl_reactor_free(struct sl_reactor *reactor);

/* Calls fn(ctx, what) each time @fd is readable or writable, as asked for in @what, until
 * sl_watch_free(). */
int sl_reactor_watch(struct sl_reactor *reactor, int fd, unsigned what,
	void (*fn)(void *ctx, unsigned what), void *ctx, struct sl_watch **out,
	struct sl_error *err) sl_must_check;

/* Changes what is waited for; 0 pauses. */
void sl_watch_set(struct sl_watch *watch, unsigned what);

/* After it returned, the callback is not running and won't run. From the reactor or any other
 * thread. */
void sl_watch_free(struct sl_watch *watch);

/* Calls fn(ctx) once on the reactor, as soon as it can. */
int sl_reactor_post(struct sl_reactor *reactor, void (*fn)(void *ctx), void *ctx,
	struct sl_error *err) sl_must_check;

/* Calls fn(ctx) once at monotonic time @at_ns. *out is for sl_reactor_timer_free(), which is
 * owed in any case, fired or not. */
struct sl_timer;
int sl_reactor_timer(struct sl_reactor *reactor, int64_t at_ns, void (*fn)(void *ctx),
	void *ctx, struct sl_timer **out, struct sl_error *err) sl_must_check;
void sl_timer_free(struct sl_timer *timer);

/* An alarm: calls fn(ctx) on the reactor at the monotonic time it was last set to. */
struct sl_alarm;
int sl_alarm_new(struct sl_reactor *reactor, void (*fn)(void *ctx), void *ctx,
	struct sl_alarm **out, struct sl_error *err) sl_must_check;

/* Once, at @at_ns or at once if that is over. What it was set to before is forgotten. May be
 * called under a lock that fn takes too. */
void sl_alarm_set(struct sl_alarm *alarm, int64_t at_ns);

/* As sl_watch_free(). */
void sl_alarm_free(struct sl_alarm *alarm);
