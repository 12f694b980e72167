/* SPDX-License-Identifier: MIT */
#include "lua/modules.h"

#include <lauxlib.h>
#include <lualib.h>

/* Ours: each is a global and what require() returns. */
static const luaL_Reg modules[] = {
	{"goroutine", sl_open_goroutine},
	{"log", sl_open_log},
};

static void (*const furnish[])(lua_State *L) = {
	sl_furnish_base,
	sl_furnish_coroutine,
	sl_furnish_io,
	sl_furnish_os,
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
