/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Names: what is standard in a Lua state and therefore goes by name from one
 * state to another: "string.format", "print", "string", "_G", "mutex:lock".
 *
 * Learned once from a furnished state; the table of what was learned is shared
 * by all states that are furnished alike. A module that a script loads later
 * and that has functions in C is found in package.loaded when it is asked for.
 *
 * Threads: immutable after new; the rest belongs to the thread that runs @L.
 */

#include <lua.h>

#include "common/base.h"

struct sl_names;

/* Learns from @L. NULL when memory ran out. Raises nothing. [-0, +0, -] */
struct sl_names *sl_names_new(lua_State *L) sl_must_check;

/* No state that it is attached to may be used any more. */
void sl_names_free(struct sl_names *names);

/* Says that @L is furnished as @names knows. [-0, +0, m] */
void sl_names_attach(lua_State *L, const struct sl_names *names);

/* What is attached; NULL for nothing. [-0, +0, -] */
const struct sl_names *sl_names_of(lua_State *L);

/* The standard name of the C function at @index; NULL where it has none. [-0, +0, -] */
const char *sl_names_function(const struct sl_names *names, lua_State *L, int index);

/* Whether "string", "_G", … is the name of a standard module. */
bool sl_names_is_module(const struct sl_names *names, const char *name);

/* Pushes the name of the value at @index if it is found in package.loaded, as a module or as
 * something in one; slow. [-0, +(0|1), m] */
bool sl_names_search(lua_State *L, int index);

/* Pushes what is called @name here, loading its module if need be; pushes why not and returns
 * false otherwise. May run a module's code. [-0, +1, e] */
bool sl_names_push(lua_State *L, const char *name);
