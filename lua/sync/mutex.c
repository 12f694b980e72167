/* SPDX-License-Identifier: MIT */
#include "lua/sync/mutex.h"

#include <stdlib.h>

#include "lua/share/share.h"

const struct sl_wait_kind sl_mutex_wait_kind = SL_PERMITS_WAIT_KIND(SL_MUTEX_KIND);

static void free_mutex(struct sl_handle *handle)
{
	struct sl_mutex *mutex = (struct sl_mutex *)handle;

	sl_permits_deinit(&mutex->permit);
	free(mutex);
}

struct sl_mutex *sl_mutex_new(void)
{
	struct sl_mutex *mutex = calloc(1, sizeof(*mutex));

	if (!mutex)
		return NULL;
	mutex->handle =
		(struct sl_handle){.refs = 1, .kind = SL_MUTEX_KIND, .free = free_mutex};
	sl_permits_init(&mutex->permit, 1);
	return mutex;
}

struct sl_mutex *sl_mutex_check(lua_State *L, int arg)
{
	return (struct sl_mutex *)sl_handle_check(L, arg, SL_MUTEX_KIND);
}

int sl_mutex_create(lua_State *L)
{
	struct sl_mutex *mutex = sl_mutex_new();

	if (!mutex)
		return luaL_error(L, "not enough memory");
	return sl_handle_push_new(L, &mutex->handle);
}

void sl_mutex_let_go(struct sl_mutex *mutex, struct sl_goroutine *goroutine)
{
	sl_handle_unref(goroutine->let_go);
	goroutine->let_go = sl_handle_ref(&mutex->handle);
}

/* Whether this goroutine is on its way out and hasn't got @mutex, as its code believes; from
 * then on it knows. */
static bool find_out(lua_State *L, struct sl_mutex *mutex)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	if (__builtin_expect(goroutine->let_go != &mutex->handle, 1))
		return false;
	sl_handle_unref(sl_steal(goroutine->let_go));
	return true;
}

/* mu:lock() */
static int l_lock(lua_State *L)
{
	struct sl_mutex *mutex = sl_mutex_check(L, 1);

	find_out(L, mutex);
	return sl_permits_take(L, &mutex->permit, 1, &sl_mutex_wait_kind);
}

/* mu:try_lock() */
static int l_try_lock(lua_State *L)
{
	struct sl_mutex *mutex = sl_mutex_check(L, 1);

	find_out(L, mutex);
	return sl_permits_push_try(L, &mutex->permit, 1);
}

/* mu:unlock() */
static int l_unlock(lua_State *L)
{
	struct sl_mutex *mutex = sl_mutex_check(L, 1);

	if (find_out(L, mutex))
		return 0;
	sl_share_release(L);
	if (!sl_permits_give(&mutex->permit, 1, SL_PERMITS_ANY))
		return luaL_error(L, "unlock of an unlocked mutex");
	return 0;
}

const luaL_Reg sl_mutex_methods[] = {
	{"lock", l_lock},
	{"try_lock", l_try_lock},
	{"unlock", l_unlock},
	{NULL, NULL},
};
