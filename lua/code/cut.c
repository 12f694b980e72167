/* SPDX-License-Identifier: MIT */
#include "lua/code/cut.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "lua/code/proof.h"
#include "lua/code/source.h"
#include "lua/code/token.h"

/* A text by its chunk's name as Lua keeps it: "@FILE", or the text itself. */
struct known {
	struct known *next;
	struct sl_source *source;
	size_t size;
	char name[];
};

struct sl_cutter {
	struct known *known;
};

/* One cut on its way. */
/* Local variables that Lua allows in a function, and so in the one that surrounds the text
 * where it is received. */
#define MAX_CAPTURED 200

struct cut {
	lua_State *L;
	int index; /* of the function */
	lua_Debug info;
	const struct sl_source *source;
	const struct sl_span *span;
	bool constants; /* write the values of <const> locals around it into it */
	struct sl_buffer text;
	struct sl_error *err;
};

struct sl_cutter *sl_cutter_new(void)
{
	return calloc(1, sizeof(struct sl_cutter));
}

void sl_cutter_free(struct sl_cutter *cutter)
{
	if (!cutter)
		return;
	while (cutter->known) {
		struct known *known = cutter->known;

		cutter->known = known->next;
		sl_source_free(known->source);
		free(known);
	}
	free(cutter);
}

static int out_of_memory(struct sl_error *err)
{
	return sl_fail(err, SL_ENOMEM, "out of memory");
}

/* Takes @source. */
static int add(struct sl_cutter *cutter, struct sl_bytes name, struct sl_source *source,
	struct sl_error *err)
{
	struct known *known = malloc(sizeof(*known) + name.size);

	if (!known) {
		sl_source_free(source);
		return out_of_memory(err);
	}
	known->source = source;
	known->size = name.size;
	memcpy(known->name, name.data, name.size);
	known->next = cutter->known;
	cutter->known = known;
	return 0;
}

int sl_cutter_add(struct sl_cutter *cutter, const char *file, struct sl_source *source,
	struct sl_error *err)
{
	struct sl_buffer name = SL_BUFFER_INIT;
	int rc;

	if (!sl_buffer_printf(&name, "@%s", file)) {
		sl_source_free(source);
		rc = out_of_memory(err);
	} else {
		rc = add(cutter, sl_buffer_bytes(&name), source, err);
	}
	sl_buffer_deinit(&name);
	return rc;
}

static const struct sl_source *look_up(const struct sl_cutter *cutter, struct sl_bytes name)
{
	for (const struct known *known = cutter->known; known; known = known->next)
		if (sl_bytes_equal((struct sl_bytes){known->name, known->size}, name))
			return known->source;
	return NULL;
}

static int refuse(const struct cut *cut, const char *why)
{
	int line = cut->info.linedefined > 0 ? cut->info.linedefined : 1;

	return sl_fail(cut->err, SL_EINVALID, "%s:%d: %s",
		cut->info.source[0] == '@' ? cut->info.source + 1 : cut->info.short_src, line,
		why);
}

/* Finds the text that the function was compiled from. */
static int find_source(struct sl_cutter *cutter, struct cut *cut)
{
	struct sl_bytes name = {cut->info.source, cut->info.srclen};
	struct sl_source *source = NULL;
	struct sl_error why;

	cut->source = look_up(cutter, name);
	if (cut->source)
		return 0;
	if (name.data[0] == '=')
		return refuse(cut, "the text of this function isn't known: it was not loaded "
				   "from a file or a "
				   "string");
	if (name.data[0] != '@') {
		if (sl_source_new(name, &source, cut->err) < 0)
			return SL_ENOMEM;
	} else if (sl_source_read(name.data + 1, &source, &why) < 0) {
		if (why.code == SL_ENOMEM)
			return out_of_memory(cut->err);
		return sl_fail(cut->err, SL_EINVALID,
			"%s:%d: the text of this function can't be read again: %s",
			name.data + 1, cut->info.linedefined, why.text);
	}
	cut->source = source;
	return add(cutter, name, source, cut->err);
}

/* A blank behind each: "\n" and a "\r" that follows would be one line break. */
static void append_newlines(struct sl_buffer *out, int n)
{
	while (n-- > 0)
		sl_buffer_append(out, "\n ", 2);
}

static void append_bytes(struct sl_buffer *out, struct sl_bytes bytes)
{
	sl_buffer_append(out, bytes.data, bytes.size);
}

/* "local a,b,c " for what the function captures: _ENV is the chunk's own. */
static void append_captured(struct sl_buffer *out, lua_State *L, int index)
{
	const char *name, *separator = "local ";

	for (int i = 1; (name = lua_getupvalue(L, index, i)) != NULL; i++) {
		lua_pop(L, 1);
		if (strcmp(name, "_ENV") == 0)
			continue;
		sl_buffer_printf(out, "%s%s", separator, name);
		separator = ",";
	}
	sl_buffer_append(out, " ", 1);
}

static int count_captured(lua_State *L, int index)
{
	const char *name;
	int n = 0;

	for (int i = 1; (name = lua_getupvalue(L, index, i)) != NULL; i++) {
		lua_pop(L, 1);
		n += strcmp(name, "_ENV") != 0;
	}
	return n;
}

static struct sl_bytes piece(const struct cut *cut, size_t begin, size_t end)
{
	return (struct sl_bytes){sl_source_text(cut->source).data + begin, end - begin};
}

static bool names(struct sl_bytes text, struct sl_bytes name)
{
	struct sl_tokenizer tokenizer;
	struct sl_token token;

	sl_tokenizer_init(&tokenizer, text);
	while (sl_token_next(&tokenizer, &token))
		if (token.kind == SL_TOKEN_WORD && sl_bytes_equal(token.text, name))
			return true;
	return false;
}

/* Whether constant @i is named in the function, or by a later constant that is needed, and not
 * hidden by a later one of the same name. */
static bool is_needed(const struct cut *cut, const struct sl_constant *constants, size_t n,
	size_t i, const bool *needed)
{
	const struct sl_constant *constant = &constants[i];

	if (constant->begin > cut->span->begin || constant->end < cut->span->end)
		return false;
	for (size_t j = i + 1; j < n; j++) {
		if (!needed[j])
			continue;
		if (names(constants[j].value, constant->name))
			return true;
		if (sl_bytes_equal(constants[j].name, constant->name))
			return false;
	}
	return names(piece(cut, cut->span->body, cut->span->end), constant->name);
}

/* A <const> local with a plain value is no captured variable: the compiler writes the value
 * into the code. Declared again at the top of the function it gives the same code. */
static void append_constants(struct cut *cut)
{
	size_t n;
	const struct sl_constant *constants = sl_source_constants(cut->source, &n);
	bool *needed = calloc(n + 1, sizeof(*needed));

	if (!needed) {
		cut->text.failed = true;
		return;
	}
	for (size_t i = n; i-- > 0;)
		needed[i] = is_needed(cut, constants, n, i, needed);
	for (size_t i = 0; i < n; i++) {
		if (!needed[i])
			continue;
		sl_buffer_append(&cut->text, " local ", 7);
		append_bytes(&cut->text, constants[i].name);
		sl_buffer_append(&cut->text, " <const> = ", 11);
		sl_token_join_lines(constants[i].value, &cut->text);
		sl_buffer_append(&cut->text, ";", 1);
	}
	free(needed);
}

/* The span as an expression: without its name, with a method's self, and each line break where
 * it makes Lua count the same lines. */
static void append_expression(struct cut *cut)
{
	const struct sl_span *span = cut->span;
	struct sl_bytes parameters = piece(cut, span->paren + 1, span->body);
	struct sl_tokenizer tokenizer;
	struct sl_token first;

	sl_buffer_append(&cut->text, "function", 8);
	append_newlines(&cut->text, span->line_defined - span->line);
	sl_buffer_append(&cut->text, "(", 1);
	append_newlines(&cut->text, span->paren_line - span->line_defined);
	if (span->method) {
		sl_tokenizer_init(&tokenizer, parameters);
		sl_token_next(&tokenizer, &first);
		sl_buffer_printf(
			&cut->text, "%s", sl_token_is(&first, ")") ? "self" : "self, ");
	}
	append_bytes(&cut->text, parameters);
	if (cut->constants)
		append_constants(cut);
	append_bytes(&cut->text, piece(cut, span->body, span->end));
}

/* Pushes what @chunk compiles to; 1: nothing, it doesn't compile. */
static int compile(struct cut *cut, struct sl_bytes chunk)
{
	int rc = luaL_loadbufferx(cut->L, chunk.data, chunk.size, cut->info.source, "t");

	if (rc == LUA_OK)
		return 0;
	lua_pop(cut->L, 1);
	return rc == LUA_ERRMEM ? out_of_memory(cut->err) : 1;
}

/* Compares the function with the one on the top of the stack, which is popped. Returns 0, or 1
 * for another function. */
static int compare(struct cut *cut)
{
	bool same = false;
	int rc = sl_proof_compare(cut->L, cut->index, -1, &same, cut->err);

	lua_pop(cut->L, 1);
	return rc < 0 ? rc : !same;
}

/* Compiles cut->text in the surroundings that the receiver gives it. Returns 0, or 1 for
 * another function. */
static int prove(struct cut *cut)
{
	struct sl_buffer chunk = SL_BUFFER_INIT;
	int rc;

	append_newlines(&chunk, cut->span->line - 1);
	append_captured(&chunk, cut->L, cut->index);
	sl_buffer_append(&chunk, "return ", 7);
	append_bytes(&chunk, sl_buffer_bytes(&cut->text));
	if (chunk.failed || cut->text.failed)
		rc = out_of_memory(cut->err);
	else
		rc = compile(cut, sl_buffer_bytes(&chunk));
	sl_buffer_deinit(&chunk);
	if (rc != 0)
		return rc;
	/* It only makes a closure: memory is all that can be wrong. */
	if (lua_pcall(cut->L, 0, 1, 0) != LUA_OK) {
		lua_pop(cut->L, 1);
		return out_of_memory(cut->err);
	}
	return compare(cut);
}

/* Tries each function on the lines in question. Returns 0, or 1 when it is none of them. */
static int try_spans(struct cut *cut)
{
	size_t n;
	const struct sl_span *spans = sl_source_spans(cut->source, &n);

	for (size_t i = 0; i < n; i++) {
		int rc;

		cut->span = &spans[i];
		if (cut->span->end == 0 || cut->span->line_defined != cut->info.linedefined ||
			cut->span->last_line != cut->info.lastlinedefined)
			continue;
		sl_buffer_clear(&cut->text);
		append_expression(cut);
		rc = prove(cut);
		if (rc <= 0)
			return rc;
	}
	return 1;
}

/* A chunk as a whole, as load() returns it, is a function of its own kind. */
static int cut_chunk(struct cut *cut)
{
	struct sl_bytes text = sl_source_text(cut->source);
	int rc = compile(cut, text);

	if (rc == 0)
		rc = compare(cut);
	if (rc != 0)
		return rc;
	sl_buffer_append(&cut->text, "function(...) ", 14);
	append_bytes(&cut->text, text);
	sl_buffer_append(&cut->text, "\nend", 4);
	return 0;
}

static int cut_function(struct cut *cut)
{
	int rc = try_spans(cut);

	if (rc == 1) {
		cut->constants = true;
		rc = try_spans(cut);
	}
	return rc;
}

static int give_out(const struct cut *cut, struct sl_parcel *parcel, struct sl_function *out)
{
	const char *file =
		cut->info.source[0] == '@' ? cut->info.source + 1 : cut->info.short_src;
	struct sl_bytes text, name;

	if (cut->text.failed || !sl_parcel_copy(parcel, sl_buffer_bytes(&cut->text), &text) ||
		!sl_parcel_copy(parcel, sl_bytes_of(file), &name))
		return out_of_memory(cut->err);
	out->text = text;
	out->file = name;
	out->line = cut->span ? cut->span->line : 1;
	return 0;
}

int sl_cutter_cut(void *cutter, lua_State *L, int index, struct sl_parcel *parcel,
	struct sl_function *out, struct sl_error *err)
{
	struct cut cut = {.L = L, .index = lua_absindex(L, index), .err = err};
	int rc;

	if (!lua_checkstack(L, 4))
		return out_of_memory(err);
	lua_pushvalue(L, index);
	lua_getinfo(L, ">S", &cut.info);
	rc = find_source(cutter, &cut);
	if (rc == 0 && count_captured(L, cut.index) > MAX_CAPTURED)
		rc = refuse(&cut, "this function captures over 200 variables, more than Lua "
				  "can declare in "
				  "one place: put some of them into a table");
	if (rc == 0) {
		rc = strcmp(cut.info.what, "main") == 0 ? cut_chunk(&cut) : cut_function(&cut);
		if (rc == 1)
			rc = refuse(&cut,
				"the text of this function isn't in its source as it was "
				"compiled: was that changed, or is its chunk's name not its "
				"own?");
	}
	if (rc == 0)
		rc = give_out(&cut, parcel, out);
	sl_buffer_deinit(&cut.text);
	return rc;
}
