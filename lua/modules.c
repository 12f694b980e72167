/* SPDX-License-Identifier: MIT */
#include "lua/modules.h"

#include <lauxlib.h>
#include <lualib.h>

#include "common/task.h"
#include "lua/runtime_inside.h"
#include "lua/sent_modules.h"

/* Ours: each is a global and what require() returns. */
static const luaL_Reg modules[] = {
	{"exec", sl_open_exec},
	{"fs", sl_open_fs},
	{"goroutine", sl_open_goroutine},
	{"json", sl_open_json},
	{"log", sl_open_log},
};

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

void sl_modules_open(lua_State *L)
{
	luaL_openlibs(L);
	for (size_t i = 0; i < sizeof(furnish) / sizeof(furnish[0]); i++)
		furnish[i](L);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		luaL_requiref(L, modules[i].name, modules[i].func, 1);
		lua_pop(L, 1);
	}
}

const char *sl_modules_push(lua_State *L, size_t i)
{
	if (i >= sizeof(modules) / sizeof(modules[0]))
		return NULL;
	lua_pushcfunction(L, modules[i].func);
	lua_pushstring(L, modules[i].name);
	lua_call(L, 1, 1);
	return modules[i].name;
}
