/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * RWMutex: what many goroutines may hold to read, or one to write. A writer that
 * waits is before the readers that come after it.
 */

#include <lauxlib.h>
#include <lua.h>

#define SL_RWMUTEX_KIND "rwmutex"

extern const luaL_Reg sl_rwmutex_methods[];

/* goroutine.rwmutex() */
int sl_rwmutex_create(lua_State *L);
