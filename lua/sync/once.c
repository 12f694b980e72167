/* SPDX-License-Identifier: MIT */
#include "lua/sync/once.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/schedule/goroutine.h"
#include "lua/share/share.h"
#include "lua/state/handle.h"

enum state {
	IDLE,
	RUNNING,
	DONE,
};

struct once {
	struct sl_handle handle; /* first */
	pthread_mutex_t lock;
	enum state state;          /* guarded by: lock */
	uint64_t runner;           /* guarded by: lock; the goroutine that runs it */
	struct sl_waiters waiters; /* guarded by: lock */
};

/* On the stack of the one that runs it: if that is stopped on the way, another may try. */
struct attempt {
	struct sl_handle handle; /* first */
	struct once *once;       /* shares; NULL: it is over */
};

static void free_once(struct sl_handle *handle)
{
	pthread_mutex_destroy(&((struct once *)handle)->lock);
	free(handle);
}

int sl_once_create(lua_State *L)
{
	struct once *once = calloc(1, sizeof(*once));

	if (!once)
		return luaL_error(L, "not enough memory");
	once->handle = (struct sl_handle){.refs = 1, .kind = SL_ONCE_KIND, .free = free_once};
	pthread_mutex_init(&once->lock, NULL);
	return sl_handle_push_new(L, &once->handle);
}

/* Who claims an idle one runs it. */
static enum state claim(struct once *once, uint64_t runner, bool *out_again)
{
	enum state state;

	pthread_mutex_lock(&once->lock);
	state = once->state;
	*out_again = state == RUNNING && once->runner == runner;
	if (state == IDLE) {
		once->state = RUNNING;
		once->runner = runner;
	}
	pthread_mutex_unlock(&once->lock);
	return state;
}

static void settle(struct attempt *attempt, enum state state)
{
	struct once *once = sl_steal(attempt->once);

	pthread_mutex_lock(&once->lock);
	once->state = state;
	sl_waiters_wake_all(&once->waiters);
	pthread_mutex_unlock(&once->lock);
	sl_handle_unref(&once->handle);
}

static void free_attempt(struct sl_handle *handle)
{
	struct attempt *attempt = (struct attempt *)handle;

	if (attempt->once)
		settle(attempt, IDLE);
	free(attempt);
}

static struct attempt *push_attempt(lua_State *L)
{
	struct attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	attempt->handle =
		(struct sl_handle){.refs = 1, .kind = "once call", .free = free_attempt};
	sl_handle_push_new(L, &attempt->handle);
	return attempt;
}

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct once *once = wait->object;
	bool busy;

	(void)goroutine;
	pthread_mutex_lock(&once->lock);
	busy = once->state == RUNNING;
	if (busy)
		sl_waiters_add(&once->waiters, &wait->waiter);
	pthread_mutex_unlock(&once->lock);
	return busy;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct once *once = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&once->lock);
	sl_waiters_remove(&once->waiters, &wait->waiter);
	pthread_mutex_unlock(&once->lock);
}

static void describe(const struct sl_wait *wait, char *text, size_t size)
{
	struct once *once = wait->object;
	uint64_t runner;

	pthread_mutex_lock(&once->lock);
	runner = once->runner;
	pthread_mutex_unlock(&once->lock);
	snprintf(text, size, " (goroutine %llu runs it)", (unsigned long long)runner);
}

static const struct sl_wait_kind wait_kind = {
	.name = SL_ONCE_KIND,
	.enter = enter,
	.leave = leave,
	.describe = describe,
};

/* Slots: once, function, attempt. An error counts as a run too, as in Go. */
static int ran(lua_State *L, int status, lua_KContext ctx)
{
	struct attempt *attempt = (struct attempt *)sl_handle_at(L, 3);
	bool failed = status != LUA_OK && status != LUA_YIELD;

	(void)ctx;
	if (failed && atomic_load(&sl_goroutine_of(L)->stopping))
		return lua_error(L); /* not its own: the attempt ends with the goroutine */
	if (!attempt)                /* by way of debug.getlocal() */
		return luaL_error(L, "once:call() was finalized by what it runs");
	sl_share_release(L);
	settle(attempt, DONE);
	if (failed)
		return lua_error(L);
	lua_pushboolean(L, true);
	return 1;
}

/* Slots: once, function, attempt. */
static int call(lua_State *L, int status, lua_KContext ctx)
{
	struct once *once = (struct once *)sl_handle_check(L, 1, SL_ONCE_KIND);
	struct attempt *attempt = (struct attempt *)sl_handle_at(L, 3);
	bool again;

	(void)status;
	switch (claim(once, sl_goroutine_of(L)->id, &again)) {
	case DONE:
		sl_share_acquire(L);
		lua_pushboolean(L, false);
		return 1;
	case RUNNING:
		if (again)
			return luaL_error(L, "once:call() from inside of what it runs");
		sl_goroutine_prepare(L, &wait_kind, once, 0);
		return sl_goroutine_wait(L, ctx, call);
	case IDLE:
		break;
	}
	attempt->once = (struct once *)sl_handle_ref(&once->handle);
	lua_pushvalue(L, 2);
	return ran(L, lua_pcallk(L, 0, 0, 0, 0, ran), 0);
}

/* once:call(fn) */
static int l_call(lua_State *L)
{
	sl_handle_check(L, 1, SL_ONCE_KIND);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	push_attempt(L);
	return call(L, LUA_OK, 0);
}

const luaL_Reg sl_once_methods[] = {
	{"call", l_call},
	{NULL, NULL},
};
