/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Value reader: msgpack to a Lua value in a parcel.
 *
 * Threads: the parcel's owner.
 */

#include "common/parcel.h"
#include "proto/value_walk.h"

struct sl_error;

/* Reads the value that takes up all of @bytes. Returns 0, SL_EPROTOCOL, SL_ETOO_LARGE or
 * SL_ENOMEM. */
int sl_value_reader_read(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err) sl_must_check;

/* Reads a map {text, file, line, upvalues, globals} as a function: all but text may be missing,
 * other keys are ignored. */
int sl_value_reader_read_chunk(struct sl_bytes bytes, struct sl_parcel *parcel,
	struct sl_value *out, struct sl_error *err) sl_must_check;

/* One object of a document that is being read. *out is zeroed before, and whole only after 0.
 */
int sl_value_reader_read_object(struct sl_value_walk *walk, const msgpack_object *object,
	struct sl_value *out) sl_must_check;
