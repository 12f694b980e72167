/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Atomic integer: 64 bits that goroutines change together. It wraps around as
 * Lua's integers do.
 */

#include <lauxlib.h>
#include <lua.h>

#define SL_ATOMIC_INT_KIND "atomic_int"

extern const luaL_Reg sl_atomic_int_methods[];

/* goroutine.atomic_int([value]) */
int sl_atomic_int_create(lua_State *L);
