/* SPDX-License-Identifier: MIT */

/*
 * log: what a task wants to be known, one event a call.
 */

#include <lauxlib.h>
#include <lua.h>

#include "common/log.h"
#include "lua/modules.h"
#include "lua/runtime_inside.h"

static int write_log(lua_State *L, enum sl_log_level level)
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
	luaL_pushresult(&buffer);
	text.data = lua_tolstring(L, -1, &text.size);
	if (!sl_runtime_emit_log(runtime, level, sl_goroutine_of(L)->id, text))
		return 0;
	return sl_runtime_wait_drained(L, mark, 0);
}

/* log.error(...) */
static int l_error(lua_State *L)
{
	return write_log(L, SL_LOG_ERROR);
}

/* log.warn(...) */
static int l_warn(lua_State *L)
{
	return write_log(L, SL_LOG_WARNING);
}

/* log.info(...), log.print(...) */
static int l_info(lua_State *L)
{
	return write_log(L, SL_LOG_INFO);
}

/* log.debug(...) */
static int l_debug(lua_State *L)
{
	return write_log(L, SL_LOG_DEBUG);
}

int sl_open_log(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"debug", l_debug},
		{"error", l_error},
		{"info", l_info},
		{"print", l_info},
		{"warn", l_warn},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	return 1;
}
