/* SPDX-License-Identifier: MIT */

/*
 * The module json.
 */

#include <lauxlib.h>
#include <lua.h>

#include "common/error.h"
#include "lua/modules/json.h"
#include "lua/modules/modules.h"
#include "lua/modules/result.h"

/* json.encode(value[, {pretty=}]) */
static int l_encode(lua_State *L)
{
	struct sl_buffer text = SL_BUFFER_INIT;
	struct sl_error err;
	bool pretty = false;

	luaL_checkany(L, 1);
	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		lua_getfield(L, 2, "pretty");
		pretty = lua_toboolean(L, -1);
	}
	if (sl_json_encode(L, 1, pretty, &text, &err) == 0)
		return sl_result_take(L, &text);
	sl_buffer_deinit(&text);
	return sl_result_fail(L, &err);
}

/* json.decode(text) */
static int l_decode(lua_State *L)
{
	struct sl_error err;
	struct sl_bytes text;

	text.data = luaL_checklstring(L, 1, &text.size);
	return sl_json_decode(L, text, &err) == 0 ? 1 : sl_result_fail(L, &err);
}

int sl_open_json(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"decode", l_decode},
		{"encode", l_encode},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	lua_pushlightuserdata(L, SL_JSON_NULL);
	lua_setfield(L, -2, "null");
	return 1;
}
