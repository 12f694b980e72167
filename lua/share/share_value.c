/* SPDX-License-Identifier: MIT */
#include <lauxlib.h>

#include "lua/share/share_parts.h"
#include "lua/transfer/transfer.h"

static const struct sl_transfer how = {.to = "to a goroutine", .handles = true};

/* ---- values to the masters ---- */

bool sl_share_is_module(lua_State *L, int index)
{
	bool found = false;

	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		found = found || lua_rawequal(L, -1, index);
	lua_pop(L, 1);
	return found;
}

bool sl_share_push_box(lua_State *L, struct sl_share_job *job, int index)
{
	struct sl_box *box = sl_commons_push_box(job->commons);

	box->parcel = sl_parcel_new((size_t)64 << 20);
	if (box->parcel &&
		sl_transfer_out(L, index, "value", &how, box->parcel, &box->value, NULL) == 0)
		return true;
	lua_pop(job->M, 1);
	return false;
}

static bool push_table(lua_State *L, struct sl_share_job *job, int index)
{
	uint64_t number = sl_share_number_of(L, index);

	if (!number) {
		if (sl_share_is_module(L, index))
			return sl_share_push_box(L, job, index);
		number = sl_share_adopt(L, job, index)->number;
		sl_share_add_work(L, job, number);
	}
	sl_commons_find(job->commons, number)->is_inside = true;
	lua_rawgeti(job->M, SL_M_TABLES, (lua_Integer)number);
	return true;
}

bool sl_share_to_master(lua_State *L, struct sl_share_job *job, int index)
{
	lua_State *M = job->M;
	const char *text;
	size_t size;

	index = lua_absindex(L, index);
	switch (lua_type(L, index)) {
	case LUA_TNIL:
		lua_pushnil(M);
		return true;
	case LUA_TBOOLEAN:
		lua_pushboolean(M, lua_toboolean(L, index));
		return true;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			lua_pushinteger(M, lua_tointeger(L, index));
		else
			lua_pushnumber(M, lua_tonumber(L, index));
		return true;
	case LUA_TSTRING:
		text = lua_tolstring(L, index, &size);
		lua_pushlstring(M, text, size);
		return true;
	case LUA_TTABLE:
		return push_table(L, job, index);
	default:
		return sl_share_push_box(L, job, index);
	}
}

/* ---- values from the masters ---- */

/* Pushes the copy of the master table on M's top, which is popped; makes one at need. */
static void copy_of(lua_State *L, struct sl_share_job *job)
{
	lua_State *M = job->M;
	uint64_t number;
	struct sl_master *master;

	lua_rawget(M, SL_M_NUMBERS);
	number = (uint64_t)lua_tointeger(M, -1);
	lua_pop(M, 1);
	if (lua_rawgeti(L, SL_SLOT_COPIES, (lua_Integer)number) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	master = sl_commons_find(job->commons, number);
	sl_share_attach(L, lua_gettop(L), number);
	sl_share_hold(L, job->share, master);
	sl_share_add_work(L, job, number);
}

bool sl_share_from_master(lua_State *L, struct sl_share_job *job)
{
	lua_State *M = job->M;
	struct sl_box *box;
	const char *text;
	size_t size;
	bool ok = true;

	switch (lua_type(M, -1)) {
	case LUA_TNIL:
		lua_pushnil(L);
		break;
	case LUA_TBOOLEAN:
		lua_pushboolean(L, lua_toboolean(M, -1));
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(M, -1))
			lua_pushinteger(L, lua_tointeger(M, -1));
		else
			lua_pushnumber(L, lua_tonumber(M, -1));
		break;
	case LUA_TSTRING:
		text = lua_tolstring(M, -1, &size);
		lua_pushlstring(L, text, size);
		break;
	case LUA_TTABLE:
		copy_of(L, job);
		return true;
	default:
		box = lua_touserdata(M, -1);
		ok = sl_transfer_in(L, &box->value, 1, NULL) == 0;
	}
	lua_pop(M, 1);
	return ok;
}
