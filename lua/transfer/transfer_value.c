/* SPDX-License-Identifier: MIT */

/*
 * One value on its way out: what goes by itself, what by name, what becomes a
 * node.
 */

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/modules/json.h"
#include "lua/share/share.h"
#include "lua/state/finalizer.h"
#include "lua/state/handle.h"
#include "lua/state/names.h"
#include "lua/transfer/transfer_walk.h"

/* ---- what has been met ---- */

static struct sl_memo *memo_find(struct sl_walk *walk, const void *key)
{
	size_t at = ((uintptr_t)key >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20;

	for (;; at++) {
		struct sl_memo *memo = &walk->memo[at & (walk->max_memo - 1)];

		if (!memo->key || memo->key == key)
			return memo;
	}
}

static void memo_grow(struct sl_walk *walk)
{
	struct sl_memo *old = walk->memo;
	size_t n_old = walk->max_memo;
	size_t n = n_old ? n_old * 4 : 64;
	struct sl_memo *bigger = calloc(n, sizeof(*bigger));

	if (!bigger)
		sl_walk_out_of_memory(walk);
	walk->memo = bigger;
	walk->max_memo = n;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].key)
			*memo_find(walk, old[i].key) = old[i];
	free(old);
}

struct sl_memo *sl_walk_memo(struct sl_walk *walk, const void *key)
{
	if (walk->n_memo * 2 >= walk->max_memo)
		memo_grow(walk);
	return memo_find(walk, key);
}

/* Makes @value, for the Lua value at @index, a node that will be filled. */
static struct sl_value add_node(struct sl_walk *walk, struct sl_memo *memo, int index,
	struct sl_value value, const struct sl_step *step)
{
	if (walk->n_nodes == walk->max_nodes) {
		uint32_t max = walk->max_nodes ? walk->max_nodes * 2 : 32;
		struct sl_node *nodes = realloc(walk->nodes, max * sizeof(*nodes));

		if (!nodes)
			sl_walk_out_of_memory(walk);
		walk->nodes = nodes;
		walk->max_nodes = max;
	}
	memo->key = lua_topointer(walk->L, index);
	memo->node = walk->n_nodes;
	walk->n_memo++;
	walk->nodes[walk->n_nodes++] = (struct sl_node){.value = value, .step = *step};
	lua_pushvalue(walk->L, index);
	lua_rawseti(walk->L, SL_WALK_SLOT_VALUES, walk->n_nodes);
	return value;
}

/* ---- one value ---- */

static struct sl_value named(struct sl_walk *walk, const char *name)
{
	return (struct sl_value){
		.kind = SL_VALUE_NAMED, .string = sl_walk_copy(walk, sl_bytes_of(name))};
}

/* What is found in package.loaded goes by name; nil where it is not. */
static struct sl_value search_name(struct sl_walk *walk, int index)
{
	struct sl_value value = {0};

	if (sl_names_search(walk->L, index)) {
		value = named(walk, lua_tostring(walk->L, -1));
		lua_pop(walk->L, 1);
	}
	return value;
}

/* A module that is not standard counts as one in C when it has a function in C of its own. */
static bool is_c_module(struct sl_walk *walk, int index)
{
	lua_State *L = walk->L;

	index = lua_absindex(L, index);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		if (lua_iscfunction(L, -1) && !sl_names_function(walk->names, L, -1)) {
			lua_pop(L, 2);
			return true;
		}
	}
	return false;
}

static void learn_modules(struct sl_walk *walk)
{
	lua_State *L = walk->L;

	walk->n_modules = 0;
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *name;

		if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1))
			continue;
		name = lua_tostring(L, -2);
		if (!sl_names_is_module(walk->names, name) && !is_c_module(walk, -1))
			continue;
		if (walk->n_modules == sizeof(walk->modules) / sizeof(walk->modules[0]))
			continue; /* rare; copied by value */
		walk->modules[walk->n_modules] = lua_topointer(L, -1);
		walk->module_names[walk->n_modules++] = name;
	}
	lua_pop(L, 1);
}

static const char *module_name(struct sl_walk *walk, const void *table)
{
	if (walk->n_modules < 0)
		learn_modules(walk);
	for (int i = 0; i < walk->n_modules; i++)
		if (walk->modules[i] == table)
			return walk->module_names[i];
	return NULL;
}

static struct sl_value take_table(struct sl_walk *walk, int index, const struct sl_step *step)
{
	const void *identity = lua_topointer(walk->L, index);
	struct sl_memo *memo = sl_walk_memo(walk, identity);
	struct sl_table *table;
	const char *name;

	if (memo->key)
		return walk->nodes[memo->node].value;
	name = module_name(walk, identity);
	if (name)
		return named(walk, name);
	table = sl_walk_reserve(walk, 1, sizeof(*table));
	if (walk->how->shared)
		table->share = sl_share_number(walk->L, index);
	return add_node(walk, memo, index,
		(struct sl_value){.kind = SL_VALUE_TABLE, .table = table}, step);
}

static struct sl_value take_function(
	struct sl_walk *walk, int index, const struct sl_step *step);

static struct sl_value take_c_function(
	struct sl_walk *walk, int index, const struct sl_step *step)
{
	const char *name = sl_names_function(walk->names, walk->L, index);
	struct sl_value value;

	if (sl_finalizer_is_guarded(walk->L, index)) {
		/* The function that is guarded; it stays where it is while the walk goes on. */
		lua_getupvalue(walk->L, index, 1);
		value = take_function(walk, lua_gettop(walk->L), step);
		lua_pop(walk->L, 1);
		return value;
	}
	if (name)
		return named(walk, name);
	value = search_name(walk, index);
	if (value.kind == SL_VALUE_NIL)
		sl_walk_cannot_send(walk, step, "function in C that no module exports");
	return value;
}

static struct sl_value take_function(
	struct sl_walk *walk, int index, const struct sl_step *step)
{
	struct sl_memo *memo;

	if (lua_iscfunction(walk->L, index))
		return take_c_function(walk, index, step);
	memo = sl_walk_memo(walk, lua_topointer(walk->L, index));
	if (memo->key)
		return walk->nodes[memo->node].value;
	return add_node(walk, memo, index,
		(struct sl_value){.kind = SL_VALUE_FUNCTION,
			.function = sl_walk_reserve(walk, 1, sizeof(struct sl_function))},
		step);
}

static struct sl_value take_handle(
	struct sl_walk *walk, struct sl_handle *handle, const struct sl_step *step)
{
	char why[80];

	if (!walk->how->handles) {
		snprintf(why, sizeof(why), "a %s lives inside its task", handle->kind);
		sl_walk_cannot_send(walk, step, why);
	}
	if (!sl_parcel_hold(walk->parcel, handle))
		sl_walk_no_room(walk);
	return (struct sl_value){.kind = SL_VALUE_HANDLE, .handle = handle};
}

static _Noreturn void cannot_send_userdata(
	struct sl_walk *walk, int index, const struct sl_step *step)
{
	lua_State *L = walk->L;
	luaL_Stream *file = luaL_testudata(L, index, LUA_FILEHANDLE);
	char why[80] = "userdata";

	if (file)
		sl_walk_cannot_send(walk, step, file->closef ? "open file" : "closed file");
	if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
		snprintf(why, sizeof(why), "userdata (%s)", lua_tostring(L, -1));
	sl_walk_cannot_send(walk, step, why);
}

static struct sl_value take_userdata(
	struct sl_walk *walk, int index, const struct sl_step *step)
{
	struct sl_handle *handle = sl_handle_at(walk->L, index);
	struct sl_value value;

	/* Other modules have the same for their null. */
	if (lua_islightuserdata(walk->L, index) &&
		lua_touserdata(walk->L, index) == SL_JSON_NULL)
		return named(walk, "json.null");
	if (handle)
		return take_handle(walk, handle, step);
	value = search_name(walk, index);
	if (value.kind == SL_VALUE_NIL)
		cannot_send_userdata(walk, index, step);
	return value;
}

static struct sl_value take_string(struct sl_walk *walk, int index)
{
	size_t size;
	const char *data = lua_tolstring(walk->L, index, &size);

	return sl_walk_string(sl_walk_copy(walk, (struct sl_bytes){data, size}));
}

static struct sl_value take_number(struct sl_walk *walk, int index)
{
	if (lua_isinteger(walk->L, index))
		return (struct sl_value){
			.kind = SL_VALUE_INTEGER, .integer = lua_tointeger(walk->L, index)};
	return (struct sl_value){
		.kind = SL_VALUE_FLOAT, .number = lua_tonumber(walk->L, index)};
}

struct sl_value sl_walk_take(struct sl_walk *walk, int index, const struct sl_step *step)
{
	const char *why = walk->how->refuse ? walk->how->refuse(walk->L, index) : NULL;

	if (why)
		sl_walk_cannot_send(walk, step, why);
	switch (lua_type(walk->L, index)) {
	case LUA_TNIL:
		return (struct sl_value){0};
	case LUA_TBOOLEAN:
		return (struct sl_value){
			.kind = SL_VALUE_BOOLEAN, .boolean = lua_toboolean(walk->L, index)};
	case LUA_TNUMBER:
		return take_number(walk, index);
	case LUA_TSTRING:
		return take_string(walk, index);
	case LUA_TTABLE:
		return take_table(walk, index, step);
	case LUA_TFUNCTION:
		return take_function(walk, index, step);
	case LUA_TTHREAD:
		sl_walk_cannot_send(walk, step, "coroutine");
	default:
		return take_userdata(walk, index, step);
	}
}
