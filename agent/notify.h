/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Notify: what the service manager is told of the agent: that it is ready, what
 * it is about, that it stops, and that it makes progress. Where nobody asked
 * to be told (NOTIFY_SOCKET), all of this does nothing.
 *
 * This is the protocol of sd_notify(3), which is a datagram with lines of text;
 * that is why no library is here.
 *
 * Threads: the loop's.
 */

#include "common/base.h"

struct sl_error;
struct sl_loop;
struct sl_notify;

struct sl_notify_ops {
	/* Writes what the agent is about now; asked at most once a second. */
	void (*describe)(void *ctx, char *out, size_t size);
	/* The watchdog is hungry: find out whether the agent makes progress, and call
	 * sl_notify_feed(). */
	void (*feel)(void *ctx);
};

/* Takes NOTIFY_SOCKET and WATCHDOG_* out of the environment, so that tasks don't inherit them:
 * call it before other processes and threads start. @ops and @ctx
 * are borrowed. */
int sl_notify_new(struct sl_loop *loop, const struct sl_notify_ops *ops, void *ctx,
	struct sl_notify **out, struct sl_error *err) sl_must_check;

/* NULL is fine, here and below. */
void sl_notify_free(struct sl_notify *notify);

/* The configuration is being read again; sl_notify_ready() says that it has been. */
void sl_notify_reloading(struct sl_notify *notify);

/* The agent accepts tasks. From here on the watchdog is fed, if there is one. */
void sl_notify_ready(struct sl_notify *notify);

/* Answers feel(): feeds the watchdog if there is @progress. If there is none, feel() is called
 * again soon. */
void sl_notify_feed(struct sl_notify *notify, bool progress);

/* What describe() says may have changed. Cheap. */
void sl_notify_changed(struct sl_notify *notify);

void sl_notify_stopping(struct sl_notify *notify);
