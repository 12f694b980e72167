/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Chunk: what the code of a Lua function does with variables, read from its
 * dump: which globals it may name, and whether a captured variable is assigned
 * to, so that those that never are cost nothing.
 *
 * Threads: the owner's.
 */

#include "common/base.h"
#include "common/buffer.h"

struct sl_chunk;

/* Calls fn(ctx, text) for each short string that is a constant in a function's dump: the names
 * of the globals and fields that it uses are among them. The text is borrowed from the dump.
 * May end early, if fn does by an error of Lua. */
void sl_chunk_each_name(
	struct sl_bytes dump, void (*fn)(void *ctx, struct sl_bytes text), void *ctx);

/* Reads the dump of a function, made with its debug information. NULL when memory ran out or
 * the dump isn't one of Lua 5.4: then nothing is known. */
struct sl_chunk *sl_chunk_read(struct sl_bytes dump) sl_must_check;
void sl_chunk_free(struct sl_chunk *chunk);

/* Whether the function, or one inside it, reads the field @name of its @i-th upvalue, from 1,
 * in one instruction: if that is _ENV, the global of that name. */
bool sl_chunk_reads_field(const struct sl_chunk *chunk, int i, const char *name);

/* Whether the function, or one inside it, assigns to the function's @i-th upvalue, from 1. */
bool sl_chunk_assigns(const struct sl_chunk *chunk, int i);

/* Of a function in @outer that stands from line @first to line @last: whether code in @outer
 * may assign to the variable that its @i-th upvalue is, after it has been captured. True if
 * that can't be known. */
bool sl_chunk_may_assign(const struct sl_chunk *outer, int first, int last, int i);
