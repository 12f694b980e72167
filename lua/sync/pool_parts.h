/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What pool.c and pool_*.c share: a pool, what is submitted to it, and what it
 * keeps of what has ended.
 *
 * Threads: any, where a function doesn't take a lua_State; a pool has a lock.
 */

#include <lua.h>
#include <pthread.h>

#include "common/event.h"
#include "common/parcel.h"
#include "lua/schedule/goroutine.h"
#include "lua/sync/pool.h"

#define SL_POOL_KIND "pool"
#define SL_SUBMISSION_KIND "pool task"

/* One task of a pool: its place in the queue, then what its goroutine is given. */
struct sl_submission {
	struct sl_handle handle;    /* first */
	struct sl_pool *pool;       /* shares */
	struct sl_submission *next; /* sl_pool.queue */
	struct sl_scope *scope;     /* shares */
	struct sl_start start;      /* owner of its parcel until the goroutine begins */
	uint64_t number;
	int64_t submitted_ns;
};

struct sl_pool_result {
	uint64_t number;
	struct sl_outcome outcome;
};

struct sl_pool {
	struct sl_handle handle;    /* first */
	struct sl_runtime *runtime; /* immutable after new */
	struct sl_pool *next;       /* sl_runtime.pools; guarded by: the runtime's lock */
	_Atomic bool gone;          /* the registry knows it no more */
	char *name;                 /* immutable after new, and what follows */
	uint64_t workers, capacity;
	double submit_timeout_ms;
	bool stream;
	struct sl_seats *seats;

	pthread_mutex_t lock; /* guards what follows */
	bool closed;
	struct sl_submission *queue, **queue_end;
	uint64_t queued, active, completed, failed;
	uint64_t submitted, rejected, peak_active;
	double wait_ms, run_ms;         /* sums, over the ended ones */
	struct sl_pool_result *results; /* a ring */
	size_t n_results, first_result;
	struct sl_waiters slots; /* wait to submit */
	struct sl_waiters idle;  /* wait until nothing is queued or active */
	struct sl_alarm *news;   /* made at first need */
	bool news_due;           /* it is set */
	bool news_over;          /* the last ones are out, or about to be */
	int64_t news_ns;         /* when stats were last emitted */
};

/* ---- life ---- */

/* NULL when memory ran out; the reference is the caller's. */
struct sl_pool *sl_pool_new(struct sl_runtime *runtime, const char *name) sl_must_check;

/* Makes it known by its name; false: the name is taken. */
bool sl_pool_register(struct sl_pool *pool) sl_must_check;

/* The registry's reference passes to the caller; false: it isn't there any more. */
bool sl_pool_unregister(struct sl_pool *pool) sl_must_check;

/* The pool called @name, with a reference; NULL: there is none. */
struct sl_pool *sl_pool_find(struct sl_runtime *runtime, const char *name) sl_must_check;

/* It is no more registered, and idle: tells its last stats and gives back what it holds. */
void sl_pool_retire(struct sl_pool *pool);

/* ---- running tasks ---- */

enum sl_pool_answer {
	SL_POOL_ACCEPTED,
	SL_POOL_FULL,
	SL_POOL_CLOSED,
};

/* A task for @pool with what @start has, which is taken; NULL when memory ran out. */
struct sl_submission *sl_submission_new(
	struct sl_pool *pool, const struct sl_start *start) sl_must_check;

/* Runs or queues it, if there is room. SL_POOL_ACCEPTED: its number is in *number, and the
 * caller's reference is the pool's; it may be over already. */
enum sl_pool_answer sl_pool_offer(
	struct sl_pool *pool, struct sl_submission *submission, uint64_t *number) sl_must_check;

/* Whether there is no room for one more. */
bool sl_pool_is_full_locked(const struct sl_pool *pool);

/* The pool that @goroutine runs a task of; NULL: none. */
const struct sl_pool *sl_pool_of_task(const struct sl_goroutine *goroutine);

/* ---- results ---- */

/* Keeps a result, which is taken, instead of the oldest one if there are too many. */
void sl_pool_keep_result_locked(
	struct sl_pool *pool, uint64_t number, struct sl_outcome *outcome);
void sl_pool_free_results(struct sl_pool_result *results, size_t n);

/* Takes all results out of the pool and pushes them as a table. [-0, +1, e] */
void sl_pool_push_results(lua_State *L, struct sl_pool *pool);

/* ---- events ---- */

struct sl_pool_stats sl_pool_stats_locked(const struct sl_pool *pool);

/* Its stats are not what they were: they are emitted at most 100 ms later, and at most once in
 * 100 ms. */
void sl_pool_changed_locked(struct sl_pool *pool);

/* Emits stats now: of a pool that is new, and of one that is closed, which are the last. Blocks
 * while others are being emitted. */
void sl_pool_emit_first(struct sl_pool *pool);
void sl_pool_emit_last(struct sl_pool *pool);

/* Writes "NAME-1", without an end, and returns how long it is; a very long name is cut. */
enum {
	SL_POOL_ID_SIZE = 256
};
size_t sl_pool_write_id(const struct sl_pool *pool, uint64_t number, char id[SL_POOL_ID_SIZE]);

void sl_pool_emit_task(const struct sl_submission *submission,
	const struct sl_goroutine *goroutine, const struct sl_outcome *outcome);
