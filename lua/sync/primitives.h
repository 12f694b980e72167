/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Primitives: what the module goroutine has beyond goroutines and pools, by which
 * they talk to and wait for each other.
 *
 * A state comes to know a kind of them when it gets the first one: most states
 * never see most kinds.
 *
 * Threads: the one that runs the state.
 */

#include <lauxlib.h>
#include <lua.h>

/* The name of the @i-th kind that has methods; NULL behind the last. */
const char *sl_primitive_kind(size_t i);

/* The methods of a kind; NULL: it has none. */
const luaL_Reg *sl_primitive_methods(const char *kind);

/* Adds what makes them to the module's table on the top. [-0, +0, m] */
void sl_primitives_open(lua_State *L);
