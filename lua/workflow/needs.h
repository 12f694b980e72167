/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Needs: the modules that lie beside a workflow file and that a task's code
 * requires by name, require("that.one"), with those that they require in turn.
 * They go along as texts; everything else is the agent's own to have.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/parcel.h"

struct sl_error;
struct sl_needs;

/* Nothing is needed yet. Modules are looked for in the folder of @path. Those that are standard
 * in @L, which is borrowed, are not. NULL when memory ran out. */
struct sl_needs *sl_needs_new(lua_State *L, const char *path) sl_must_check;

/* NULL is fine. */
void sl_needs_free(struct sl_needs *needs);
SL_DEFINE_CLEANUP(struct sl_needs *, sl_needs_free);

/* Adds what @text, a piece of Lua, requires. Blocks while files are read. SL_EINVALID with
 * FILE:LINE for a module that doesn't compile. */
int sl_needs_scan(
	struct sl_needs *needs, struct sl_bytes text, struct sl_error *err) sl_must_check;

/* Makes a table of them: name → { file =, text = }; nil where there are none. */
int sl_needs_give(const struct sl_needs *needs, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err) sl_must_check;
