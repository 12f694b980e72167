/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Token: a piece of Lua source. Just enough of Lua's lexer to tell where the
 * functions of a text begin and end: the text has been compiled before, so
 * nothing here reports a mistake in it. Any bytes are safe.
 *
 * Threads: any.
 */

#include "common/buffer.h"

enum sl_token_kind {
	SL_TOKEN_END,  /* of the text */
	SL_TOKEN_WORD, /* a name or a reserved word */
	SL_TOKEN_NUMBER,
	SL_TOKEN_STRING,
	SL_TOKEN_SYMBOL, /* an operator or separator, one character at a time */
};

struct sl_token {
	enum sl_token_kind kind;
	struct sl_bytes text; /* in the source */
	int first_line;       /* on which it begins */
	int line;             /* on which it ends, as Lua counts: what Lua calls its line */
};

struct sl_tokenizer {
	const char *at, *end;
	int line;
};

/* Begins on line 1 of @source, which must stay as long as its tokens are used. */
void sl_tokenizer_init(struct sl_tokenizer *tokenizer, struct sl_bytes source);

/* Reads the next token. Returns false, and a token of kind SL_TOKEN_END, behind the last. */
bool sl_token_next(struct sl_tokenizer *tokenizer, struct sl_token *out);

bool sl_token_is(const struct sl_token *token, const char *text);

/* Appends @text, which has line breaks in strings only, on one line: they become "\n". */
void sl_token_join_lines(struct sl_bytes text, struct sl_buffer *out);
