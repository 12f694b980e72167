/* SPDX-License-Identifier: MIT */
#include "lua/sync/atomic_int.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "lua/share/share.h"
#include "lua/state/handle.h"

struct atomic_int {
	struct sl_handle handle; /* first */
	_Atomic int64_t value;
};

static void free_atomic(struct sl_handle *handle)
{
	free(handle);
}

int sl_atomic_int_create(lua_State *L)
{
	lua_Integer value = luaL_optinteger(L, 1, 0);
	struct atomic_int *integer = calloc(1, sizeof(*integer));

	if (!integer)
		return luaL_error(L, "not enough memory");
	integer->handle =
		(struct sl_handle){.refs = 1, .kind = SL_ATOMIC_INT_KIND, .free = free_atomic};
	atomic_init(&integer->value, value);
	return sl_handle_push_new(L, &integer->handle);
}

/* The integer at 1, after publishing what came before. */
static struct atomic_int *begin(lua_State *L)
{
	struct sl_handle *handle = sl_handle_check(L, 1, SL_ATOMIC_INT_KIND);

	sl_share_release(L);
	return (struct atomic_int *)handle;
}

/* Takes in what came before the others' operations; returns what the call returns. */
static int end(lua_State *L, int n_results)
{
	sl_share_acquire(L);
	return n_results;
}

/* Atomic arithmetic wraps around, also if it is signed. */
static int add(lua_State *L, int64_t delta)
{
	int64_t before = atomic_fetch_add(&begin(L)->value, delta);

	lua_pushinteger(L, (int64_t)((uint64_t)before + (uint64_t)delta));
	return end(L, 1);
}

/* n:add(delta) */
static int l_add(lua_State *L)
{
	return add(L, luaL_checkinteger(L, 2));
}

/* n:sub(delta) */
static int l_sub(lua_State *L)
{
	return add(L, (int64_t)(0 - (uint64_t)luaL_checkinteger(L, 2)));
}

/* n:inc() */
static int l_inc(lua_State *L)
{
	return add(L, 1);
}

/* n:dec() */
static int l_dec(lua_State *L)
{
	return add(L, -1);
}

/* n:load() */
static int l_load(lua_State *L)
{
	lua_pushinteger(L, atomic_load(&begin(L)->value));
	return end(L, 1);
}

/* n:store(value) */
static int l_store(lua_State *L)
{
	int64_t value = luaL_checkinteger(L, 2);

	atomic_store(&begin(L)->value, value);
	return end(L, 0);
}

/* n:swap(value) */
static int l_swap(lua_State *L)
{
	int64_t value = luaL_checkinteger(L, 2);

	lua_pushinteger(L, atomic_exchange(&begin(L)->value, value));
	return end(L, 1);
}

/* n:compare_and_swap(old, new) */
static int l_compare_and_swap(lua_State *L)
{
	int64_t old = luaL_checkinteger(L, 2), new = luaL_checkinteger(L, 3);
	struct atomic_int *integer = begin(L);

	lua_pushboolean(L, atomic_compare_exchange_strong(&integer->value, &old, new));
	return end(L, 1);
}

const luaL_Reg sl_atomic_int_methods[] = {
	{"add", l_add},
	{"cas", l_compare_and_swap},
	{"compare_and_swap", l_compare_and_swap},
	{"dec", l_dec},
	{"get", l_load},
	{"inc", l_inc},
	{"load", l_load},
	{"set", l_store},
	{"store", l_store},
	{"sub", l_sub},
	{"swap", l_swap},
	{NULL, NULL},
};
