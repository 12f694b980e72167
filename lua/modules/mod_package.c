/* SPDX-License-Identifier: MIT */

/*
 * package and require(). Where modules come from: package.preload, the task, the
 * files on package.path, and C libraries as in standard Lua. The body of a module
 * may wait as any other code.
 */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "common/task.h"
#include "lua/modules/module_files.h"
#include "lua/modules/modules.h"
#include "lua/modules/sent_modules.h"
#include "lua/runtime_inside.h"
#include "lua/state/late.h"

static char package_key; /* its address: the key of the table package in the registry */

/* The first states are made before there is a task. */
static const struct sl_value *modules_of_task(lua_State *L)
{
	const struct sl_goroutine *goroutine = sl_goroutine_of(L);
	const struct sl_task *task = goroutine ? goroutine->runtime->task : NULL;

	return task ? &task->modules : NULL;
}

static const struct sl_sent_modules sent = {modules_of_task};

/* ---- require ---- */

enum {
	SLOT_NAME = 1,
	SLOT_LOADED,
	SLOT_SEARCHERS,
	SLOT_WHY, /* what the searchers said that didn't find it */
	SLOT_FROM = SLOT_SEARCHERS,
	SLOT_RESULT = SLOT_WHY,
};

/* Asks the searcher on the top for the module. True: function and where it is from are on the
 * top instead of it. [-1, +(0|2), e] */
static bool ask(lua_State *L)
{
	lua_pushvalue(L, SLOT_NAME);
	lua_call(L, 1, 2);
	if (lua_isfunction(L, -2))
		return true;
	lua_pop(L, 1);
	if (lua_isstring(L, -1)) {
		lua_pushvalue(L, SLOT_WHY);
		lua_pushliteral(L, "\n\t");
		lua_pushvalue(L, -3);
		lua_concat(L, 3);
		lua_replace(L, SLOT_WHY);
	}
	lua_pop(L, 1);
	return false;
}

/* Pushes function and where it is from. [-0, +2, e] */
static void find_module(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &package_key);
	if (lua_getfield(L, -1, "searchers") != LUA_TTABLE)
		luaL_error(L, "'package.searchers' must be a table");
	lua_replace(L, SLOT_SEARCHERS);
	lua_pushliteral(L, "");
	lua_replace(L, SLOT_WHY);
	for (lua_Integer i = 1; lua_rawgeti(L, SLOT_SEARCHERS, i) != LUA_TNIL; i++)
		if (ask(L))
			return;
	luaL_error(L, "module '%s' not found:%s", lua_tostring(L, SLOT_NAME),
		lua_tostring(L, SLOT_WHY));
}

/* The body has run. Slots: name, LOADED, from, result */
static int loaded(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	lua_settop(L, SLOT_RESULT);
	if (!lua_isnil(L, SLOT_RESULT)) {
		lua_pushvalue(L, SLOT_NAME);
		lua_pushvalue(L, SLOT_RESULT);
		lua_settable(L, SLOT_LOADED);
	}
	lua_pushvalue(L, SLOT_NAME);
	if (lua_gettable(L, SLOT_LOADED) == LUA_TNIL) {
		lua_pushvalue(L, SLOT_NAME);
		lua_pushboolean(L, true);
		lua_settable(L, SLOT_LOADED);
		lua_pushboolean(L, true);
	}
	lua_pushvalue(L, SLOT_FROM);
	return 2;
}

/* require(name) */
static int l_require(lua_State *L)
{
	luaL_checkstring(L, SLOT_NAME);
	lua_settop(L, SLOT_NAME);
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_getfield(L, SLOT_LOADED, lua_tostring(L, SLOT_NAME));
	if (lua_toboolean(L, -1))
		return 1;
	find_module(L);
	lua_replace(L, SLOT_FROM);
	lua_replace(L, SLOT_WHY); /* the function */
	lua_settop(L, SLOT_WHY);
	lua_pushvalue(L, SLOT_NAME);
	lua_pushvalue(L, SLOT_FROM);
	lua_callk(L, 2, 1, 0, loaded);
	return loaded(L, LUA_OK, 0);
}

/* ---- package ---- */

/* Has the searchers of the table at 2, which is on the top, look into the table at 1.
 * [-0, +0, -] */
static void serve(lua_State *L)
{
	lua_getfield(L, -1, "searchers");
	for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
		if (lua_getupvalue(L, -1, 1) && lua_rawequal(L, -1, -4)) {
			lua_pushvalue(L, -5);
			lua_setupvalue(L, -3, 1);
		}
		lua_settop(L, 3);
	}
	lua_pop(L, 2);
}

int sl_open_package_first(lua_State *L)
{
	lua_pushcfunction(L, l_require);
	lua_setglobal(L, "require");
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &package_key);
	return 1;
}

int sl_open_package(lua_State *L)
{
	lua_pushglobaltable(L);
	lua_pushliteral(L, "require");
	lua_pushliteral(L, "require");
	lua_rawget(L, -3);
	lua_pushcfunction(L, luaopen_package);
	lua_call(L, 0, 1);
	lua_insert(L, 1);
	lua_rawset(L, -3); /* as it was */
	lua_settop(L, 1);
	sl_module_files_open(L);
	sl_sent_modules_open(L, &sent);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &package_key);
	lua_insert(L, 1);
	serve(L);
	return 1;
}
