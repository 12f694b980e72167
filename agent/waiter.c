/* SPDX-License-Identifier: MIT */
#include "agent/waiter.h"

#include <stdlib.h>

#include "agent/loop.h"
#include "agent/peer.h"
#include "common/error.h"
#include "proto/message.h"

/* accepted and running: a submit whose task is short is answered with its result. It is short,
 * too, with a few dozen others before it: one that is answered without it asks again, and then
 * each of them makes the others wait longer. */
#define FIRST_STATES 2
#define SUBMIT_MS 50

static void on_timer(void *ctx)
{
	struct sl_waiter *waiter = ctx;

	waiter->expired(waiter->ctx, waiter);
}

int sl_waiter_new(struct sl_loop *loop, struct sl_job *job, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request, int64_t wait_ms,
	void (*expired)(void *ctx, struct sl_waiter *waiter), void *ctx, struct sl_waiter **out,
	struct sl_error *err)
{
	struct sl_waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return sl_fail(err, SL_ENOMEM, "no memory for a request that waits");
	if (sl_loop_timer_new(loop, on_timer, waiter, &waiter->timer, err) < 0) {
		free(waiter);
		return SL_ENOMEM;
	}
	waiter->job = job;
	waiter->peer = peer;
	waiter->id = id;
	waiter->is_submit = request->op == SL_OP_SUBMIT;
	waiter->after = waiter->worth_after = request->after;
	waiter->max_bytes = request->max_bytes;
	waiter->expired = expired;
	waiter->ctx = ctx;
	if (waiter->is_submit && waiter->worth_after < FIRST_STATES) {
		waiter->worth_after = FIRST_STATES;
		if (wait_ms > SUBMIT_MS)
			wait_ms = SUBMIT_MS;
	}
	sl_loop_timer_set(waiter->timer, wait_ms);
	TAILQ_INSERT_TAIL(&job->waiters, waiter, of_job);
	TAILQ_INSERT_TAIL(&peer->waiting, waiter, of_peer);
	*out = waiter;
	return 0;
}

void sl_waiter_free(struct sl_waiter *waiter)
{
	TAILQ_REMOVE(&waiter->job->waiters, waiter, of_job);
	TAILQ_REMOVE(&waiter->peer->waiting, waiter, of_peer);
	sl_loop_timer_free(waiter->timer);
	free(waiter);
}
