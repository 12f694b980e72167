/* SPDX-License-Identifier: MIT */

/*
 * Functions on their way out: their code, their captured variables, and the
 * script's own globals that they name.
 */

#include <lauxlib.h>
#include <string.h>

#include "lua/code/chunk.h"
#include "lua/state/names.h"
#include "lua/transfer/transfer_walk.h"

/* ---- filling a function ---- */

static int append_chunk(lua_State *L, const void *data, size_t size, void *buffer)
{
	(void)L;
	return sl_buffer_append(buffer, data, size) ? 0 : 1;
}

static void dump(struct sl_walk *walk, int index)
{
	lua_pushvalue(walk->L, index);
	sl_buffer_clear(&walk->chunk);
	if (lua_dump(walk->L, append_chunk, &walk->chunk, 0) != 0)
		sl_walk_out_of_memory(walk);
	lua_pop(walk->L, 1);
}

static void fill_code(struct sl_walk *walk, uint32_t self, int index)
{
	struct sl_function *function = walk->nodes[self].value.function;
	struct sl_error why = {0};

	dump(walk, index);
	if (walk->how->cut) {
		if (walk->how->cut(walk->how->ctx, walk->L, index, walk->parcel, function,
			    &why) != 0) {
			struct sl_step step = walk->nodes[self].step;

			sl_walk_cannot_send(walk, &step, why.text);
		}
		return;
	}
	function->binary = true; /* it says itself where it was written */
	function->text = sl_walk_copy(walk, sl_buffer_bytes(&walk->chunk));
}

/* Whether the upvalue on the top is the standard _ENV, which a text finds by itself. */
static bool is_plain_env(lua_State *L, const char *name)
{
	bool same;

	if (strcmp(name, "_ENV") != 0)
		return false;
	lua_pushglobaltable(L);
	same = lua_rawequal(L, -1, -2);
	lua_pop(L, 1);
	return same;
}

static struct sl_cell *take_cell(
	struct sl_walk *walk, int index, int n, const struct sl_step *step)
{
	void *identity = lua_upvalueid(walk->L, index, n);
	struct sl_memo *memo = sl_walk_memo(walk, identity);
	struct sl_cell *cell = memo->cell;

	if (memo->key)
		return cell;
	cell = sl_walk_reserve(walk, 1, sizeof(*cell));
	memo->key = identity;
	memo->cell = cell;
	walk->n_memo++;
	cell->value = sl_walk_take(walk, index + 1, step);
	return cell;
}

static int count_upvalues(lua_State *L, int index)
{
	lua_Debug info;

	lua_pushvalue(L, index);
	lua_getinfo(L, ">u", &info);
	return info.nups;
}

static void fill_upvalues(struct sl_walk *walk, uint32_t self, int index)
{
	struct sl_function *function = walk->nodes[self].value.function;
	int n = count_upvalues(walk->L, index);

	function->upvalues = sl_walk_reserve(walk, n, sizeof(*function->upvalues));
	for (int i = 1; i <= n; i++) {
		const char *name = lua_getupvalue(walk->L, index, i);
		struct sl_upvalue *upvalue = &function->upvalues[function->n_upvalues];

		if (function->binary || !is_plain_env(walk->L, name)) {
			struct sl_step step = {.kind = SL_STEP_UPVALUE, .from = self};

			upvalue->name = sl_walk_copy(walk, sl_bytes_of(name));
			step.label = sl_walk_string(upvalue->name);
			upvalue->cell = take_cell(walk, index, i, &step);
			function->n_upvalues++;
		}
		lua_pop(walk->L, 1);
	}
}

/* ---- the script's own globals ---- */

bool sl_transfer_is_own_global(lua_State *L, const struct sl_names *names, struct sl_bytes name)
{
	bool standard;

	if (lua_iscfunction(L, -1))
		return !sl_names_function(names, L, -1);
	if (lua_isstring(L, -1))
		return !sl_bytes_equal(name, sl_bytes_of("_VERSION"));
	if (!lua_istable(L, -1))
		return true;
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushlstring(L, name.data, name.size);
	lua_rawget(L, -2);
	standard = lua_rawequal(L, -1, -3);
	lua_pop(L, 2);
	return !standard;
}

/* The globals of one function, found by the names in its code. */
struct found {
	struct sl_walk *walk;
	int function; /* stack slot */
	int globals;  /* stack slot of _G; above it the names found so far, in a table */
	size_t n;
};

/* Which upvalue of the function at @index is the standard _ENV; 0 for none. */
static int find_env(lua_State *L, int index)
{
	const char *name;

	for (int i = 1; (name = lua_getupvalue(L, index, i)) != NULL; i++) {
		bool found = is_plain_env(L, name);

		lua_pop(L, 1);
		if (found)
			return i;
	}
	return 0;
}

/* Whether the global on the top, called @name, can't go although the code does read it, and not
 * only has that word somewhere. [-0, +0, -] */
static bool is_refused(struct found *found, const char *name)
{
	struct sl_walk *walk = found->walk;
	struct sl_chunk *chunk;
	bool reads;

	if (!walk->how->refuse || !walk->how->refuse(walk->L, -1))
		return false;
	chunk = sl_chunk_read(sl_buffer_bytes(&walk->chunk));
	reads = chunk && sl_chunk_reads_field(chunk, find_env(walk->L, found->function), name);
	sl_chunk_free(chunk);
	return reads;
}

static void find_global(void *ctx, struct sl_bytes name)
{
	struct found *found = ctx;
	lua_State *L = found->walk->L;

	lua_pushlstring(L, name.data, name.size);
	lua_pushvalue(L, -1);
	if (lua_rawget(L, found->globals) != LUA_TNIL &&
		(sl_transfer_is_own_global(L, found->walk->names, name) ||
			is_refused(found, lua_tostring(L, -2)))) {
		if (found->n++ == 0) {
			lua_newtable(L);
			lua_replace(L, found->globals + 1);
		}
		lua_rawset(L, found->globals + 1);
	} else {
		lua_pop(L, 2);
	}
}

static void fill_globals(struct sl_walk *walk, uint32_t self, int index)
{
	struct sl_function *function = walk->nodes[self].value.function;
	struct found found = {.walk = walk, .function = index, .globals = index + 1};
	lua_State *L = walk->L;

	lua_pushglobaltable(L);
	lua_pushnil(L);
	sl_chunk_each_name(sl_buffer_bytes(&walk->chunk), find_global, &found);
	if (found.n > 0) {
		function->globals = sl_walk_reserve(walk, found.n, sizeof(*function->globals));
		for (lua_pushnil(L); lua_next(L, index + 2); lua_pop(L, 1)) {
			struct sl_step step = {.kind = SL_STEP_GLOBAL, .from = self};
			struct sl_pair *pair = &function->globals[function->n_globals];

			pair->key = sl_walk_take(walk, index + 3, &step);
			step.label = pair->key;
			pair->value = sl_walk_take(walk, index + 4, &step);
			function->n_globals++;
		}
	}
	lua_settop(L, index);
}

void sl_walk_fill_function(struct sl_walk *walk, uint32_t self, int index)
{
	fill_code(walk, self, index);
	fill_globals(walk, self, index);
	fill_upvalues(walk, self, index);
}
