/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Wait group: a counter of things to be done, and those who wait until it is
 * zero.
 */

#include <lauxlib.h>
#include <lua.h>

struct sl_handle;

#define SL_WAIT_GROUP_KIND "wait group"

extern const luaL_Reg sl_wait_group_methods[];

/* A goroutine, @ctx, has ended that had @handle, perhaps a wait group, and never used it. */
void sl_wait_group_missed(void *ctx, struct sl_handle *handle);

/* goroutine.wait_group() */
int sl_wait_group_create(lua_State *L);
