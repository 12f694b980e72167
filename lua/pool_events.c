/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "common/clock.h"
#include "lua/pool_parts.h"
#include "lua/runtime_inside.h"

enum {
	STATS_EVERY_MS = 100,
};

struct sl_pool_stats sl_pool_stats_locked(const struct sl_pool *pool)
{
	uint64_t ended = pool->completed + pool->failed;

	return (struct sl_pool_stats){
		.name = sl_bytes_of(pool->name),
		.workers = pool->workers,
		.active = pool->active,
		.completed = pool->completed,
		.failed = pool->failed,
		.queued = pool->queued,
		.submitted = pool->submitted,
		.rejected = pool->rejected,
		.capacity = pool->capacity,
		.peak_active = pool->peak_active,
		.wait_ms_avg = ended ? pool->wait_ms / (double)ended : 0,
		.run_ms_avg = ended ? pool->run_ms / (double)ended : 0,
	};
}

void sl_pool_emit_stats(struct sl_pool *pool, bool now, bool closed)
{
	struct sl_event event = {.kind = SL_EVENT_POOL};
	int64_t ms = sl_clock_monotonic_ms();
	bool due;

	pthread_mutex_lock(&pool->lock);
	due = now || ms - pool->stats_ms >= STATS_EVERY_MS;
	if (due)
		pool->stats_ms = ms;
	event.pool = sl_pool_stats_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	event.pool.closed = closed;
	if (due)
		sl_runtime_emit(pool->runtime, &event);
}

void sl_submission_write_id(const struct sl_submission *submission, char *id, size_t size)
{
	snprintf(id, size, "%s-%llu", submission->pool->name,
		(unsigned long long)submission->number);
}

void sl_pool_emit_task(const struct sl_submission *submission,
	const struct sl_goroutine *goroutine, const struct sl_outcome *outcome)
{
	struct sl_event event = {.kind = SL_EVENT_TASK};
	char id[256];

	sl_submission_write_id(submission, id, sizeof(id));
	event.task.id = sl_bytes_of(id);
	event.task.pool = sl_bytes_of(submission->pool->name);
	event.task.goroutine = goroutine ? goroutine->id : 0;
	event.task.success = outcome->ok;
	event.task.values = outcome->values;
	event.task.n_values = outcome->n_values;
	event.task.error = outcome->error;
	event.task.traceback = outcome->traceback;
	event.task.wait_ms = outcome->wait_ms;
	event.task.run_ms = outcome->run_ms;
	sl_runtime_emit(submission->pool->runtime, &event);
}
