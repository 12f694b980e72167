/* SPDX-License-Identifier: MIT */
#include "lua/modules/result.h"

#include "common/error.h"

int sl_result_fail(lua_State *L, const struct sl_error *err)
{
	lua_pushnil(L);
	lua_pushstring(L, err->text);
	return 2;
}

/* f(buffer) → string */
static int l_push(lua_State *L)
{
	const struct sl_buffer *buffer = lua_touserdata(L, 1);

	lua_pushlstring(L, buffer->size > 0 ? buffer->data : "", buffer->size);
	return 1;
}

int sl_result_take(lua_State *L, struct sl_buffer *buffer)
{
	int status;

	lua_pushcfunction(L, l_push); /* neither this nor the next needs memory */
	lua_pushlightuserdata(L, buffer);
	status = lua_pcall(L, 1, 1, 0);
	sl_buffer_deinit(buffer);
	*buffer = SL_BUFFER_INIT;
	return status == LUA_OK ? 1 : lua_error(L);
}
