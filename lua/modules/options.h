/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Options: the table of named options that a function in C takes as an argument.
 * What is wrong with it raises "bad argument #n to 'f' (name: ...)".
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/buffer.h"

/* Raises unless argument @arg is nothing, nil, or a table with no other keys than @names, which
 * ends in NULL. [-0, +0, v] */
void sl_options_check(lua_State *L, int arg, const char *const *names);

/* Pushes the option; false, and nothing pushed, if it is not there. [-0, +(0|1), m] */
bool sl_options_push(lua_State *L, int arg, const char *name);

/* Raises: the option on the top is not what is wanted. [-0, +0, v] */
int sl_options_bad(lua_State *L, int arg, const char *name, const char *wanted);

bool sl_options_flag(lua_State *L, int arg, const char *name, bool otherwise);

/* A string in the table, which keeps it alive; no data where it is not there. [-0, +0, v] */
struct sl_bytes sl_options_bytes(lua_State *L, int arg, const char *name);

/* The same without zeros in it; NULL where it is not there. [-0, +0, v] */
const char *sl_options_text(lua_State *L, int arg, const char *name);

/* Seconds, or text such as "30s"; at least 1. [-0, +0, v] */
int64_t sl_options_time_ms(lua_State *L, int arg, const char *name, int64_t otherwise);
