/* SPDX-License-Identifier: MIT */

/*
 * Which closures have the same code.
 */

#include <lauxlib.h>

#include "lua/code/prototype.h"
#include "tests/support/check_main.h"

static int in_c(lua_State *L)
{
	(void)L;
	return 0;
}

START_TEST(closures_of_one_place_have_one_prototype)
{
	lua_State *L = luaL_newstate();

	ck_assert_int_eq(luaL_dostring(L, "local function make(x) return function() return x "
					  "end end\n"
					  "return make(1), make(2), function() return 1 end"),
		LUA_OK);
	ck_assert_ptr_nonnull(sl_prototype_of(L, 1)); /* else this Lua is one we don't know */
	ck_assert_ptr_eq(sl_prototype_of(L, 1), sl_prototype_of(L, 2));
	ck_assert_ptr_ne(sl_prototype_of(L, 1), sl_prototype_of(L, 3));
	lua_close(L);
}
END_TEST

START_TEST(what_is_no_function_of_lua_has_none)
{
	lua_State *L = luaL_newstate();

	lua_pushcfunction(L, in_c);
	lua_pushnil(L);
	lua_newtable(L);
	for (int i = 1; i <= 3; i++)
		ck_assert_ptr_null(sl_prototype_of(L, i));
	lua_close(L);
}
END_TEST

SL_CHECK_MAIN("prototype", closures_of_one_place_have_one_prototype,
	what_is_no_function_of_lua_has_none)
