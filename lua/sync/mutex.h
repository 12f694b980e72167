/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Mutex: what one goroutine at a time may hold. Whoever wants may unlock it.
 */

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/handle.h"
#include "lua/sync/permits.h"

#define SL_MUTEX_KIND "mutex"

struct sl_mutex {
	struct sl_handle handle; /* first */
	struct sl_permits permit;
};

extern const luaL_Reg sl_mutex_methods[];
extern const struct sl_wait_kind sl_mutex_wait_kind;

/* NULL when memory ran out; one reference is the caller's. */
struct sl_mutex *sl_mutex_new(void) sl_must_check;

/* The mutex at @arg; raises if it is none. [-0, +0, v] */
struct sl_mutex *sl_mutex_check(lua_State *L, int arg);

/* @goroutine, which was stopped while it waited on a condition of @mutex, hasn't got it. What
 * its code does on the way out takes it for locked: the first unlock will do nothing. */
void sl_mutex_let_go(struct sl_mutex *mutex, struct sl_goroutine *goroutine);

/* goroutine.mutex() */
int sl_mutex_create(lua_State *L);
