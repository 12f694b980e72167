/* SPDX-License-Identifier: MIT */
#include "lua/schedule/outcome.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "lua/state/plain.h"
#include "lua/transfer/transfer.h"

/* Most that a goroutine may return or raise. */
#define MAX_BYTES ((size_t)256 << 20)

static const struct sl_transfer how = {
	.to = "out of a goroutine", .handles = true, .shared = true};

void sl_outcome_deinit(struct sl_outcome *outcome)
{
	sl_parcel_free(outcome->parcel);
	if (outcome->account)
		sl_account_release(outcome->account, outcome->charged);
	*outcome = (struct sl_outcome){0};
}

static struct sl_bytes keep(struct sl_outcome *outcome, struct sl_bytes text)
{
	struct sl_bytes copy;

	if (!outcome->parcel)
		outcome->parcel = sl_parcel_new(MAX_BYTES);
	if (outcome->parcel && sl_parcel_copy(outcome->parcel, text, &copy))
		return copy;
	return sl_bytes_of("not enough memory");
}

void sl_outcome_fail(struct sl_outcome *outcome, const char *text)
{
	outcome->ok = false;
	outcome->error = (struct sl_value){
		.kind = SL_VALUE_STRING, .string = keep(outcome, sl_bytes_of(text))};
}

/* nil, a message, perhaps an integer, and nothing else: Lua's way to say that it failed. */
static bool says_failed(lua_State *L, int n)
{
	if (n < 2 || n > 3 || lua_type(L, -n) != LUA_TNIL || lua_type(L, -n + 1) != LUA_TSTRING)
		return false;
	return n == 2 || lua_isinteger(L, -1);
}

static void take_message(struct sl_outcome *outcome, lua_State *L, int index)
{
	struct sl_bytes text;

	text.data = lua_tolstring(L, index, &text.size);
	outcome->ok = false;
	outcome->error =
		(struct sl_value){.kind = SL_VALUE_STRING, .string = keep(outcome, text)};
}

void sl_outcome_take_values(
	struct sl_outcome *outcome, lua_State *L, int n, const struct sl_start *start)
{
	struct sl_error err;

	outcome->ok = true;
	if (start->nil_is_failure && says_failed(L, n)) {
		take_message(outcome, L, -n + 1);
		return;
	}
	if (!start->wants_values || n == 0)
		return;
	outcome->parcel = sl_parcel_new(MAX_BYTES);
	outcome->values = outcome->parcel ? sl_parcel_array(outcome->parcel, (size_t)n,
						    sizeof(*outcome->values))
	                                  : NULL;
	if (!outcome->values) {
		sl_outcome_fail(outcome, "not enough memory");
		return;
	}
	outcome->n_values = (size_t)n;
	if (sl_plain_take_many(L, -n, (size_t)n, outcome->parcel, outcome->values))
		return;
	if (sl_transfer_out_many(L, -n, (size_t)n, "result", &how, outcome->parcel,
		    outcome->values, &err) != 0) {
		outcome->values = NULL;
		outcome->n_values = 0;
		sl_outcome_fail(outcome, err.text);
	}
}

/* f(co) → traceback */
static int l_traceback(lua_State *L)
{
	luaL_traceback(L, lua_tothread(L, 1), NULL, 0);
	return 1;
}

static void take_traceback(struct sl_outcome *outcome, lua_State *L, lua_State *co)
{
	struct sl_bytes text;

	if (!lua_checkstack(L, 4))
		return;
	lua_pushcfunction(L, l_traceback);
	lua_pushthread(co);
	lua_xmove(co, L, 1);
	if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
		text.data = lua_tolstring(L, -1, &text.size);
		outcome->traceback = keep(outcome, text);
	}
	lua_pop(L, 1);
}

/* f(value) → string */
static int l_tostring(lua_State *L)
{
	luaL_tolstring(L, 1, NULL);
	return 1;
}

/* What can't be taken as it is goes as words. */
static void take_as_words(struct sl_outcome *outcome, lua_State *co)
{
	lua_pushcfunction(co, l_tostring);
	lua_pushvalue(co, -2);
	if (lua_pcall(co, 1, 1, 0) == LUA_OK)
		take_message(outcome, co, -1);
	else
		sl_outcome_fail(outcome, "an error that can't be shown");
	lua_pop(co, 1);
}

void sl_outcome_take_error(struct sl_outcome *outcome, lua_State *L, lua_State *co)
{
	take_traceback(outcome, L, co);
	lua_resetthread(co);
	outcome->ok = false;
	if (lua_type(co, -1) == LUA_TSTRING) {
		take_message(outcome, co, -1);
		return;
	}
	if (!outcome->parcel)
		outcome->parcel = sl_parcel_new(MAX_BYTES);
	if (!outcome->parcel || sl_transfer_out(co, -1, "error", &how, outcome->parcel,
					&outcome->error, NULL) != 0)
		take_as_words(outcome, co);
}

void sl_outcome_charge(struct sl_outcome *outcome, struct sl_account *account)
{
	size_t size = outcome->parcel ? sl_parcel_size(outcome->parcel) : 0;

	if (size == 0)
		return;
	if (sl_account_charge(account, size)) {
		outcome->account = account;
		outcome->charged = size;
		return;
	}
	sl_parcel_free(sl_steal(outcome->parcel));
	outcome->values = NULL;
	outcome->n_values = 0;
	outcome->traceback = (struct sl_bytes){0};
	sl_outcome_fail(outcome, "not enough memory");
}

struct sl_bytes sl_outcome_message(const struct sl_outcome *outcome)
{
	const struct sl_value *message;

	if (outcome->error.kind == SL_VALUE_STRING)
		return outcome->error.string;
	if (outcome->error.kind == SL_VALUE_TABLE) {
		message = sl_table_get(outcome->error.table, "message");
		if (message && message->kind == SL_VALUE_STRING)
			return message->string;
		return sl_bytes_of("(error object is a table)");
	}
	if (outcome->error.kind == SL_VALUE_NIL)
		return sl_bytes_of("(error object is nil)");
	return sl_bytes_of("(error object is not a string)");
}
