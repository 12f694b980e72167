/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Late: a table of functions whose entries are made when somebody looks for them.
 * Most goroutines touch few modules, and each state has tables of its own for
 * all. With a catalog a look for one entry makes that one; any other look makes
 * all of them, and the table is like any other from then on.
 *
 * To scripts it looks as if it had been full from the beginning: what doesn't
 * ask metatables (next, rawget, …) fills it before, see mod_base.c.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/base.h"

struct sl_catalog;

/* Makes the table on the top late: @open pushes a table with what it lacks and shall have.
 * What it has by then stays. @whole: its entries are of no use before @open has been called.
 * The same tables in the same order in each state. [-0, +0, m] */
void sl_late_make(lua_State *L, lua_CFunction open, bool whole);

/* How many there are. [-0, +0, -] */
size_t sl_late_count(lua_State *L);

/* Pushes the @i-th of them, from 0; returns false for one that is late as a whole. [-0, +1, -]
 */
bool sl_late_push(lua_State *L, size_t i);

/* Has the late tables of @L look into @catalog, which was learned from a state like it and is
 * borrowed for ever. When all of them have been made. [-0, +0, m] */
void sl_late_attach(lua_State *L, const struct sl_catalog *catalog);

/* Fills the value at @index if it is a late table that isn't full yet. [-0, +0, e] */
void sl_late_fill(lua_State *L, int index);
