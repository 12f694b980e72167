/* SPDX-License-Identifier: MIT */

/*
 * probe: a Lua module in C with numbers that all goroutines of a process see at
 * once, whatever becomes of what they captured. A model is kept in them.
 *
 * Its calls change a number in the same step as something happens: a goroutine
 * that is stopped is never stopped in between.
 */
#include <lauxlib.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
	N_SLOTS = 1 << 16
};

static _Atomic int64_t slots[N_SLOTS];

int luaopen_probe(lua_State *L);

static _Atomic int64_t *slot(lua_State *L, int arg)
{
	lua_Integer i = luaL_checkinteger(L, arg);

	luaL_argcheck(L, i >= 0 && i < N_SLOTS, arg, "no such slot");
	return &slots[i];
}

/* probe.reset() */
static int l_reset(lua_State *L)
{
	(void)L;
	for (size_t i = 0; i < N_SLOTS; i++)
		atomic_store(&slots[i], 0);
	return 0;
}

/* probe.get(i) */
static int l_get(lua_State *L)
{
	lua_pushinteger(L, atomic_load(slot(L, 1)));
	return 1;
}

/* probe.add(i, n): what it is then */
static int l_add(lua_State *L)
{
	lua_Integer n = luaL_checkinteger(L, 2);

	lua_pushinteger(L, atomic_fetch_add(slot(L, 1), n) + n);
	return 1;
}

/* probe.see(i): one more; returns nothing, so that it can be a handler */
static int l_see(lua_State *L)
{
	atomic_fetch_add(slot(L, 1), 1);
	return 0;
}

/* probe.move(i, j): one less of i, one more of j */
static int l_move(lua_State *L)
{
	_Atomic int64_t *from = slot(L, 1), *to = slot(L, 2);

	atomic_fetch_sub(from, 1);
	atomic_fetch_add(to, 1);
	return 0;
}

/* Arguments of the next three. */
enum {
	MINE = 1, /* slot: what this goroutine holds */
	ALL,      /* slot: what all hold together */
	AMOUNT,
	LIMIT, /* of all */
	FUNCTION,
};

static void hold(lua_State *L, lua_Integer amount)
{
	atomic_fetch_add(slot(L, MINE), amount);
	if (atomic_fetch_add(slot(L, ALL), amount) + amount > luaL_checkinteger(L, LIMIT))
		luaL_error(L, "more than %I are held at once", luaL_checkinteger(L, LIMIT));
}

static int taken(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	if (lua_gettop(L) < FUNCTION || lua_toboolean(L, FUNCTION))
		hold(L, luaL_checkinteger(L, AMOUNT));
	return lua_gettop(L) - LIMIT;
}

/* probe.take(mine, all, amount, limit, fn, …): fn(…), and then so many are held more, unless it
 * returned false */
static int l_take(lua_State *L)
{
	lua_callk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, 0, taken);
	return taken(L, LUA_OK, 0);
}

/* probe.give(mine, all, amount, limit, fn, …): so many less, and then fn(…) */
static int l_give(lua_State *L)
{
	hold(L, -luaL_checkinteger(L, AMOUNT));
	lua_call(L, lua_gettop(L) - FUNCTION, 0);
	return 0;
}

/* probe.away(mine, all, amount, limit, fn, …): both, around fn(…) */
static int l_away(lua_State *L)
{
	hold(L, -luaL_checkinteger(L, AMOUNT));
	return l_take(L);
}

int luaopen_probe(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"add", l_add},
		{"away", l_away},
		{"get", l_get},
		{"give", l_give},
		{"move", l_move},
		{"reset", l_reset},
		{"see", l_see},
		{"take", l_take},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	return 1;
}
