/* SPDX-License-Identifier: MIT */
#include "lua/sync/cond.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "lua/schedule/deadlock.h"
#include "lua/schedule/goroutine.h"
#include "lua/share/share.h"
#include "lua/state/handle.h"
#include "lua/sync/mutex.h"

struct cond {
	struct sl_handle handle; /* first */
	struct sl_mutex *mutex;  /* shares; immutable after new */
	pthread_mutex_t lock;
	struct sl_waiters waiters; /* guarded by: lock */
};

static void free_cond(struct sl_handle *handle)
{
	struct cond *cond = (struct cond *)handle;

	sl_handle_unref(&cond->mutex->handle);
	pthread_mutex_destroy(&cond->lock);
	free(cond);
}

int sl_cond_create(lua_State *L)
{
	struct sl_mutex *mutex = NULL;
	struct cond *cond;

	if (!lua_isnoneornil(L, 1))
		mutex = (struct sl_mutex *)sl_handle_ref(&sl_mutex_check(L, 1)->handle);
	else
		mutex = sl_mutex_new();
	cond = calloc(1, sizeof(*cond));
	if (!mutex || !cond) {
		sl_handle_unref(mutex ? &mutex->handle : NULL);
		free(cond);
		return luaL_error(L, "not enough memory");
	}
	cond->handle = (struct sl_handle){.refs = 1, .kind = SL_COND_KIND, .free = free_cond};
	cond->mutex = mutex;
	pthread_mutex_init(&cond->lock, NULL);
	return sl_handle_push_new(L, &cond->handle);
}

static struct cond *check(lua_State *L)
{
	return (struct cond *)sl_handle_check(L, 1, SL_COND_KIND);
}

/* A signal is for one; should that one be stopped before it goes on, it is for the next. */
static void signal_one(struct cond *cond)
{
	pthread_mutex_lock(&cond->lock);
	while (cond->waiters.first) {
		struct sl_waiter *waiter = cond->waiters.first;
		struct sl_goroutine *goroutine = waiter->goroutine;

		sl_waiters_remove(&cond->waiters, waiter);
		if (!sl_goroutine_wake(goroutine, SL_WAKE_READY))
			continue;
		/* It can't go on before it has left, for which it needs the lock. */
		goroutine->wait.granted = true;
		break;
	}
	pthread_mutex_unlock(&cond->lock);
}

/* ---- waiting ---- */

/* It stands in line before it unlocks: no signal is missed in between. */
static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct cond *cond = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&cond->lock);
	sl_waiters_add(&cond->waiters, &wait->waiter);
	pthread_mutex_unlock(&cond->lock);
	sl_permits_give(&cond->mutex->permit, 1, SL_PERMITS_ANY);
	return true;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct cond *cond = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&cond->lock);
	sl_waiters_remove(&cond->waiters, &wait->waiter);
	pthread_mutex_unlock(&cond->lock);
}

static void abandon(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct cond *cond = wait->object;

	if (wait->granted)
		signal_one(cond);
	sl_mutex_let_go(cond->mutex, goroutine);
}

static const struct sl_wait_kind wait_kind = {
	.name = SL_COND_KIND,
	.enter = enter,
	.leave = leave,
	.abandon = abandon,
	.hears_deadlock = true,
};

/* Stopped while it waits for the mutex again: its signal, if it had one, is for another. One
 * too many does no harm, since whoever waits looks again. */
static void abandon_relock(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct cond *cond = (struct cond *)wait->ctx;

	sl_permits_abandon(goroutine, wait);
	signal_one(cond);
	sl_mutex_let_go(cond->mutex, goroutine);
}

static const struct sl_wait_kind relock_kind = {
	.name = "mutex of a cond",
	.enter = sl_permits_enter,
	.leave = sl_permits_leave,
	.abandon = abandon_relock,
	.describe = sl_permits_describe,
	.hears_deadlock = true,
};

/* Stack slots. */
enum {
	SLOT_COND = 1,
	SLOT_ERROR, /* what to raise when the mutex is locked again; nil: nothing */
};

static int end_wait(lua_State *L)
{
	sl_share_acquire(L);
	return lua_isnil(L, SLOT_ERROR) ? 0 : lua_error(L);
}

static int relocked(lua_State *L, int status, lua_KContext ctx);

static int relock(lua_State *L)
{
	struct cond *cond = (struct cond *)sl_handle_at(L, SLOT_COND);
	struct sl_permits *permit = &cond->mutex->permit;

	if (sl_permits_try(permit, 1, sl_goroutine_of(L)))
		return end_wait(L);
	sl_goroutine_prepare(L, &relock_kind, permit, 0)->token = 1;
	return sl_goroutine_wait(L, (lua_KContext)(intptr_t)cond, relocked);
}

/* Whoever waits has the mutex in its error handling too: so it is waited for. Who holds it has
 * been told of the deadlock as well; if that one doesn't give it back, nobody will. */
static int relock_and_raise(lua_State *L)
{
	if (!lua_isnil(L, SLOT_ERROR))
		return sl_deadlock_raise(L);
	sl_deadlock_push(L);
	lua_replace(L, SLOT_ERROR);
	return relock(L);
}

static int relocked(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	if (sl_goroutine_woken(L) == SL_WAKE_DEADLOCK)
		return relock_and_raise(L);
	return end_wait(L);
}

static int signalled(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	if (sl_goroutine_woken(L) == SL_WAKE_DEADLOCK)
		return relock_and_raise(L);
	return relock(L);
}

/* cond:wait() */
static int l_wait(lua_State *L)
{
	struct cond *cond = check(L);

	if (sl_permits_available(&cond->mutex->permit) > 0)
		return luaL_error(L, "cond:wait() while its mutex is not locked");
	lua_settop(L, SLOT_COND);
	lua_pushnil(L);
	sl_share_release(L);
	sl_goroutine_prepare(L, &wait_kind, cond, 0);
	return sl_goroutine_wait(L, 0, signalled);
}

/* ---- the rest ---- */

/* cond:signal() */
static int l_signal(lua_State *L)
{
	struct cond *cond = check(L);

	sl_share_release(L);
	signal_one(cond);
	return 0;
}

/* cond:broadcast() */
static int l_broadcast(lua_State *L)
{
	struct cond *cond = check(L);

	sl_share_release(L);
	pthread_mutex_lock(&cond->lock);
	sl_waiters_wake_all(&cond->waiters);
	pthread_mutex_unlock(&cond->lock);
	return 0;
}

/* cond:get_mutex() */
static int l_get_mutex(lua_State *L)
{
	sl_handle_push(L, &check(L)->mutex->handle);
	return 1;
}

const luaL_Reg sl_cond_methods[] = {
	{"broadcast", l_broadcast},
	{"get_mutex", l_get_mutex},
	{"signal", l_signal},
	{"wait", l_wait},
	{NULL, NULL},
};
