/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Imprint: what a table's memory was at some moment, to see later, without
 * looking at each key, whether it has changed since, and where.
 *
 * Lua has no such thing, so we look into the table itself, after having seen
 * once in each process that tables and strings are laid out as we believe. The
 * same bytes mean the same keys and values as long as somebody holds what they
 * were: an address is nobody else's then.
 *
 * Threads: any; a state belongs to the thread that runs it.
 */

#include <lua.h>

#include "common/base.h"

struct sl_imprint;

/* Bytes that an imprint of the table at @index takes; 0: it can't be had, because the table is
 * very large or Lua another one than we know. [-0, +0, -] */
size_t sl_imprint_size(lua_State *L, int index);

/* Makes *imprint, which has that size, one of the table at @index. [-0, +0, -] */
void sl_imprint_take(struct sl_imprint *imprint, lua_State *L, int index);

/* Whether the table at @index still fits into its imprint, which may then be taken anew.
 * [-0, +0, -] */
bool sl_imprint_fits(const struct sl_imprint *imprint, lua_State *L, int index);

/* Whether the table at @index is what it was. [-0, +0, -] */
bool sl_imprint_is_same(const struct sl_imprint *imprint, lua_State *L, int index);

/* Calls fn(ctx, L) for each key that may have been set, changed or removed since, with the key
 * on the top, and some that have not; fn leaves the key, and the table as it is. False: there
 * are changes that can't be told one by one, which fn may have been called for. What the
 * imprint has was all held since. [-0, +0, e] */
bool sl_imprint_each_change(const struct sl_imprint *imprint, lua_State *L, int index,
	void (*fn)(void *ctx, lua_State *L), void *ctx);
