/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Loop: the agent's one thread for descriptors, timers and signals (libevent).
 * With nothing due it sleeps for ever.
 *
 * Threads: the loop's own, all functions; callbacks come from sl_loop_run().
 */

#include "common/base.h"

struct sl_error;
struct sl_histogram;
struct sl_loop;
struct sl_loop_timer;
struct sl_loop_watch;

enum {
	SL_LOOP_READ = 1,
	SL_LOOP_WRITE = 2,
};

int sl_loop_new(struct sl_loop **out, struct sl_error *err) sl_must_check;

/* Watches and timers must have been freed. NULL is fine. */
void sl_loop_free(struct sl_loop *loop);
SL_DEFINE_CLEANUP(struct sl_loop *, sl_loop_free);

/* Calls back until sl_loop_stop(). Blocks. */
int sl_loop_run(struct sl_loop *loop, struct sl_error *err) sl_must_check;

/* Ends run after the callbacks that are due now. */
void sl_loop_stop(struct sl_loop *loop);

/* Calls fn(ctx) after each round of callbacks: for what is cheaper to do once than each time.
 */
void sl_loop_each_round(struct sl_loop *loop, void (*fn)(void *ctx), void *ctx);

/* How long the rounds took, from a round's first callback to its end: so long waited what came
 * meanwhile. Borrowed while the loop lives. */
const struct sl_histogram *sl_loop_rounds(const struct sl_loop *loop);

/* Whether one of the rounds of the last SL_LOOP_LATE_FOR_MS took longer than SL_LOOP_LATE_MS.
 */
bool sl_loop_was_late(const struct sl_loop *loop);

#define SL_LOOP_LATE_MS 1000
#define SL_LOOP_LATE_FOR_MS 10000

/* Calls fn(ctx, what) each time @fd is ready for what @what asks for. @fd stays the caller's
 * and must outlive the watch. */
int sl_loop_watch_new(struct sl_loop *loop, int fd, unsigned what,
	void (*fn)(void *ctx, unsigned what), void *ctx, struct sl_loop_watch **out,
	struct sl_error *err) sl_must_check;

/* Changes what is waited for; 0 pauses. */
void sl_loop_watch_set(struct sl_loop_watch *watch, unsigned what);

/* No callback afterwards. From the callback too. NULL is fine. */
void sl_loop_watch_free(struct sl_loop_watch *watch);

/* A timer that is not set yet. */
int sl_loop_timer_new(struct sl_loop *loop, void (*fn)(void *ctx), void *ctx,
	struct sl_loop_timer **out, struct sl_error *err) sl_must_check;

/* Calls back once in @ms from now, at least 0; replaces what was set. */
void sl_loop_timer_set(struct sl_loop_timer *timer, int64_t ms);
void sl_loop_timer_clear(struct sl_loop_timer *timer);
bool sl_loop_timer_is_set(const struct sl_loop_timer *timer);
void sl_loop_timer_free(struct sl_loop_timer *timer);

/* Calls fn(ctx) on the loop for each delivery of @signo, until the loop is freed. */
int sl_loop_signal(struct sl_loop *loop, int signo, void (*fn)(void *ctx), void *ctx,
	struct sl_error *err) sl_must_check;
