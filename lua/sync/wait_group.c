/* SPDX-License-Identifier: MIT */
#include "lua/sync/wait_group.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/schedule/goroutine.h"
#include "lua/share/share.h"
#include "lua/state/handle.h"

struct wait_group {
	struct sl_handle handle; /* first */
	pthread_mutex_t lock;
	lua_Integer count;         /* guarded by: lock */
	struct sl_waiters waiters; /* guarded by: lock */
	uint64_t missed;           /* guarded by: lock; a goroutine that ended without done() */
	uint64_t n_missed;         /* guarded by: lock; how many did */
};

static void free_group(struct sl_handle *handle)
{
	struct wait_group *group = (struct wait_group *)handle;

	pthread_mutex_destroy(&group->lock);
	free(group);
}

static struct wait_group *new_group(void)
{
	struct wait_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->handle =
		(struct sl_handle){.refs = 1, .kind = SL_WAIT_GROUP_KIND, .free = free_group};
	pthread_mutex_init(&group->lock, NULL);
	return group;
}

static struct wait_group *check(lua_State *L)
{
	return (struct wait_group *)sl_handle_check(L, 1, SL_WAIT_GROUP_KIND);
}

/* Adds @delta; false, and nothing changed, if the counter can't be that. */
static bool add(struct wait_group *group, lua_Integer delta)
{
	lua_Integer sum;
	bool ok;

	pthread_mutex_lock(&group->lock);
	ok = !__builtin_add_overflow(group->count, delta, &sum) && sum >= 0;
	if (ok)
		group->count = sum;
	if (ok && sum == 0)
		sl_waiters_wake_all(&group->waiters);
	pthread_mutex_unlock(&group->lock);
	return ok;
}

static int add_or_raise(lua_State *L, lua_Integer delta)
{
	struct wait_group *group = check(L);

	if (delta < 0)
		sl_share_release(L);
	if (add(group, delta))
		return 0;
	return luaL_error(
		L, delta < 0 ? "negative WaitGroup counter" : "WaitGroup counter too large");
}

/* wg:add([n]) */
static int l_add(lua_State *L)
{
	return add_or_raise(L, luaL_optinteger(L, 2, 1));
}

/* wg:done() */
static int l_done(lua_State *L)
{
	return add_or_raise(L, -1);
}

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct wait_group *group = wait->object;
	bool busy;

	(void)goroutine;
	pthread_mutex_lock(&group->lock);
	busy = group->count > 0;
	if (busy)
		sl_waiters_add(&group->waiters, &wait->waiter);
	pthread_mutex_unlock(&group->lock);
	return busy;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct wait_group *group = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&group->lock);
	sl_waiters_remove(&group->waiters, &wait->waiter);
	pthread_mutex_unlock(&group->lock);
}

void sl_wait_group_missed(void *ctx, struct sl_handle *handle)
{
	struct wait_group *group = (struct wait_group *)handle;

	if (handle->free != free_group)
		return;
	pthread_mutex_lock(&group->lock);
	group->missed = ((struct sl_goroutine *)ctx)->id;
	group->n_missed++;
	pthread_mutex_unlock(&group->lock);
}

static void describe(const struct sl_wait *wait, char *text, size_t size)
{
	struct wait_group *group = wait->object;

	pthread_mutex_lock(&group->lock);
	if (group->n_missed > 0)
		snprintf(text, size, " (%lld to go; goroutine %llu%s ended without its done())",
			(long long)group->count, (unsigned long long)group->missed,
			group->n_missed > 1 ? " and others" : "");
	else
		snprintf(text, size, " (%lld to go)", (long long)group->count);
	pthread_mutex_unlock(&group->lock);
}

static const struct sl_wait_kind wait_kind = {
	.name = SL_WAIT_GROUP_KIND,
	.enter = enter,
	.leave = leave,
	.describe = describe,
};

static int waited(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	sl_share_acquire(L);
	return 0;
}

/* wg:wait() */
static int l_wait(lua_State *L)
{
	sl_goroutine_prepare(L, &wait_kind, check(L), 0);
	return sl_goroutine_wait(L, 0, waited);
}

const luaL_Reg sl_wait_group_methods[] = {
	{"add", l_add},
	{"done", l_done},
	{"wait", l_wait},
	{NULL, NULL},
};

int sl_wait_group_create(lua_State *L)
{
	struct wait_group *group = new_group();

	if (!group)
		return luaL_error(L, "not enough memory");
	return sl_handle_push_new(L, &group->handle);
}
