/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Scan: our own look at msgpack bytes before libmsgpack sees them. It believes
 * nothing: a count must fit in the bytes that remain, nesting has a limit, and
 * so has the memory that the values would take up. One pass, no recursion, no
 * allocation.
 *
 * Threads: any.
 */

#include "common/buffer.h"

struct sl_error;

enum sl_scan_type {
	SL_SCAN_NONE, /* the byte that msgpack never uses */
	SL_SCAN_NIL,
	SL_SCAN_BOOLEAN,
	SL_SCAN_INTEGER,
	SL_SCAN_FLOAT,
	SL_SCAN_STRING, /* str or bin */
	SL_SCAN_ARRAY,
	SL_SCAN_MAP,
	SL_SCAN_EXTENSION,
};

/* What the first bytes of a msgpack value say about it. */
struct sl_scan_head {
	enum sl_scan_type type;
	uint32_t head_bytes; /* type, size or count, extension's type; numbers whole */
	uint32_t body_bytes; /* what follows as bytes: never more than there are */
	uint64_t n_items;    /* what follows as values: a map has two for each pair */
};

/* Reads the head of the value at the beginning of @bytes. False, *out being of no use, when it
 * is cut off, or no msgpack, or announces more than there are bytes. */
bool sl_scan_head(struct sl_bytes bytes, struct sl_scan_head *out);

/* Scans the value at *at and moves *at behind it. *out_n_values (NULL is fine) is how many
 * values there are in it, itself included. Returns 0, SL_EPROTOCOL or SL_ETOO_LARGE. */
int sl_scan_value(struct sl_bytes bytes, size_t *at, size_t *out_n_values,
	struct sl_error *err) sl_must_check;

/* The same for bytes that must be one value and nothing else. */
int sl_scan_document(
	struct sl_bytes bytes, size_t *out_n_values, struct sl_error *err) sl_must_check;
