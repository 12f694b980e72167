/* SPDX-License-Identifier: MIT */

/*
 * The basic functions that are ours: what makes finalizers is noticed, and print
 * is an event.
 */

#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>

#include "lua/finalizer.h"
#include "lua/home.h"
#include "lua/modules.h"
#include "lua/runtime_inside.h"

/* setmetatable(table, metatable) */
static int l_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
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

/* Standard Lua's own, the same in each state: the first one is asked. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local lua_State *asked;
static lua_CFunction std_xpcall;

static void ask(void)
{
	lua_getglobal(asked, "xpcall");
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

void sl_furnish_base(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"print", l_print},
		{"setmetatable", l_setmetatable},
		{"xpcall", l_xpcall},
		{NULL, NULL},
	};

	asked = L;
	pthread_once(&once, ask);
	lua_pushglobaltable(L);
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
	/* Hooks are how a goroutine is stopped and made to let others run. */
	lua_getglobal(L, "debug");
	lua_pushnil(L);
	lua_setfield(L, -2, "sethook");
	lua_pop(L, 1);
}
