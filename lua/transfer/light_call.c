/* SPDX-License-Identifier: MIT */
#include "lua/transfer/light_call.h"

#include <lauxlib.h>

#include "common/error.h"
#include "common/parcel.h"
#include "lua/schedule/goroutine.h"
#include "lua/share/share.h"
#include "lua/state/handle.h"
#include "lua/state/names.h"
#include "lua/state/plain.h"
#include "lua/transfer/body.h"
#include "lua/transfer/transfer.h"

enum {
	MOST_VALUES = 64
};

/* As much as a call may carry that is not light. */
#define MAX_BYTES ((size_t)256 << 20)

/* ---- packing ---- */

struct pack {
	lua_State *L;
	const struct sl_names *names;
	struct sl_parcel *parcel;
};

static bool take_name(struct pack *pack, const char *name, struct sl_value *out)
{
	out->kind = SL_VALUE_NAMED;
	return name && sl_parcel_copy(pack->parcel, sl_bytes_of(name), &out->string);
}

static bool take_handle(struct pack *pack, int index, struct sl_value *out)
{
	struct sl_handle *handle = sl_handle_at(pack->L, index);

	*out = (struct sl_value){.kind = SL_VALUE_HANDLE, .handle = handle};
	return handle && sl_parcel_hold(pack->parcel, handle);
}

/* The globals, or a standard module. */
static bool take_module(struct pack *pack, int index, struct sl_value *out)
{
	lua_State *L = pack->L;
	const char *name = NULL;
	bool same;

	lua_pushglobaltable(L);
	same = lua_rawequal(L, -1, index);
	lua_pop(L, 1);
	if (same)
		return take_name(pack, LUA_GNAME, out);
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); !name && lua_next(L, -2); lua_pop(L, 1))
		if (lua_rawequal(L, -1, index) && lua_type(L, -2) == LUA_TSTRING &&
			sl_names_is_module(pack->names, lua_tostring(L, -2)))
			name = lua_tostring(L, -2);
	lua_pop(L, name ? 2 : 1); /* the key is still there; the module keeps its name alive */
	return take_name(pack, name, out);
}

/* The value at @index; false: it isn't light. [-0, +0, -] */
static bool take(struct pack *pack, int index, struct sl_value *out)
{
	lua_State *L = pack->L;

	if (sl_plain_take(L, index, pack->parcel, out))
		return true;
	switch (lua_type(L, index)) {
	case LUA_TTABLE:
		return take_module(pack, index, out);
	case LUA_TFUNCTION:
		return take_name(pack, sl_names_function(pack->names, L, index), out);
	case LUA_TUSERDATA:
		return take_handle(pack, index, out);
	default:
		return false;
	}
}

/* Whether two upvalues of the function at @index are one variable: then they have to stay so.
 */
static bool has_twins(lua_State *L, int index, int n)
{
	for (int i = 2; i <= n; i++)
		for (int k = 1; k < i; k++)
			if (lua_upvalueid(L, index, i) == lua_upvalueid(L, index, k))
				return true;
	return false;
}

/* Whether one of the names is a global that the script made: it would travel too. [-0, +0, m]
 */
static bool names_own_globals(
	lua_State *L, const struct sl_names *names, const struct sl_body *body)
{
	bool own = false;

	lua_pushglobaltable(L);
	for (size_t i = 0; i < body->n_names && !own; i++) {
		lua_pushlstring(L, body->names[i].data, body->names[i].size);
		own = lua_rawget(L, -2) != LUA_TNIL &&
		      sl_transfer_is_own_global(L, names, body->names[i]);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return own;
}

/* What an upvalue may be that somebody assigns to, and need not be shared. */
static bool is_fixture(const struct sl_value *value)
{
	return value->kind == SL_VALUE_NAMED || value->kind == SL_VALUE_HANDLE;
}

static bool take_upvalues(struct pack *pack, int first, const struct sl_body *body,
	uint32_t assigned, struct sl_value *out)
{
	bool ok = true;

	for (int i = 0; i < body->n_upvalues && ok; i++) {
		lua_getupvalue(pack->L, first, i + 1);
		ok = take(pack, lua_gettop(pack->L), &out[i]) &&
		     (!(assigned >> i & 1) || is_fixture(&out[i]));
		lua_pop(pack->L, 1);
	}
	return ok;
}

bool sl_light_call_pack(lua_State *L, int first, struct sl_start *start)
{
	struct pack pack = {.L = L, .names = sl_names_of(L)};
	size_t n_args = (size_t)(lua_gettop(L) - first), n;
	struct sl_value *values;
	struct sl_body *body;
	uint32_t assigned;
	bool ok;

	body = n_args <= MOST_VALUES ? sl_body_find(L, first, &assigned) : NULL;
	if (!body || has_twins(L, first, body->n_upvalues) ||
		names_own_globals(L, pack.names, body))
		return false;
	n = (size_t)body->n_upvalues + n_args;
	pack.parcel = sl_parcel_new(MAX_BYTES);
	values = pack.parcel ? sl_parcel_array(pack.parcel, n, sizeof(*values)) : NULL;
	ok = values && take_upvalues(&pack, first, body, assigned, values);
	for (size_t i = 0; i < n_args && ok; i++)
		ok = take(&pack, first + 1 + (int)i, &values[(size_t)body->n_upvalues + i]);
	if (!ok) {
		sl_parcel_free(pack.parcel);
		return false;
	}
	start->body = (struct sl_body *)sl_handle_ref(&body->handle);
	start->parcel = pack.parcel;
	start->values = values;
	start->n_values = n;
	return true;
}

/* ---- unpacking ---- */

struct unpack {
	lua_State *ready;
	const struct sl_start *start;
};

/* [-0, +1, e] */
static void push(lua_State *L, const struct sl_value *value)
{
	if (sl_plain_push(L, value))
		return;
	if (value->kind == SL_VALUE_HANDLE)
		sl_handle_push(L, value->handle);
	else if (sl_bytes_equal(value->string, sl_bytes_of(LUA_GNAME)))
		lua_pushglobaltable(L);
	else if (!sl_names_push(L, value->string.data))
		lua_error(L); /* why not is on the top */
}

/* f(unpack) → function, arguments */
static int l_unpack(lua_State *L)
{
	struct unpack *unpack = lua_touserdata(L, 1);
	const struct sl_start *start = unpack->start;
	int n_upvalues = start->body->n_upvalues;

	luaL_checkstack(L, (int)start->n_values + 8, NULL);
	if (unpack->ready)
		lua_xmove(unpack->ready, L, 1);
	else
		sl_body_push(L, start->body);
	for (int i = 0; i < n_upvalues; i++) {
		push(L, &start->values[i]);
		lua_setupvalue(L, 2, i + 1);
	}
	for (size_t i = (size_t)n_upvalues; i < start->n_values; i++)
		push(L, &start->values[i]);
	return lua_gettop(L) - 1;
}

int sl_light_call_push(
	lua_State *L, lua_State *ready, const struct sl_start *start, struct sl_error *err)
{
	struct unpack unpack = {.ready = ready, .start = start};
	int n = (int)start->n_values - start->body->n_upvalues + 1, status, body;

	if (!lua_checkstack(L, n + 4))
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	lua_pushcfunction(L, l_unpack);
	lua_pushlightuserdata(L, &unpack);
	status = lua_pcall(L, 1, n, 0);
	if (status == LUA_OK)
		return 0;
	body = sl_fail(err, status == LUA_ERRMEM ? SL_ENOMEM : SL_EINVALID, "%s",
		lua_isstring(L, -1) ? lua_tostring(L, -1) : "failed");
	lua_pop(L, 1);
	return body;
}
