/* SPDX-License-Identifier: MIT */
#include "lua/state/late.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/state/catalog.h"

/*
 * All late tables of a state have one metatable, which is also the list of them.
 * Each takes three places: the table; what opens it, or false when it is full;
 * and a bit for each entry of the catalog that it has been given: when such a one
 * is looked for again, the script has removed it. False for one that is late as a
 * whole.
 */
enum {
	TABLE = 1,
	OPEN,
	GIVEN,
	PLACES = 3,
	USUAL = 15 /* tables in a state */
};

static char list_key, catalog_key; /* their addresses: keys in the registry */

/* A late table and its place in the list. */
struct late {
	int table, list; /* indices */
	lua_Integer at;  /* behind which its places are */
	const struct sl_catalog *catalog;
};

/* [-0, +1, -] */
static void push_list(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
}

size_t sl_late_count(lua_State *L)
{
	size_t n;

	push_list(L);
	n = lua_rawlen(L, -1) / PLACES;
	lua_pop(L, 1);
	return n;
}

bool sl_late_push(lua_State *L, size_t i)
{
	bool one_by_one;

	push_list(L);
	lua_rawgeti(L, -1, (lua_Integer)i * PLACES + TABLE);
	one_by_one = lua_rawgeti(L, -2, (lua_Integer)i * PLACES + GIVEN) == LUA_TNUMBER;
	lua_pop(L, 1);
	lua_remove(L, -2);
	return one_by_one;
}

static const struct sl_catalog *catalog_of(lua_State *L)
{
	const struct sl_catalog *catalog;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &catalog_key);
	catalog = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return catalog;
}

/* Where the table that @table points to is in the list; -1: it isn't. [-0, +0, -] */
static lua_Integer find(lua_State *L, int list, const void *table)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, list);

	for (lua_Integer at = 0; at < n; at += PLACES) {
		bool found;

		lua_rawgeti(L, list, at + TABLE);
		found = lua_topointer(L, -1) == table;
		lua_pop(L, 1);
		if (found)
			return at;
	}
	return -1;
}

/* Whether the value at @index is a late table that isn't full. Then the list is on the top.
 * [-0, +(0|1), m] */
static bool get(lua_State *L, int index, struct late *out)
{
	int top = lua_gettop(L);

	if (!lua_istable(L, index))
		return false;
	index = lua_absindex(L, index);
	if (!lua_getmetatable(L, index))
		return false;
	luaL_checkstack(L, 12, "late");
	push_list(L);
	*out = (struct late){.table = index, .list = top + 1, .at = -1};
	if (lua_rawequal(L, -1, -2))
		out->at = find(L, out->list, lua_topointer(L, index));
	lua_settop(L, out->at < 0 ? top : top + 1);
	out->catalog = catalog_of(L);
	return out->at >= 0;
}

/* The number in the catalog of the key at @index; -1: it isn't in there. [-0, +0, -] */
static int number_of(lua_State *L, const struct late *late, int index)
{
	const char *name;

	if (!late->catalog || lua_type(L, index) != LUA_TSTRING)
		return -1;
	name = lua_tostring(L, index);
	if (strlen(name) != lua_rawlen(L, index))
		return -1;
	return sl_catalog_find(late->catalog, (size_t)late->at / PLACES, name);
}

static uint64_t bit_of(int number)
{
	return number < 0 ? 0 : UINT64_C(1) << number;
}

/* [-0, +0, -] */
static uint64_t given(lua_State *L, const struct late *late)
{
	uint64_t bits;

	lua_rawgeti(L, late->list, late->at + GIVEN);
	bits = (uint64_t)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return bits;
}

/* [-0, +0, -] */
static void set_given(lua_State *L, const struct late *late, uint64_t bits)
{
	lua_pushinteger(L, (lua_Integer)bits);
	lua_rawseti(L, late->list, late->at + GIVEN);
}

/* ---- looking for one entry ---- */

/* Pushes what the table has under the key at @index and gives it to it. [-0, +1, m] */
static void give(lua_State *L, const struct late *late, int index, int number)
{
	uint64_t bits = given(L, late);

	if (bits & bit_of(number)) {
		lua_pushnil(L);
		return;
	}
	sl_catalog_push(late->catalog, (size_t)late->at / PLACES, number, L);
	lua_pushvalue(L, index);
	lua_pushvalue(L, -2);
	lua_rawset(L, late->table);
	set_given(L, late, bits | bit_of(number));
}

/* __index(table, key) */
static int l_index(lua_State *L)
{
	struct late late;
	int number;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (get(L, 1, &late)) {
		number = number_of(L, &late, 2);
		if (number >= 0) {
			give(L, &late, 2, number);
			return 1;
		}
		sl_late_fill(L, 1);
	}
	lua_settop(L, 2);
	lua_rawget(L, 1);
	return 1;
}

/* ---- filling ---- */

/* Sets in the table what it lacks of the table on the top. [-0, +0, m] */
static void copy_missing(lua_State *L, const struct late *late)
{
	uint64_t bits = given(L, late);

	for (lua_pushnil(L); lua_next(L, -2);) {
		bool lacks;

		lua_pushvalue(L, -2);
		lacks = lua_rawget(L, late->table) == LUA_TNIL &&
		        !(bits & bit_of(number_of(L, late, -3)));
		lua_pop(L, 1);
		if (!lacks) {
			lua_pop(L, 1);
			continue;
		}
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, late->table);
	}
}

/* Should memory run out, it is late still. */
void sl_late_fill(lua_State *L, int index)
{
	struct late late;

	if (!get(L, index, &late))
		return;
	lua_rawgeti(L, late.list, late.at + OPEN);
	lua_call(L, 0, 1);
	copy_missing(L, &late);
	lua_pop(L, 1);
	lua_pushboolean(L, false);
	lua_rawseti(L, late.list, late.at + OPEN);
	lua_pushnil(L);
	lua_setmetatable(L, late.table);
	lua_pop(L, 1);
}

/* __newindex(table, key, value) */
static int l_newindex(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 3);
	sl_late_fill(L, 1);
	lua_rawset(L, 1);
	return 0;
}

/* ---- making ---- */

/* Pushes the list, which there may not be yet. [-0, +1, m] */
static void make_list(lua_State *L)
{
	push_list(L);
	if (lua_istable(L, -1))
		return;
	lua_pop(L, 1);
	lua_createtable(L, PLACES * USUAL, 2);
	lua_pushcfunction(L, l_index);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_newindex);
	lua_setfield(L, -2, "__newindex");
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
}

void sl_late_make(lua_State *L, lua_CFunction open, bool whole)
{
	lua_Integer at;

	make_list(L);
	at = (lua_Integer)lua_rawlen(L, -1);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, at + TABLE);
	lua_pushcfunction(L, open);
	lua_rawseti(L, -2, at + OPEN);
	if (whole)
		lua_pushboolean(L, false);
	else
		lua_pushinteger(L, 0);
	lua_rawseti(L, -2, at + GIVEN);
	lua_setmetatable(L, -2);
}

/* Notes what the late table on the top has from the beginning. [-0, +0, m] */
static void note_given(lua_State *L)
{
	struct late late;
	uint64_t bits;

	if (!get(L, -1, &late))
		return;
	bits = given(L, &late);
	for (lua_pushnil(L); lua_next(L, late.table); lua_pop(L, 1))
		bits |= bit_of(number_of(L, &late, -2));
	set_given(L, &late, bits);
	lua_pop(L, 1);
}

void sl_late_attach(lua_State *L, const struct sl_catalog *catalog)
{
	size_t n = sl_late_count(L);

	lua_pushlightuserdata(L, (void *)catalog);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &catalog_key);
	for (size_t i = 0; i < n; i++) {
		if (sl_late_push(L, i))
			note_given(L);
		lua_pop(L, 1);
	}
}
