/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finalizer: a script's __gc function, run so that it can be stopped.
 *
 * Lua calls no hooks while it runs a finalizer, so one that never ends couldn't
 * be interrupted. It runs in a coroutine of its own instead, where hooks work.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/base.h"

/* Guards the __gc of the metatable at @index, if it is a function in Lua. [-0, +0, m] */
void sl_finalizer_guard(lua_State *L, int index);

/* Whether the C function at @index stands for a script's __gc, which is its first upvalue. */
bool sl_finalizer_is_guarded(lua_State *L, int index);
