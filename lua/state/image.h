/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Image: a furnished Lua state, frozen, of which ready ones are made by copying
 * its bytes and moving its pointers. That takes about a microsecond, where
 * opening the libraries takes twenty.
 *
 * It works because a state in an arena that hasn't outgrown its region is one
 * aligned stretch of bytes: each word whose value lies in the region is a pointer
 * to be moved by the same distance, and nothing else can lie there, since the
 * region's address has no meaning to the state. What would not survive is a table
 * with a key that Lua hashes by its address in the region (a table, a closure, a
 * userdata): such a state is not frozen, and states are furnished one by one.
 *
 * Threads: immutable once made.
 */

#include <lua.h>

#include "common/base.h"

struct sl_arena;
struct sl_image;

/* Whether @L, or rather a state that was made in the same way, can be frozen: it is full of
 * garbage afterwards. */
bool sl_image_suits(lua_State *L) sl_must_check;

/* Freezes the state @L, which has @co on its stack and nothing else, is idle, and lives in
 * @arena; sl_image_suits() said yes to its like. The state can be used or dropped afterwards.
 * NULL when it has outgrown its region, or memory ran out. */
struct sl_image *sl_image_new(
	lua_State *L, lua_State *co, const struct sl_arena *arena) sl_must_check;

/* NULL is fine. What was made of it lives on. */
void sl_image_free(struct sl_image *image);

/* Makes a state like the frozen one, in an arena of its own, which is returned. NULL when
 * memory or the account of the frozen one's arena ran out. */
struct sl_arena *sl_image_thaw(
	const struct sl_image *image, lua_State **out_L, lua_State **out_co) sl_must_check;
