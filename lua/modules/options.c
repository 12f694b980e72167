/* SPDX-License-Identifier: MIT */
#include "lua/modules/options.h"

#include <lauxlib.h>
#include <string.h>

#include "common/duration.h"
#include "common/error.h"

void sl_options_check(lua_State *L, int arg, const char *const *names)
{
	if (lua_isnoneornil(L, arg))
		return;
	luaL_checktype(L, arg, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
		                                                  : luaL_typename(L, -2);
		size_t i = 0;

		while (names[i] && strcmp(names[i], name) != 0)
			i++;
		if (!names[i])
			luaL_argerror(
				L, arg, lua_pushfstring(L, "there is no option '%s'", name));
	}
}

bool sl_options_push(lua_State *L, int arg, const char *name)
{
	if (lua_type(L, arg) != LUA_TTABLE)
		return false;
	lua_pushstring(L, name);
	if (lua_rawget(L, arg) != LUA_TNIL)
		return true;
	lua_pop(L, 1);
	return false;
}

int sl_options_bad(lua_State *L, int arg, const char *name, const char *wanted)
{
	return luaL_argerror(L, arg,
		lua_pushfstring(
			L, "%s: %s expected, got %s", name, wanted, luaL_typename(L, -1)));
}

bool sl_options_flag(lua_State *L, int arg, const char *name, bool otherwise)
{
	bool flag;

	if (!sl_options_push(L, arg, name))
		return otherwise;
	if (!lua_isboolean(L, -1))
		sl_options_bad(L, arg, name, "boolean");
	flag = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return flag;
}

struct sl_bytes sl_options_bytes(lua_State *L, int arg, const char *name)
{
	struct sl_bytes bytes = {0};

	if (!sl_options_push(L, arg, name))
		return bytes;
	if (lua_type(L, -1) != LUA_TSTRING)
		sl_options_bad(L, arg, name, "string");
	bytes.data = lua_tolstring(L, -1, &bytes.size);
	lua_pop(L, 1);
	return bytes;
}

const char *sl_options_text(lua_State *L, int arg, const char *name)
{
	struct sl_bytes text = sl_options_bytes(L, arg, name);

	if (text.data && strlen(text.data) != text.size)
		luaL_argerror(L, arg, lua_pushfstring(L, "%s: has a zero in it", name));
	return text.data;
}

int64_t sl_options_time_ms(lua_State *L, int arg, const char *name, int64_t otherwise)
{
	struct sl_error err;
	int64_t ms = 0;
	int code = 0;

	if (!sl_options_push(L, arg, name))
		return otherwise;
	if (lua_type(L, -1) == LUA_TNUMBER)
		code = sl_duration_from_seconds(lua_tonumber(L, -1), &ms, &err);
	else if (lua_type(L, -1) == LUA_TSTRING)
		code = sl_duration_parse(lua_tostring(L, -1), &ms, &err);
	else
		sl_options_bad(L, arg, name, "seconds, or text such as \"30s\"");
	lua_pop(L, 1);
	if (code != 0)
		luaL_argerror(L, arg, lua_pushfstring(L, "%s: %s", name, err.text));
	return ms > 0 ? ms : 1;
}
