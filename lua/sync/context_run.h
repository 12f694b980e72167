/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A function that runs under a context: when that is over, so are all of its
 * calls, wherever they wait, and everything it has started.
 */

#include <lua.h>

struct sl_channel;

/* Runs the function at 2 with the arguments behind it until @done is closed. Slot 1 is the
 * context; @reason says why it is over, and NULL as long as it isn't. To be returned by a
 * function in C. */
int sl_context_run(lua_State *L, struct sl_channel *done, const char *(*reason)(lua_State *L));
