/* SPDX-License-Identifier: MIT */

/*
 * os: what is about the process in standard Lua is about the task here.
 */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/modules/environment.h"
#include "lua/modules/modules.h"
#include "lua/modules/result.h"
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

/* A name, or a value, of a variable: no zeros in it, and no @taboo. */
static const char *check_text(lua_State *L, int index, char taboo)
{
	size_t size;
	const char *text = luaL_checklstring(L, index, &size);

	luaL_argcheck(L, strlen(text) == size, index, "has a zero in it");
	luaL_argcheck(L, !taboo || !strchr(text, taboo), index, "has a '=' in it");
	return text;
}

/* os.getenv(name) */
static int l_getenv(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct sl_buffer value = SL_BUFFER_INIT;
	bool failed;

	if (*name == '\0' || strchr(name, '=') ||
		!sl_environment_get(sl_runtime_of(L)->environment, name, &value)) {
		luaL_pushfail(L);
		return 1;
	}
	failed = value.failed;
	sl_result_take(L, &value);
	return failed ? luaL_error(L, "not enough memory") : 1;
}

/* os.setenv(name[, value]) */
static int l_setenv(lua_State *L)
{
	const char *name = check_text(L, 1, '='), *value = NULL;
	struct sl_error err;

	luaL_argcheck(L, *name != '\0', 1, "a variable has a name");
	if (!lua_isnoneornil(L, 2))
		value = check_text(L, 2, '\0');
	if (sl_environment_set(sl_runtime_of(L)->environment, name, value, &err) != 0)
		return sl_result_fail(L, &err);
	lua_pushboolean(L, true);
	return 1;
}

int sl_open_os(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"clock", l_clock},
		{"execute", sl_exec_os_execute},
		{"exit", l_exit},
		{"getenv", l_getenv},
		{"setenv", l_setenv},
		{NULL, NULL},
	};

	luaopen_os(L);
	luaL_setfuncs(L, functions, 0);
	return 1;
}
