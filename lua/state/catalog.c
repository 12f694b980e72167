/* SPDX-License-Identifier: MIT */
#include "lua/state/catalog.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/state/late.h"

struct entry {
	char *name;
	lua_CFunction function; /* NULL: the number */
	lua_Number number;
	lua_Integer integer; /* if it is one */
	bool is_integer;
};

struct shelf {
	struct entry entries[SL_CATALOG_MAX]; /* by name */
	size_t n;
};

struct sl_catalog {
	struct shelf *shelves;
	size_t n;
};

/* ---- learning ---- */

/* Whether the value on the top is the same in each state. [-0, +0, -] */
static bool read_value(lua_State *L, struct entry *entry)
{
	if (lua_type(L, -1) == LUA_TNUMBER) {
		entry->is_integer = lua_isinteger(L, -1);
		entry->integer = lua_tointeger(L, -1);
		entry->number = lua_tonumber(L, -1);
		return true;
	}
	if (!lua_iscfunction(L, -1))
		return false;
	if (lua_getupvalue(L, -1, 1)) {
		lua_pop(L, 1);
		return false;
	}
	entry->function = lua_tocfunction(L, -1);
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Learns the table on the top. [-0, +0, m] */
static bool fill_shelf(lua_State *L, struct shelf *shelf)
{
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		struct entry entry = {0};

		if (shelf->n == SL_CATALOG_MAX || lua_type(L, -2) != LUA_TSTRING ||
			!read_value(L, &entry))
			continue;
		entry.name = strdup(lua_tostring(L, -2));
		if (!entry.name)
			return false;
		shelf->entries[shelf->n++] = entry;
	}
	qsort(shelf->entries, shelf->n, sizeof(shelf->entries[0]), by_name);
	return true;
}

/* f(catalog) */
static int l_learn(lua_State *L)
{
	struct sl_catalog *catalog = lua_touserdata(L, 1);

	for (size_t i = 0; i < catalog->n; i++) {
		bool one_by_one = sl_late_push(L, i);

		sl_late_fill(L, -1);
		if (one_by_one && !fill_shelf(L, &catalog->shelves[i]))
			return luaL_error(L, "not enough memory");
		lua_pop(L, 1);
	}
	return 0;
}

struct sl_catalog *sl_catalog_new(lua_State *L)
{
	struct sl_catalog *catalog = calloc(1, sizeof(*catalog));

	if (!catalog)
		return NULL;
	catalog->n = sl_late_count(L);
	catalog->shelves = calloc(catalog->n + 1, sizeof(*catalog->shelves));
	lua_pushcfunction(L, l_learn);
	lua_pushlightuserdata(L, catalog);
	if (!catalog->shelves || lua_pcall(L, 1, 0, 0) != LUA_OK) {
		sl_catalog_free(catalog);
		return NULL;
	}
	return catalog;
}

void sl_catalog_free(struct sl_catalog *catalog)
{
	if (!catalog)
		return;
	for (size_t i = 0; catalog->shelves && i < catalog->n; i++)
		for (size_t k = 0; k < catalog->shelves[i].n; k++)
			free(catalog->shelves[i].entries[k].name);
	free(catalog->shelves);
	free(catalog);
}

/* ---- asking ---- */

int sl_catalog_find(const struct sl_catalog *catalog, size_t i, const char *name)
{
	const struct shelf *shelf = &catalog->shelves[i];
	struct entry key = {.name = (char *)(uintptr_t)name};
	const struct entry *found =
		bsearch(&key, shelf->entries, shelf->n, sizeof(key), by_name);

	return found ? (int)(found - shelf->entries) : -1;
}

void sl_catalog_push(const struct sl_catalog *catalog, size_t i, int number, lua_State *L)
{
	const struct entry *entry = &catalog->shelves[i].entries[number];

	if (entry->function)
		lua_pushcfunction(L, entry->function);
	else if (entry->is_integer)
		lua_pushinteger(L, entry->integer);
	else
		lua_pushnumber(L, entry->number);
}
