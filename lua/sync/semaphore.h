/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Semaphore: a number of permits for whatever there is only so much of.
 */

#include <lauxlib.h>
#include <lua.h>

#define SL_SEMAPHORE_KIND "semaphore"

extern const luaL_Reg sl_semaphore_methods[];

/* goroutine.semaphore(n) */
int sl_semaphore_create(lua_State *L);
