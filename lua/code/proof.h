/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Proof: whether two Lua functions are the same function, compiled twice.
 *
 * Their stripped dumps are compared, byte for byte, but for what depends on the
 * function around them: from where they capture a variable, and whether that
 * variable was declared constant. By name and order the captured variables must
 * be the same. Line numbers are part of a dump.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/base.h"

struct sl_error;

/* Compares the Lua functions at @a and @b. Raises nothing. [-0, +0, -] Returns true in *out
 * when they are the same. Returns 0, SL_ENOMEM, or SL_EINVALID when this Lua's dumps can't be
 * read.
 */
int sl_proof_compare(lua_State *L, int a, int b, bool *out, struct sl_error *err) sl_must_check;
