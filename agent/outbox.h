/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Outbox: a worker's events on their way to main. They are collected into
 * batches of SL_BATCH_BYTES or SL_BATCH_MS, whichever comes first, and sent as
 * far as main gave credit. When too much waits, those who emit are told so.
 *
 * Threads: any, new and free excepted.
 */

#include "common/base.h"
#include "common/state.h"

struct sl_error;
struct sl_event;
struct sl_outbox;
struct sl_reactor;
struct sl_tally;

/* Sends on the socket @fd, which stays the caller's, once there is credit. drained(ctx) is
 * called, on any thread, when emitting may go on after sl_outbox_emit() said true. What is
 * logged and written is counted in @tally, borrowed until free. */
int sl_outbox_new(int fd, struct sl_reactor *reactor, struct sl_tally *tally,
	void (*drained)(void *ctx), void *ctx, struct sl_outbox **out,
	struct sl_error *err) sl_must_check;

/* Nobody may emit any more. NULL is fine. */
void sl_outbox_free(struct sl_outbox *outbox);

/* Takes one event, always; what the job logs beyond its cap is counted instead. A result is
 * kept back for finish. True: there is more than enough waiting; the caller should not emit
 * until drained(). */
bool sl_outbox_emit(struct sl_outbox *outbox, const struct sl_event *event);

/* Main takes @bytes more. */
void sl_outbox_credit(struct sl_outbox *outbox, uint64_t bytes);

/* Sends everything, the result last, and that the task ended in @state; then main knows all,
 * and what is emitted later is lost.
 * Blocks until main has taken it. SL_ECLOSED, SL_ESYSTEM when it can't. */
int sl_outbox_finish(
	struct sl_outbox *outbox, enum sl_state state, struct sl_error *err) sl_must_check;

/* Sends what can be sent in @ms: for a process that is made to exit. */
void sl_outbox_rescue(struct sl_outbox *outbox, int ms);
