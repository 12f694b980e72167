/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Wait group: a counter of things to be done, and those who wait until it is
 * zero.
 */

#include <lua.h>

/* Makes the kind known to a state. [-0, +0, m] */
void sl_wait_group_define(lua_State *L);

/* goroutine.wait_group() */
int sl_wait_group_new(lua_State *L);
