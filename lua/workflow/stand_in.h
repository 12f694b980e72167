/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stand-ins: the modules of a task, at the top level of a workflow file. There
 * they can be required and captured, and go by name to where the task runs;
 * called before that they raise an error that says so, and so does os.exit(). log,
 * print and io.write do work: they write to stderr, as stdout is for results.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

/* Puts the modules into package.loaded and the globals of @L. After sl_transfer_learn_names():
 * what stands in is found by what it is, not by its function in C. [-0, +0, e] */
void sl_stand_in_open(lua_State *L);

/* print(…), to stderr. */
int sl_stand_in_print(lua_State *L);
