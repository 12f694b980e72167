/* SPDX-License-Identifier: MIT */
#include "lua/sync/rwmutex.h"

#include <stdlib.h>

#include "lua/share/share.h"
#include "lua/state/handle.h"
#include "lua/sync/permits.h"

/* More readers than there can be; a writer takes all. */
#define ALL (UINT64_C(1) << 62)

struct rwmutex {
	struct sl_handle handle; /* first */
	struct sl_permits permits;
};

static const struct sl_wait_kind wait_kind = SL_PERMITS_WAIT_KIND(SL_RWMUTEX_KIND);

static void free_rwmutex(struct sl_handle *handle)
{
	struct rwmutex *rwmutex = (struct rwmutex *)handle;

	sl_permits_deinit(&rwmutex->permits);
	free(rwmutex);
}

int sl_rwmutex_create(lua_State *L)
{
	struct rwmutex *rwmutex = calloc(1, sizeof(*rwmutex));

	if (!rwmutex)
		return luaL_error(L, "not enough memory");
	rwmutex->handle =
		(struct sl_handle){.refs = 1, .kind = SL_RWMUTEX_KIND, .free = free_rwmutex};
	sl_permits_init(&rwmutex->permits, ALL);
	return sl_handle_push_new(L, &rwmutex->handle);
}

static struct sl_permits *check(lua_State *L)
{
	return &((struct rwmutex *)sl_handle_check(L, 1, SL_RWMUTEX_KIND))->permits;
}

/* rw:lock() */
static int l_lock(lua_State *L)
{
	return sl_permits_take(L, check(L), ALL, &wait_kind);
}

/* rw:try_lock() */
static int l_try_lock(lua_State *L)
{
	return sl_permits_push_try(L, check(L), ALL);
}

/* rw:unlock() */
static int l_unlock(lua_State *L)
{
	struct sl_permits *permits = check(L);

	sl_share_release(L);
	if (!sl_permits_give(permits, ALL, SL_PERMITS_ANY))
		return luaL_error(L, "unlock of an rwmutex that is not locked for writing");
	return 0;
}

/* rw:rlock() */
static int l_rlock(lua_State *L)
{
	return sl_permits_take(L, check(L), 1, &wait_kind);
}

/* rw:try_rlock() */
static int l_try_rlock(lua_State *L)
{
	return sl_permits_push_try(L, check(L), 1);
}

/* rw:runlock() */
static int l_runlock(lua_State *L)
{
	struct sl_permits *permits = check(L);

	sl_share_release(L);
	if (!sl_permits_give(permits, 1, SL_PERMITS_SHARED))
		return luaL_error(L, "runlock of an rwmutex that is not locked for reading");
	return 0;
}

const luaL_Reg sl_rwmutex_methods[] = {
	{"lock", l_lock},
	{"rlock", l_rlock},
	{"runlock", l_runlock},
	{"try_lock", l_try_lock},
	{"try_rlock", l_try_rlock},
	{"unlock", l_unlock},
	{NULL, NULL},
};
