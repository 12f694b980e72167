/* SPDX-License-Identifier: MIT */
#include "lua/state/handle.h"

#include <stddef.h>

#include "lua/sync/primitives.h"

/* Keys in the registry and in metatables: their addresses. */
static char list_key, marker_key;

struct handle_box {
	struct sl_handle *handle; /* NULL once given back */
	struct handle_box **link; /* what points to this box; NULL: on no list */
	struct handle_box *next;  /* sl_handle_list.first */
	bool used;
};

void sl_handle_list_attach(lua_State *L, struct sl_handle_list *list)
{
	lua_pushlightuserdata(L, list);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
}

static void unlink_box(struct handle_box *box)
{
	if (!box->link)
		return;
	*box->link = box->next;
	if (box->next)
		box->next->link = box->link;
	box->link = NULL;
}

static void link_box(struct handle_box *box, struct sl_handle_list *list)
{
	box->next = list->first;
	box->link = &list->first;
	if (box->next)
		box->next->link = &box->next;
	list->first = box;
}

static void give_back(struct handle_box *box)
{
	unlink_box(box);
	sl_handle_unref(sl_steal(box->handle));
}

void sl_handle_list_drop(struct sl_handle_list *list)
{
	while (list->first)
		give_back(list->first);
}

void sl_handle_list_each_idle(
	struct sl_handle_list *list, void (*fn)(void *ctx, struct sl_handle *handle), void *ctx)
{
	for (struct handle_box *box = list->first; box; box = box->next)
		if (!box->used)
			fn(ctx, box->handle);
}

/* __gc */
static int l_gc(lua_State *L)
{
	/* Scripts find it with debug.getmetatable(), and call it with anything. */
	if (sl_handle_at(L, 1))
		give_back(lua_touserdata(L, 1));
	return 0;
}

/* __eq: two userdata of one object are equal */
static int l_eq(lua_State *L)
{
	struct sl_handle *a = sl_handle_at(L, 1), *b = sl_handle_at(L, 2);

	lua_pushboolean(L, a && a == b);
	return 1;
}

void sl_handle_define(lua_State *L, const char *kind, const luaL_Reg *methods)
{
	static const luaL_Reg always[] = {{"__gc", l_gc}, {"__eq", l_eq}, {NULL, NULL}};

	luaL_newmetatable(L, kind);
	luaL_setfuncs(L, always, 0);
	lua_pushboolean(L, true);
	lua_rawsetp(L, -2, &marker_key);
	lua_pushstring(L, kind);
	lua_setfield(L, -2, "__metatable");
	if (methods) {
		lua_newtable(L);
		luaL_setfuncs(L, methods, 0);
		lua_setfield(L, -2, "__index");
	}
	lua_pop(L, 1);
}

/* Pushes an empty box. [-0, +1, m] */
static void new_box(lua_State *L, const char *kind)
{
	struct handle_box *box = lua_newuserdatauv(L, sizeof(*box), 0);

	*box = (struct handle_box){.handle = NULL};
	if (luaL_getmetatable(L, kind) == LUA_TNIL) {
		lua_pop(L, 1);
		sl_handle_define(L, kind, sl_primitive_methods(kind));
		luaL_getmetatable(L, kind);
	}
	lua_setmetatable(L, -2);
}

/* f(kind) → an empty box */
static int l_box(lua_State *L)
{
	new_box(L, lua_touserdata(L, 1));
	return 1;
}

/* Puts a reference of the caller's into the box on the top. [-0, +0, -] */
static void fill(lua_State *L, struct sl_handle *handle)
{
	struct handle_box *box = lua_touserdata(L, -1);

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key) == LUA_TLIGHTUSERDATA)
		link_box(box, lua_touserdata(L, -1));
	lua_pop(L, 1);
	box->handle = handle;
}

void sl_handle_push(lua_State *L, struct sl_handle *handle)
{
	new_box(L, handle->kind);
	fill(L, sl_handle_ref(handle));
}

int sl_handle_push_new(lua_State *L, struct sl_handle *handle)
{
	lua_pushcfunction(L, l_box);
	lua_pushlightuserdata(L, (void *)handle->kind);
	if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
		sl_handle_unref(handle);
		return lua_error(L);
	}
	fill(L, handle);
	return 1;
}

struct sl_handle *sl_handle_at(lua_State *L, int index)
{
	struct handle_box *box;
	bool marked;

	if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
		return NULL;
	marked = lua_rawgetp(L, -1, &marker_key) == LUA_TBOOLEAN;
	lua_pop(L, 2);
	if (!marked)
		return NULL;
	box = lua_touserdata(L, index);
	return box->handle;
}

struct sl_handle *sl_handle_check(lua_State *L, int arg, const char *kind)
{
	struct handle_box *box = luaL_checkudata(L, arg, kind);

	/* Finalizers may meet one whose own has been called. */
	if (!box->handle)
		luaL_argerror(L, arg, "it has been finalized");
	box->used = true;
	return box->handle;
}
