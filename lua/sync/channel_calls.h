/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What Lua may do with a channel: its methods, which are functions of the module
 * goroutine too, with the channel as first argument.
 */

#include <lauxlib.h>
#include <lua.h>

#include "common/base.h"

/* {"send", …}, … */
extern const luaL_Reg sl_channel_methods[];

/* What is no method: see lua/state/unlisted. */
extern const luaL_Reg sl_channel_unlisted[];

/* goroutine.channel([capacity[, direction]]) */
int sl_channel_create(lua_State *L);

/* The channel at @arg; raises if it is none, or is one for the other direction only. [-0, +0,
 * v]
 */
struct sl_channel *sl_channel_check(lua_State *L, int arg, bool sends);

/* Pushes a new choice between @n cases. [-0, +1, m] */
struct sl_choice *sl_choice_push(lua_State *L, size_t n);
