/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Light call: a function that captured nothing but plain values, called with
 * plain values: nil, booleans, numbers, strings, handles, standard things. Most
 * of what goroutines are begun with is that light, and needs no walk through
 * what is reachable: code that is known goes as it is, the values beside it.
 *
 * Threads: the one that runs L.
 */

#include <lua.h>

#include "common/base.h"

struct sl_error;
struct sl_start;

/* Packs the function at @first and the arguments behind it, up to the top, into body, parcel
 * and values of @start. False, and nothing has happened, if the call is not light or memory ran
 * out. To be called by the function that a script called. [-0, +0, e] */
bool sl_light_call_pack(lua_State *L, int first, struct sl_start *start) sl_must_check;

/* Pushes the function of @start and its arguments; on failure nothing. @ready: a state of L's
 * with the function on its top, fresh from sl_body_push(), which is taken; NULL: it is made. */
int sl_light_call_push(lua_State *L, lua_State *ready, const struct sl_start *start,
	struct sl_error *err) sl_must_check;
