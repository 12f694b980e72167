/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Late: a table of functions that is filled when somebody looks into it. Most
 * goroutines touch few modules, and each state has tables of its own for all.
 *
 * To scripts it looks as if it had been full from the beginning: what doesn't
 * ask metatables (next, rawget, …) fills it before, see mod_base.c.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/base.h"

/* Makes the table on the top late: @open pushes a table with what it lacks and shall have.
 * What it has by then stays. [-0, +0, m] */
void sl_late_make(lua_State *L, lua_CFunction open);

/* Fills the value at @index if it is a late table that isn't full yet. [-0, +0, e] */
void sl_late_fill(lua_State *L, int index);

/* Fills all of them. [-0, +0, e] */
void sl_late_fill_all(lua_State *L);
