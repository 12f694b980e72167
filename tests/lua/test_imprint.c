/* SPDX-License-Identifier: MIT */

/*
 * Imprints of tables: that this Lua's tables are known, and that no change escapes.
 */

#include <lauxlib.h>
#include <stdlib.h>

#include "lua/state/imprint.h"
#include "tests/support/check_main.h"

/* Calls @fn(L, imprint) with a table at 1 that @text returns, and an imprint of it. */
static void with_imprint(
	const char *text, void (*fn)(lua_State *L, const struct sl_imprint *imprint))
{
	lua_State *L = luaL_newstate();
	struct sl_imprint *imprint;
	size_t size;

	ck_assert_int_eq(luaL_dostring(L, text), LUA_OK);
	size = sl_imprint_size(L, 1);
	ck_assert_uint_gt(size, 0); /* else this Lua is one that we don't know */
	imprint = malloc(size);
	sl_imprint_take(imprint, L, 1);
	fn(L, imprint);
	free(imprint);
	lua_close(L);
}

/* Appends the key on the top to the table at 2. */
static void note(void *ctx, lua_State *L)
{
	(void)ctx;
	lua_pushvalue(L, -1);
	lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
}

static void expect_one_change(lua_State *L, const struct sl_imprint *imprint)
{
	ck_assert(!sl_imprint_is_same(imprint, L, 1));
	lua_createtable(L, 8, 0);
	ck_assert(sl_imprint_each_change(imprint, L, 1, note, NULL));
	ck_assert_uint_eq(lua_rawlen(L, 2), 1);
	lua_rawgeti(L, 2, 1);
}

/* The globals hold its keys, as whoever has an imprint must. */
#define MANY                                                                                   \
	"held = {} local t = {}\n"                                                             \
	"for i = 1, 100 do local k = 'k' .. i t[i], t[k], held[i] = i, i, k end return t"

static void unchanged(lua_State *L, const struct sl_imprint *imprint)
{
	lua_gc(L, LUA_GCCOLLECT);
	ck_assert(sl_imprint_is_same(imprint, L, 1));
	ck_assert_uint_eq(lua_rawlen(L, 1), 100); /* which Lua may take a note of */
	ck_assert(sl_imprint_is_same(imprint, L, 1));
}

START_TEST(a_table_that_nobody_touched_is_the_same)
{
	with_imprint(MANY, unchanged);
}
END_TEST

static void change_a_field(lua_State *L, const struct sl_imprint *imprint)
{
	lua_pushinteger(L, -1);
	lua_setfield(L, 1, "k57");
	expect_one_change(L, imprint);
	ck_assert_str_eq(lua_tostring(L, -1), "k57");
}

static void remove_a_field(lua_State *L, const struct sl_imprint *imprint)
{
	lua_pushnil(L);
	lua_setfield(L, 1, "k57");
	lua_gc(L, LUA_GCCOLLECT); /* its key is dead */
	expect_one_change(L, imprint);
	ck_assert_str_eq(lua_tostring(L, -1), "k57");
}

static void change_an_element(lua_State *L, const struct sl_imprint *imprint)
{
	lua_pushboolean(L, false);
	lua_rawseti(L, 1, 57);
	expect_one_change(L, imprint);
	ck_assert_int_eq(lua_tointeger(L, -1), 57);
}

START_TEST(a_change_is_told_by_its_key)
{
	with_imprint(MANY, change_a_field);
	with_imprint(MANY, remove_a_field);
	with_imprint(MANY, change_an_element);
}
END_TEST

static void grow(lua_State *L, const struct sl_imprint *imprint)
{
	for (int i = 1000; i < 1200; i++) {
		lua_pushinteger(L, i);
		lua_rawseti(L, 1, i);
	}
	ck_assert(!sl_imprint_fits(imprint, L, 1));
	ck_assert(!sl_imprint_is_same(imprint, L, 1));
	ck_assert(!sl_imprint_each_change(imprint, L, 1, note, NULL));
}

START_TEST(a_table_that_grew_has_to_be_looked_through)
{
	with_imprint(MANY, grow);
}
END_TEST

SL_CHECK_MAIN("imprint", a_table_that_nobody_touched_is_the_same, a_change_is_told_by_its_key,
	a_table_that_grew_has_to_be_looked_through)
