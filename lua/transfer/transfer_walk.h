/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Walk: the way out of a state, what transfer_*.c share. A walk in breadth,
 * without recursion: what is reachable becomes a node of the parcel when it is
 * first met, and is filled when its turn comes. Each node remembers how it was
 * reached, so that a value that can't go is named by its way.
 *
 * It runs in protected mode, because Lua may run out of memory at nearly each
 * step; what it holds besides is in struct sl_walk and freed outside. Whatever
 * takes a walk may raise.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/parcel.h"
#include "lua/transfer/transfer.h"

enum sl_step_kind {
	SL_STEP_ROOT,    /* the i-th of the values that were asked for */
	SL_STEP_FIELD,   /* t[label] */
	SL_STEP_KEY,     /* label is a key of t */
	SL_STEP_META,    /* the metatable of t */
	SL_STEP_UPVALUE, /* label names a captured variable */
	SL_STEP_GLOBAL,  /* label names a global that a function uses */
};

struct sl_step {
	enum sl_step_kind kind;
	uint32_t from; /* node; SL_STEP_ROOT: which value */
	struct sl_value label;
};

/* A table or function that has been met. */
struct sl_node {
	struct sl_value value; /* table or function of the parcel */
	struct sl_step step;
};

/* Lua's identity of something → what it became here. */
struct sl_memo {
	const void *key; /* NULL: free */
	union {
		uint32_t node;
		struct sl_cell *cell;
	};
};

struct sl_walk {
	lua_State *L;
	const struct sl_transfer *how;
	const struct sl_names *names;
	struct sl_parcel *parcel;
	const char *what;
	bool numbered; /* the roots are "what #1", "what #2", … */
	size_t n_roots;
	struct sl_value *out;
	struct sl_error error; /* why it stopped, when code is set */

	struct sl_node *nodes;
	uint32_t n_nodes, max_nodes;
	struct sl_memo *memo; /* open addressing */
	size_t n_memo, max_memo;
	struct sl_pair *pairs; /* scratch of the table being filled */
	size_t max_pairs;
	struct sl_buffer chunk; /* scratch: the dump of a function */

	/* The standard modules' tables, and the script's own globals; looked up at first need.
	 */
	const void *modules[32];
	const char *module_names[32];
	int n_modules; /* -1: not yet */
};

/* Stack slots in protected mode. */
enum {
	SL_WALK_SLOT_WALK = 1,
	SL_WALK_SLOT_VALUES, /* table: node's number → its Lua value */
	SL_WALK_SLOT_ROOTS,  /* the first value */
};

static inline struct sl_value sl_walk_string(struct sl_bytes bytes)
{
	return (struct sl_value){.kind = SL_VALUE_STRING, .string = bytes};
}

/* ---- memory; [-0, +0, e] ---- */

_Noreturn void sl_walk_out_of_memory(struct sl_walk *walk);

/* The parcel is full, or memory is. */
_Noreturn void sl_walk_no_room(struct sl_walk *walk);

/* @n zeroed things of @size bytes, in the parcel. */
void *sl_walk_reserve(struct sl_walk *walk, size_t n, size_t size);
struct sl_bytes sl_walk_copy(struct sl_walk *walk, struct sl_bytes bytes);

/* ---- values; [-0, +0, e] ---- */

/* Raises the error of a value that is reached by @step. */
_Noreturn void sl_walk_cannot_send(
	struct sl_walk *walk, const struct sl_step *step, const char *why);

/* The memo of @key; a fresh one has no key yet, and the caller gives it one. */
struct sl_memo *sl_walk_memo(struct sl_walk *walk, const void *key);

/* The value at @index, which is not relative to the top. */
struct sl_value sl_walk_take(struct sl_walk *walk, int index, const struct sl_step *step);

/* Fills node @self, whose Lua value is at @index, the top. */
void sl_walk_fill_table(struct sl_walk *walk, uint32_t self, int index);
void sl_walk_fill_function(struct sl_walk *walk, uint32_t self, int index);
