/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Select: what Lua calls a choice between sending to and receiving from several
 * channels.
 */

#include <lua.h>

int sl_select(lua_State *L);         /* goroutine.select(cases) */
int sl_select_timeout(lua_State *L); /* goroutine.select_timeout(ms, cases) */
