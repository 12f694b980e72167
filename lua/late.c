/* SPDX-License-Identifier: MIT */
#include "lua/late.h"

#include <lauxlib.h>

/*
 * All late tables of a state have one metatable, which is also the list of them:
 * a table, what opens it, the next table, what opens that, … A full one is no
 * longer on it: false.
 */
enum {
	USUAL = 11 /* tables in a state */
};

static char late_key; /* its address: the key of the metatable in the registry */

/* The place of the table at @index in the list on the top; 0: it isn't there. [-0, +0, -] */
static lua_Integer place_of(lua_State *L, int index)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, -1);

	for (lua_Integer i = 1; i < n; i += 2) {
		bool found = lua_rawgeti(L, -1, i) == LUA_TTABLE && lua_rawequal(L, -1, index);

		lua_pop(L, 1);
		if (found)
			return i;
	}
	return 0;
}

/* Copies to @table what the table on the top has and it lacks. [-0, +0, m] */
static void copy_missing(lua_State *L, int table)
{
	for (lua_pushnil(L); lua_next(L, -2);) {
		lua_pushvalue(L, -2);
		if (lua_rawget(L, table) == LUA_TNIL) {
			lua_pop(L, 1);
			lua_pushvalue(L, -2);
			lua_insert(L, -2);
			lua_rawset(L, table);
		} else {
			lua_pop(L, 2);
		}
	}
}

/* Should memory run out, it is late still. */
void sl_late_fill(lua_State *L, int index)
{
	lua_Integer place;

	if (!lua_istable(L, index) || !lua_getmetatable(L, index))
		return;
	index = lua_absindex(L, index);
	luaL_checkstack(L, 8, "late");
	lua_rawgetp(L, LUA_REGISTRYINDEX, &late_key);
	place = lua_rawequal(L, -1, -2) ? place_of(L, index) : 0;
	if (place) {
		lua_rawgeti(L, -1, place + 1);
		lua_call(L, 0, 1);
		copy_missing(L, index);
		lua_pop(L, 1);
		lua_pushboolean(L, false);
		lua_rawseti(L, -2, place);
		lua_pushnil(L);
		lua_setmetatable(L, index);
	}
	lua_pop(L, 2);
}

void sl_late_fill_all(lua_State *L)
{
	lua_Integer n;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &late_key);
	n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
	for (lua_Integer i = 1; i < n; i += 2) {
		lua_rawgeti(L, -1, i);
		sl_late_fill(L, -1);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* __index(table, key) */
static int l_index(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	sl_late_fill(L, 1);
	lua_settop(L, 2);
	lua_rawget(L, 1);
	return 1;
}

/* __newindex(table, key, value) */
static int l_newindex(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	sl_late_fill(L, 1);
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 0;
}

/* Pushes the metatable of all late tables. [-0, +1, m] */
static void push_meta(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &late_key) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_createtable(L, 2 * USUAL, 2);
	lua_pushcfunction(L, l_index);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_newindex);
	lua_setfield(L, -2, "__newindex");
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &late_key);
}

void sl_late_make(lua_State *L, lua_CFunction open)
{
	lua_Integer n;

	push_meta(L);
	n = (lua_Integer)lua_rawlen(L, -1);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, n + 1);
	lua_pushcfunction(L, open);
	lua_rawseti(L, -2, n + 2);
	lua_setmetatable(L, -2);
}
