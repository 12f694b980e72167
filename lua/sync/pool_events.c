/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/clock.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/reactor.h"
#include "lua/sync/pool_parts.h"

/* Nobody waits longer to hear of a change, nor hears of more. */
#define NEWS_EVERY_NS INT64_C(100000000)

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

/* Emits what is so now; @closed: for the last time. */
static void emit(struct sl_pool *pool, bool closed)
{
	struct sl_event event = {.kind = SL_EVENT_POOL};

	pthread_mutex_lock(&pool->lock);
	event.pool = sl_pool_stats_locked(pool);
	pool->news_due = false;
	pool->news_ns = sl_clock_monotonic_ns();
	pthread_mutex_unlock(&pool->lock);
	event.pool.closed = closed;
	sl_runtime_emit(pool->runtime, &event);
}

/* On the reactor: news between the first and the last come from here alone, in their order. */
static void on_news(void *ctx)
{
	emit(ctx, false);
}

void sl_pool_changed_locked(struct sl_pool *pool)
{
	if (pool->news_due || pool->news_over)
		return;
	if (!pool->news &&
		sl_alarm_new(pool->runtime->reactor, on_news, pool, &pool->news, NULL) != 0)
		return; /* no memory: the next change tries again, and the last news come */
	pool->news_due = true;
	sl_alarm_set(pool->news, pool->news_ns + NEWS_EVERY_NS);
}

void sl_pool_emit_first(struct sl_pool *pool)
{
	emit(pool, false);
}

void sl_pool_emit_last(struct sl_pool *pool)
{
	struct sl_alarm *news;

	pthread_mutex_lock(&pool->lock);
	pool->news_over = true;
	news = sl_steal(pool->news);
	pthread_mutex_unlock(&pool->lock);
	sl_alarm_free(news);
	emit(pool, true);
}

size_t sl_pool_write_id(const struct sl_pool *pool, uint64_t number, char id[SL_POOL_ID_SIZE])
{
	size_t size = strnlen(pool->name, SL_POOL_ID_SIZE - 24);
	char digits[24], *at = digits + sizeof(digits);

	memcpy(id, pool->name, size);
	id[size++] = '-';
	do
		*--at = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	memcpy(id + size, at, (size_t)(digits + sizeof(digits) - at));
	return size + (size_t)(digits + sizeof(digits) - at);
}

void sl_pool_emit_task(const struct sl_submission *submission,
	const struct sl_goroutine *goroutine, const struct sl_outcome *outcome)
{
	struct sl_event event = {.kind = SL_EVENT_TASK};
	char id[SL_POOL_ID_SIZE];

	event.task.id.data = id;
	event.task.id.size = sl_pool_write_id(submission->pool, submission->number, id);
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
