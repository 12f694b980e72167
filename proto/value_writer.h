/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Value writer: one Lua value, with everything that hangs on it, as msgpack.
 * Numbers tables and functions by their marks, and clears those again.
 *
 * Threads: the parcel's owner.
 */

#include "common/parcel.h"
#include "proto/pack.h"

struct sl_error;

struct sl_value_writer {
	struct sl_pack *pack;
	const char *what; /* how the way to a value begins in a sentence */
	/* Handles and binary functions become strings that say what they were, and what is
	 * nested too deep does, instead of being refused. */
	bool lenient;
};

/* Writes @value. Returns 0, or SL_EINVALID with the way to what can't be written. */
int sl_value_writer_write(const struct sl_value_writer *writer, const struct sl_value *value,
	struct sl_error *err) sl_must_check;

/* Writes @function, which is text, as the map {text, file, line, upvalues, globals}. */
int sl_value_writer_write_chunk(const struct sl_value_writer *writer,
	struct sl_function *function, struct sl_error *err) sl_must_check;
