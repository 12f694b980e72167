/* SPDX-License-Identifier: MIT */

/*
 * The basic functions that are ours: what makes finalizers is noticed, print is
 * an event, and what looks past metatables finds late tables full.
 */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>

#include "lua/modules/modules.h"
#include "lua/runtime_inside.h"
#include "lua/state/finalizer.h"
#include "lua/state/home.h"
#include "lua/state/late.h"

/* setmetatable(table, metatable) */
static int l_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	sl_late_fill(L, 1);
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	if (type == LUA_TTABLE) {
		lua_pushliteral(L, "__gc");
		if (lua_rawget(L, 2) != LUA_TNIL) {
			sl_home_of(L)->has_finalizers = true;
			sl_finalizer_guard(L, 2);
		}
	}
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/* ---- late tables ---- */

/* next(table[, key]) */
static int l_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (lua_isnil(L, 2))
		sl_late_fill(L, 1);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

static int end_pairs(lua_State *L, int status, lua_KContext ctx)
{
	(void)L;
	(void)status;
	(void)ctx;
	return 3;
}

/* pairs(value) */
static int l_pairs(lua_State *L)
{
	luaL_checkany(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
		lua_pushvalue(L, 1);
		lua_callk(L, 1, 3, 0, end_pairs);
		return 3;
	}
	lua_pushcfunction(L, l_next);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

/* rawget(table, key) */
static int l_rawget(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	sl_late_fill(L, 1);
	lua_settop(L, 2);
	lua_rawget(L, 1);
	return 1;
}

/* rawset(table, key, value) */
static int l_rawset(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	luaL_checkany(L, 3);
	sl_late_fill(L, 1);
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 1;
}

/* getmetatable(value) */
static int l_getmetatable(lua_State *L)
{
	luaL_checkany(L, 1);
	sl_late_fill(L, 1);
	if (!lua_getmetatable(L, 1))
		lua_pushnil(L);
	else
		luaL_getmetafield(L, 1, "__metatable");
	return 1;
}

/* ---- */

/* Standard Lua's own, the same in each state: the first one is asked. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local lua_State *asked;
static lua_CFunction std_xpcall;

/* The table of globals is on the top. */
static void ask(void)
{
	lua_getfield(asked, -1, "xpcall");
	std_xpcall = lua_tocfunction(asked, -1);
	lua_pop(asked, 1);
}

/* xpcall(fn, handler, ...) */
static int l_xpcall(lua_State *L)
{
	sl_home_of(L)->has_handlers = true;
	return std_xpcall(L);
}

/* print(...) */
static int l_print(lua_State *L)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	uint64_t mark = sl_runtime_drain_mark(runtime);
	int n = lua_gettop(L);
	struct sl_bytes text;
	luaL_Buffer buffer;

	luaL_buffinit(L, &buffer);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&buffer, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&buffer);
	}
	luaL_addchar(&buffer, '\n');
	luaL_pushresult(&buffer);
	text.data = lua_tolstring(L, -1, &text.size);
	if (!sl_runtime_emit_out(runtime, 1, sl_goroutine_of(L)->id, text))
		return 0;
	return sl_runtime_wait_drained(L, mark, 0);
}

int sl_open_base(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"getmetatable", l_getmetatable},
		{"next", l_next},
		{"pairs", l_pairs},
		{"print", l_print},
		{"rawget", l_rawget},
		{"rawset", l_rawset},
		{"setmetatable", l_setmetatable},
		{"xpcall", l_xpcall},
		{NULL, NULL},
	};

	luaopen_base(L);
	asked = L;
	pthread_once(&once, ask);
	luaL_setfuncs(L, functions, 0);
	return 1;
}
