/* SPDX-License-Identifier: MIT */
#include "lua/schedule/call.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/outcome.h"
#include "lua/share/share.h"
#include "lua/state/plain.h"
#include "lua/transfer/light_call.h"
#include "lua/transfer/transfer.h"

/* Most that one call may carry. */
#define MAX_BYTES ((size_t)256 << 20)

static int pack(lua_State *L, int first, struct sl_start *start, struct sl_error *err)
{
	struct sl_transfer how = {
		.to = "to a goroutine", .handles = true, .share = &start->share};
	size_t n = (size_t)(lua_gettop(L) - first + 1);
	struct sl_parcel *parcel = sl_parcel_new(MAX_BYTES);
	struct sl_value *values = parcel ? sl_parcel_array(parcel, n, sizeof(*values)) : NULL;
	int code = values ? sl_transfer_out_many(
				    L, first, n, "argument", &how, parcel, values, err)
	                  : sl_fail(err, SL_ENOMEM, "not enough memory");

	if (code != 0) {
		sl_share_free(sl_steal(start->share));
		sl_parcel_free(parcel);
		return code;
	}
	start->parcel = parcel;
	start->values = values;
	start->n_values = n;
	return 0;
}

void sl_call_pack(lua_State *L, int first, struct sl_start *start)
{
	struct sl_error err;

	if (sl_light_call_pack(L, first, start))
		return;
	if (pack(L, first, start, &err) != 0)
		luaL_error(L, "%s", err.text);
}

void sl_call_start(lua_State *L, const struct sl_start *start)
{
	struct sl_error err;

	if (sl_goroutine_start(sl_runtime_of(L), start, &err) != 0)
		luaL_error(L, "%s", err.text);
}

int64_t sl_call_deadline(lua_State *L, int arg)
{
	lua_Number ms;

	if (lua_isnoneornil(L, arg))
		return 0;
	ms = luaL_checknumber(L, arg);
	luaL_argcheck(L, !isnan(ms), arg, "not a time");
	if (ms <= 0)
		return 1;
	if (ms > 1e12)
		ms = 1e12; /* thirty years */
	return sl_clock_monotonic_ns() + (int64_t)(ms * 1e6);
}

void sl_call_report(struct sl_goroutine *goroutine, const struct sl_outcome *outcome,
	const char *kind, enum sl_log_level level)
{
	struct sl_bytes message = sl_outcome_message(outcome);
	struct sl_event event = {.kind = SL_EVENT_TASK};
	struct sl_buffer text = SL_BUFFER_INIT;
	char id[48];

	snprintf(id, sizeof(id), "%s-%llu", kind, (unsigned long long)goroutine->id);
	sl_buffer_printf(&text, "goroutine %llu failed: ", (unsigned long long)goroutine->id);
	sl_buffer_append(&text, message.data, message.size);
	if (outcome->traceback.size > 0) {
		sl_buffer_printf(&text, "\n");
		sl_buffer_append(&text, outcome->traceback.data, outcome->traceback.size);
	}
	sl_runtime_emit_log(
		goroutine->runtime, level, goroutine->id, sl_buffer_bytes(&text), NULL);
	sl_buffer_deinit(&text);

	event.task.id = sl_bytes_of(id);
	event.task.goroutine = goroutine->id;
	event.task.error = outcome->error;
	event.task.traceback = outcome->traceback;
	event.task.wait_ms = outcome->wait_ms;
	event.task.run_ms = outcome->run_ms;
	sl_runtime_emit(goroutine->runtime, &event);
}

/* Pushes the values or raises. [-0, +n, v] */
static void push_values(lua_State *L, const struct sl_value *values, size_t n)
{
	struct sl_error err;

	luaL_checkstack(L, (int)n + 4, "too many values");
	if (sl_plain_push_many(L, values, n))
		return;
	if (sl_transfer_in(L, values, n, &err) != 0)
		luaL_error(L, "%s", err.text);
}

int sl_call_push_outcome(lua_State *L, const struct sl_outcome *outcome)
{
	lua_pushboolean(L, outcome->ok);
	if (outcome->ok) {
		push_values(L, outcome->values, outcome->n_values);
		return (int)outcome->n_values + 1;
	}
	push_values(L, &outcome->error, 1);
	if (outcome->traceback.size == 0)
		return 2;
	lua_pushlstring(L, outcome->traceback.data, outcome->traceback.size);
	return 3;
}

void sl_call_push_record(lua_State *L, const struct sl_outcome *outcome)
{
	int n = (int)outcome->n_values;

	lua_createtable(L, 0, 3);
	lua_pushboolean(L, outcome->ok);
	lua_setfield(L, -2, "success");
	if (!outcome->ok) {
		push_values(L, &outcome->error, 1);
		lua_setfield(L, -2, "error");
		return;
	}
	lua_createtable(L, n, 1);
	push_values(L, outcome->values, outcome->n_values);
	for (int i = n; i > 0; i--)
		lua_rawseti(L, -1 - i, i);
	lua_pushinteger(L, n);
	lua_setfield(L, -2, "n");
	lua_setfield(L, -2, "values");
}
