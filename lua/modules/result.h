/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Result: what a function in C of a module gives back to Lua.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/buffer.h"

struct sl_error;

/* Pushes nil and the words of @err; returns 2. [-0, +2, m] */
int sl_result_fail(lua_State *L, const struct sl_error *err);

/* Pushes the bytes of @buffer as a string and gives its memory back, even if it raises; returns
 * 1. [-0, +1, m] */
int sl_result_take(lua_State *L, struct sl_buffer *buffer);
