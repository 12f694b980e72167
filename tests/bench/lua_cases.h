/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lua cases: what is measured inside a task. Each is a function that gets a
 * factor for how much to do and returns one number.
 */

struct lua_case {
	const char *name;
	const char *text; /* function(scale) … return number end */
};

/* Ends with a row without a name. */
extern const struct lua_case all_lua_cases[];
