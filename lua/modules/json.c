/* SPDX-License-Identifier: MIT */
#include "lua/modules/json.h"

#include <jansson.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

/* ---- encoding: our own, for floats that read as they were written ---- */

struct encoder {
	lua_State *L;
	struct sl_buffer *out;
	struct sl_error *err;
	bool pretty;
	int depth;
	const void *open[SL_JSON_MAX_DEPTH]; /* the tables around */
};

static int encode_value(struct encoder *encoder, int index);

static void new_line(struct encoder *encoder)
{
	if (!encoder->pretty)
		return;
	sl_buffer_append(encoder->out, "\n", 1);
	for (int i = 0; i < encoder->depth; i++)
		sl_buffer_append(encoder->out, "  ", 2);
}

/* The size of the UTF-8 character at @at, 0 if it isn't one. */
static size_t utf8_size(const unsigned char *at, size_t left)
{
	unsigned char a = at[0], b = left > 1 ? at[1] : 0;
	size_t n = a < 0x80                 ? 1
	           : a >= 0xC2 && a <= 0xDF ? 2
	           : (a & 0xF0) == 0xE0     ? 3
	           : a >= 0xF0 && a <= 0xF4 ? 4
	                                    : 0;

	if (n == 0 || n > left)
		return 0;
	/* Overlong ones, surrogates, and what is above the last character. */
	if ((a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F) || (a == 0xF0 && b < 0x90) ||
		(a == 0xF4 && b > 0x8F))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((at[i] & 0xC0) != 0x80)
			return 0;
	return n;
}

static void encode_char(struct sl_buffer *out, unsigned char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = c ? strchr(from, c) : NULL;

	if (at)
		sl_buffer_printf(out, "\\%c", to[at - from]);
	else
		sl_buffer_printf(out, "\\u%04x", c);
}

static int encode_string(struct encoder *encoder, int index)
{
	struct sl_buffer *out = encoder->out;
	size_t size, plain = 0;
	const char *text = lua_tolstring(encoder->L, index, &size);

	sl_buffer_append(out, "\"", 1);
	for (size_t i = 0, n; i < size; i += n) {
		unsigned char c = (unsigned char)text[i];

		n = utf8_size((const unsigned char *)text + i, size - i);
		if (n == 0)
			return sl_fail(encoder->err, SL_EINVALID,
				"a string is not UTF-8 (at byte %zu of it)", i + 1);
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		sl_buffer_append(out, text + plain, i - plain);
		encode_char(out, c);
		plain = i + 1;
	}
	sl_buffer_append(out, text + plain, size - plain);
	sl_buffer_append(out, "\"", 1);
	return 0;
}

static int encode_number(struct encoder *encoder, int index)
{
	lua_Number number = lua_tonumber(encoder->L, index);
	char text[40];
	int digits = 15;

	if (lua_isinteger(encoder->L, index)) {
		sl_buffer_printf(
			encoder->out, "%lld", (long long)lua_tointeger(encoder->L, index));
		return 0;
	}
	if (!isfinite(number))
		return sl_fail(encoder->err, SL_EINVALID, "JSON has no %s",
			isnan(number) ? "nan" : "inf");
	do /* the shortest that is this number */
		snprintf(text, sizeof(text), "%.*g", digits, number);
	while (digits++ < 17 && strtod(text, NULL) != number);
	sl_buffer_printf(encoder->out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
	return 0;
}

/* Whether the keys of the table at @index are 1 to n, n > 0. */
static bool is_array(lua_State *L, int index, size_t *out_n)
{
	lua_Integer n = 0, last = 0;

	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;

		if (key < 1) {
			lua_pop(L, 2);
			return false;
		}
		n++;
		last = key > last ? key : last;
	}
	*out_n = (size_t)n;
	return n > 0 && last == n;
}

static int encode_array(struct encoder *encoder, int index, size_t n)
{
	sl_buffer_append(encoder->out, "[", 1);
	encoder->depth++;
	for (size_t i = 1; i <= n; i++) {
		int code;

		if (i > 1)
			sl_buffer_append(encoder->out, ",", 1);
		new_line(encoder);
		lua_rawgeti(encoder->L, index, (lua_Integer)i);
		code = encode_value(encoder, lua_gettop(encoder->L));
		lua_pop(encoder->L, 1);
		if (code != 0)
			return code;
	}
	encoder->depth--;
	new_line(encoder);
	sl_buffer_append(encoder->out, "]", 1);
	return 0;
}

static int encode_pair(struct encoder *encoder, bool first)
{
	int code, top = lua_gettop(encoder->L);

	if (lua_type(encoder->L, top - 1) != LUA_TSTRING)
		return sl_fail(encoder->err, SL_EINVALID,
			"a table is neither an array (keys 1 to n) nor an object (keys that "
			"are strings): it has a key that is a %s",
			luaL_typename(encoder->L, top - 1));
	if (!first)
		sl_buffer_append(encoder->out, ",", 1);
	new_line(encoder);
	code = encode_string(encoder, top - 1);
	sl_buffer_append(encoder->out, ": ", encoder->pretty ? 2 : 1);
	return code != 0 ? code : encode_value(encoder, top);
}

static int encode_object(struct encoder *encoder, int index)
{
	lua_State *L = encoder->L;
	bool first = true;

	sl_buffer_append(encoder->out, "{", 1);
	encoder->depth++;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		int code = encode_pair(encoder, first);

		if (code != 0)
			return code;
		first = false;
	}
	encoder->depth--;
	if (!first)
		new_line(encoder);
	sl_buffer_append(encoder->out, "}", 1);
	return 0;
}

static int encode_table(struct encoder *encoder, int index)
{
	const void *identity = lua_topointer(encoder->L, index);
	size_t n;

	for (int i = 0; i < encoder->depth; i++)
		if (encoder->open[i] == identity)
			return sl_fail(encoder->err, SL_EINVALID, "a table contains itself");
	if (encoder->depth == SL_JSON_MAX_DEPTH || !lua_checkstack(encoder->L, 8))
		return sl_fail(encoder->err, SL_ETOO_LARGE,
			"tables are nested deeper than %d levels", SL_JSON_MAX_DEPTH);
	encoder->open[encoder->depth] = identity;
	if (is_array(encoder->L, index, &n))
		return encode_array(encoder, index, n);
	return encode_object(encoder, index);
}

static int encode_value(struct encoder *encoder, int index)
{
	if (encoder->out->size > SL_JSON_MAX_BYTES)
		return sl_fail(encoder->err, SL_ETOO_LARGE, "the text is larger than %zu bytes",
			SL_JSON_MAX_BYTES);
	switch (lua_type(encoder->L, index)) {
	case LUA_TNIL:
		sl_buffer_append(encoder->out, "null", 4);
		return 0;
	case LUA_TBOOLEAN:
		sl_buffer_printf(encoder->out, "%s",
			lua_toboolean(encoder->L, index) ? "true" : "false");
		return 0;
	case LUA_TNUMBER:
		return encode_number(encoder, index);
	case LUA_TSTRING:
		return encode_string(encoder, index);
	case LUA_TTABLE:
		return encode_table(encoder, index);
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(encoder->L, index) != SL_JSON_NULL)
			break;
		sl_buffer_append(encoder->out, "null", 4);
		return 0;
	default:
		break;
	}
	return sl_fail(
		encoder->err, SL_EINVALID, "JSON has no %s", luaL_typename(encoder->L, index));
}

int sl_json_encode(
	lua_State *L, int index, bool pretty, struct sl_buffer *out, struct sl_error *err)
{
	struct encoder encoder = {.L = L, .out = out, .err = err, .pretty = pretty};
	int top = lua_gettop(L), code;

	if (!lua_checkstack(L, 8))
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	code = encode_value(&encoder, lua_absindex(L, index));
	lua_settop(L, top);
	if (code == 0 && out->failed)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	return code;
}

/* ---- decoding ---- */

static void push_value(lua_State *L, const json_t *value);

static void push_array(lua_State *L, const json_t *array)
{
	size_t n = json_array_size(array);

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		push_value(L, json_array_get(array, i));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void push_object(lua_State *L, json_t *object)
{
	lua_createtable(L, 0, (int)json_object_size(object));
	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
		lua_pushlstring(L, json_object_iter_key(at), json_object_iter_key_len(at));
		push_value(L, json_object_iter_value(at));
		lua_rawset(L, -3);
	}
}

/* [-0, +1, m] */
static void push_value(lua_State *L, const json_t *value)
{
	luaL_checkstack(L, 8, "JSON");
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		push_object(L, (json_t *)(uintptr_t)value);
		break;
	case JSON_ARRAY:
		push_array(L, value);
		break;
	case JSON_STRING:
		lua_pushlstring(L, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		lua_pushinteger(L, json_integer_value(value));
		break;
	case JSON_REAL:
		lua_pushnumber(L, json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(L, json_is_true(value));
		break;
	case JSON_NULL:
		lua_pushlightuserdata(L, SL_JSON_NULL);
		break;
	}
}

/* f(value) */
static int l_push(lua_State *L)
{
	push_value(L, lua_touserdata(L, 1));
	return 1;
}

int sl_json_decode(lua_State *L, struct sl_bytes text, struct sl_error *err)
{
	json_error_t error;
	json_t *value;
	int status;

	if (text.size > SL_JSON_MAX_BYTES)
		return sl_fail(err, SL_ETOO_LARGE, "the text is larger than %zu bytes",
			SL_JSON_MAX_BYTES);
	value = json_loadb(text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!value)
		return sl_fail(err, SL_EINVALID, "line %d, column %d: %s", error.line,
			error.column, error.text);
	lua_pushcfunction(L, l_push);
	lua_pushlightuserdata(L, value);
	status = lua_pcall(L, 1, 1, 0);
	json_decref(value);
	return status == LUA_OK ? 0 : lua_error(L);
}
