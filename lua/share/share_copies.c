/* SPDX-License-Identifier: MIT */
#include <lauxlib.h>

#include "lua/schedule/goroutine.h"
#include "lua/share/share_parts.h"
#include "lua/state/imprint.h"

static char tables_key; /* its address: the key in the registry */

void sl_share_push_tables(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_createtable(L, 6, 0);
		sl_commons_push_weak(L, "v");
		lua_rawseti(L, -2, 1);
		sl_commons_push_weak(L, "k");
		lua_rawseti(L, -2, 2);
		for (int i = 3; i <= 5; i++) {
			lua_newtable(L);
			lua_rawseti(L, -2, i);
		}
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &tables_key);
	}
	for (int i = 1; i <= 6; i++)
		lua_rawgeti(L, SL_SLOT_COPIES, i);
	lua_remove(L, SL_SLOT_COPIES);
}

/* Makes what makes probes: few goroutines need it. */
static void make_probe_maker(lua_State *L)
{
	static const char text[] = "local v return function() return v end";

	if (luaL_loadbufferx(L, text, sizeof(text) - 1, "=share", "t") != LUA_OK)
		lua_error(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, SL_SLOT_PROBE - SL_SLOT_COPIES + 1);
	lua_pop(L, 1);
	lua_replace(L, SL_SLOT_PROBE);
}

void sl_share_push_probe(lua_State *L, int index, int i)
{
	if (lua_isnil(L, SL_SLOT_PROBE))
		make_probe_maker(L);
	lua_pushvalue(L, SL_SLOT_PROBE);
	lua_call(L, 0, 1);
	lua_upvaluejoin(L, -1, 1, index, i);
}

uint64_t sl_share_number_of(lua_State *L, int index)
{
	uint64_t number;

	lua_pushvalue(L, index);
	lua_rawget(L, SL_SLOT_NUMBERS);
	number = (uint64_t)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return number;
}

void sl_share_attach(lua_State *L, int index, uint64_t number)
{
	lua_pushvalue(L, index);
	lua_rawseti(L, SL_SLOT_COPIES, (lua_Integer)number);
	lua_pushvalue(L, index);
	lua_pushinteger(L, (lua_Integer)number);
	lua_rawset(L, SL_SLOT_NUMBERS);
	lua_newtable(L);
	lua_rawseti(L, SL_SLOT_SHADOWS, (lua_Integer)number);
}

struct sl_master *sl_share_adopt(lua_State *L, struct sl_share_job *job, int index)
{
	struct sl_master *master = sl_commons_add(job->commons);

	sl_share_hold(L, job->share, master);
	sl_share_attach(L, index, master->number);
	if (lua_getmetatable(L, index)) {
		sl_commons_push_master(job->commons, master->number);
		if (sl_share_push_box(L, job, lua_gettop(L)))
			lua_setiuservalue(job->M, -2, SL_U_META);
		lua_pop(job->M, 1);
		lua_pop(L, 1);
	}
	return master;
}

enum sl_share_copy sl_share_push_copy(lua_State *L, uint64_t number)
{
	if (lua_rawgeti(L, SL_SLOT_COPIES, (lua_Integer)number) == LUA_TTABLE)
		return SL_COPY_TABLE;
	lua_pop(L, 1);
	if (lua_rawgeti(L, SL_SLOT_UPVALUES, (lua_Integer)number) == LUA_TFUNCTION)
		return SL_COPY_UPVALUE;
	lua_pop(L, 1);
	if (lua_rawgeti(L, SL_SLOT_GLOBALS, (lua_Integer)number) == LUA_TSTRING)
		return SL_COPY_GLOBAL;
	lua_pop(L, 1);
	return SL_COPY_GONE;
}

void sl_share_get_variable(lua_State *L, enum sl_share_copy kind, int at)
{
	if (kind == SL_COPY_UPVALUE) {
		lua_getupvalue(L, at, 1);
		return;
	}
	lua_pushglobaltable(L);
	lua_pushvalue(L, at);
	lua_rawget(L, -2);
	lua_remove(L, -2);
}

void sl_share_set_variable(lua_State *L, enum sl_share_copy kind, int at)
{
	if (kind == SL_COPY_UPVALUE) {
		lua_setupvalue(L, at, 1);
		return;
	}
	lua_pushglobaltable(L);
	lua_pushvalue(L, at);
	lua_pushvalue(L, -3);
	lua_rawset(L, -3);
	lua_pop(L, 2);
}

struct sl_imprint *sl_share_imprint(lua_State *L, uint64_t number)
{
	struct sl_imprint *imprint;

	lua_rawgeti(L, SL_SLOT_SHADOWS, -(lua_Integer)number);
	imprint = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return imprint;
}

void sl_share_drop_imprint(lua_State *L, uint64_t number)
{
	lua_pushnil(L);
	lua_rawseti(L, SL_SLOT_SHADOWS, -(lua_Integer)number);
}

void sl_share_take_imprint(lua_State *L, int copy, uint64_t number)
{
	struct sl_imprint *imprint = sl_share_imprint(L, number);
	size_t size;

	if (!imprint || !sl_imprint_fits(imprint, L, copy)) {
		sl_share_drop_imprint(L, number);
		size = sl_imprint_size(L, copy);
		if (size == 0)
			return;
		imprint = lua_newuserdatauv(L, size, 0);
		lua_rawseti(L, SL_SLOT_SHADOWS, -(lua_Integer)number);
	}
	sl_imprint_take(imprint, L, copy);
}

static void forget(lua_State *L, struct sl_share_job *job, uint64_t number)
{
	lua_Integer n = (lua_Integer)number;

	if (sl_share_push_copy(L, number) == SL_COPY_TABLE) {
		lua_pushnil(L);
		lua_rawset(L, SL_SLOT_NUMBERS);
	}
	sl_share_drop_imprint(L, number);
	for (int slot = SL_SLOT_SHADOWS; slot <= SL_SLOT_GLOBALS; slot++) {
		lua_pushnil(L);
		lua_rawseti(L, slot, n);
	}
	lua_pushnil(L);
	lua_rawseti(L, SL_SLOT_COPIES, n);
	lua_settop(L, SL_SLOT_TOP);
	sl_commons_drop_holder(job->commons, number);
}

void sl_share_list_copies(lua_State *L, struct sl_share_job *job)
{
	struct sl_share *share = job->share;
	size_t n = 0;

	for (size_t i = 0; i < share->n_numbers; i++) {
		uint64_t number = share->numbers[i];
		struct sl_master *master = sl_commons_find(job->commons, number);
		enum sl_share_copy kind = sl_share_push_copy(L, number);

		lua_settop(L, SL_SLOT_TOP);
		/* One inside another may come back to somebody through that one. */
		if (kind == SL_COPY_GONE || (master->n_holders == 1 && !master->is_inside &&
						    master->version <= share->seen)) {
			forget(L, job, number);
		} else {
			share->numbers[n++] = number;
			sl_share_add_work(L, job, number);
		}
	}
	share->n_numbers = n;
	share->n_swept = n;
}

/* ---- whether there is anything to do ---- */

/* Stack slots from the first free one on, here. */
enum {
	AT_TABLES, /* of this state */
	AT_COPIES,
	AT_SHADOWS,
	AT_UPVALUES,
	AT_GLOBALS,
	N_AT,
};

static bool variable_differs(lua_State *L, int at, lua_Integer number, enum sl_share_copy kind)
{
	int top = lua_gettop(L);
	bool differs;

	lua_rawgeti(L, at + AT_SHADOWS, number);
	lua_rawgeti(L, -1, 1);
	sl_share_get_variable(L, kind, top);
	differs = !lua_rawequal(L, -1, -2);
	lua_settop(L, top);
	return differs;
}

/* Of one copy; leaves something on the stack. */
static bool differs(lua_State *L, int at, lua_Integer number)
{
	const struct sl_imprint *imprint;

	if (lua_rawgeti(L, at + AT_COPIES, number) == LUA_TTABLE) {
		lua_rawgeti(L, at + AT_SHADOWS, -number);
		imprint = lua_touserdata(L, -1);
		return !imprint || !sl_imprint_is_same(imprint, L, -2);
	}
	if (lua_rawgeti(L, at + AT_UPVALUES, number) == LUA_TFUNCTION)
		return variable_differs(L, at, number, SL_COPY_UPVALUE);
	if (lua_rawgeti(L, at + AT_GLOBALS, number) == LUA_TSTRING)
		return variable_differs(L, at, number, SL_COPY_GLOBAL);
	return false; /* it is gone */
}

bool sl_share_has_changes(lua_State *L, const struct sl_share *share)
{
	int at = lua_gettop(L) + 1;
	bool found = !lua_checkstack(L, N_AT + 8);

	if (found)
		return true;
	found = lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key) != LUA_TTABLE;
	for (int i = AT_COPIES; i < N_AT && !found; i++)
		lua_rawgeti(L, at + AT_TABLES,
			(i == AT_COPIES            ? SL_SLOT_COPIES
				: i == AT_SHADOWS  ? SL_SLOT_SHADOWS
				: i == AT_UPVALUES ? SL_SLOT_UPVALUES
						   : SL_SLOT_GLOBALS) -
				SL_SLOT_COPIES + 1);
	for (size_t i = 0; i < share->n_numbers && !found; i++) {
		found = differs(L, at, (lua_Integer)share->numbers[i]);
		lua_settop(L, at + N_AT - 1);
	}
	lua_settop(L, at - 1);
	return found;
}

/* ---- tables that come back ---- */

/* Pushes one of the tables of this state. [-0, +1, -] */
static void push_one(lua_State *L, int slot)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key) == LUA_TTABLE)
		lua_rawgeti(L, -1, slot - SL_SLOT_COPIES + 1);
	else
		lua_newtable(L);
	lua_remove(L, -2);
}

uint64_t sl_share_number(lua_State *L, int index)
{
	uint64_t number;

	if (!sl_goroutine_of(L)->share)
		return 0;
	index = lua_absindex(L, index);
	push_one(L, SL_SLOT_NUMBERS);
	lua_pushvalue(L, index);
	lua_rawget(L, -2);
	number = (uint64_t)lua_tointeger(L, -1);
	lua_pop(L, 2);
	return number;
}

bool sl_share_push(lua_State *L, uint64_t number)
{
	if (!sl_goroutine_of(L)->share)
		return false;
	push_one(L, SL_SLOT_COPIES);
	if (lua_rawgeti(L, -1, (lua_Integer)number) == LUA_TTABLE) {
		lua_remove(L, -2);
		return true;
	}
	lua_pop(L, 2);
	return false;
}
