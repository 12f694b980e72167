/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Share: what goroutines captured in common, merged where they meet.
 *
 * Each goroutine has its own copy of a captured table or variable. The task has
 * a master copy of each, in a Lua state of its own that nobody else knows,
 * with a version for each key. To release is to compare one's copies with what
 * they were at the last meeting and to write the differences to the masters; to
 * acquire is to take from the masters what is newer than one has seen. Keys that
 * both sides changed stay as they are here: the later release wins.
 *
 * A goroutine that shares nothing has no share, and all this costs it nothing.
 *
 * Threads: a share belongs to its goroutine; a commons to all, with a lock.
 */

#include <lua.h>

#include "common/base.h"
#include "common/parcel.h"

struct sl_commons;
struct sl_goroutine;
struct sl_share;

/* NULL when memory ran out. Makes its Lua state at first need. */
struct sl_commons *sl_commons_new(void) sl_must_check;
void sl_commons_free(struct sl_commons *commons);

/* ---- capturing, on the way to a new goroutine, in protected mode ---- */

/* The share that a new goroutine will have: it sees what the one that runs @L has seen. Made
 * at the first capture; *share is NULL before. */

/* The table at @index. Publishes it; its number is for the parcel. [-0, +0, e] */
uint64_t sl_share_capture_table(lua_State *L, int index, struct sl_share **share);

/* The @i-th upvalue of the function at @index, if it is ever assigned to; 0 otherwise. */
uint64_t sl_share_capture_upvalue(lua_State *L, int index, int i, struct sl_share **share);

/* The global called @name. */
uint64_t sl_share_capture_global(lua_State *L, const char *name, struct sl_share **share);

/* Whether anybody may ever assign to the @i-th upvalue of the function at @index. To be called
 * on the way to a new goroutine: asks the code that begins it, which runs at @level. [-0, +0,
 * e]
 */
bool sl_share_may_be_assigned(lua_State *L, int level, int index, int i);

/* Gives back what was captured: for a goroutine that has ended, or never begins. */
void sl_share_free(struct sl_share *share);

/* ---- in the new goroutine, in protected mode ---- */

/* The table at @index is the copy of @number, and so on. [-0, +0, e] */
void sl_share_attach_table(lua_State *L, int index, uint64_t number);
void sl_share_attach_upvalue(lua_State *L, int index, int i, uint64_t number);
void sl_share_attach_global(lua_State *L, const char *name, uint64_t number);

/* ---- tables that come back ---- */

/* The number of the table at @index, 0 if it isn't shared. [-0, +0, -] */
uint64_t sl_share_number(lua_State *L, int index);

/* Pushes the copy of @number that this goroutine has, if it has one. [-0, +(0|1), -] */
bool sl_share_push(lua_State *L, uint64_t number);

/* ---- meeting ---- */

/* Publishes what this goroutine changed since it last did. Raises nothing. [-0, +0, -] */
void sl_share_release(lua_State *L);

/* Takes in what others published. Raises nothing. [-0, +0, -] */
void sl_share_acquire(lua_State *L);
