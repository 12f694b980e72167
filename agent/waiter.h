/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Waiter: a request that waits for its job's next event: a long poll.
 *
 * Threads: the loop's.
 */

#include <sys/queue.h>

#include "agent/job.h"

struct sl_error;
struct sl_loop;
struct sl_peer;
struct sl_request;

TAILQ_HEAD(sl_waiting_list, sl_waiter);

struct sl_waiter {
	TAILQ_ENTRY(sl_waiter) of_job;  /* sl_job.waiters */
	TAILQ_ENTRY(sl_waiter) of_peer; /* sl_peer.waiting */
	struct sl_job *job;
	struct sl_peer *peer;
	uint32_t id; /* the request's, for the reply */
	bool is_submit;
	uint64_t after, max_bytes;
	uint64_t worth_after; /* it is worth an answer when there are events beyond this */

	struct sl_loop_timer *timer;
	void (*expired)(void *ctx, struct sl_waiter *waiter);
	void *ctx;
};

/* Has @request wait at @job for at most @wait_ms; then expired(ctx, waiter) is called, which
 * answers and frees. */
int sl_waiter_new(struct sl_loop *loop, struct sl_job *job, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request, int64_t wait_ms,
	void (*expired)(void *ctx, struct sl_waiter *waiter), void *ctx, struct sl_waiter **out,
	struct sl_error *err) sl_must_check;

/* Takes it out of both lists. */
void sl_waiter_free(struct sl_waiter *waiter);
