/* SPDX-License-Identifier: MIT */
#include "lua/sync/pool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/outcome.h"
#include "lua/schedule/reactor.h"
#include "lua/schedule/scope.h"
#include "lua/schedule/seat.h"
#include "lua/sync/pool_parts.h"

/* ---- life ---- */

static void free_pool(struct sl_handle *handle)
{
	struct sl_pool *pool = (struct sl_pool *)handle;

	sl_seats_free(pool->seats);
	sl_alarm_free(pool->news);
	sl_pool_free_results(pool->results, pool->n_results);
	pthread_mutex_destroy(&pool->lock);
	free(pool->name);
	free(pool);
}

struct sl_pool *sl_pool_new(struct sl_runtime *runtime, const char *name)
{
	struct sl_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->handle = (struct sl_handle){.refs = 1, .kind = SL_POOL_KIND, .free = free_pool};
	pool->runtime = runtime;
	pool->queue_end = &pool->queue;
	pthread_mutex_init(&pool->lock, NULL);
	pool->name = strdup(name);
	pool->seats = sl_seats_new();
	if (!pool->name || !pool->seats) {
		free_pool(&pool->handle);
		return NULL;
	}
	return pool;
}

static struct sl_pool *find_locked(struct sl_runtime *runtime, const char *name)
{
	for (struct sl_pool *pool = runtime->pools; pool; pool = pool->next)
		if (strcmp(pool->name, name) == 0)
			return pool;
	return NULL;
}

struct sl_pool *sl_pool_find(struct sl_runtime *runtime, const char *name)
{
	struct sl_pool *pool;

	pthread_mutex_lock(&runtime->lock);
	pool = find_locked(runtime, name);
	if (pool)
		sl_handle_ref(&pool->handle);
	pthread_mutex_unlock(&runtime->lock);
	return pool;
}

bool sl_pool_register(struct sl_pool *pool)
{
	struct sl_runtime *runtime = pool->runtime;
	bool taken;

	pthread_mutex_lock(&runtime->lock);
	taken = find_locked(runtime, pool->name);
	if (!taken) {
		sl_handle_ref(&pool->handle);
		pool->next = runtime->pools;
		runtime->pools = pool;
		sl_tally_add(runtime->tally, SL_TALLY_POOLS, 1);
	}
	pthread_mutex_unlock(&runtime->lock);
	return !taken;
}

bool sl_pool_unregister(struct sl_pool *pool)
{
	struct sl_runtime *runtime = pool->runtime;
	bool found = false;

	pthread_mutex_lock(&runtime->lock);
	for (struct sl_pool **at = &runtime->pools; *at; at = &(*at)->next) {
		if (*at != pool)
			continue;
		*at = pool->next;
		atomic_store(&pool->gone, true);
		sl_tally_sub(runtime->tally, SL_TALLY_POOLS, 1);
		found = true;
		break;
	}
	pthread_mutex_unlock(&runtime->lock);
	return found;
}

void sl_pool_retire(struct sl_pool *pool)
{
	struct sl_pool_result *results;
	size_t n;

	sl_pool_emit_last(pool);
	sl_seats_clear(pool->seats);
	pthread_mutex_lock(&pool->lock);
	results = sl_steal(pool->results);
	n = pool->n_results;
	pool->n_results = 0;
	pthread_mutex_unlock(&pool->lock);
	sl_pool_free_results(results, n);
}

void sl_pools_close_left(struct sl_runtime *runtime)
{
	while (runtime->pools) {
		struct sl_pool *pool = runtime->pools;
		char text[320];

		snprintf(text, sizeof(text), "pool '%.200s' was left open", pool->name);
		sl_runtime_emit_log(runtime, SL_LOG_WARNING, 0, sl_bytes_of(text), NULL);
		sl_pool_retire(pool);
		if (sl_pool_unregister(pool))
			sl_handle_unref(&pool->handle);
	}
}

/* ---- running tasks ---- */

static void free_submission(struct sl_handle *handle)
{
	struct sl_submission *submission = (struct sl_submission *)handle;

	sl_start_deinit(&submission->start);
	sl_scope_unref(submission->scope);
	sl_handle_unref(&submission->pool->handle);
	free(submission);
}

static void task_ended(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome);

struct sl_submission *sl_submission_new(struct sl_pool *pool, const struct sl_start *start)
{
	struct sl_submission *submission = calloc(1, sizeof(*submission));

	if (!submission)
		return NULL;
	submission->handle = (struct sl_handle){
		.refs = 1, .kind = SL_SUBMISSION_KIND, .free = free_submission};
	submission->pool = pool;
	sl_handle_ref(&pool->handle);
	submission->scope = sl_scope_ref(start->scope);
	submission->start = *start;
	submission->start.ended = task_ended;
	submission->start.ctx = submission;
	submission->start.seats = pool->seats;
	return submission;
}

const struct sl_pool *sl_pool_of_task(const struct sl_goroutine *goroutine)
{
	const struct sl_start *start = &goroutine->start;

	if (start->kind != SL_GOROUTINE_POOL)
		return NULL;
	return ((const struct sl_submission *)start->ctx)->pool;
}

static struct sl_submission *take_queued_locked(struct sl_pool *pool)
{
	struct sl_submission *submission = pool->queue;

	if (!submission)
		return NULL;
	pool->queue = submission->next;
	if (!pool->queue)
		pool->queue_end = &pool->queue;
	pool->queued--;
	sl_tally_sub(pool->runtime->tally, SL_TALLY_POOL_QUEUED, 1);
	return submission;
}

/* A task has ended: counts it, keeps its result, and returns the next one, which has its place
 * and is to begin; NULL: none is queued. */
static struct sl_submission *settle(struct sl_submission *submission,
	struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct sl_pool *pool = submission->pool;
	struct sl_tally *tally = pool->runtime->tally;
	struct sl_submission *next;

	if (pool->stream && !outcome->stopped)
		sl_pool_emit_task(submission, goroutine, outcome);

	pthread_mutex_lock(&pool->lock);
	if (outcome->ok)
		pool->completed++;
	else
		pool->failed++;
	sl_tally_add(tally, outcome->ok ? SL_TALLY_POOL_COMPLETED : SL_TALLY_POOL_FAILED, 1);
	pool->wait_ms += outcome->wait_ms;
	pool->run_ms += outcome->run_ms;
	sl_pool_keep_result_locked(pool, submission->number, outcome);
	next = take_queued_locked(pool);
	if (next) {
		sl_waiters_wake_one(&pool->slots);
	} else {
		pool->active--;
		sl_tally_sub(tally, SL_TALLY_POOL_ACTIVE, 1);
	}
	if (pool->active < pool->workers)
		sl_waiters_wake_one(&pool->slots);
	if (pool->active == 0)
		sl_waiters_wake_all(&pool->idle);
	sl_pool_changed_locked(pool);
	pthread_mutex_unlock(&pool->lock);

	sl_handle_unref(&submission->handle);
	return next;
}

/* Begins the task, which counts as active already; its reference goes along. One that can't
 * begin, since what submitted it has been stopped say, has ended: then it is the next one's
 * turn, however many there are. */
static void launch(struct sl_submission *submission)
{
	while (submission) {
		struct sl_start start = submission->start;
		struct sl_outcome outcome = {0};
		struct sl_error err;

		submission->start.parcel = NULL;
		submission->start.share = NULL;
		submission->start.body = NULL;
		if (sl_goroutine_start(submission->pool->runtime, &start, &err) == 0)
			return;
		outcome.stopped = err.code == SL_ECANCELLED;
		sl_outcome_fail(&outcome, err.text);
		submission = settle(submission, NULL, &outcome);
	}
}

/* @ctx is the submission, whose reference comes back here. */
static void task_ended(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct sl_submission *submission = ctx;

	outcome->wait_ms = (double)(goroutine->started_ns - submission->submitted_ns) / 1e6 +
	                   outcome->wait_ms;
	launch(settle(submission, goroutine, outcome));
}

bool sl_pool_is_full_locked(const struct sl_pool *pool)
{
	return pool->active >= pool->workers && pool->queued >= pool->capacity;
}

/* Once accepted, the reference is the pool's. *out_launch: it is to begin now. */
static enum sl_pool_answer offer_locked(
	struct sl_pool *pool, struct sl_submission *submission, bool *out_launch)
{
	struct sl_tally *tally = pool->runtime->tally;

	if (pool->closed)
		return SL_POOL_CLOSED;
	if (sl_pool_is_full_locked(pool))
		return SL_POOL_FULL;
	sl_pool_changed_locked(pool);
	submission->number = ++pool->submitted;
	submission->submitted_ns = sl_clock_monotonic_ns();
	*out_launch = pool->active < pool->workers;
	if (*out_launch) {
		if (++pool->active > pool->peak_active)
			pool->peak_active = pool->active;
		sl_tally_add(tally, SL_TALLY_POOL_ACTIVE, 1);
		return SL_POOL_ACCEPTED;
	}
	submission->next = NULL;
	*pool->queue_end = submission;
	pool->queue_end = &submission->next;
	pool->queued++;
	sl_tally_add(tally, SL_TALLY_POOL_QUEUED, 1);
	return SL_POOL_ACCEPTED;
}

enum sl_pool_answer sl_pool_offer(
	struct sl_pool *pool, struct sl_submission *submission, uint64_t *number)
{
	enum sl_pool_answer answer;
	bool now = false;

	pthread_mutex_lock(&pool->lock);
	answer = offer_locked(pool, submission, &now);
	if (answer == SL_POOL_ACCEPTED)
		*number = submission->number;
	pthread_mutex_unlock(&pool->lock);
	if (now)
		launch(submission);
	return answer;
}
