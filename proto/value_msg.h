/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Value message: Lua values as msgpack, with four extension types for what
 * msgpack has no word for. PROTOCOL.md, "Values", has each byte.
 *
 * Threads: the parcel's owner.
 */

#include "common/buffer.h"
#include "common/parcel.h"

struct sl_error;

/* Appends @value to @out. A handle, a binary function or nesting over SL_MAX_VALUE_DEPTH is
 * SL_EINVALID, naming the way to it from @what ("outputs.conf.ch"). On failure @out has what
 * it had. Uses (and clears) the marks of the graph. */
int sl_value_encode(const struct sl_value *value, const char *what, struct sl_buffer *out,
	struct sl_error *err) sl_must_check;

/* Reads one value that takes up all of @bytes into @parcel. Any bytes are safe: they are
 * scanned first. Returns 0, SL_EPROTOCOL, SL_ETOO_LARGE or SL_ENOMEM. */
int sl_value_decode(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err) sl_must_check;
