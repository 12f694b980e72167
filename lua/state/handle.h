/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Handle: an object that goroutines share (a wait group, a channel, …), as a
 * userdata in each state that knows it. Each userdata holds one reference.
 *
 * A state may be dropped without its finalizers being run. So the userdata of a
 * state hang on a list whose head lives outside, and whoever drops the state
 * gives their references back with sl_handle_list_drop() first.
 *
 * Threads: the one that runs the state.
 */

#include <lauxlib.h>
#include <lua.h>

#include "common/parcel.h"

/* The userdata of one state; zeroed is empty. */
struct sl_handle_list {
	struct handle_box *first;
};

/* Makes @list the one of this state; without it only finalizers give references back. @list
 * must outlive the state. [-0, +0, m] */
void sl_handle_list_attach(lua_State *L, struct sl_handle_list *list);

/* Gives all references back; the state's userdata are dead and must not be used any more. */
void sl_handle_list_drop(struct sl_handle_list *list);

/* Calls fn(ctx, handle) for each userdata whose object this state never used, see
 * sl_handle_check(). */
void sl_handle_list_each_idle(struct sl_handle_list *list,
	void (*fn)(void *ctx, struct sl_handle *handle), void *ctx);

/* Makes the metatable of a kind, with @methods, which may be NULL. [-0, +0, m] */
void sl_handle_define(lua_State *L, const char *kind, const luaL_Reg *methods);

/* Pushes a userdata for @handle, with a reference of its own. A kind that isn't defined yet is
 * one of the primitives', or has no methods. [-0, +1, m] */
void sl_handle_push(lua_State *L, struct sl_handle *handle);

/* Pushes a userdata for @handle, which is new, and takes the caller's reference even if it
 * raises. Returns 1, for a function in C that makes one. [-0, +1, m] */
int sl_handle_push_new(lua_State *L, struct sl_handle *handle);

/* The handle at @index, borrowed as long as the userdata lives; NULL if it is something else.
 * [-0, +0, -] */
struct sl_handle *sl_handle_at(lua_State *L, int index);

/* The handle of this kind at argument @arg, which counts as used from now on; raises if it is
 * something else. [-0, +0, v] */
struct sl_handle *sl_handle_check(lua_State *L, int arg, const char *kind);
