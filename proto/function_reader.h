/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Function reader: a Lua function as msgpack, to one in a parcel: source text,
 * where it was written, its variables, the script's globals that it names.
 *
 * Threads: the parcel's owner.
 */

#include "proto/value_walk.h"

/* For sl_value_walk_document(); @out is a struct sl_value. The first reads the array that is an
 * extension's payload, the second the map that a task has. */
int sl_function_reader_read(
	struct sl_value_walk *walk, const msgpack_object *object, void *out) sl_must_check;
int sl_function_reader_read_chunk(
	struct sl_value_walk *walk, const msgpack_object *object, void *out) sl_must_check;
