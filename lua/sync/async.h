/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * async, await, await_all, timeout: functions run by another goroutine whose
 * results somebody waits for.
 */

#include <lua.h>

int sl_async(lua_State *L);     /* goroutine.async(fn, ...) */
int sl_await(lua_State *L);     /* goroutine.await(handle[, ms]) */
int sl_await_all(lua_State *L); /* goroutine.await_all(handles[, ms]) */
int sl_timeout(lua_State *L);   /* goroutine.timeout(ms, fn, ...) */
