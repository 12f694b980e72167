/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Log fields: the table that a log call ends with, as plain data: nil, booleans,
 * numbers, strings and tables of them. What is none of these goes as the text
 * that tostring() makes of it, and so does a table with a __tostring; a table
 * inside itself, one too deep, and what goes beyond the size are replaced by a
 * text in angle brackets that says so.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/buffer.h"

/* Whether the last argument of a call with @n of them is fields, and not text. [-0, +0, m] */
bool sl_log_fields_are(lua_State *L, int n);

/* Pushes a plain copy of the table at @index; nil for an empty one. Runs the script's
 * __tostring. [-0, +1, e] */
void sl_log_fields_push(lua_State *L, int index);

/* Joins the first @n arguments with tabs and pushes the text. [-0, +1, e] */
struct sl_bytes sl_log_fields_push_text(lua_State *L, int n);
