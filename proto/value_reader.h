/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Value reader: msgpack to a Lua value in a parcel. Each document in it, the
 * payloads of extensions included, is scanned before libmsgpack unpacks it.
 *
 * Threads: the parcel's owner.
 */

#include "common/parcel.h"

struct sl_error;

/* Reads the value that takes up all of @bytes. Returns 0, SL_EPROTOCOL, SL_ETOO_LARGE or
 * SL_ENOMEM. */
int sl_value_reader_read(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err) sl_must_check;

/* Reads a map {text, file, line, upvalues, globals} as a function: all but text may be missing,
 * other keys are ignored. */
int sl_value_reader_read_chunk(struct sl_bytes bytes, struct sl_parcel *parcel,
	struct sl_value *out, struct sl_error *err) sl_must_check;
