/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Once: lets the first goroutine that comes run its function; the others wait
 * until it has.
 */

#include <lauxlib.h>
#include <lua.h>

#define SL_ONCE_KIND "once"

extern const luaL_Reg sl_once_methods[];

/* goroutine.once() */
int sl_once_create(lua_State *L);
