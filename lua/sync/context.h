/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Context: tells goroutines that what they do is not wanted any more: by hand, or
 * when time is up; and everything that was derived from it with it.
 *
 * That its time is up needs no timer: whoever looks sees it, and whoever waits
 * for it has its time as a deadline.
 */

#include <lauxlib.h>
#include <lua.h>

#define SL_CONTEXT_KIND "context"

extern const luaL_Reg sl_context_methods[];

/* goroutine.context() */
int sl_context_create(lua_State *L);
