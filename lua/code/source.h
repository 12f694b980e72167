/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Source: the text of a Lua chunk, and where the functions in it are.
 *
 * Threads: one at a time.
 */

#include "common/buffer.h"

struct sl_error;
struct sl_source;

/* A function of the text, as Lua's own debug information speaks of it. */
struct sl_span {
	size_t begin; /* of the word "function" */
	size_t paren; /* of the "(" of its parameters */
	size_t body;  /* behind their ")" */
	size_t end;   /* behind its "end" */
	int line;     /* of the word "function" */
	int paren_line;
	int line_defined, last_line;
	bool method; /* written "function t:m()": gets self */
};

/* A local <const> whose value the compiler writes straight into the code. */
struct sl_constant {
	struct sl_bytes name;
	struct sl_bytes value; /* the expression; line breaks only in strings */
	size_t begin;          /* visible from here … */
	size_t end;            /* … to here */
};

/* Copies @text and finds its functions; *out is the caller's. Returns 0 or SL_ENOMEM. */
int sl_source_new(
	struct sl_bytes text, struct sl_source **out, struct sl_error *err) sl_must_check;

/* Reads the file at @path, without a byte order mark and the words of a first line that begins
 * with "#", as Lua itself does. Blocks. Returns 0, SL_ENOMEM, SL_ESYSTEM with the system's
 * words, SL_ETOO_LARGE. */
int sl_source_read(
	const char *path, struct sl_source **out, struct sl_error *err) sl_must_check;

/* NULL is fine. */
void sl_source_free(struct sl_source *source);
SL_DEFINE_CLEANUP(struct sl_source *, sl_source_free);

/* All borrowed while @source lives. */
struct sl_bytes sl_source_text(const struct sl_source *source);
const struct sl_span *sl_source_spans(const struct sl_source *source, size_t *out_n);
const struct sl_constant *sl_source_constants(const struct sl_source *source, size_t *out_n);
