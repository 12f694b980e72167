/* SPDX-License-Identifier: MIT */
#include "lua/state/finalizer.h"

#include "lua/modules/modules.h"

/* __gc(object): upvalue 1 is the script's own */
static int l_finalize(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	return sl_coroutine_call(L, 1);
}

void sl_finalizer_guard(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	lua_pushliteral(L, "__gc");
	lua_pushvalue(L, -1);
	lua_rawget(L, index);
	if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1)) {
		lua_pop(L, 2);
		return;
	}
	lua_pushcclosure(L, l_finalize, 1);
	lua_rawset(L, index);
}

bool sl_finalizer_is_guarded(lua_State *L, int index)
{
	return lua_tocfunction(L, index) == l_finalize;
}
