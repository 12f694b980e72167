/* SPDX-License-Identifier: MIT */
#include "lua/code/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "lua/code/token.h"

#define MAX_SOURCE_BYTES (16u << 20)

struct sl_source {
	char *text;
	size_t size;
	struct sl_buffer spans;     /* of struct sl_span */
	struct sl_buffer constants; /* of struct sl_constant */
};

#define NOT_A_FUNCTION SIZE_MAX

/* A block that waits for its end. */
struct block {
	size_t span; /* index of the function's span, or NOT_A_FUNCTION */
	size_t begin;
};

struct reader {
	struct sl_source *source;
	struct sl_tokenizer tokenizer;
	struct sl_token token;   /* the one being looked at */
	struct sl_buffer blocks; /* of struct block */
};

static struct sl_span *spans_of(const struct sl_source *source)
{
	return (struct sl_span *)(void *)source->spans.data;
}

static struct sl_constant *constants_of(const struct sl_source *source)
{
	return (struct sl_constant *)(void *)source->constants.data;
}

static size_t offset(const struct reader *r)
{
	return (size_t)(r->token.text.data - r->source->text);
}

static bool next(struct reader *r)
{
	return sl_token_next(&r->tokenizer, &r->token);
}

static void open_block(struct reader *r, size_t span)
{
	struct block block = {.span = span, .begin = offset(r)};

	sl_buffer_append(&r->blocks, &block, sizeof(block));
}

/* Constants that were declared since @begin are visible no longer. */
static void hide_constants(struct reader *r, size_t begin)
{
	size_t n = r->source->constants.size / sizeof(struct sl_constant);

	while (n-- > 0) {
		struct sl_constant *constant = &constants_of(r->source)[n];

		if (constant->begin < begin)
			return;
		if (constant->end == SIZE_MAX)
			constant->end = offset(r);
	}
}

static void close_block(struct reader *r)
{
	struct block block;
	struct sl_span *span;

	if (r->blocks.size < sizeof(block))
		return;
	r->blocks.size -= sizeof(block);
	memcpy(&block, r->blocks.data + r->blocks.size, sizeof(block));
	hide_constants(r, block.begin);
	if (block.span == NOT_A_FUNCTION)
		return;
	span = &spans_of(r->source)[block.span];
	span->end = offset(r) + r->token.text.size;
	span->last_line = r->token.line;
}

/* At the word "function": reads on to the end of the parameters. Lua gives a function that is
 * named by a statement the line of "function", and all others the line of the "(". */
static bool read_function_head(struct reader *r, bool local)
{
	struct sl_span span = {.begin = offset(r), .line = r->token.line};
	bool named;

	if (!next(r))
		return false;
	named = !sl_token_is(&r->token, "(");
	while (!sl_token_is(&r->token, "(")) {
		span.method |= sl_token_is(&r->token, ":");
		if (!next(r))
			return false;
	}
	span.paren = offset(r);
	span.paren_line = r->token.line;
	span.line_defined = named && !local ? span.line : span.paren_line;
	while (!sl_token_is(&r->token, ")"))
		if (!next(r))
			return false;
	span.body = offset(r) + 1;
	open_block(r, r->source->spans.size / sizeof(span));
	return sl_buffer_append(&r->source->spans, &span, sizeof(span));
}

static bool in_constant_expression(const struct sl_token *token)
{
	static const char *const words[] = {"and", "or", "not", "true", "false", "nil"};

	if (token->kind == SL_TOKEN_NUMBER || token->kind == SL_TOKEN_STRING)
		return true;
	if (token->kind == SL_TOKEN_SYMBOL)
		return strchr("+-*/%^~&|<>().", token->text.data[0]) != NULL;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (sl_token_is(token, words[i]))
			return true;
	return false;
}

/* Whether @name is a constant that is visible here. */
static bool is_constant(const struct reader *r, struct sl_bytes name)
{
	size_t n = r->source->constants.size / sizeof(struct sl_constant);

	while (n-- > 0) {
		const struct sl_constant *constant = &constants_of(r->source)[n];

		if (constant->end == SIZE_MAX && sl_bytes_equal(constant->name, name))
			return true;
	}
	return false;
}

/* Behind "local … NAME <const> =": notes the constant when expressions of literals and other
 * constants follow, with no line break but in strings; the last one is its value. It may note
 * too much, an expression that is more than a constant: who uses it proves the result. Leaves
 * the token behind. */
static bool read_constant(struct reader *r, struct sl_bytes name)
{
	struct sl_constant constant = {.name = name, .value = r->token.text, .end = SIZE_MAX};
	int line = r->token.first_line;
	bool more = true;

	while (more && r->token.first_line == line) {
		bool comma = sl_token_is(&r->token, ",");

		if (!comma && !in_constant_expression(&r->token) &&
			!is_constant(r, r->token.text))
			break;
		constant.begin = offset(r) + r->token.text.size;
		line = r->token.line;
		more = next(r);
		if (comma)
			constant.value = r->token.text;
	}
	/* Nothing that could be a value, or nothing behind the last comma. */
	if (constant.begin <= (size_t)(constant.value.data - r->source->text))
		return true;
	constant.value.size = (size_t)(r->source->text + constant.begin - constant.value.data);
	return sl_buffer_append(&r->source->constants, &constant, sizeof(constant));
}

/* At a name of "local NAME <attribute>, …". Leaves the first token behind what has been read:
 * maybe not all of the statement. */
static bool read_local(struct reader *r)
{
	struct sl_bytes name = {0};
	bool constant = false;

	/* Of several variables only the last can be written into the code. */
	while (r->token.kind == SL_TOKEN_WORD) {
		name = r->token.text;
		constant = false;
		if (!next(r))
			return true;
		if (sl_token_is(&r->token, "<") && next(r)) {
			constant = sl_token_is(&r->token, "const");
			if (!next(r) || !next(r))
				return true;
		}
		if (!sl_token_is(&r->token, ","))
			break;
		if (!next(r))
			return true;
	}
	if (!constant || !sl_token_is(&r->token, "=") || !next(r))
		return true;
	return read_constant(r, name);
}

/* Reads what begins with the token that is looked at, and leaves the first one behind it.
 * False at the end of the text, and when memory ran out. */
static bool read_piece(struct reader *r)
{
	bool local = sl_token_is(&r->token, "local");

	if (local) {
		if (!next(r))
			return false;
		if (!sl_token_is(&r->token, "function"))
			return read_local(r) && r->token.kind != SL_TOKEN_END;
	}
	if (sl_token_is(&r->token, "function")) {
		if (!read_function_head(r, local))
			return false;
	} else if (sl_token_is(&r->token, "if") || sl_token_is(&r->token, "do") ||
		   sl_token_is(&r->token, "repeat")) {
		/* "while" and "for" have a "do". */
		open_block(r, NOT_A_FUNCTION);
	} else if (sl_token_is(&r->token, "end") || sl_token_is(&r->token, "until")) {
		close_block(r);
	}
	return next(r);
}

static bool find_functions(struct sl_source *source)
{
	struct reader reader = {.source = source};
	bool failed;

	sl_tokenizer_init(&reader.tokenizer, (struct sl_bytes){source->text, source->size});
	if (next(&reader))
		while (read_piece(&reader))
			;
	failed = reader.blocks.failed || source->spans.failed || source->constants.failed;
	sl_buffer_deinit(&reader.blocks);
	return !failed;
}

int sl_source_new(struct sl_bytes text, struct sl_source **out, struct sl_error *err)
{
	sl_cleanup(sl_source_freep) struct sl_source *source = calloc(1, sizeof(*source));

	if (!source)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	source->text = malloc(text.size + 1);
	if (!source->text)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	if (text.size > 0)
		memcpy(source->text, text.data, text.size);
	source->text[text.size] = '\0';
	source->size = text.size;
	if (!find_functions(source))
		return sl_fail(err, SL_ENOMEM, "out of memory");
	*out = sl_steal(source);
	return 0;
}

static int read_file(FILE *file, const char *path, struct sl_buffer *out, struct sl_error *err)
{
	for (;;) {
		char *at = sl_buffer_reserve(out, 64 * 1024);
		size_t n;

		if (!at)
			return sl_fail(err, SL_ENOMEM, "out of memory");
		n = fread(at, 1, 64 * 1024, file);
		out->size += n;
		if (out->size > MAX_SOURCE_BYTES)
			return sl_fail(err, SL_ETOO_LARGE, "%s: larger than %u MiB", path,
				MAX_SOURCE_BYTES >> 20);
		if (ferror(file))
			return sl_fail_errno(err, errno, "cannot read %s", path);
		if (n == 0)
			return 0;
	}
}

/* What Lua skips at the beginning of a file; a line's end stays, so that lines count. */
static struct sl_bytes without_first_comment(struct sl_bytes text)
{
	if (text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
		text = (struct sl_bytes){text.data + 3, text.size - 3};
	if (text.size > 0 && text.data[0] == '#') {
		const char *end = memchr(text.data, '\n', text.size);
		size_t n = end ? (size_t)(end - text.data) : text.size;

		text = (struct sl_bytes){text.data + n, text.size - n};
	}
	return text;
}

int sl_source_read(const char *path, struct sl_source **out, struct sl_error *err)
{
	struct sl_buffer bytes = SL_BUFFER_INIT;
	FILE *file = fopen(path, "re");
	int rc;

	if (!file)
		return sl_fail_errno(err, errno, "cannot open %s", path);
	rc = read_file(file, path, &bytes, err);
	fclose(file);
	if (rc == 0)
		rc = sl_source_new(without_first_comment(sl_buffer_bytes(&bytes)), out, err);
	sl_buffer_deinit(&bytes);
	return rc;
}

void sl_source_free(struct sl_source *source)
{
	if (!source)
		return;
	sl_buffer_deinit(&source->spans);
	sl_buffer_deinit(&source->constants);
	free(source->text);
	free(source);
}

struct sl_bytes sl_source_text(const struct sl_source *source)
{
	return (struct sl_bytes){source->text, source->size};
}

const struct sl_span *sl_source_spans(const struct sl_source *source, size_t *out_n)
{
	*out_n = source->spans.size / sizeof(struct sl_span);
	return spans_of(source);
}

const struct sl_constant *sl_source_constants(const struct sl_source *source, size_t *out_n)
{
	*out_n = source->constants.size / sizeof(struct sl_constant);
	return constants_of(source);
}
