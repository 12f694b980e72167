/* SPDX-License-Identifier: MIT */
#include "lua/sync/future.h"

#include <pthread.h>
#include <stdlib.h>

struct sl_future {
	struct sl_handle handle; /* first */
	pthread_mutex_t lock;
	bool done;                 /* guarded by: lock */
	bool awaited;              /* guarded by: lock */
	struct sl_outcome outcome; /* once done: owner is who took it, else the future */
	struct sl_waiters waiters; /* guarded by: lock */
};

static void free_future(struct sl_handle *handle)
{
	struct sl_future *future = (struct sl_future *)handle;

	sl_outcome_deinit(&future->outcome);
	pthread_mutex_destroy(&future->lock);
	free(future);
}

struct sl_future *sl_future_new(void)
{
	struct sl_future *future = calloc(1, sizeof(*future));

	if (!future)
		return NULL;
	future->handle =
		(struct sl_handle){.refs = 1, .kind = SL_FUTURE_KIND, .free = free_future};
	pthread_mutex_init(&future->lock, NULL);
	return future;
}

struct sl_handle *sl_future_handle(struct sl_future *future)
{
	return &future->handle;
}

void sl_future_complete(struct sl_future *future, struct sl_outcome *outcome)
{
	pthread_mutex_lock(&future->lock);
	future->outcome = *outcome;
	future->done = true;
	sl_waiters_wake_all(&future->waiters);
	pthread_mutex_unlock(&future->lock);
}

bool sl_future_is_done(struct sl_future *future)
{
	bool done;

	pthread_mutex_lock(&future->lock);
	done = future->done;
	pthread_mutex_unlock(&future->lock);
	return done;
}

bool sl_future_has_failed(struct sl_future *future)
{
	bool failed;

	pthread_mutex_lock(&future->lock);
	failed = future->done && !future->outcome.ok;
	pthread_mutex_unlock(&future->lock);
	return failed;
}

struct sl_outcome *sl_future_take(struct sl_future *future, bool *awaited)
{
	struct sl_outcome *outcome = NULL;

	pthread_mutex_lock(&future->lock);
	*awaited = future->awaited;
	if (future->done && !future->awaited) {
		future->awaited = true;
		outcome = &future->outcome;
	}
	pthread_mutex_unlock(&future->lock);
	return outcome;
}

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_future *future = wait->object;
	bool busy;

	(void)goroutine;
	pthread_mutex_lock(&future->lock);
	busy = !future->done;
	if (busy)
		sl_waiters_add(&future->waiters, &wait->waiter);
	pthread_mutex_unlock(&future->lock);
	return busy;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_future *future = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&future->lock);
	sl_waiters_remove(&future->waiters, &wait->waiter);
	pthread_mutex_unlock(&future->lock);
}

const struct sl_wait_kind sl_future_wait_kind = {
	.name = SL_FUTURE_KIND,
	.enter = enter,
	.leave = leave,
};
