/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cut: the source text of a Lua function, out of the text that it was compiled
 * from, as a function expression that can be compiled somewhere else.
 *
 * A text is found by its lines and then proven: compiled again, with the captured
 * variables as locals in front, it gives the same function. What can't be proven
 * is refused: a wrong text is never given out.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/parcel.h"

struct sl_cutter;
struct sl_error;
struct sl_source;

/* Knows no text yet. NULL when memory ran out. */
struct sl_cutter *sl_cutter_new(void) sl_must_check;

/* NULL is fine. */
void sl_cutter_free(struct sl_cutter *cutter);
SL_DEFINE_CLEANUP(struct sl_cutter *, sl_cutter_free);

/* Says what the text of @file was when it was loaded. Takes @source, on failure too. Other
 * files are read when a function of theirs is cut. Returns 0 or SL_ENOMEM. */
int sl_cutter_add(struct sl_cutter *cutter, const char *file, struct sl_source *source,
	struct sl_error *err) sl_must_check;

/* Fills text, file and line of @out for the Lua function at @index: what struct sl_transfer
 * calls cut, with the cutter as its context. Raises nothing. [-0, +0, -] Blocks when a file has
 * to be read. Returns 0, SL_ENOMEM, or SL_EINVALID with FILE:LINE and why it can't be cut. */
int sl_cutter_cut(void *cutter, lua_State *L, int index, struct sl_parcel *parcel,
	struct sl_function *out, struct sl_error *err) sl_must_check;
