/* SPDX-License-Identifier: MIT */
#include "lua/modules.h"

#include <lauxlib.h>
#include <lualib.h>

#include "common/task.h"
#include "lua/late.h"
#include "lua/runtime_inside.h"
#include "lua/sent_modules.h"

/* Each is a global and what require() returns. One that most goroutines don't touch is late. */
struct module {
	const char *name;
	lua_CFunction open;
	bool late;
	lua_CFunction first; /* late: pushes what it has from the beginning; NULL: nothing */
};

static const struct module standard[] = {
	{LUA_GNAME, sl_open_base, false, NULL},
	{LUA_LOADLIBNAME, luaopen_package, false, NULL},
	{LUA_COLIBNAME, sl_open_coroutine, true, NULL},
	{LUA_DBLIBNAME, sl_open_debug, true, NULL},
	{LUA_IOLIBNAME, sl_open_io, true, NULL},
	{LUA_MATHLIBNAME, sl_open_math, true, NULL},
	{LUA_OSLIBNAME, sl_open_os, true, NULL},
	{LUA_STRLIBNAME, luaopen_string, false, NULL},
	{LUA_TABLIBNAME, luaopen_table, false, NULL},
	{LUA_UTF8LIBNAME, luaopen_utf8, true, NULL},
};

static const struct module ours[] = {
	{"exec", sl_open_exec, true, NULL},
	{"fs", sl_open_fs, true, NULL},
	{"goroutine", sl_open_goroutine, true, sl_open_goroutine_first},
	{"http", sl_open_http, true, NULL},
	{"json", sl_open_json, true, NULL},
	{"log", sl_open_log, false, NULL},
};

#define N_STANDARD (sizeof(standard) / sizeof(standard[0]))
#define N_OURS (sizeof(ours) / sizeof(ours[0]))

/* The first states are made before there is a task. */
static const struct sl_value *modules_of_task(lua_State *L)
{
	const struct sl_runtime *runtime = sl_runtime_of(L);

	return runtime && runtime->task ? &runtime->task->modules : NULL;
}

static const struct sl_sent_modules sent = {modules_of_task};

static void open_module(lua_State *L, const struct module *module)
{
	if (!module->late) {
		luaL_requiref(L, module->name, module->open, 1);
		lua_pop(L, 1);
		return;
	}
	if (module->first)
		module->first(L);
	else
		lua_newtable(L);
	sl_late_make(L, module->open);
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, module->name);
	lua_pop(L, 1);
	lua_setglobal(L, module->name);
}

void sl_modules_open(lua_State *L)
{
	for (size_t i = 0; i < N_STANDARD; i++)
		open_module(L, &standard[i]);
	for (size_t i = 0; i < N_OURS; i++)
		open_module(L, &ours[i]);
	sl_sent_modules_open(L, &sent);
}

const char *sl_modules_push(lua_State *L, size_t i)
{
	if (i >= N_OURS)
		return NULL;
	lua_pushcfunction(L, ours[i].open);
	lua_call(L, 0, 1);
	return ours[i].name;
}
