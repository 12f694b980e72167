/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Module files: what require() finds on package.path. A file is read and compiled
 * once, until it changes; each state runs it for itself.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

/* Replaces the searcher for Lua files in the table package on the top, which is new.
 * [-0, +0, m] */
void sl_module_files_open(lua_State *L);
