/* SPDX-License-Identifier: MIT */
#include "lua/code/chunk.h"

#include <stdlib.h>
#include <string.h>

/* Operations of Lua 5.4 that matter here. */
enum {
	OP_MOVE = 0,
	OP_LOADNIL = 8,
	OP_GETUPVAL = 9,
	OP_SETUPVAL = 10,
	OP_GETTABUP = 11,
	OP_SELF = 20,
	OP_CLOSURE = 79,
};

enum {
	HEADER_SIZE = 31,
	MOST_DEPTH = 200,
};

struct variable {
	size_t from, to; /* instructions during which it is there */
};

struct captured {
	bool in_stack; /* a variable of the function around; else one that it captured */
	uint8_t index;
};

struct function {
	int first_line, last_line;
	const unsigned char *code; /* in the dump's copy */
	size_t n_code;
	const unsigned char *constants; /* there, too */
	struct captured *captured;
	size_t n_captured;
	struct variable *variables;
	size_t n_variables;
	struct function *inner;
	size_t n_inner;
};

struct sl_chunk {
	unsigned char *bytes;
	const unsigned char *end;
	struct function main;
};

/* ---- reading ---- */

struct reader {
	const unsigned char *at, *end;
	bool broken;
};

static const unsigned char *skip(struct reader *reader, size_t size)
{
	const unsigned char *at = reader->at;

	if (size > (size_t)(reader->end - at)) {
		reader->broken = true;
		return NULL;
	}
	reader->at += size;
	return at;
}

static unsigned read_byte(struct reader *reader)
{
	const unsigned char *at = skip(reader, 1);

	return at ? *at : 0;
}

static size_t read_size(struct reader *reader)
{
	size_t value = 0;
	unsigned byte;

	do {
		byte = read_byte(reader);
		value = value << 7 | (byte & 0x7F);
	} while (!(byte & 0x80) && !reader->broken && value < SIZE_MAX >> 8);
	return value;
}

static void skip_string(struct reader *reader)
{
	size_t size = read_size(reader);

	if (size > 1)
		skip(reader, size - 1);
}

/* A number of things that take at least a byte each. */
static size_t read_count(struct reader *reader)
{
	size_t n = read_size(reader);

	if (n > (size_t)(reader->end - reader->at))
		reader->broken = true;
	return reader->broken ? 0 : n;
}

static void *allocate(struct reader *reader, size_t n, size_t size)
{
	void *memory = calloc(n > 0 ? n : 1, size);

	if (!memory)
		reader->broken = true;
	return memory;
}

static const char lua54[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";

static bool is_dump(struct sl_bytes dump)
{
	return dump.size > HEADER_SIZE + 1 && memcmp(dump.data, lua54, sizeof(lua54) - 1) == 0;
}

/* What is to be done with each name among the constants; NULL: nothing. */
struct visitor {
	void (*fn)(void *ctx, struct sl_bytes text);
	void *ctx;
};

/* A short string, which may be a name; no data for any other constant. */
static struct sl_bytes read_constant(struct reader *reader)
{
	enum {
		INTEGER = 0x03,
		FLOAT = 0x13,
		SHORT_STRING = 0x04,
		LONG_STRING = 0x14
	};
	const unsigned char *text = NULL;
	size_t size = 0;

	switch (read_byte(reader)) {
	case INTEGER:
	case FLOAT:
		skip(reader, 8);
		break;
	case SHORT_STRING:
		size = read_size(reader);
		text = size > 1 ? skip(reader, size - 1) : NULL;
		break;
	case LONG_STRING:
		skip_string(reader);
		break;
	default:
		break; /* nil, true, false */
	}
	return (struct sl_bytes){(const char *)text, text ? size - 1 : 0};
}

static void read_constants(struct reader *reader, const struct visitor *visitor)
{
	for (size_t n = read_count(reader); n > 0 && !reader->broken; n--) {
		struct sl_bytes name = read_constant(reader);

		if (name.data && visitor)
			visitor->fn(visitor->ctx, name);
	}
}

static void read_captured(struct reader *reader, struct function *function)
{
	size_t n = read_count(reader);

	function->captured = allocate(reader, n, sizeof(*function->captured));
	for (size_t i = 0; i < n && !reader->broken; i++) {
		function->captured[i].in_stack = read_byte(reader) != 0;
		function->captured[i].index = (uint8_t)read_byte(reader);
		read_byte(reader); /* kind */
		function->n_captured = i + 1;
	}
}

static void read_debug(struct reader *reader, struct function *function)
{
	size_t n;

	skip(reader, read_count(reader));
	for (n = read_count(reader); n > 0 && !reader->broken; n--) {
		read_size(reader);
		read_size(reader);
	}
	n = read_count(reader);
	function->variables = allocate(reader, n, sizeof(*function->variables));
	for (size_t i = 0; i < n && !reader->broken; i++) {
		skip_string(reader);
		function->variables[i].from = read_size(reader);
		function->variables[i].to = read_size(reader);
		function->n_variables = i + 1;
	}
	for (n = read_count(reader); n > 0 && !reader->broken; n--)
		skip_string(reader);
}

static void read_function(struct reader *reader, struct function *function, int depth)
{
	size_t n;

	if (depth > MOST_DEPTH)
		reader->broken = true;
	skip_string(reader);
	function->first_line = (int)read_size(reader);
	function->last_line = (int)read_size(reader);
	skip(reader, 3);
	n = read_count(reader);
	function->code = skip(reader, n * 4);
	function->n_code = reader->broken ? 0 : n;
	function->constants = reader->at;
	read_constants(reader, NULL);
	read_captured(reader, function);
	n = read_count(reader);
	function->inner = allocate(reader, n, sizeof(*function->inner));
	for (size_t i = 0; i < n && !reader->broken; i++) {
		function->n_inner = i + 1;
		read_function(reader, &function->inner[i], depth + 1);
	}
	read_debug(reader, function);
}

static void free_function(struct function *function)
{
	for (size_t i = 0; i < function->n_inner; i++)
		free_function(&function->inner[i]);
	free(function->inner);
	free(function->captured);
	free(function->variables);
}

/* Goes over a function without keeping anything. */
static void visit_function(struct reader *reader, const struct visitor *visitor, int depth)
{
	if (depth > MOST_DEPTH)
		reader->broken = true;
	skip_string(reader);
	read_size(reader);
	read_size(reader);
	skip(reader, 3);
	skip(reader, read_count(reader) * 4);
	read_constants(reader, visitor);
	skip(reader, read_count(reader) * 3);
	for (size_t n = read_count(reader); n > 0 && !reader->broken; n--)
		visit_function(reader, visitor, depth + 1);
	skip(reader, read_count(reader));
	for (size_t n = read_count(reader); n > 0 && !reader->broken; n--) {
		read_size(reader);
		read_size(reader);
	}
	for (size_t n = read_count(reader); n > 0 && !reader->broken; n--) {
		skip_string(reader);
		read_size(reader);
		read_size(reader);
	}
	for (size_t n = read_count(reader); n > 0 && !reader->broken; n--)
		skip_string(reader);
}

void sl_chunk_each_name(
	struct sl_bytes dump, void (*fn)(void *ctx, struct sl_bytes text), void *ctx)
{
	const struct visitor visitor = {fn, ctx};
	struct reader reader = {0};

	if (!is_dump(dump))
		return;
	reader.at = (const unsigned char *)dump.data + HEADER_SIZE + 1;
	reader.end = (const unsigned char *)dump.data + dump.size;
	visit_function(&reader, &visitor, 0);
}

struct sl_chunk *sl_chunk_read(struct sl_bytes dump)
{
	struct sl_chunk *chunk;
	struct reader reader = {0};

	if (!is_dump(dump))
		return NULL;
	chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->bytes = malloc(dump.size);
	if (chunk->bytes) {
		memcpy(chunk->bytes, dump.data, dump.size);
		reader.at = chunk->bytes + HEADER_SIZE + 1;
		reader.end = chunk->end = chunk->bytes + dump.size;
		read_function(&reader, &chunk->main, 0);
	}
	if (!chunk->bytes || reader.broken) {
		sl_chunk_free(chunk);
		return NULL;
	}
	return chunk;
}

void sl_chunk_free(struct sl_chunk *chunk)
{
	if (!chunk)
		return;
	free_function(&chunk->main);
	free(chunk->bytes);
	free(chunk);
}

/* ---- asking ---- */

struct instruction {
	unsigned op, a, b, c, bx;
};

static struct instruction instruction_at(const struct function *function, size_t i)
{
	uint32_t word;

	memcpy(&word, function->code + 4 * i, sizeof(word));
	return (struct instruction){
		.op = word & 0x7F,
		.a = word >> 7 & 0xFF,
		.b = word >> 16 & 0xFF,
		.c = word >> 24,
		.bx = word >> 15,
	};
}

/* Whether the constant @i is the short string @name. */
static bool is_name(const struct sl_chunk *chunk, const struct function *function, unsigned i,
	const char *name)
{
	struct reader reader = {.at = function->constants, .end = chunk->end};
	struct sl_bytes text = {0};

	if (i >= read_count(&reader))
		return false;
	for (unsigned n = 0; n <= i && !reader.broken; n++)
		text = read_constant(&reader);
	return sl_bytes_equal(text, sl_bytes_of(name));
}

static bool reads_field(const struct sl_chunk *chunk, const struct function *function,
	unsigned upvalue, const char *name)
{
	for (size_t i = 0; i < function->n_code; i++) {
		struct instruction in = instruction_at(function, i);

		if (in.op == OP_GETTABUP && in.b == upvalue &&
			is_name(chunk, function, in.c, name))
			return true;
	}
	for (size_t i = 0; i < function->n_inner; i++) {
		const struct function *inner = &function->inner[i];

		for (size_t u = 0; u < inner->n_captured; u++)
			if (!inner->captured[u].in_stack &&
				inner->captured[u].index == upvalue &&
				reads_field(chunk, inner, (unsigned)u, name))
				return true;
	}
	return false;
}

bool sl_chunk_reads_field(const struct sl_chunk *chunk, int i, const char *name)
{
	return reads_field(chunk, &chunk->main, (unsigned)i - 1, name);
}

static bool assigns_upvalue(const struct function *function, unsigned index)
{
	for (size_t i = 0; i < function->n_code; i++) {
		struct instruction in = instruction_at(function, i);

		if (in.op == OP_SETUPVAL && in.b == index)
			return true;
	}
	for (size_t i = 0; i < function->n_inner; i++) {
		const struct function *inner = &function->inner[i];

		for (size_t u = 0; u < inner->n_captured; u++)
			if (!inner->captured[u].in_stack && inner->captured[u].index == index &&
				assigns_upvalue(inner, (unsigned)u))
				return true;
	}
	return false;
}

bool sl_chunk_assigns(const struct sl_chunk *chunk, int i)
{
	return assigns_upvalue(&chunk->main, (unsigned)i - 1);
}

/* Whether the operation stores into its register A. Calls do too, but into registers above
 * all variables, from which what is assigned is then moved. */
static bool stores(unsigned op)
{
	return op <= OP_GETUPVAL || (op >= 11 && op <= 14) || (op >= 19 && op <= 45) ||
	       (op >= 49 && op <= 53) || op == 67 || op == OP_CLOSURE || op == 80;
}

static bool stores_into(struct instruction in, unsigned reg)
{
	unsigned last = in.a;

	if (!stores(in.op))
		return false;
	if (in.op == OP_LOADNIL)
		last += in.b;
	if (in.op == OP_SELF)
		last++;
	return reg >= in.a && reg <= last;
}

/* The variable that is in register @reg at instruction @at; NULL: a parameter table or such. */
static const struct variable *variable_in(
	const struct function *function, unsigned reg, size_t at)
{
	for (size_t i = 0; i < function->n_variables; i++) {
		const struct variable *variable = &function->variables[i];

		if (variable->from > at)
			break;
		if (variable->to > at && reg-- == 0)
			return variable;
	}
	return NULL;
}

/* Whether the function made at @in assigns to the variable in register @reg. */
static bool closure_assigns(
	const struct function *function, struct instruction in, unsigned reg)
{
	const struct function *inner;

	if (in.op != OP_CLOSURE || in.bx >= function->n_inner)
		return false;
	inner = &function->inner[in.bx];
	for (size_t u = 0; u < inner->n_captured; u++)
		if (inner->captured[u].in_stack && inner->captured[u].index == reg &&
			assigns_upvalue(inner, (unsigned)u))
			return true;
	return false;
}

static bool variable_is_assigned(const struct function *function, unsigned reg, size_t at)
{
	const struct variable *variable = variable_in(function, reg, at);

	if (!variable)
		return true;
	for (size_t i = variable->from; i < variable->to && i < function->n_code; i++) {
		struct instruction in = instruction_at(function, i);

		if (stores_into(in, reg) || closure_assigns(function, in, reg))
			return true;
	}
	return false;
}

static bool inner_may_be_assigned(const struct function *outer, size_t which, unsigned i)
{
	const struct function *inner = &outer->inner[which];
	struct captured captured;

	if (i >= inner->n_captured)
		return true;
	captured = inner->captured[i];
	if (!captured.in_stack)
		return true; /* declared further out */
	for (size_t at = 0; at < outer->n_code; at++) {
		struct instruction in = instruction_at(outer, at);

		if (in.op == OP_CLOSURE && in.bx == which)
			return variable_is_assigned(outer, captured.index, at);
	}
	return true;
}

bool sl_chunk_may_assign(const struct sl_chunk *chunk, int first, int last, int i)
{
	const struct function *outer = &chunk->main;
	bool found = false;

	for (size_t which = 0; which < outer->n_inner; which++) {
		const struct function *inner = &outer->inner[which];

		if (inner->first_line != first || inner->last_line != last)
			continue;
		found = true;
		if (inner_may_be_assigned(outer, which, (unsigned)i - 1))
			return true;
	}
	return !found;
}
