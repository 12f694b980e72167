/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Call: a Lua function and its arguments, packed to be run by another goroutine,
 * and what the functions of the goroutine module share.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/log.h"
#include "lua/schedule/goroutine.h"

/* Packs the function at @first and the arguments behind it, up to the top, into parcel and
 * values of @start. Raises if something can't be sent. [-0, +0, v] */
void sl_call_pack(lua_State *L, int first, struct sl_start *start);

/* Begins a goroutine for what was packed. Raises on failure. [-0, +0, v] */
void sl_call_start(lua_State *L, const struct sl_start *start);

/* The milliseconds at @arg as a time from now; 0 where the argument is none or nil, 1 (long
 * ago) for none or less. Raises if it is no number. [-0, +0, v] */
int64_t sl_call_deadline(lua_State *L, int arg);

/* Says that a goroutine failed: a log line and a task event with id "@kind-N". */
void sl_call_report(struct sl_goroutine *goroutine, const struct sl_outcome *outcome,
	const char *kind, enum sl_log_level level);

/* Pushes true and the values, or false, the error and its traceback. [-0, +n, m] */
int sl_call_push_outcome(lua_State *L, const struct sl_outcome *outcome);

/* Pushes {success=true, values={...}} or {success=false, error=}. [-0, +1, m] */
void sl_call_push_record(lua_State *L, const struct sl_outcome *outcome);
