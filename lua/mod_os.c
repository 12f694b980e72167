/* SPDX-License-Identifier: MIT */

/*
 * os: what is about the process in standard Lua is about the task here.
 */

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "common/clock.h"
#include "lua/modules.h"
#include "lua/runtime_inside.h"

/* os.exit([code]): ends the task */
static int l_exit(lua_State *L)
{
	int status = EXIT_SUCCESS;

	if (lua_isboolean(L, 1))
		status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
	else
		status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
	sl_runtime_exit(sl_runtime_of(L), status);
	return sl_goroutine_stop_self(L);
}

/* os.clock(): seconds since the task began, waiting included */
static int l_clock(lua_State *L)
{
	int64_t since_ns = sl_clock_monotonic_ns() - sl_runtime_of(L)->started_ns;

	lua_pushnumber(L, (lua_Number)since_ns / 1e9);
	return 1;
}

void sl_furnish_os(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"clock", l_clock},
		{"execute", sl_exec_os_execute},
		{"exit", l_exit},
		{NULL, NULL},
	};

	lua_getglobal(L, "os");
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
}
