/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Values file: what -v brings along, YAML as a Lua value. Lists and maps are
 * kept as such, plain scalars by YAML's core rules: null, true, 42, 0x2a, 0o52,
 * 4.2, .inf; quoted ones are strings. An alias is the same table again.
 *
 * Threads: one.
 */

#include "common/base.h"
#include "common/parcel.h"

struct sl_error;

/* Reads @path into @parcel; *out is a table, or nil for an empty file. What Lua has no place
 * for (null in a list, a key twice) is SL_EINVALID with FILE:LINE. */
int sl_values_file_read(const char *path, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err) sl_must_check;
