/* SPDX-License-Identifier: MIT */

/*
 * log: what a task wants to be known, one event a call.
 */

#include <lauxlib.h>
#include <lua.h>

#include "common/log.h"
#include "lua/modules/log_fields.h"
#include "lua/modules/modules.h"
#include "lua/runtime_inside.h"
#include "lua/transfer/transfer.h"

/* Fields as a parcel: they are plain, and bounded already. */
#define MAX_FIELDS ((size_t)4 << 20)

/* Emits @text with the fields, or nil, that are on the top. Raises nothing. */
static bool emit(lua_State *L, enum sl_log_level level, struct sl_bytes text, bool *out_full)
{
	static const struct sl_transfer how = {.to = "to the log"};
	sl_cleanup(sl_parcel_freep) struct sl_parcel *parcel = NULL;
	struct sl_value fields = {0};

	if (!lua_isnil(L, -1)) {
		parcel = sl_parcel_new(MAX_FIELDS);
		if (!parcel ||
			sl_transfer_out(L, -1, "fields", &how, parcel, &fields, NULL) != 0)
			return false;
	}
	*out_full = sl_runtime_emit_log(
		sl_runtime_of(L), level, sl_goroutine_of(L)->id, text, &fields);
	return true;
}

static int write_log(lua_State *L, enum sl_log_level level)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	uint64_t mark = sl_runtime_drain_mark(runtime);
	int n = lua_gettop(L);
	bool has_fields = sl_log_fields_are(L, n), full = false;
	struct sl_bytes text = sl_log_fields_push_text(L, n - has_fields);

	if (has_fields)
		sl_log_fields_push(L, n);
	else
		lua_pushnil(L);
	if (!emit(L, level, text, &full))
		return luaL_error(L, "not enough memory");
	return full ? sl_runtime_wait_drained(L, mark, 0) : 0;
}

/* log.error(...) */
static int l_error(lua_State *L)
{
	return write_log(L, SL_LOG_ERROR);
}

/* log.warn(...) */
static int l_warn(lua_State *L)
{
	return write_log(L, SL_LOG_WARNING);
}

/* log.info(...), log.print(...) */
static int l_info(lua_State *L)
{
	return write_log(L, SL_LOG_INFO);
}

/* log.debug(...) */
static int l_debug(lua_State *L)
{
	return write_log(L, SL_LOG_DEBUG);
}

int sl_open_log(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"debug", l_debug},
		{"error", l_error},
		{"info", l_info},
		{"print", l_info},
		{"warn", l_warn},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	return 1;
}
