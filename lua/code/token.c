/* SPDX-License-Identifier: MIT */
#include "lua/code/token.h"

#include <string.h>

void sl_tokenizer_init(struct sl_tokenizer *tokenizer, struct sl_bytes source)
{
	tokenizer->at = source.data;
	tokenizer->end = source.data + source.size;
	tokenizer->line = 1;
}

/* Lua's own idea of letters, whatever the locale. */
static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_hex_digit(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The character @ahead of here, -1 behind the end. */
static int peek(const struct sl_tokenizer *t, size_t ahead)
{
	return ahead < (size_t)(t->end - t->at) ? (unsigned char)t->at[ahead] : -1;
}

/* Steps over one character; "\r\n" and "\n\r" are one line break, as for Lua. */
static void step(struct sl_tokenizer *t)
{
	int c = peek(t, 0), next = peek(t, 1);

	t->at++;
	if (c != '\n' && c != '\r')
		return;
	if ((next == '\n' || next == '\r') && next != c)
		t->at++;
	t->line++;
}

/* The level of the long bracket that opens here ("[==[" has 2), -1 if none does. */
static int long_bracket_level(const struct sl_tokenizer *t)
{
	int level = 0;

	if (peek(t, 0) != '[')
		return -1;
	while (peek(t, (size_t)level + 1) == '=')
		level++;
	return peek(t, (size_t)level + 1) == '[' ? level : -1;
}

static bool closes_long_bracket(const struct sl_tokenizer *t, int level)
{
	if (peek(t, 0) != ']' || peek(t, (size_t)level + 1) != ']')
		return false;
	for (int i = 1; i <= level; i++)
		if (peek(t, (size_t)i) != '=')
			return false;
	return true;
}

static void skip_long_bracket(struct sl_tokenizer *t, int level)
{
	t->at += level + 2;
	while (t->at < t->end && !closes_long_bracket(t, level))
		step(t);
	t->at = t->end - t->at > level + 2 ? t->at + level + 2 : t->end;
}

static void skip_comment(struct sl_tokenizer *t)
{
	int level;

	t->at += 2;
	level = long_bracket_level(t);
	if (level >= 0) {
		skip_long_bracket(t, level);
		return;
	}
	while (t->at < t->end && *t->at != '\n' && *t->at != '\r')
		t->at++;
}

static void skip_space(struct sl_tokenizer *t)
{
	while (t->at < t->end) {
		if (strchr(" \t\v\f\r\n", *t->at) && *t->at != '\0')
			step(t);
		else if (peek(t, 0) == '-' && peek(t, 1) == '-')
			skip_comment(t);
		else
			return;
	}
}

static void skip_quoted(struct sl_tokenizer *t)
{
	int quote = peek(t, 0);

	t->at++;
	while (t->at < t->end && peek(t, 0) != quote) {
		/* What follows a backslash is no end, be it a quote or a line break ("\z"
		 * swallows blanks, which need no care of ours). */
		if (peek(t, 0) == '\\' && t->end - t->at > 1)
			t->at++;
		step(t);
	}
	if (t->at < t->end)
		t->at++;
}

static void skip_number(struct sl_tokenizer *t)
{
	bool hex = peek(t, 0) == '0' && (peek(t, 1) | 0x20) == 'x';
	int exponent = hex ? 'p' : 'e';

	if (hex)
		t->at += 2;
	while (t->at < t->end) {
		int c = peek(t, 0);

		t->at++;
		if ((c | 0x20) == exponent) {
			if (peek(t, 0) == '+' || peek(t, 0) == '-')
				t->at++;
		} else if (!is_hex_digit(c) && c != '.') {
			t->at--;
			return;
		}
	}
}

static enum sl_token_kind skip_token(struct sl_tokenizer *t)
{
	int c = peek(t, 0);

	if (is_letter(c)) {
		while (is_letter(peek(t, 0)) || is_digit(peek(t, 0)))
			t->at++;
		return SL_TOKEN_WORD;
	}
	if (is_digit(c) || (c == '.' && is_digit(peek(t, 1)))) {
		skip_number(t);
		return SL_TOKEN_NUMBER;
	}
	if (c == '"' || c == '\'') {
		skip_quoted(t);
		return SL_TOKEN_STRING;
	}
	if (long_bracket_level(t) >= 0) {
		skip_long_bracket(t, long_bracket_level(t));
		return SL_TOKEN_STRING;
	}
	t->at++;
	return SL_TOKEN_SYMBOL;
}

bool sl_token_next(struct sl_tokenizer *t, struct sl_token *out)
{
	const char *begin;

	skip_space(t);
	begin = t->at;
	out->first_line = t->line;
	out->kind = t->at < t->end ? skip_token(t) : SL_TOKEN_END;
	out->text = (struct sl_bytes){begin, (size_t)(t->at - begin)};
	out->line = t->line;
	return out->kind != SL_TOKEN_END;
}

bool sl_token_is(const struct sl_token *token, const char *text)
{
	return token->kind != SL_TOKEN_STRING && token->kind != SL_TOKEN_END &&
	       sl_bytes_equal(token->text, sl_bytes_of(text));
}

static bool is_break(int c)
{
	return c == '\n' || c == '\r';
}

static bool has_break(struct sl_bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (is_break(text.data[i]))
			return true;
	return false;
}

/* A string in long brackets, which has no escapes, as one in quotes. */
static void quote_long_string(struct sl_bytes text, struct sl_buffer *out)
{
	struct sl_tokenizer t;
	int level;

	sl_tokenizer_init(&t, text);
	level = long_bracket_level(&t);
	t.at += level + 2;
	t.end -= level + 2;
	if (t.at < t.end && is_break(*t.at))
		step(&t); /* Lua leaves that one out */
	sl_buffer_append(out, "\"", 1);
	while (t.at < t.end) {
		if (is_break(*t.at))
			sl_buffer_append(out, "\\n", 2);
		else
			sl_buffer_printf(out, "\\%03d", (unsigned char)*t.at);
		step(&t);
	}
	sl_buffer_append(out, "\"", 1);
}

/* A string in quotes that has line breaks behind backslashes, and behind "\z" as blanks. */
static void join_quoted_lines(struct sl_bytes text, struct sl_buffer *out)
{
	struct sl_tokenizer t;

	sl_tokenizer_init(&t, text);
	while (t.at < t.end) {
		const char *begin = t.at;
		int next = peek(&t, 1);

		if (*begin == '\\' && next == 'z') {
			t.at += 2;
			while (t.at < t.end && *t.at != '\0' && strchr(" \t\v\f\r\n", *t.at))
				t.at++;
			continue;
		}
		if (*begin == '\\' && t.end - t.at > 1)
			t.at++;
		step(&t);
		if (is_break(*begin) || (*begin == '\\' && is_break(next)))
			sl_buffer_append(out, "\\n", 2);
		else
			sl_buffer_append(out, begin, (size_t)(t.at - begin));
	}
}

void sl_token_join_lines(struct sl_bytes text, struct sl_buffer *out)
{
	const char *at = text.data;
	struct sl_tokenizer tokenizer;
	struct sl_token token;

	sl_tokenizer_init(&tokenizer, text);
	while (sl_token_next(&tokenizer, &token)) {
		if (token.kind != SL_TOKEN_STRING || !has_break(token.text))
			continue;
		sl_buffer_append(out, at, (size_t)(token.text.data - at));
		if (token.text.data[0] == '[')
			quote_long_string(token.text, out);
		else
			join_quoted_lines(token.text, out);
		at = token.text.data + token.text.size;
	}
	sl_buffer_append(out, at, (size_t)(text.data + text.size - at));
}
