/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compiled: what modules came to when this process compiled them, so that the
 * next state that requires one need not read and compile it again. What a module
 * does when it is run, it does in each state.
 *
 * Threads: any.
 */

#include <lua.h>

#include "common/base.h"

struct sl_compiled;

/* A module's text: of the same id it is the same. */
struct sl_compiled_id {
	const char *file; /* where it comes from, as tracebacks name it */
	uint64_t device, number, size;
	int64_t written_ns, changed_ns;
};

/* Keeps at most @max_bytes. NULL when memory ran out. */
struct sl_compiled *sl_compiled_new(size_t max_bytes) sl_must_check;
void sl_compiled_free(struct sl_compiled *compiled);

/* Makes @compiled that of the state; borrowed for ever. [-0, +0, m] */
void sl_compiled_attach(lua_State *L, struct sl_compiled *compiled);

/* NULL: it has none. [-0, +0, -] */
struct sl_compiled *sl_compiled_of(lua_State *L);

bool sl_compiled_same(const struct sl_compiled_id *a, const struct sl_compiled_id *b);

/* Pushes the function that the text of @id is; or returns false. NULL has none.
 * [-0, +(0|1), m] */
bool sl_compiled_load(
	struct sl_compiled *compiled, lua_State *L, const struct sl_compiled_id *id);

/* Keeps the function on the top, which the text of @id was compiled to, in place of what there
 * was from the same file, and of what was not used for longest. NULL keeps nothing. [-0, +0, -]
 */
void sl_compiled_keep(
	struct sl_compiled *compiled, lua_State *L, const struct sl_compiled_id *id);
