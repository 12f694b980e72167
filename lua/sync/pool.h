/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pool: runs what is submitted to it, so many at once, and keeps the rest in a
 * bounded queue. It has a name in its task and belongs to it.
 */

#include <lua.h>

struct sl_runtime;

/* Makes its kinds known to a state. [-0, +0, m] */
void sl_pool_define(lua_State *L);

int sl_pool_create(lua_State *L); /* goroutine.pool_create(name[, options]) */
int sl_pool_submit(lua_State *L); /* goroutine.pool_submit(name, fn, ...) */
int sl_pool_wait(lua_State *L);   /* goroutine.pool_wait(name) */
int sl_pool_close(lua_State *L);  /* goroutine.pool_close(name) */
int sl_pool_stats(lua_State *L);  /* goroutine.pool_stats(name) */

/* Closes those that the task left open, and says so in its log. When no goroutine is there any
 * more. */
void sl_pools_close_left(struct sl_runtime *runtime);
