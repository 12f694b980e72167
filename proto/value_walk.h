/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Value walk: one value being read, over all the msgpack documents that it
 * consists of: where it goes, what has begun in it, how deep it is. Each document
 * is scanned before libmsgpack unpacks it.
 *
 * Threads: the parcel's owner.
 */

#include <msgpack.h>

#include "common/parcel.h"

struct sl_error;

struct sl_value_walk {
	struct sl_parcel *parcel;
	struct sl_value *begun; /* tables and functions, in the order in which they began */
	size_t n_begun, capacity;
	size_t n_values; /* in all documents so far */
	unsigned depth;  /* tables and functions around */
	struct sl_error *err;
};

void sl_value_walk_deinit(struct sl_value_walk *walk);

/* Enters one level deeper, into the table or function @value, and numbers it for references. */
int sl_value_walk_begin(struct sl_value_walk *walk, struct sl_value value) sl_must_check;

/* Unpacks the document that takes up all of @bytes and hands it to @read with @out. */
int sl_value_walk_document(struct sl_value_walk *walk, struct sl_bytes bytes,
	int (*read)(struct sl_value_walk *walk, const msgpack_object *object, void *out),
	void *out) sl_must_check;

/* The same for the payload of extension @object. */
int sl_value_walk_payload(struct sl_value_walk *walk, const msgpack_object *object,
	int (*read)(struct sl_value_walk *walk, const msgpack_object *object, void *out),
	void *out) sl_must_check;

/* What a str or bin has, borrowed. False for anything else. */
bool sl_value_walk_bytes(const msgpack_object *object, struct sl_bytes *out) sl_must_check;

/* The same, copied into the parcel. */
int sl_value_walk_string(struct sl_value_walk *walk, const msgpack_object *object,
	struct sl_bytes *out) sl_must_check;

/* A number from 0 to @below - 1. */
bool sl_value_walk_index(const msgpack_object *object, size_t below, size_t *out) sl_must_check;

/* Two ways for it to end. */
int sl_value_walk_malformed(struct sl_value_walk *walk, const char *what);
int sl_value_walk_no_memory(struct sl_value_walk *walk);
