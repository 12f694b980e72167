/* SPDX-License-Identifier: MIT */
#include "lua/modules/modules.h"

#include <lauxlib.h>
#include <lualib.h>

#include "lua/state/late.h"

/* When what a module has is made. */
enum when {
	AT_ONCE,
	LATE,       /* when it is looked for, one by one */
	WHOLE_LATE, /* the first look makes all: opening it makes what its functions rely on */
};

/* Each is a global and what require() returns. */
struct module {
	const char *name;
	lua_CFunction open;
	enum when when;
	lua_CFunction first; /* late: pushes what it has from the beginning; NULL: nothing */
};

/* What is looked for most comes first: late ones are searched in this order. */
static const struct module standard[] = {
	{LUA_GNAME, sl_open_base, AT_ONCE, NULL},
	{LUA_LOADLIBNAME, sl_open_package, WHOLE_LATE, sl_open_package_first},
	{LUA_STRLIBNAME, sl_open_string, LATE, sl_open_string_first},
	{LUA_TABLIBNAME, luaopen_table, LATE, NULL},
	{LUA_MATHLIBNAME, sl_open_math, LATE, NULL},
	{LUA_OSLIBNAME, sl_open_os, LATE, NULL},
	{LUA_IOLIBNAME, sl_open_io, WHOLE_LATE, NULL},
	{LUA_COLIBNAME, sl_open_coroutine, LATE, NULL},
	{LUA_UTF8LIBNAME, luaopen_utf8, LATE, NULL},
	{LUA_DBLIBNAME, sl_open_debug, LATE, NULL},
};

static const struct module ours[] = {
	{"log", sl_open_log, LATE, NULL},
	{"goroutine", sl_open_goroutine, LATE, sl_open_goroutine_first},
	{"exec", sl_open_exec, LATE, NULL},
	{"fs", sl_open_fs, LATE, NULL},
	{"http", sl_open_http, LATE, NULL},
	{"json", sl_open_json, LATE, NULL},
};

#define N_STANDARD (sizeof(standard) / sizeof(standard[0]))
#define N_OURS (sizeof(ours) / sizeof(ours[0]))

static void open_module(lua_State *L, const struct module *module)
{
	if (module->when == AT_ONCE) {
		luaL_requiref(L, module->name, module->open, 1);
		lua_pop(L, 1);
		return;
	}
	if (module->first) {
		lua_pushcfunction(L, module->first);
		lua_call(L, 0, 1);
	} else {
		lua_newtable(L);
	}
	sl_late_make(L, module->open, module->when == WHOLE_LATE);
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
}

const char *sl_modules_push(lua_State *L, size_t i)
{
	if (i >= N_OURS)
		return NULL;
	lua_pushcfunction(L, ours[i].open);
	lua_call(L, 0, 1);
	return ours[i].name;
}
