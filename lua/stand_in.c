/* SPDX-License-Identifier: MIT */
#include "lua/stand_in.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

static int only_in_a_task(lua_State *L, const char *name)
{
	return luaL_error(L, "%s can only be called inside a task", name);
}

/* Each needs a function in C of its own: by that it is known when it is captured. */
#define STAND_IN(module, name)                                                                 \
	static int l_##module##_##name(lua_State *L)                                           \
	{                                                                                      \
		return only_in_a_task(L, #module "." #name);                                   \
	}
#define ENTRY(module, name) {#name, l_##module##_##name},

#define GOROUTINE(X)                                                                           \
	X(goroutine, spawn)                                                                    \
	X(goroutine, spawn_many)                                                               \
	X(goroutine, wait_group)                                                               \
	X(goroutine, pool_create)                                                              \
	X(goroutine, pool_submit)                                                              \
	X(goroutine, pool_wait)                                                                \
	X(goroutine, pool_close)                                                               \
	X(goroutine, pool_stats)                                                               \
	X(goroutine, async)                                                                    \
	X(goroutine, await)                                                                    \
	X(goroutine, await_all)                                                                \
	X(goroutine, sleep)                                                                    \
	X(goroutine, timeout)

#define HTTP(X)                                                                                \
	X(http, get)                                                                           \
	X(http, post)                                                                          \
	X(http, put)                                                                           \
	X(http, patch)                                                                         \
	X(http, delete)                                                                        \
	X(http, head)                                                                          \
	X(http, request)

#define EXEC(X) X(exec, run)

#define FS(X)                                                                                  \
	X(fs, read)                                                                            \
	X(fs, write)                                                                           \
	X(fs, append)                                                                          \
	X(fs, exists)                                                                          \
	X(fs, stat)                                                                            \
	X(fs, mkdir)                                                                           \
	X(fs, remove)                                                                          \
	X(fs, list)                                                                            \
	X(fs, glob)                                                                            \
	X(fs, copy)                                                                            \
	X(fs, rename)                                                                          \
	X(fs, tmp)                                                                             \
	X(fs, basename)                                                                        \
	X(fs, dirname)                                                                         \
	X(fs, join)

#define JSON(X)                                                                                \
	X(json, encode)                                                                        \
	X(json, decode)

GOROUTINE(STAND_IN)
HTTP(STAND_IN)
EXEC(STAND_IN)
FS(STAND_IN)
JSON(STAND_IN)

/* clang-format off */
static const luaL_Reg goroutine_functions[] = {GOROUTINE(ENTRY){NULL, NULL}};
static const luaL_Reg http_functions[] = {HTTP(ENTRY){NULL, NULL}};
static const luaL_Reg exec_functions[] = {EXEC(ENTRY){NULL, NULL}};
static const luaL_Reg fs_functions[] = {FS(ENTRY){NULL, NULL}};
static const luaL_Reg json_functions[] = {JSON(ENTRY){NULL, NULL}};
/* clang-format on */

/* Pushes the arguments as text, with tabs between. [-0, +1, e] */
static const char *joined(lua_State *L)
{
	int n = lua_gettop(L);
	luaL_Buffer buffer;

	luaL_buffinit(L, &buffer);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&buffer, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&buffer);
	}
	luaL_pushresult(&buffer);
	return lua_tostring(L, -1);
}

/* One line of the log for each line of the text. */
static int log_lines(lua_State *L, enum sl_log_level level)
{
	const char *at = joined(L);

	for (;;) {
		size_t n = strcspn(at, "\n");

		sl_log(level, "%.*s", (int)n, at);
		if (at[n] == '\0')
			return 0;
		at += n + 1;
	}
}

/* log.info(...) and its like */
static int l_log_error(lua_State *L)
{
	return log_lines(L, SL_LOG_ERROR);
}

static int l_log_warn(lua_State *L)
{
	return log_lines(L, SL_LOG_WARNING);
}

static int l_log_info(lua_State *L)
{
	return log_lines(L, SL_LOG_INFO);
}

static int l_log_debug(lua_State *L)
{
	return log_lines(L, SL_LOG_DEBUG);
}

/* log.print(...) */
static int l_log_print(lua_State *L)
{
	return log_lines(L, SL_LOG_INFO);
}

/* print(...) */
static int l_print(lua_State *L)
{
	fprintf(stderr, "%s\n", joined(L));
	return 0;
}

static const luaL_Reg log_functions[] = {
	{"error", l_log_error},
	{"warn", l_log_warn},
	{"info", l_log_info},
	{"debug", l_log_debug},
	{"print", l_log_print},
	{NULL, NULL},
};

static const struct {
	const char *name;
	const luaL_Reg *functions;
} modules[] = {
	{"goroutine", goroutine_functions},
	{"http", http_functions},
	{"exec", exec_functions},
	{"fs", fs_functions},
	{"json", json_functions},
	{"log", log_functions},
};

void sl_stand_in_open(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		lua_newtable(L);
		luaL_setfuncs(L, modules[i].functions, 0);
		lua_pushvalue(L, -1);
		lua_setglobal(L, modules[i].name);
		lua_setfield(L, -2, modules[i].name);
	}
	lua_pop(L, 1);
	lua_register(L, "print", l_print);
}
