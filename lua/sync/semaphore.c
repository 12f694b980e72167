/* SPDX-License-Identifier: MIT */
#include "lua/sync/semaphore.h"

#include <stdlib.h>

#include "lua/share/share.h"
#include "lua/state/handle.h"
#include "lua/sync/permits.h"

struct semaphore {
	struct sl_handle handle; /* first */
	struct sl_permits permits;
};

static const struct sl_wait_kind wait_kind = SL_PERMITS_WAIT_KIND(SL_SEMAPHORE_KIND);

static void free_semaphore(struct sl_handle *handle)
{
	struct semaphore *semaphore = (struct semaphore *)handle;

	sl_permits_deinit(&semaphore->permits);
	free(semaphore);
}

int sl_semaphore_create(lua_State *L)
{
	lua_Integer capacity = luaL_checkinteger(L, 1);
	struct semaphore *semaphore;

	luaL_argcheck(L, capacity > 0, 1, "a semaphore has at least 1 permit");
	semaphore = calloc(1, sizeof(*semaphore));
	if (!semaphore)
		return luaL_error(L, "not enough memory");
	semaphore->handle = (struct sl_handle){
		.refs = 1, .kind = SL_SEMAPHORE_KIND, .free = free_semaphore};
	sl_permits_init(&semaphore->permits, (uint64_t)capacity);
	return sl_handle_push_new(L, &semaphore->handle);
}

static struct sl_permits *check(lua_State *L)
{
	return &((struct semaphore *)sl_handle_check(L, 1, SL_SEMAPHORE_KIND))->permits;
}

/* How many permits the call is about. */
static uint64_t check_amount(lua_State *L, const struct sl_permits *permits)
{
	lua_Integer amount = luaL_optinteger(L, 2, 1);

	luaL_argcheck(L, amount > 0, 2, "at least 1 permit");
	if ((uint64_t)amount > permits->capacity)
		luaL_argerror(L, 2,
			lua_pushfstring(L, "the semaphore has only %I permits, not %I",
				(LUAI_UACINT)permits->capacity, (LUAI_UACINT)amount));
	return (uint64_t)amount;
}

/* sem:acquire([n]) */
static int l_acquire(lua_State *L)
{
	struct sl_permits *permits = check(L);

	return sl_permits_take(L, permits, check_amount(L, permits), &wait_kind);
}

/* sem:try_acquire([n]) */
static int l_try_acquire(lua_State *L)
{
	struct sl_permits *permits = check(L);

	return sl_permits_push_try(L, permits, check_amount(L, permits));
}

/* sem:release([n]) */
static int l_release(lua_State *L)
{
	struct sl_permits *permits = check(L);

	uint64_t amount = check_amount(L, permits);

	sl_share_release(L);
	if (!sl_permits_give(permits, amount, SL_PERMITS_ANY))
		return luaL_error(L, "semaphore: release without acquire");
	return 0;
}

/* sem:available() */
static int l_available(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)sl_permits_available(check(L)));
	return 1;
}

/* sem:capacity() */
static int l_capacity(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)check(L)->capacity);
	return 1;
}

const luaL_Reg sl_semaphore_methods[] = {
	{"acquire", l_acquire},
	{"available", l_available},
	{"capacity", l_capacity},
	{"release", l_release},
	{"try_acquire", l_try_acquire},
	{NULL, NULL},
};
