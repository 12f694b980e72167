/* SPDX-License-Identifier: MIT */
#include "lua/modules/log_fields.h"

#include <lauxlib.h>

#include "lua/modules/json.h"

/* A line of text has as much. */
#define MAX_BYTES ((size_t)64 << 10)
#define MAX_DEPTH 16

/* What an entry costs beside its texts: the wire has a few bytes for it. */
#define ENTRY_BYTES 8

struct copy {
	size_t left; /* bytes that there is still room for */
	const void *path[MAX_DEPTH];
	int depth;
};

static void push_value(lua_State *L, struct copy *copy, int index);

static bool has_tostring(lua_State *L, int index)
{
	if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL)
		return false;
	lua_pop(L, 1);
	return true;
}

/* False: a text of that size doesn't fit any more. */
static bool take(struct copy *copy, size_t size)
{
	bool fits = size + ENTRY_BYTES <= copy->left;

	if (!fits)
		size = 0;
	copy->left -= copy->left < size + ENTRY_BYTES ? copy->left : size + ENTRY_BYTES;
	return fits;
}

/* What tostring() says of the value. [-0, +1, e] */
static void push_words(lua_State *L, struct copy *copy, int index)
{
	size_t size;

	luaL_tolstring(L, index, &size);
	if (take(copy, size))
		return;
	lua_pop(L, 1);
	lua_pushliteral(L, "<too large>");
}

/* A key that is no name, number or boolean is what it is called. [-0, +1, e] */
static void push_key(lua_State *L, struct copy *copy, int index)
{
	int type = lua_type(L, index);

	if (type == LUA_TNUMBER || type == LUA_TBOOLEAN)
		lua_pushvalue(L, index);
	else
		push_words(L, copy, index);
}

/* [-0, +1, e] */
static void push_table(lua_State *L, struct copy *copy, int index)
{
	luaL_checkstack(L, 8, "log");
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		int key = lua_gettop(L) - 1;

		if (copy->left == 0) {
			lua_pop(L, 2);
			lua_pushliteral(L, "<too large>");
			lua_setfield(L, -2, "...");
			return;
		}
		push_key(L, copy, key);
		push_value(L, copy, key + 1);
		lua_rawset(L, key - 1);
	}
}

/* Whether the table is one of those that it is in. */
static bool is_inside_itself(const struct copy *copy, const void *table)
{
	for (int i = 0; i < copy->depth; i++)
		if (copy->path[i] == table)
			return true;
	return false;
}

/* [-0, +1, e] */
static void push_inner(lua_State *L, struct copy *copy, int index)
{
	const void *table = lua_topointer(L, index);

	if (is_inside_itself(copy, table)) {
		lua_pushliteral(L, "<cycle>");
	} else if (copy->depth == MAX_DEPTH) {
		lua_pushliteral(L, "<too deep>");
	} else {
		copy->path[copy->depth++] = table;
		push_table(L, copy, index);
		copy->depth--;
	}
}

/* [-0, +1, e] */
static void push_value(lua_State *L, struct copy *copy, int index)
{
	switch (lua_type(L, index)) {
	case LUA_TNIL:
	case LUA_TBOOLEAN:
	case LUA_TNUMBER:
		take(copy, 0);
		lua_pushvalue(L, index);
		return;
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(L, index) == SL_JSON_NULL)
			lua_pushvalue(L, index);
		else
			push_words(L, copy, index);
		return;
	case LUA_TTABLE:
		take(copy, 0);
		if (has_tostring(L, index))
			push_words(L, copy, index);
		else
			push_inner(L, copy, index);
		return;
	default:
		push_words(L, copy, index);
	}
}

bool sl_log_fields_are(lua_State *L, int n)
{
	return n > 0 && lua_istable(L, n) && !has_tostring(L, n);
}

void sl_log_fields_push(lua_State *L, int index)
{
	struct copy copy = {.left = MAX_BYTES};

	push_value(L, &copy, lua_absindex(L, index));
	lua_pushnil(L);
	if (lua_next(L, -2)) {
		lua_pop(L, 2);
	} else {
		lua_pushnil(L);
		lua_replace(L, -2);
	}
}

struct sl_bytes sl_log_fields_push_text(lua_State *L, int n)
{
	struct sl_bytes text;
	luaL_Buffer buffer;

	/* Most lines are one string, and stand there already. */
	if (n == 1 && lua_type(L, 1) == LUA_TSTRING) {
		lua_pushvalue(L, 1);
		text.data = lua_tolstring(L, -1, &text.size);
		return text;
	}
	luaL_buffinit(L, &buffer);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&buffer, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&buffer);
	}
	luaL_pushresult(&buffer);
	text.data = lua_tolstring(L, -1, &text.size);
	return text;
}
