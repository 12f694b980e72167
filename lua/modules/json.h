/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON: Lua values as text and back. Integers stay integers, floats stay floats.
 *
 * A table whose keys are 1 to n is an array, one whose keys are strings an
 * object, an empty one an object; null is a value of its own, as a table can't
 * hold nil.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/buffer.h"

struct sl_error;

#define SL_JSON_MAX_BYTES ((size_t)64 << 20)
#define SL_JSON_MAX_DEPTH 512

/* What stands for null: a light userdata of this address. */
#define SL_JSON_NULL NULL

/* Appends the value at @index to @out. Raises nothing. [-0, +0, -] Returns 0, SL_EINVALID for
 * what JSON can't say, SL_ETOO_LARGE, SL_ENOMEM. */
int sl_json_encode(lua_State *L, int index, bool pretty, struct sl_buffer *out,
	struct sl_error *err) sl_must_check;

/* Pushes the value of @text, or nothing. [-0, +(0|1), m] Returns 0, SL_EINVALID with the place
 * of the mistake, SL_ETOO_LARGE. */
int sl_json_decode(lua_State *L, struct sl_bytes text, struct sl_error *err) sl_must_check;
