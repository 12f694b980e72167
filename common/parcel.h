/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Parcel: Lua values outside any Lua state, as a graph in memory of its own.
 *
 * What goes from one state to another, to a worker or over the wire is first
 * laid out here: the wire, JSON and each Lua state then only know how to read
 * and write this one form. A table or function that is reachable twice is one
 * node with two pointers to it, so cycles and sharing need no notation.
 *
 * Threads: one at a time; a parcel is handed over whole.
 */

#include "common/base.h"
#include "common/buffer.h"

struct sl_cell;
struct sl_function;
struct sl_handle;
struct sl_parcel;
struct sl_table;

enum sl_value_kind {
	SL_VALUE_NIL = 0, /* a zeroed value is nil */
	SL_VALUE_BOOLEAN,
	SL_VALUE_INTEGER,
	SL_VALUE_FLOAT,
	SL_VALUE_STRING, /* any bytes */
	SL_VALUE_TABLE,
	SL_VALUE_FUNCTION, /* a Lua function */
	SL_VALUE_NAMED,    /* a standard function or module, by name: "string.format", "_G" */
	SL_VALUE_HANDLE,   /* a channel, wait group, …: inside one process only */
};

struct sl_value {
	enum sl_value_kind kind;
	union {
		bool boolean;
		int64_t integer;
		double number;
		struct sl_bytes string; /* SL_VALUE_STRING, SL_VALUE_NAMED; in the parcel */
		struct sl_table *table;
		struct sl_function *function;
		struct sl_handle *handle; /* the parcel holds a reference */
	};
};

struct sl_pair {
	struct sl_value key;   /* never nil or NaN */
	struct sl_value value; /* never nil */
};

struct sl_table {
	struct sl_value *array; /* t[1] … t[n_array]; none of them nil */
	size_t n_array;
	struct sl_pair *pairs; /* the rest, in no order */
	size_t n_pairs;
	struct sl_table *meta; /* metatable; NULL for none */
	uint32_t mark;  /* scratch of the walker that holds the parcel; 0 between walks */
	uint64_t share; /* number of a table that goroutines share, inside one task; or 0 */
};

/* A captured variable. Two closures over one local point to one cell. */
struct sl_cell {
	struct sl_value value;
	uint32_t mark_function, mark_index; /* scratch, as above: who brought it first */
	uint64_t share;                     /* as in a table */
};

struct sl_upvalue {
	struct sl_bytes name;
	struct sl_cell *cell;
};

struct sl_function {
	/* Either a function expression in Lua source ("function(a) … end"), its free names
	 * being the upvalues and the globals; or, inside one process, a binary chunk. */
	struct sl_bytes text;
	bool binary;
	struct sl_bytes file;        /* where it was written: what a traceback names */
	int64_t line;                /* the line in it on which the text begins, from 1 */
	struct sl_upvalue *upvalues; /* binary: in the chunk's order */
	size_t n_upvalues;
	struct sl_pair *globals; /* the script's own globals that it names; keys are strings */
	size_t n_globals;
	uint64_t *global_shares; /* as in a table, for each of them; NULL: none */
	uint32_t mark;           /* scratch, as above */
};

/* What a handle value points to; the owner of a kind embeds it at its beginning. */
struct sl_handle {
	_Atomic uint32_t refs;
	const char *kind; /* "wait group": for messages */
	void (*free)(struct sl_handle *handle);
	struct sl_handle *next_doomed; /* sl_handle_unref()'s own */
};

struct sl_handle *sl_handle_ref(struct sl_handle *handle);

/* What a freed handle held in its turn is freed before the outermost call returns, not inside
 * of its free(): chains of any length need no stack. NULL is fine. */
void sl_handle_unref(struct sl_handle *handle);

/* An empty parcel that grows up to @max_bytes. NULL when memory ran out. */
struct sl_parcel *sl_parcel_new(size_t max_bytes) sl_must_check;

/* Frees everything in it at once and drops its handles. NULL is fine. */
void sl_parcel_free(struct sl_parcel *parcel);
SL_DEFINE_CLEANUP(struct sl_parcel *, sl_parcel_free);

/* Zeroed memory that lives as long as the parcel, aligned for anything. NULL when memory
 * or the parcel's limit ran out. */
void *sl_parcel_alloc(struct sl_parcel *parcel, size_t size) sl_must_check;

/* @n zeroed things of @size bytes; the product is checked. n = 0 gives a valid pointer. */
void *sl_parcel_array(struct sl_parcel *parcel, size_t n, size_t size) sl_must_check;

/* Copies @bytes into the parcel, with a terminating NUL behind them. False (and *out left
 * alone) when memory or the limit ran out. */
bool sl_parcel_copy(
	struct sl_parcel *parcel, struct sl_bytes bytes, struct sl_bytes *out) sl_must_check;

/* Takes a reference to @handle that the parcel gives back when it is freed. False when memory
 * or the limit ran out. */
bool sl_parcel_hold(struct sl_parcel *parcel, struct sl_handle *handle) sl_must_check;

/* Bytes handed out so far. */
size_t sl_parcel_size(const struct sl_parcel *parcel);

/* How far it may grow, in bytes. */
size_t sl_parcel_max_size(const struct sl_parcel *parcel);

/* The value under a string key, NULL where there is none. */
const struct sl_value *sl_table_get(const struct sl_table *table, const char *key);
