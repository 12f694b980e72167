/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inbox: how NNG's threads tell the loop that an operation has completed. A
 * completion is one nng_aio with its place in the queue; since an aio has at
 * most one operation under way, no memory is ever needed to queue it.
 *
 * Threads: completions arrive on NNG's; everything else is the loop's.
 */

#include <nng/nng.h>

#include "common/base.h"

struct sl_error;

struct sl_completion {
	struct sl_inbox *inbox;
	nng_aio *aio;
	struct sl_completion *next; /* guarded by: inbox lock; then owner: loop */
	bool pending;               /* owner: loop. An operation is under way, or queued here */
	size_t quiet_bytes; /* guarded by: inbox lock; see sl_completion_expect(). 0: not quiet
	                     */
	void (*fn)(void *ctx); /* on the loop, when it has completed */
	void *ctx;
};

struct sl_inbox;

int sl_inbox_new(struct sl_inbox **out, struct sl_error *err) sl_must_check;
void sl_inbox_free(struct sl_inbox *inbox);

/* Readable when something has completed. */
int sl_inbox_fd(const struct sl_inbox *inbox);

/* Makes the fd readable once, for a loop that has to come by. */
void sl_inbox_wake(struct sl_inbox *inbox);

/* Calls back for everything that has completed by now; what completes meanwhile waits for the
 * next time, so that a busy peer can't keep the loop to itself. */
void sl_inbox_dispatch(struct sl_inbox *inbox);

/* Before an operation: if it succeeds with all of @bytes, that is no news for which the loop is
 * woken; fn is called when it comes by next. */
void sl_completion_expect(struct sl_completion *completion, size_t bytes);

/* It is news after all: something waits for it now. */
void sl_completion_hurry(struct sl_completion *completion);

/* Whether it has completed; if so, fn is not called. */
bool sl_completion_take(struct sl_completion *completion) sl_must_check;

int sl_completion_init(struct sl_completion *completion, struct sl_inbox *inbox,
	void (*fn)(void *ctx), void *ctx, struct sl_error *err) sl_must_check;

/* Ends the operation under way and forgets a completion that waits: fn won't be called. What
 * came of it is in the aio. Blocks until NNG has let go of it, which is at once when nothing is
 * pending. */
void sl_completion_stop(struct sl_completion *completion);

/* Stops and frees it. A zeroed one is fine. */
void sl_completion_deinit(struct sl_completion *completion);
