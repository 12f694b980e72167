/* SPDX-License-Identifier: MIT */
#include "lua/modules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "common/task.h"
#include "lua/runtime_inside.h"
#include "lua/sent_modules.h"

/* Ours: each is a global and what require() returns. One that most goroutines don't touch is
 * late: its table is there, and filled when somebody looks into it. */
static const struct module {
	const char *name;
	lua_CFunction open;
	bool late;
} modules[] = {
	{"exec", sl_open_exec, true},
	{"fs", sl_open_fs, true},
	{"goroutine", sl_open_goroutine, false},
	{"http", sl_open_http, true},
	{"json", sl_open_json, true},
	{"log", sl_open_log, false},
};

#define N_MODULES (sizeof(modules) / sizeof(modules[0]))

/* The first states are made before there is a task. */
static const struct sl_value *modules_of_task(lua_State *L)
{
	const struct sl_runtime *runtime = sl_runtime_of(L);

	return runtime && runtime->task ? &runtime->task->modules : NULL;
}

static const struct sl_sent_modules sent = {modules_of_task};

static void furnish_require(lua_State *L)
{
	sl_sent_modules_open(L, &sent);
}

static void (*const furnish[])(lua_State *L) = {
	sl_furnish_base,
	sl_furnish_coroutine,
	sl_furnish_io,
	sl_furnish_os,
	furnish_require,
};

/* ---- late modules ---- */

/* Fills the table at 1, once. Upvalue 1 of the caller: which module it is. [-0, +0, m] */
static void fill(lua_State *L)
{
	const struct module *module = &modules[lua_tointeger(L, lua_upvalueindex(1))];

	lua_pushnil(L);
	lua_setmetatable(L, 1);
	lua_pushcfunction(L, module->open);
	lua_pushstring(L, module->name);
	lua_call(L, 1, 1);
	for (lua_pushnil(L); lua_next(L, -2);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, 1);
	}
	lua_pop(L, 1);
}

/* __index(module, key) */
static int l_index(lua_State *L)
{
	fill(L);
	lua_settop(L, 2);
	lua_rawget(L, 1);
	return 1;
}

/* __newindex(module, key, value) */
static int l_newindex(lua_State *L)
{
	fill(L);
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 0;
}

/* __pairs(module) */
static int l_pairs(lua_State *L)
{
	fill(L);
	lua_getglobal(L, "next");
	lua_pushvalue(L, 1);
	return 2;
}

/* Pushes the table of a late module, empty for now; for luaL_requiref(). */
static int open_late(lua_State *L)
{
	static const luaL_Reg events[] = {{"__index", l_index}, {"__newindex", l_newindex},
		{"__pairs", l_pairs}, {NULL, NULL}};
	const char *name = luaL_checkstring(L, 1);
	lua_Integer i = 0;

	while (strcmp(modules[i].name, name) != 0)
		i++;
	lua_newtable(L);
	lua_createtable(L, 0, 3);
	lua_pushinteger(L, i);
	luaL_setfuncs(L, events, 1);
	lua_setmetatable(L, -2);
	return 1;
}

void sl_modules_fill(lua_State *L)
{
	for (size_t i = 0; i < N_MODULES; i++) {
		lua_getglobal(L, modules[i].name);
		lua_getfield(L, -1, "");
		lua_pop(L, 2);
	}
}

void sl_modules_open(lua_State *L)
{
	luaL_openlibs(L);
	for (size_t i = 0; i < sizeof(furnish) / sizeof(furnish[0]); i++)
		furnish[i](L);
	for (size_t i = 0; i < N_MODULES; i++) {
		luaL_requiref(
			L, modules[i].name, modules[i].late ? open_late : modules[i].open, 1);
		lua_pop(L, 1);
	}
}

const char *sl_modules_push(lua_State *L, size_t i)
{
	if (i >= N_MODULES)
		return NULL;
	lua_pushcfunction(L, modules[i].open);
	lua_pushstring(L, modules[i].name);
	lua_call(L, 1, 1);
	return modules[i].name;
}
