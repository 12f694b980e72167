/* SPDX-License-Identifier: MIT */

/*
 * What Lua may do with pools.
 */

#include <lauxlib.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/call.h"
#include "lua/share/share.h"
#include "lua/state/handle.h"
#include "lua/sync/pool_parts.h"

enum {
	MOST_WORKERS = 1000000
};

void sl_pool_define(lua_State *L)
{
	sl_handle_define(L, SL_POOL_KIND, NULL);
	sl_handle_define(L, SL_SUBMISSION_KIND, NULL);
}

static struct sl_pool *pool_at(lua_State *L, int index)
{
	return (struct sl_pool *)sl_handle_at(L, index);
}

static char pools_key; /* its address: the key in the registry */

/* Pushes the table of the pools that this state knows: name → handle. [-0, +1, m] */
static void push_known(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &pools_key) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &pools_key);
}

/* Pushes a handle of the pool called as argument 1 says, or nothing and NULL. */
static struct sl_pool *push_pool(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool;

	push_known(L);
	lua_pushvalue(L, 1);
	if (lua_rawget(L, -2) == LUA_TUSERDATA) {
		pool = pool_at(L, -1);
		if (pool && !atomic_load(&pool->gone)) {
			lua_remove(L, -2);
			return pool;
		}
	}
	lua_pop(L, 1);
	pool = sl_pool_find(sl_runtime_of(L), name);
	if (pool)
		sl_handle_push_new(L, &pool->handle);
	else
		lua_pushnil(L);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, -2);
	lua_rawset(L, -4);
	lua_remove(L, -2);
	if (!pool)
		lua_pop(L, 1);
	return pool;
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
			luaL_argerror(L, 2,
				lua_pushfstring(L, "%s must be at least %d", key, (int)least));
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
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool;

	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	pool = sl_pool_new(sl_runtime_of(L), name);
	if (!pool)
		return luaL_error(L, "not enough memory");
	sl_handle_push_new(L, &pool->handle);
	pool->workers = count_option(L, "workers", 1, 4);
	pool->capacity = count_option(L, "queue", 0, 2 * (lua_Number)pool->workers);
	pool->submit_timeout_ms = option(L, "submit_timeout", 0, 30000);
	pool->stream = stream_option(L);

	if (!sl_pool_register(pool))
		return fail(L, true, "pool already exists: %s", name);
	sl_pool_emit_first(pool);
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
	full = !pool->closed && sl_pool_is_full_locked(pool);
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
	sl_pool_changed_locked(pool);
	sl_tally_add(pool->runtime->tally, SL_TALLY_POOL_REJECTED, 1);
	pthread_mutex_unlock(&pool->lock);
}

static int accepted(lua_State *L, const struct sl_pool *pool, uint64_t number)
{
	char id[SL_POOL_ID_SIZE];

	lua_pushlstring(L, id, sl_pool_write_id(pool, number, id));
	return sl_goroutine_pace(L, 1);
}

/* Slots: pool, submission. */
static int submit(lua_State *L, int status, lua_KContext deadline_ns)
{
	struct sl_pool *pool = pool_at(L, 1);
	struct sl_submission *submission = (struct sl_submission *)sl_handle_at(L, 2);
	enum sl_pool_answer answer;
	uint64_t number;

	sl_handle_ref(&submission->handle);
	answer = sl_pool_offer(pool, submission, &number);
	if (answer == SL_POOL_ACCEPTED)
		return accepted(L, pool, number);
	sl_handle_unref(&submission->handle);
	if (answer == SL_POOL_CLOSED)
		return fail(L, true, "pool is closed", "");
	if (deadline_ns == 1 ||
		(status == LUA_YIELD && sl_goroutine_woken(L) == SL_WAKE_DEADLINE)) {
		count_rejected(pool);
		return fail(L, true, "pool queue is full", "");
	}
	sl_goroutine_prepare(L, &slot_kind, pool, deadline_ns);
	return sl_goroutine_wait(L, deadline_ns, submit);
}

/* A submission for the function and arguments from @first to the top, which it takes away. */
static struct sl_submission *pack_submission(lua_State *L, struct sl_pool *pool, int first)
{
	struct sl_start start = {
		.kind = SL_GOROUTINE_POOL,
		.scope = sl_goroutine_of(L)->start.scope,
		.wants_values = true,
		.nil_is_failure = true,
	};
	struct sl_submission *submission;

	sl_call_pack(L, first, &start);
	lua_settop(L, first - 1);
	submission = sl_submission_new(pool, &start);
	if (!submission) {
		sl_start_deinit(&start);
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	return submission;
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
	struct sl_submission *submission;
	struct sl_pool *pool;
	uint64_t number;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	pool = push_pool(L);
	if (!pool)
		return fail(L, true, "pool not found: %s", name);
	lua_replace(L, 1);
	submission = pack_submission(L, pool, 2);
	if (sl_pool_offer(pool, submission, &number) == SL_POOL_ACCEPTED)
		return accepted(L, pool, number);
	sl_handle_push_new(L, &submission->handle);
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
	.name = SL_POOL_KIND,
	.enter = enter_idle,
	.leave = leave_idle,
};

/* Raises if the caller is one of the pool's own tasks: it would wait for itself. */
static void check_not_own(lua_State *L, const struct sl_pool *pool, const char *what)
{
	if (sl_pool_of_task(sl_goroutine_of(L)) == pool)
		luaL_error(
			L, "%s: a task of pool '%s' would wait for itself", what, pool->name);
}

/* Makes the pool that is named the only slot. NULL: there is none. Raises for a task of it,
 * which calls @what. */
static struct sl_pool *take_awaited(lua_State *L, const char *what)
{
	struct sl_pool *pool = push_pool(L);

	if (!pool)
		return NULL;
	lua_replace(L, 1);
	lua_settop(L, 1);
	check_not_own(L, pool, what);
	return pool;
}

/* Slots: pool. */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	sl_share_acquire(L);
	sl_pool_push_results(L, pool_at(L, 1));
	lua_pushboolean(L, true);
	lua_insert(L, -2);
	return 2;
}

int sl_pool_wait(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool = take_awaited(L, "pool_wait");

	if (!pool)
		return fail(L, false, "pool not found: %s", name);
	sl_goroutine_prepare(L, &idle_kind, pool, 0);
	return sl_goroutine_wait(L, 0, waited);
}

static int closed(lua_State *L, int status, lua_KContext ctx)
{
	struct sl_pool *pool = pool_at(L, 1);

	(void)status;
	(void)ctx;
	sl_share_acquire(L);
	if (!sl_pool_unregister(pool)) /* another one closed it meanwhile */
		return fail(L, false, "pool not found: %s", pool->name);
	sl_pool_retire(pool);
	sl_handle_unref(&pool->handle);
	lua_pushboolean(L, true);
	return 1;
}

/* It may have been called before, and been stopped while it waited: the name is free when one
 * call has come to its end. */
int sl_pool_close(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_pool *pool = take_awaited(L, "pool_close");

	if (!pool)
		return fail(L, false, "pool not found: %s", name);
	pthread_mutex_lock(&pool->lock);
	pool->closed = true;
	sl_waiters_wake_all(&pool->slots);
	pthread_mutex_unlock(&pool->lock);
	sl_goroutine_prepare(L, &idle_kind, pool, 0);
	return sl_goroutine_wait(L, 0, closed);
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
	stats = sl_pool_stats_locked(pool);
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
