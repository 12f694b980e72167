/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Modules: what a task finds in its state: standard Lua, our own modules, and
 * our own versions of what would reach outside the goroutine.
 *
 * Threads: the one that runs the state.
 */

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

/* Furnishes a new state. [-0, +0, m] */
void sl_modules_open(lua_State *L);

/* Pushes the @i-th of our modules, as a task has it, and returns its name; pushes nothing and
 * returns NULL behind the last. In any state: its functions may want a goroutine around them.
 * [-0, +(1|0), m] */
const char *sl_modules_push(lua_State *L, size_t i);

/* Each pushes a module of ours, or a standard one as a task has it. A lua_CFunction for
 * luaL_requiref(). */
int sl_open_base(lua_State *L);
int sl_open_coroutine(lua_State *L);
int sl_open_debug(lua_State *L);
int sl_open_exec(lua_State *L);
int sl_open_fs(lua_State *L);
int sl_open_goroutine(lua_State *L);
int sl_open_http(lua_State *L);
int sl_open_io(lua_State *L);
int sl_open_json(lua_State *L);
int sl_open_log(lua_State *L);
int sl_open_math(lua_State *L);
int sl_open_os(lua_State *L);
int sl_open_package(lua_State *L);
int sl_open_string(lua_State *L);

/* Each pushes what a late one has from the beginning. */
int sl_open_goroutine_first(lua_State *L);
int sl_open_package_first(lua_State *L);
int sl_open_string_first(lua_State *L);

/* What the answers of http refer to, wherever they go: see lua/state/unlisted. */
extern const luaL_Reg sl_http_unlisted[];

/* os.execute([command]) */
int sl_exec_os_execute(lua_State *L);

/* Pushes what standard Lua says of the end of a command; returns 3. [-0, +3, m] */
struct sl_process_end;
int sl_exec_push_end(lua_State *L, struct sl_process_end end);

/* Calls the function below its @n_args arguments on the top in a coroutine of its own, on this
 * thread; raises what it raises, and if the goroutine has to stop. Returns 0. [-n_args-1, +0,
 * e]
 */
int sl_coroutine_call(lua_State *L, int n_args);
