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

struct sl_sent_modules {
	/* The table, as struct sl_task has it, of the task that @L runs; NULL or nil for none.
	 * It must stay until the state is closed. */
	const struct sl_value *(*of)(lua_State *L);
};

/* Has the searchers in the table package on the top, which is new, ask @sent before they look
 * for files; @sent is borrowed for ever. [-0, +0, m] */
void sl_sent_modules_open(lua_State *L, const struct sl_sent_modules *sent);
