/* SPDX-License-Identifier: MIT */
#include "lua/pool.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/call.h"
#include "lua/handle.h"
#include "lua/outcome.h"
#include "lua/runtime_inside.h"
#include "lua/scope.h"
#include "lua/share.h"

#define POOL_KIND "pool"
#define SUBMISSION_KIND "pool task"

enum {
	MOST_WORKERS = 1000000,
	MOST_RESULTS = 10000,
	STATS_EVERY_MS = 100,
};

/* One task of a pool: its place in the queue, then what its goroutine is given. */
struct submission {
	struct sl_handle handle; /* first */
	struct sl_pool *pool;    /* shares */
	struct submission *next; /* sl_pool.queue */
	struct sl_scope *scope;  /* shares */
	struct sl_start start;   /* owner of its parcel until the goroutine begins */
	uint64_t number;
	int64_t submitted_ns;
};

struct result {
	uint64_t number;
	struct sl_outcome outcome;
};

struct sl_pool {
	struct sl_handle handle;    /* first */
	struct sl_runtime *runtime; /* immutable after new */
	struct sl_pool *next;       /* sl_runtime.pools; guarded by: the runtime's lock */
	char *name;                 /* immutable after new, and what follows */
	uint64_t workers, capacity;
	double submit_timeout_ms;
	bool stream;

	pthread_mutex_t lock; /* guards what follows */
	bool closed;
	struct submission *queue, **queue_end;
	uint64_t queued, active, completed, failed;
	uint64_t submitted, rejected, peak_active;
	double wait_ms, run_ms; /* sums, over the ended ones */
	struct result *results; /* a ring */
	size_t n_results, first_result;
	struct sl_waiters slots; /* wait to submit */
	struct sl_waiters idle;  /* wait until nothing is queued or active */
	int64_t stats_ms;        /* when they were last emitted */
};

/* ---- life ---- */

static void free_pool(struct sl_handle *handle)
{
	struct sl_pool *pool = (struct sl_pool *)handle;

	for (size_t i = 0; i < pool->n_results; i++)
		sl_outcome_deinit(&pool->results[i].outcome);
	pthread_mutex_destroy(&pool->lock);
	free(pool->results);
	free(pool->name);
	free(pool);
}

static struct sl_pool *new_pool(struct sl_runtime *runtime, const char *name)
{
	struct sl_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->handle = (struct sl_handle){.refs = 1, .kind = POOL_KIND, .free = free_pool};
	pool->runtime = runtime;
	pool->queue_end = &pool->queue;
	pthread_mutex_init(&pool->lock, NULL);
	pool->name = strdup(name);
	if (!pool->name) {
		free_pool(&pool->handle);
		return NULL;
	}
	return pool;
}

static void free_submission(struct sl_handle *handle)
{
	struct submission *submission = (struct submission *)handle;

	sl_parcel_free(submission->start.parcel);
	sl_share_free(submission->start.share);
	sl_scope_unref(submission->scope);
	sl_handle_unref(&submission->pool->handle);
	free(submission);
}

void sl_pool_define(lua_State *L)
{
	sl_handle_define(L, POOL_KIND, NULL);
	sl_handle_define(L, SUBMISSION_KIND, NULL);
}

/* ---- finding them by name ---- */

static struct sl_pool *find_locked(struct sl_runtime *runtime, const char *name)
{
	for (struct sl_pool *pool = runtime->pools; pool; pool = pool->next)
		if (strcmp(pool->name, name) == 0)
			return pool;
	return NULL;
}

/* Pushes a handle of the pool called as argument 1 says, or nothing and NULL. */
static struct sl_pool *push_pool(lua_State *L)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool;

	pthread_mutex_lock(&runtime->lock);
	pool = find_locked(runtime, name);
	if (pool)
		sl_handle_ref(&pool->handle);
	pthread_mutex_unlock(&runtime->lock);
	if (pool)
		sl_handle_push_new(L, &pool->handle);
	return pool;
}

static struct sl_pool *pool_at(lua_State *L, int index)
{
	return (struct sl_pool *)sl_handle_at(L, index);
}

/* The registry's reference passes to the caller; false: it isn't there any more. */
static bool unregister(struct sl_pool *pool)
{
	struct sl_runtime *runtime = pool->runtime;
	bool found = false;

	pthread_mutex_lock(&runtime->lock);
	for (struct sl_pool **at = &runtime->pools; *at; at = &(*at)->next) {
		if (*at != pool)
			continue;
		*at = pool->next;
		sl_tally_sub(runtime->tally, SL_TALLY_POOLS, 1);
		found = true;
		break;
	}
	pthread_mutex_unlock(&runtime->lock);
	return found;
}

/* ---- events ---- */

static struct sl_pool_stats stats_locked(const struct sl_pool *pool)
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

/* @now: even if the last ones are fresh. */
static void emit_stats(struct sl_pool *pool, bool now, bool closed)
{
	struct sl_event event = {.kind = SL_EVENT_POOL};
	int64_t ms = sl_clock_monotonic_ms();
	bool due;

	pthread_mutex_lock(&pool->lock);
	due = now || ms - pool->stats_ms >= STATS_EVERY_MS;
	if (due)
		pool->stats_ms = ms;
	event.pool = stats_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	event.pool.closed = closed;
	if (due)
		sl_runtime_emit(pool->runtime, &event);
}

static void write_id(const struct submission *submission, char *id, size_t size)
{
	snprintf(id, size, "%s-%llu", submission->pool->name,
		(unsigned long long)submission->number);
}

static void emit_task(const struct submission *submission, const struct sl_goroutine *goroutine,
	const struct sl_outcome *outcome)
{
	struct sl_event event = {.kind = SL_EVENT_TASK};
	char id[256];

	write_id(submission, id, sizeof(id));
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

/* ---- running tasks ---- */

/* Keeps a result, instead of the oldest one if there are too many. */
static void keep_result_locked(
	struct sl_pool *pool, uint64_t number, struct sl_outcome *outcome)
{
	struct result *place;

	if (pool->n_results < MOST_RESULTS) {
		struct result *grown = pool->results;

		if ((pool->n_results & (pool->n_results - 1)) == 0)
			grown = realloc(pool->results,
				(pool->n_results ? pool->n_results * 2 : 1) * sizeof(*grown));
		if (!grown) {
			sl_outcome_deinit(outcome);
			return;
		}
		pool->results = grown;
		place = &grown[pool->n_results++];
	} else {
		place = &pool->results[pool->first_result];
		pool->first_result = (pool->first_result + 1) % MOST_RESULTS;
		sl_outcome_deinit(&place->outcome);
	}
	*place = (struct result){.number = number, .outcome = *outcome};
}

static struct submission *take_queued_locked(struct sl_pool *pool)
{
	struct submission *submission = pool->queue;

	if (!submission)
		return NULL;
	pool->queue = submission->next;
	if (!pool->queue)
		pool->queue_end = &pool->queue;
	pool->queued--;
	sl_tally_sub(pool->runtime->tally, SL_TALLY_POOL_QUEUED, 1);
	return submission;
}

static void settle(struct submission *submission, struct sl_goroutine *goroutine,
	struct sl_outcome *outcome);

/* @ctx is the submission, whose reference comes back here. */
static void task_ended(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct submission *submission = ctx;

	outcome->wait_ms = (double)(goroutine->started_ns - submission->submitted_ns) / 1e6 +
	                   outcome->wait_ms;
	settle(submission, goroutine, outcome);
}

/* Begins the task, which counts as active already; its reference goes along. */
static void launch(struct submission *submission)
{
	struct sl_start start = submission->start;
	struct sl_outcome outcome = {0};
	struct sl_error err;

	submission->start.parcel = NULL;
	submission->start.share = NULL;
	if (sl_goroutine_start(submission->pool->runtime, &start, &err) == 0)
		return;
	outcome.stopped = err.code == SL_ECANCELLED;
	sl_outcome_fail(&outcome, err.text);
	settle(submission, NULL, &outcome);
}

/* A task has ended: counts it, keeps its result, and gives its place to the next one. */
static void settle(struct submission *submission, struct sl_goroutine *goroutine,
	struct sl_outcome *outcome)
{
	struct sl_pool *pool = submission->pool;
	struct sl_tally *tally = pool->runtime->tally;
	struct submission *next;

	if (pool->stream && !outcome->stopped)
		emit_task(submission, goroutine, outcome);

	pthread_mutex_lock(&pool->lock);
	if (outcome->ok)
		pool->completed++;
	else
		pool->failed++;
	sl_tally_add(tally, outcome->ok ? SL_TALLY_POOL_COMPLETED : SL_TALLY_POOL_FAILED, 1);
	pool->wait_ms += outcome->wait_ms;
	pool->run_ms += outcome->run_ms;
	keep_result_locked(pool, submission->number, outcome);
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
	pthread_mutex_unlock(&pool->lock);

	emit_stats(pool, false, false);
	if (next)
		launch(next);
	sl_handle_unref(&submission->handle);
}

enum answer {
	ACCEPTED,
	QUEUED,
	FULL,
	CLOSED,
};

/* Once accepted or queued, a reference of the submission is the pool's. */
static enum answer offer_locked(struct sl_pool *pool, struct submission *submission)
{
	struct sl_tally *tally = pool->runtime->tally;

	if (pool->closed)
		return CLOSED;
	if (pool->active >= pool->workers && pool->queued >= pool->capacity)
		return FULL;
	sl_handle_ref(&submission->handle);
	submission->number = ++pool->submitted;
	submission->submitted_ns = sl_clock_monotonic_ns();
	if (pool->active < pool->workers) {
		if (++pool->active > pool->peak_active)
			pool->peak_active = pool->active;
		sl_tally_add(tally, SL_TALLY_POOL_ACTIVE, 1);
		return ACCEPTED;
	}
	submission->next = NULL;
	*pool->queue_end = submission;
	pool->queue_end = &submission->next;
	pool->queued++;
	sl_tally_add(tally, SL_TALLY_POOL_QUEUED, 1);
	return QUEUED;
}

static enum answer offer(struct sl_pool *pool, struct submission *submission)
{
	enum answer answer;

	pthread_mutex_lock(&pool->lock);
	answer = offer_locked(pool, submission);
	pthread_mutex_unlock(&pool->lock);
	if (answer == ACCEPTED)
		launch(submission);
	if (answer == ACCEPTED || answer == QUEUED)
		emit_stats(pool, false, false);
	return answer;
}

/* ---- pool_create ---- */

static int fail(lua_State *L, bool nil, const char *fmt, const char *name)
{
	if (nil)
		lua_pushnil(L);
	else
		lua_pushboolean(L, false);
	lua_pushfstring(L, fmt, name);
	return 2;
}

/* Option @key of the table at 2 as a number of at least @least. */
static lua_Number option(lua_State *L, const char *key, lua_Number least, lua_Number otherwise)
{
	lua_Number value = otherwise;

	if (lua_isnoneornil(L, 2))
		return value;
	if (lua_getfield(L, 2, key) != LUA_TNIL) {
		if (lua_type(L, -1) != LUA_TNUMBER)
			luaL_argerror(L, 2,
				lua_pushfstring(L, "%s must be a number, not a %s", key,
					luaL_typename(L, -1)));
		value = lua_tonumber(L, -1);
		if (!(value >= least))
			luaL_argerror(
				L, 2, lua_pushfstring(L, "%s must be at least %f", key, least));
	}
	lua_pop(L, 1);
	return value;
}

static uint64_t count_option(
	lua_State *L, const char *key, lua_Number least, lua_Number otherwise)
{
	lua_Number value = option(L, key, least, otherwise);

	return value < MOST_WORKERS ? (uint64_t)value : MOST_WORKERS;
}

static bool stream_option(lua_State *L)
{
	bool stream = true;

	if (lua_isnoneornil(L, 2))
		return true;
	if (lua_getfield(L, 2, "stream") != LUA_TNIL)
		stream = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return stream;
}

int sl_pool_create(lua_State *L)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool;
	bool taken;

	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	pool = new_pool(runtime, name);
	if (!pool)
		return luaL_error(L, "not enough memory");
	sl_handle_push_new(L, &pool->handle);
	pool->workers = count_option(L, "workers", 1, 4);
	pool->capacity = count_option(L, "queue", 0, 2 * (lua_Number)pool->workers);
	pool->submit_timeout_ms = option(L, "submit_timeout", 0, 30000);
	pool->stream = stream_option(L);

	pthread_mutex_lock(&runtime->lock);
	taken = find_locked(runtime, name);
	if (!taken) {
		sl_handle_ref(&pool->handle);
		pool->next = runtime->pools;
		runtime->pools = pool;
		sl_tally_add(runtime->tally, SL_TALLY_POOLS, 1);
	}
	pthread_mutex_unlock(&runtime->lock);
	if (taken)
		return fail(L, true, "pool already exists: %s", name);
	emit_stats(pool, true, false);
	lua_pushboolean(L, true);
	return 1;
}

/* ---- pool_submit ---- */

static bool enter_slots(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_pool *pool = wait->object;
	bool full;

	(void)goroutine;
	pthread_mutex_lock(&pool->lock);
	full = !pool->closed && pool->active >= pool->workers && pool->queued >= pool->capacity;
	if (full)
		sl_waiters_add(&pool->slots, &wait->waiter);
	pthread_mutex_unlock(&pool->lock);
	return full;
}

static void leave_slots(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_pool *pool = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&pool->lock);
	sl_waiters_remove(&pool->slots, &wait->waiter);
	pthread_mutex_unlock(&pool->lock);
}

/* It was told of a slot and has been stopped: the next one is told. */
static void abandon_slots(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_pool *pool = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&pool->lock);
	sl_waiters_wake_one(&pool->slots);
	pthread_mutex_unlock(&pool->lock);
}

static const struct sl_wait_kind slot_kind = {
	.name = "pool slot",
	.enter = enter_slots,
	.leave = leave_slots,
	.abandon = abandon_slots,
};

static void count_rejected(struct sl_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->rejected++;
	sl_tally_add(pool->runtime->tally, SL_TALLY_POOL_REJECTED, 1);
	pthread_mutex_unlock(&pool->lock);
}

/* Slots: pool, submission. */
static int submit(lua_State *L, int status, lua_KContext deadline_ns)
{
	struct sl_pool *pool = pool_at(L, 1);
	struct submission *submission = (struct submission *)sl_handle_at(L, 2);
	enum answer answer = offer(pool, submission);
	char id[256];

	if (answer == CLOSED)
		return fail(L, true, "pool is closed", "");
	if (answer != FULL) {
		write_id(submission, id, sizeof(id));
		lua_pushstring(L, id);
		return sl_goroutine_pace(L, 1);
	}
	if (deadline_ns == 1 ||
		(status == LUA_YIELD && sl_goroutine_woken(L) == SL_WAKE_DEADLINE)) {
		count_rejected(pool);
		return fail(L, true, "pool queue is full", "");
	}
	sl_goroutine_prepare(L, &slot_kind, pool, deadline_ns);
	return sl_goroutine_wait(L, deadline_ns, submit);
}

/* Pushes a submission for the function and arguments from @first to the top, which it takes
 * away. */
static void push_submission(lua_State *L, struct sl_pool *pool, int first)
{
	struct sl_start start = {
		.kind = SL_GOROUTINE_POOL,
		.scope = sl_goroutine_of(L)->start.scope,
		.wants_values = true,
		.nil_is_failure = true,
		.ended = task_ended,
	};
	struct submission *submission;

	sl_call_pack(L, first, &start);
	lua_settop(L, first - 1);
	submission = calloc(1, sizeof(*submission));
	if (!submission) {
		sl_parcel_free(start.parcel);
		sl_share_free(start.share);
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	submission->handle =
		(struct sl_handle){.refs = 1, .kind = SUBMISSION_KIND, .free = free_submission};
	submission->pool = pool;
	sl_handle_ref(&pool->handle);
	submission->scope = sl_scope_ref(start.scope);
	start.ctx = submission;
	submission->start = start;
	sl_handle_push_new(L, &submission->handle);
}

static int64_t submit_deadline(const struct sl_pool *pool)
{
	double ms = pool->submit_timeout_ms;

	if (ms <= 0)
		return 1;
	return sl_clock_monotonic_ns() + (int64_t)((ms < 1e12 ? ms : 1e12) * 1e6);
}

int sl_pool_submit(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	pool = push_pool(L);
	if (!pool)
		return fail(L, true, "pool not found: %s", name);
	lua_replace(L, 1);
	push_submission(L, pool, 2);
	return submit(L, LUA_OK, submit_deadline(pool));
}

/* ---- pool_wait and pool_close ---- */

static bool enter_idle(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_pool *pool = wait->object;
	bool busy;

	(void)goroutine;
	pthread_mutex_lock(&pool->lock);
	busy = pool->active > 0;
	if (busy)
		sl_waiters_add(&pool->idle, &wait->waiter);
	pthread_mutex_unlock(&pool->lock);
	return busy;
}

static void leave_idle(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_pool *pool = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&pool->lock);
	sl_waiters_remove(&pool->idle, &wait->waiter);
	pthread_mutex_unlock(&pool->lock);
}

static const struct sl_wait_kind idle_kind = {
	.name = POOL_KIND,
	.enter = enter_idle,
	.leave = leave_idle,
};

/* Raises if the caller is one of the pool's own tasks: it would wait for itself. */
static void check_not_own(lua_State *L, const struct sl_pool *pool, const char *what)
{
	const struct sl_start *start = &sl_goroutine_of(L)->start;

	if (start->kind != SL_GOROUTINE_POOL ||
		((const struct submission *)start->ctx)->pool != pool)
		return;
	luaL_error(L, "%s: a task of pool '%s' would wait for itself", what, pool->name);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct result *)a)->number;
	uint64_t y = ((const struct result *)b)->number;

	return x < y ? -1 : x > y;
}

/* Results on their way into a state. */
struct results {
	struct sl_handle handle; /* first */
	struct result *results;
	size_t n;
};

static void free_results(struct sl_handle *handle)
{
	struct results *results = (struct results *)handle;

	for (size_t i = 0; i < results->n; i++)
		sl_outcome_deinit(&results->results[i].outcome);
	free(results->results);
	free(results);
}

/* Takes all results out of the pool and pushes a handle that owns them. */
static struct results *push_taken(lua_State *L, struct sl_pool *pool)
{
	struct results *results = calloc(1, sizeof(*results));

	if (!results)
		luaL_error(L, "not enough memory");
	results->handle =
		(struct sl_handle){.refs = 1, .kind = SUBMISSION_KIND, .free = free_results};
	sl_handle_push_new(L, &results->handle);
	pthread_mutex_lock(&pool->lock);
	results->results = sl_steal(pool->results);
	results->n = pool->n_results;
	pool->n_results = 0;
	pool->first_result = 0;
	pthread_mutex_unlock(&pool->lock);
	if (results->n > 0)
		qsort(results->results, results->n, sizeof(*results->results), by_number);
	return results;
}

static void push_results(lua_State *L, struct sl_pool *pool)
{
	struct results *results = push_taken(L, pool);

	lua_createtable(L, (int)results->n, 0);
	for (size_t i = 0; i < results->n; i++) {
		struct result *result = &results->results[i];

		sl_call_push_record(L, &result->outcome);
		lua_pushfstring(L, "%s-%I", pool->name, (LUAI_UACINT)result->number);
		lua_setfield(L, -2, "id");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
		sl_outcome_deinit(&result->outcome);
	}
}

/* Slots: pool. */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	sl_share_acquire(L);
	push_results(L, pool_at(L, 1));
	lua_pushboolean(L, true);
	lua_insert(L, -2);
	return 2;
}

int sl_pool_wait(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool = push_pool(L);

	if (!pool)
		return fail(L, false, "pool not found: %s", name);
	lua_replace(L, 1);
	lua_settop(L, 1);
	check_not_own(L, pool, "pool_wait");
	sl_goroutine_prepare(L, &idle_kind, pool, 0);
	return sl_goroutine_wait(L, 0, waited);
}

static int closed(lua_State *L, int status, lua_KContext ctx)
{
	struct sl_pool *pool = pool_at(L, 1);

	(void)status;
	(void)ctx;
	if (unregister(pool)) {
		emit_stats(pool, true, true);
		sl_handle_unref(&pool->handle);
	}
	lua_pushboolean(L, true);
	return 1;
}

int sl_pool_close(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool = push_pool(L);
	bool again;

	if (!pool)
		return fail(L, false, "pool not found: %s", name);
	lua_replace(L, 1);
	lua_settop(L, 1);
	check_not_own(L, pool, "pool_close");
	pthread_mutex_lock(&pool->lock);
	again = pool->closed;
	pool->closed = true;
	sl_waiters_wake_all(&pool->slots);
	pthread_mutex_unlock(&pool->lock);
	if (again)
		return fail(L, false, "pool not found: %s", pool->name);
	sl_goroutine_prepare(L, &idle_kind, pool, 0);
	return sl_goroutine_wait(L, 0, closed);
}

void sl_pools_close_left(struct sl_runtime *runtime)
{
	while (runtime->pools) {
		struct sl_pool *pool = runtime->pools;
		char text[320];

		snprintf(text, sizeof(text), "pool '%.200s' was left open", pool->name);
		sl_runtime_emit_log(runtime, SL_LOG_WARNING, 0, sl_bytes_of(text));
		emit_stats(pool, true, true);
		unregister(pool);
		sl_handle_unref(&pool->handle);
	}
}

/* ---- pool_stats ---- */

static void set_count(lua_State *L, const char *key, uint64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, key);
}

static void set_ms(lua_State *L, const char *key, double value)
{
	lua_pushnumber(L, value);
	lua_setfield(L, -2, key);
}

int sl_pool_stats(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool = push_pool(L);
	struct sl_pool_stats stats;

	if (!pool)
		return fail(L, true, "pool not found: %s", name);
	pthread_mutex_lock(&pool->lock);
	stats = stats_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	lua_createtable(L, 0, 12);
	lua_pushstring(L, pool->name);
	lua_setfield(L, -2, "name");
	set_count(L, "workers", stats.workers);
	set_count(L, "active", stats.active);
	set_count(L, "completed", stats.completed);
	set_count(L, "failed", stats.failed);
	set_count(L, "queued", stats.queued);
	set_count(L, "submitted", stats.submitted);
	set_count(L, "rejected", stats.rejected);
	set_count(L, "capacity", stats.capacity);
	set_count(L, "peak_active", stats.peak_active);
	set_ms(L, "wait_ms_avg", stats.wait_ms_avg);
	set_ms(L, "run_ms_avg", stats.run_ms_avg);
	return 1;
}
