/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * io.popen(): files like any other of io's, whose methods wait without a thread;
 * and named pipes, which are such files, too.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/base.h"

/* io.popen(command[, mode]) */
int sl_popen(lua_State *L);

/* Whether @index is the name of a named pipe. */
bool sl_popen_is_pipe(lua_State *L, int index);

/* Opens one as io.open() does; @mode is one of io.open()'s. [-0, +(1|3), m] */
int sl_popen_named(lua_State *L, const char *path, const char *mode);

/* Whether an open file of popen()'s is at @index. */
bool sl_popen_is(lua_State *L, int index);

/* For the methods of files: what they do if the first argument is a file of popen()'s, else as
 * @standard. A function in C returns what they return. */
int sl_popen_read(lua_State *L, lua_CFunction standard);
int sl_popen_lines(lua_State *L, lua_CFunction standard, lua_CFunction read);
int sl_popen_write(lua_State *L, lua_CFunction standard);
int sl_popen_close(lua_State *L, lua_CFunction standard);
