/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Loop: what the command line waits for: its connections, the signals that a
 * person sends, descriptors and points in time. poll(2), one thread.
 *
 * Threads: one, the one that made it.
 */

#include <sys/queue.h>

#include "common/base.h"

struct sl_endpoint;
struct sl_endpoint_ops;
struct sl_error;
struct sl_loop;

/* A call at a point in time. The owner embeds it, zeroed, and cancels it before it goes. */
struct sl_alarm {
	TAILQ_ENTRY(sl_alarm) link; /* sl_loop.alarms */
	int64_t at_ms;
	void (*fn)(void *ctx);
	void *ctx;
	bool set;
};

/* A call each time a descriptor is readable or its peer is gone. As above. */
struct sl_watch_fd {
	TAILQ_ENTRY(sl_watch_fd) link; /* sl_loop.watches */
	int fd;
	void (*fn)(void *ctx);
	void *ctx;
	bool set;
};

/* Blocks those of SIGINT, SIGTERM and SIGHUP that are not ignored for this process, to hear of
 * them by descriptor, and makes an endpoint that calls @ops (no @ctx: each connection's user
 * knows). */
int sl_loop_new(const struct sl_endpoint_ops *ops, struct sl_loop **out,
	struct sl_error *err) sl_must_check;

/* Closes all connections. NULL is fine. Blocks until the network's threads let go. */
void sl_loop_free(struct sl_loop *loop);
SL_DEFINE_CLEANUP(struct sl_loop *, sl_loop_free);

struct sl_endpoint *sl_loop_endpoint(struct sl_loop *loop);

/* Calls fn(ctx, number) for each of the signals above. Without it they stop the loop. */
void sl_loop_on_signal(struct sl_loop *loop, void (*fn)(void *ctx, int number), void *ctx);

/* Calls alarm->fn(ctx) once at monotonic @at_ms; one that is set is set anew. */
void sl_loop_set(struct sl_loop *loop, struct sl_alarm *alarm, int64_t at_ms,
	void (*fn)(void *ctx), void *ctx);
void sl_loop_unset(struct sl_loop *loop, struct sl_alarm *alarm);

void sl_loop_watch(struct sl_loop *loop, struct sl_watch_fd *watch, int fd,
	void (*fn)(void *ctx), void *ctx);
void sl_loop_unwatch(struct sl_loop *loop, struct sl_watch_fd *watch);

/* Runs until sl_loop_stop(). Blocks. */
void sl_loop_run(struct sl_loop *loop);
void sl_loop_stop(struct sl_loop *loop);
