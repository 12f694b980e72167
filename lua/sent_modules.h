/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sent modules: what came with a task from beside its workflow file is what
 * require() finds first.
 *
 * Threads: the one that runs the state. The table is only read, so that the
 * states of a task may share it.
 */

#include <lua.h>

#include "common/parcel.h"

/* Makes require() look in @modules, a table as struct sl_task has it or nil, before it looks
 * for files. The table must outlive the state. [-0, +0, m] */
void sl_sent_modules_open(lua_State *L, const struct sl_value *modules);
