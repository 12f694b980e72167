/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Wait group: a counter of things to be done, and those who wait until it is
 * zero.
 */

#include <lua.h>

/* Makes the kind known to a state. [-0, +0, m] */
void sl_wait_group_define(lua_State *L);

struct sl_handle;

/* A goroutine, @ctx, has ended that had @handle, perhaps a wait group, and never used it. */
void sl_wait_group_missed(void *ctx, struct sl_handle *handle);

/* goroutine.wait_group() */
int sl_wait_group_new(lua_State *L);
