/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plain: values that lie in a struct sl_value as they are: nil, booleans,
 * numbers and strings. To take and to push them needs no walk.
 *
 * Threads: the one that runs L.
 */

#include <lua.h>

#include "common/base.h"

struct sl_parcel;
struct sl_value;

/* Takes the value at @index, a string's bytes into @parcel; NULL: no strings. False: it isn't
 * plain, or memory ran out. [-0, +0, -] */
bool sl_plain_take(
	lua_State *L, int index, struct sl_parcel *parcel, struct sl_value *out) sl_must_check;

/* Takes the @n values from @first on; false: not all of them are plain. */
bool sl_plain_take_many(lua_State *L, int first, size_t n, struct sl_parcel *parcel,
	struct sl_value *out) sl_must_check;

/* False, and nothing pushed, if it isn't plain. [-0, +(0|1), m] */
bool sl_plain_push(lua_State *L, const struct sl_value *value) sl_must_check;

/* Pushes all of the @n values, or none; there is room on the stack. [-0, +(0|n), m] */
bool sl_plain_push_many(lua_State *L, const struct sl_value *values, size_t n) sl_must_check;
