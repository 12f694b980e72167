/* SPDX-License-Identifier: MIT */

/*
 * Standard modules that differ a little: debug, which must not tell of late
 * tables and has no hooks; math, whose random numbers are each state's own; and
 * string, whose table is what strings have as methods, also while it is late.
 */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <sys/random.h>

#include "lua/modules/modules.h"
#include "lua/state/late.h"

static lua_CFunction std_getmetatable, std_setmetatable;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local lua_State *asked;

static lua_CFunction standard(const char *name)
{
	lua_CFunction function;

	lua_getfield(asked, -1, name);
	function = lua_tocfunction(asked, -1);
	lua_pop(asked, 1);
	return function;
}

/* The table debug is on the top of the first state that has one. */
static void ask(void)
{
	std_getmetatable = standard("getmetatable");
	std_setmetatable = standard("setmetatable");
}

/* debug.getmetatable(value) */
static int l_getmetatable(lua_State *L)
{
	sl_late_fill(L, 1);
	return std_getmetatable(L);
}

/* debug.setmetatable(value, metatable) */
static int l_setmetatable(lua_State *L)
{
	sl_late_fill(L, 1);
	return std_setmetatable(L);
}

int sl_open_debug(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"getmetatable", l_getmetatable},
		{"setmetatable", l_setmetatable},
		{NULL, NULL},
	};

	luaopen_debug(L);
	asked = L;
	pthread_once(&once, ask);
	luaL_setfuncs(L, functions, 0);
	/* Hooks are how a goroutine is stopped and made to let others run. */
	lua_pushnil(L);
	lua_setfield(L, -2, "sethook");
	return 1;
}

int sl_open_math(lua_State *L)
{
	lua_Integer seed[2];

	luaopen_math(L);
	/* Lua itself takes the time in seconds and an address, which the next goroutine has
	 * too. */
	if (getrandom(seed, sizeof(seed), 0) == sizeof(seed)) {
		lua_getfield(L, -1, "randomseed");
		lua_pushinteger(L, seed[0]);
		lua_pushinteger(L, seed[1]);
		lua_call(L, 2, 0);
	}
	return 1;
}

int sl_open_string_first(lua_State *L)
{
	luaopen_string(L);
	lua_pop(L, 1);
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, "__index");
	lua_gc(L, LUA_GCCOLLECT); /* so that what comes next lies where the names were */
	return 1;
}

int sl_open_string(lua_State *L)
{
	lua_pushliteral(L, "");
	if (!lua_getmetatable(L, -1))
		lua_pushnil(L);
	luaopen_string(L);
	lua_insert(L, -3);
	lua_setmetatable(L, -2); /* of strings, as it was */
	lua_pop(L, 1);
	return 1;
}
