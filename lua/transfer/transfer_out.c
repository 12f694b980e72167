/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lua/share/share.h"
#include "lua/state/home.h"
#include "lua/state/names.h"
#include "lua/transfer/transfer_walk.h"

_Noreturn void sl_walk_out_of_memory(struct sl_walk *walk)
{
	walk->error.code = SL_ENOMEM;
	lua_pushliteral(walk->L, "not enough memory");
	lua_error(walk->L);
	__builtin_unreachable();
}

_Noreturn void sl_walk_no_room(struct sl_walk *walk)
{
	sl_fail(&walk->error, SL_ETOO_LARGE, "cannot send %s %s: too large (%zu bytes at most)",
		walk->what, walk->how->to, sl_parcel_max_size(walk->parcel));
	lua_pushnil(walk->L);
	lua_error(walk->L);
	__builtin_unreachable();
}

void *sl_walk_reserve(struct sl_walk *walk, size_t n, size_t size)
{
	void *at = sl_parcel_array(walk->parcel, n, size);

	if (!at)
		sl_walk_no_room(walk);
	return at;
}

struct sl_bytes sl_walk_copy(struct sl_walk *walk, struct sl_bytes bytes)
{
	if (!sl_parcel_copy(walk->parcel, bytes, &bytes))
		sl_walk_no_room(walk);
	return bytes;
}

/* ---- what a new goroutine shares ---- */

static void share_upvalues(struct sl_walk *walk, struct sl_function *function, int index)
{
	struct sl_share **share = walk->how->share;

	for (size_t i = 0; i < function->n_upvalues; i++) {
		struct sl_cell *cell = function->upvalues[i].cell;

		if (!cell->share)
			cell->share =
				sl_share_capture_upvalue(walk->L, index, (int)i + 1, share);
	}
}

static void share_globals(struct sl_walk *walk, struct sl_function *function)
{
	size_t n = function->n_globals;

	if (n == 0)
		return;
	function->global_shares = sl_walk_reserve(walk, n, sizeof(uint64_t));
	for (size_t i = 0; i < n; i++)
		if (function->globals[i].value.kind != SL_VALUE_FUNCTION)
			function->global_shares[i] = sl_share_capture_global(walk->L,
				function->globals[i].key.string.data, walk->how->share);
}

/* The first @n nodes are what the function of the new goroutine captured. */
static void share_captured(struct sl_walk *walk, uint32_t n)
{
	lua_State *L = walk->L;

	for (uint32_t i = 0; i < n; i++) {
		struct sl_value value = walk->nodes[i].value;
		int index = lua_gettop(L) + 1;

		lua_rawgeti(L, SL_WALK_SLOT_VALUES, i + 1);
		if (value.kind == SL_VALUE_TABLE) {
			value.table->share = sl_share_capture_table(L, index, walk->how->share);
		} else {
			share_upvalues(walk, value.function, index);
			share_globals(walk, value.function);
		}
		lua_settop(L, index - 1);
	}
}

/* Fills the nodes from the @i-th on, and those that are met on the way. */
static uint32_t fill_nodes(struct sl_walk *walk, uint32_t i)
{
	lua_State *L = walk->L;

	for (; i < walk->n_nodes; i++) {
		int index = lua_gettop(L) + 1;

		lua_rawgeti(L, SL_WALK_SLOT_VALUES, i + 1);
		if (walk->nodes[i].value.kind == SL_VALUE_TABLE)
			sl_walk_fill_table(walk, i, index);
		else
			sl_walk_fill_function(walk, i, index);
		lua_settop(L, index - 1);
	}
	return i;
}

/* f(walk, values, roots…) */
static int l_walk(lua_State *L)
{
	struct sl_walk *walk = lua_touserdata(L, SL_WALK_SLOT_WALK);

	struct sl_value *out = sl_walk_reserve(walk, walk->n_roots, sizeof(*out));
	uint32_t n_filled = 0, n_captured = 0;

	lua_createtable(L, 8, 0);
	lua_replace(L, SL_WALK_SLOT_VALUES);
	for (size_t i = 0; i < walk->n_roots; i++) {
		struct sl_step step = {.kind = SL_STEP_ROOT, .from = (uint32_t)i};

		out[i] = sl_walk_take(walk, SL_WALK_SLOT_ROOTS + (int)i, &step);
		if (i == 0 && walk->how->share)
			n_captured = n_filled = fill_nodes(walk, 0);
	}
	fill_nodes(walk, n_filled);
	if (walk->how->share)
		share_captured(walk, n_captured);
	memcpy(walk->out, out, walk->n_roots * sizeof(*out));
	return 0;
}

static int walk_protected(struct sl_walk *walk, int first)
{
	lua_State *L = walk->L;
	int status;

	first = lua_absindex(L, first);
	if (walk->n_roots > 100000 || !lua_checkstack(L, (int)walk->n_roots + 32))
		return sl_fail(&walk->error, SL_ETOO_LARGE, "cannot send %s %s: %zu values",
			walk->what, walk->how->to, walk->n_roots);
	lua_pushcfunction(L, l_walk);
	lua_pushlightuserdata(L, walk);
	lua_pushnil(L);
	for (size_t i = 0; i < walk->n_roots; i++)
		lua_pushvalue(L, first + (int)i);

	status = lua_pcall(L, (int)walk->n_roots + 2, 0, 0);
	if (status == LUA_OK)
		return 0;
	if (walk->error.code == SL_OK || walk->error.code == SL_ENOMEM)
		sl_fail(&walk->error, status == LUA_ERRMEM ? SL_ENOMEM : SL_EINVALID,
			"cannot send %s %s: %s", walk->what, walk->how->to,
			lua_isstring(L, -1) ? lua_tostring(L, -1) : "failed");
	lua_pop(L, 1);
	return walk->error.code;
}

static int walk_all(struct sl_walk *walk, int first, struct sl_error *err)
{
	lua_State *L = walk->L;
	bool careful = sl_home_may_finalize(L) && lua_gc(L, LUA_GCISRUNNING);
	int code;

	/* A finalizer could change what is being walked. To stop the collector has a price: it
	 * forgets what credit it had, and works at each of the next allocations. */
	if (careful)
		lua_gc(L, LUA_GCSTOP);
	code = walk_protected(walk, first);
	if (careful)
		lua_gc(L, LUA_GCRESTART);

	free(walk->nodes);
	free(walk->memo);
	free(walk->pairs);
	sl_buffer_deinit(&walk->chunk);
	if (code != 0 && err)
		*err = walk->error;
	return code;
}

static struct sl_walk walk_of(
	lua_State *L, const char *what, const struct sl_transfer *how, struct sl_parcel *parcel)
{
	return (struct sl_walk){.L = L,
		.how = how,
		.names = sl_names_of(L),
		.parcel = parcel,
		.what = what,
		.n_modules = -1};
}

int sl_transfer_out(lua_State *L, int index, const char *what, const struct sl_transfer *how,
	struct sl_parcel *parcel, struct sl_value *out, struct sl_error *err)
{
	struct sl_walk walk = walk_of(L, what, how, parcel);
	struct sl_value value = {0};
	int code;

	walk.n_roots = 1;
	walk.out = &value;
	code = walk_all(&walk, index, err);
	if (code == 0)
		*out = value;
	return code;
}

int sl_transfer_out_many(lua_State *L, int first, size_t n, const char *what,
	const struct sl_transfer *how, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err)
{
	struct sl_walk walk = walk_of(L, what, how, parcel);

	if (n == 0)
		return 0;
	walk.n_roots = n;
	walk.numbered = true;
	walk.out = out;
	return walk_all(&walk, first, err);
}
