/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Deadlock: all goroutines of a task wait for each other, and nothing from
 * outside can wake one.
 *
 * Threads: any.
 */

#include <lua.h>

struct sl_runtime;

/* To be called when a thread has run out of work. If it is one, each waiting call raises. */
void sl_deadlock_check(struct sl_runtime *runtime);

/* Pushes what the last deadlock was, as an error of the function that runs. [-0, +1, m] */
void sl_deadlock_push(lua_State *L);

/* Raises it. [-0, +0, v] */
int sl_deadlock_raise(lua_State *L);
