/* SPDX-License-Identifier: MIT */
#include "lua/state/plain.h"

#include "common/parcel.h"

bool sl_plain_take(lua_State *L, int index, struct sl_parcel *parcel, struct sl_value *out)
{
	struct sl_value value = {0};

	switch (lua_type(L, index)) {
	case LUA_TNIL:
		break;
	case LUA_TBOOLEAN:
		value.kind = SL_VALUE_BOOLEAN;
		value.boolean = lua_toboolean(L, index);
		break;
	case LUA_TNUMBER:
		value.kind = lua_isinteger(L, index) ? SL_VALUE_INTEGER : SL_VALUE_FLOAT;
		if (value.kind == SL_VALUE_INTEGER)
			value.integer = lua_tointeger(L, index);
		else
			value.number = lua_tonumber(L, index);
		break;
	case LUA_TSTRING:
		value.kind = SL_VALUE_STRING;
		value.string.data = lua_tolstring(L, index, &value.string.size);
		if (!parcel || !sl_parcel_copy(parcel, value.string, &value.string))
			return false;
		break;
	default:
		return false;
	}
	*out = value;
	return true;
}

bool sl_plain_take_many(
	lua_State *L, int first, size_t n, struct sl_parcel *parcel, struct sl_value *out)
{
	first = lua_absindex(L, first);
	for (size_t i = 0; i < n; i++)
		if (!sl_plain_take(L, first + (int)i, parcel, &out[i]))
			return false;
	return true;
}

bool sl_plain_push(lua_State *L, const struct sl_value *value)
{
	switch (value->kind) {
	case SL_VALUE_NIL:
		lua_pushnil(L);
		return true;
	case SL_VALUE_BOOLEAN:
		lua_pushboolean(L, value->boolean);
		return true;
	case SL_VALUE_INTEGER:
		lua_pushinteger(L, value->integer);
		return true;
	case SL_VALUE_FLOAT:
		lua_pushnumber(L, value->number);
		return true;
	case SL_VALUE_STRING:
		lua_pushlstring(L, value->string.data, value->string.size);
		return true;
	default:
		return false;
	}
}

bool sl_plain_push_many(lua_State *L, const struct sl_value *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (sl_plain_push(L, &values[i]))
			continue;
		lua_pop(L, (int)i);
		return false;
	}
	return true;
}
