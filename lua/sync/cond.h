/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cond: goroutines that wait for others to say that something, which a mutex
 * guards, has changed.
 */

#include <lauxlib.h>
#include <lua.h>

#define SL_COND_KIND "cond"

extern const luaL_Reg sl_cond_methods[];

/* goroutine.cond([mutex]) */
int sl_cond_create(lua_State *L);
