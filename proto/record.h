/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Record: a struct as a msgpack map with string keys, by a table that says which
 * member goes under which key. One table serves both directions.
 *
 * A member that is zero, empty or false is not written, and a key that is
 * missing or nil leaves its member as it is. Keys that are not in the table are
 * ignored.
 *
 * Threads: any.
 */

#include "common/buffer.h"
#include "common/error.h"
#include "proto/pack.h"

enum sl_record_type {
	SL_RECORD_UINT,    /* uint64_t */
	SL_RECORD_INT,     /* int64_t */
	SL_RECORD_NUMBER,  /* double */
	SL_RECORD_BOOLEAN, /* bool */
	SL_RECORD_STRING,  /* struct sl_bytes: msgpack str or bin; size is the most it may have
	                    */
	SL_RECORD_FIXED,   /* uint8_t[size]: msgpack bin; always written */
	SL_RECORD_STATE,   /* enum sl_state: its name; always written */
	SL_RECORD_RAW,     /* struct sl_bytes: a whole msgpack value */
};

struct sl_record_field {
	const char *key;
	enum sl_record_type type;
	size_t offset;
	size_t size;   /* STRING (0: any), FIXED */
	bool required; /* must be there when read */
};

struct sl_record {
	const char *what; /* begins the sentences: "submit", "a task" */
	const struct sl_record_field *fields;
	size_t n_fields;
};

/* How many pairs sl_record_write() would write: for the head of the map. */
size_t sl_record_count(const struct sl_record *record, const void *from);

/* Writes the keys and members of the struct at @from. */
void sl_record_write(const struct sl_record *record, const void *from, struct sl_pack *pack);

/* Fills the struct at @to from @document, which was scanned; strings are borrowed from it.
 * Returns 0, or @code with a sentence that names the key. */
int sl_record_read(const struct sl_record *record, struct sl_bytes document, enum sl_code code,
	void *to, struct sl_error *err) sl_must_check;
