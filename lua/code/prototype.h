/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Prototype: which code a Lua function has. All closures that one place of a
 * script makes have one prototype, which lives as long as any of them.
 *
 * Lua's interface doesn't tell, so we look into the closure, after having seen
 * once in each process that closures are laid out as we believe.
 *
 * Threads: any; a state belongs to the thread that runs it.
 */

#include <lua.h>

/* An address for the code of the function at @index; NULL where it can't be known: for
 * functions in C, and where Lua is another one than we know. [-0, +0, -] */
const void *sl_prototype_of(lua_State *L, int index);
