/* SPDX-License-Identifier: MIT */
#include "lua/state/image.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/state/arena.h"

struct sl_image {
	char *bytes; /* the region's, as far as they are used */
	size_t size;
	uintptr_t base;     /* where they were */
	size_t at_L, at_co; /* offsets of the two states */
	uint16_t *words;    /* which words of them are pointers */
	size_t n_words;
};

/* ---- may it be frozen? ---- */

/* Whether Lua finds a key of this kind again when the region has another address. */
static bool key_survives(lua_State *L, int index)
{
	switch (lua_type(L, index)) {
	case LUA_TBOOLEAN:
	case LUA_TNUMBER:
	case LUA_TSTRING:
	case LUA_TLIGHTUSERDATA: /* addresses in the program: they stay */
		return true;
	default:
		return false;
	}
}

/* The object on the top is put on the list of those to be looked into, once. The list is at 1:
 * what is to be done in its array, what was seen under its address. [-1, +0, m] */
static void add(lua_State *L)
{
	const void *address = lua_topointer(L, -1);
	int type = lua_type(L, -1);

	if ((type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TUSERDATA) ||
		lua_rawgetp(L, 1, address) != LUA_TNIL) {
		lua_settop(
			L, type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA
				   ? -3
				   : -2);
		return;
	}
	lua_pop(L, 1);
	lua_pushboolean(L, true);
	lua_rawsetp(L, 1, address);
	lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
}

/* [-0, +0, m] */
static bool look_into_table(lua_State *L, int index)
{
	bool survives = true;

	for (lua_pushnil(L); lua_next(L, index);) {
		survives = survives && key_survives(L, -2);
		add(L);
	}
	return survives;
}

/* f(list, registry) → whether all keys survive */
static int l_check(lua_State *L)
{
	bool survives = true;

	luaL_checkstack(L, 16, "image");
	add(L);
	for (lua_Integer i = 1; survives && lua_rawgeti(L, 1, i) != LUA_TNIL; i++) {
		int index = lua_gettop(L);

		if (lua_istable(L, index))
			survives = look_into_table(L, index);
		if (lua_isfunction(L, index))
			for (int n = 1; lua_getupvalue(L, index, n); n++)
				add(L);
		if (lua_isuserdata(L, index))
			for (int n = 1; lua_getiuservalue(L, index, n) != LUA_TNONE; n++)
				add(L);
		lua_settop(L, index);
		if (lua_getmetatable(L, index))
			add(L);
		lua_settop(L, 1);
	}
	lua_pushboolean(L, survives);
	return 1;
}

bool sl_image_suits(lua_State *L)
{
	int top = lua_gettop(L);
	bool may;

	lua_pushcfunction(L, l_check);
	lua_createtable(L, 0, 0);
	lua_pushvalue(L, LUA_REGISTRYINDEX);
	may = lua_pcall(L, 2, 1, 0) == LUA_OK && lua_toboolean(L, -1);
	lua_settop(L, top);
	return may;
}

/* ---- freezing and thawing ---- */

static bool points_into(uintptr_t word, uintptr_t base)
{
	return word >= base && word <= base + SL_REGION_SIZE;
}

static void find_pointers(struct sl_image *image)
{
	const uintptr_t *words = (const uintptr_t *)image->bytes;

	for (size_t i = 0; i < image->size / sizeof(*words); i++)
		if (points_into(words[i], image->base))
			image->words[image->n_words++] = (uint16_t)i;
}

struct sl_image *sl_image_new(lua_State *L, lua_State *co, const struct sl_arena *arena)
{
	struct sl_image *image;
	size_t size;

	lua_gc(L, LUA_GCCOLLECT);
	size = sl_arena_extent(arena);
	image = size ? calloc(1, sizeof(*image)) : NULL;
	if (!image)
		return NULL;
	image->size = size;
	image->base = (uintptr_t)arena;
	image->at_L = (uintptr_t)L - image->base;
	image->at_co = (uintptr_t)co - image->base;
	image->bytes = malloc(size);
	image->words = calloc(size / sizeof(uintptr_t), sizeof(*image->words));
	if (!image->bytes || !image->words) {
		sl_image_free(image);
		return NULL;
	}
	memcpy(image->bytes, arena, size);
	find_pointers(image);
	return image;
}

void sl_image_free(struct sl_image *image)
{
	if (!image)
		return;
	free(image->bytes);
	free(image->words);
	free(image);
}

struct sl_arena *sl_image_thaw(
	const struct sl_image *image, lua_State **out_L, lua_State **out_co)
{
	struct sl_arena *arena =
		sl_arena_copy((const struct sl_arena *)image->bytes, image->size);
	uintptr_t distance = (uintptr_t)arena - image->base;
	uintptr_t *words = (uintptr_t *)arena;

	if (!arena)
		return NULL;
	for (size_t i = 0; i < image->n_words; i++)
		words[image->words[i]] += distance;
	*out_L = (lua_State *)((char *)arena + image->at_L);
	*out_co = (lua_State *)((char *)arena + image->at_co);
	return arena;
}
