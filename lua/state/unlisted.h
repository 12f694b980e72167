/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Unlisted: functions in C that scripts get hold of although no module shows
 * them: the methods of handles, what a loop over a channel calls, what the
 * metatables of an answer of http refer to. They go by name like those of
 * modules: "mutex:lock".
 *
 * Threads: any.
 */

#include <lauxlib.h>
#include <lua.h>

#include "common/base.h"

/* Calls fn(ctx, kind, function) for each, as long as it returns true; false if one didn't. */
bool sl_unlisted_each(
	bool (*fn)(void *ctx, const char *kind, const luaL_Reg *function), void *ctx);

/* What is called @name, "KIND:FUNCTION"; NULL: nothing. */
lua_CFunction sl_unlisted_find(const char *name);
