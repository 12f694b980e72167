/* SPDX-License-Identifier: MIT */
#include "proto/value_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "proto/limits.h"
#include "proto/value_ext.h"
#include "proto/way.h"

/* One value being written, of a document that has several levels. */
struct walk {
	const struct sl_value_writer *how;
	uint32_t n_begun; /* tables and functions so far; a mark is one more than its number */
	struct sl_error *err;
};

/* Where in it we are. */
struct place {
	const struct sl_way *way;
	unsigned depth;  /* tables and functions around this value */
	unsigned levels; /* msgpack arrays and maps around it, in this document */
};

static int write_value(struct walk *, const struct sl_value *, struct place);

static msgpack_packer *to(struct walk *walk)
{
	return &walk->how->pack->to;
}

static int refuse(struct walk *walk, struct place place, const char *why)
{
	char way[256];

	sl_way_format(place.way, walk->how->what, way, sizeof(way));
	return sl_fail(walk->err, SL_EINVALID, "cannot send %s: %s", way, why);
}

/* What can't be sent, as a string that says what it was; or its refusal. */
static int write_stand_in(struct walk *walk, struct place place, const char *what)
{
	if (!walk->how->lenient)
		return refuse(walk, place, what);
	sl_pack_string(walk->how->pack, sl_bytes_of(what));
	return 0;
}

static void write_reference(struct walk *walk, uint32_t mark)
{
	size_t begun = sl_pack_extension_begin(walk->how->pack);

	msgpack_pack_uint32(to(walk), mark - 1);
	sl_pack_extension_end(walk->how->pack, begun, SL_EXT_REFERENCE);
}

static void write_cell_reference(struct walk *walk, const struct sl_cell *cell)
{
	size_t begun = sl_pack_extension_begin(walk->how->pack);

	msgpack_pack_array(to(walk), 2);
	msgpack_pack_uint32(to(walk), cell->mark_function - 1);
	msgpack_pack_uint32(to(walk), cell->mark_index);
	sl_pack_extension_end(walk->how->pack, begun, SL_EXT_REFERENCE);
}

static bool is_plain_key(const struct sl_value *key)
{
	return key->kind == SL_VALUE_STRING || key->kind == SL_VALUE_INTEGER ||
	       key->kind == SL_VALUE_FLOAT || key->kind == SL_VALUE_BOOLEAN;
}

static bool is_plain(const struct sl_table *table)
{
	for (size_t i = 0; i < table->n_pairs; i++)
		if (!is_plain_key(&table->pairs[i].key))
			return false;
	return !table->meta;
}

static int write_items(
	struct walk *walk, const struct sl_table *table, bool with_keys, struct place place)
{
	for (size_t i = 0; i < table->n_array; i++) {
		struct sl_value key = {.kind = SL_VALUE_INTEGER, .integer = (int64_t)i + 1};
		struct sl_way way = {.up = place.way, .key = &key};
		struct place there = {&way, place.depth, place.levels};
		int rc;

		if (with_keys)
			msgpack_pack_int64(to(walk), key.integer);
		rc = write_value(walk, &table->array[i], there);
		if (rc)
			return rc;
	}
	return 0;
}

static int write_pairs(
	struct walk *walk, const struct sl_pair *pairs, size_t n, struct place place)
{
	for (size_t i = 0; i < n; i++) {
		struct sl_way key_way = {place.way, NULL, "key", {0}};
		struct sl_way way = {.up = place.way, .key = &pairs[i].key};
		struct place there = {&key_way, place.depth, place.levels};
		int rc = write_value(walk, &pairs[i].key, there);

		if (rc)
			return rc;
		there.way = &way;
		rc = write_value(walk, &pairs[i].value, there);
		if (rc)
			return rc;
	}
	return 0;
}

/* A msgpack array, or a map, as everybody reads it. */
static int write_plain_table(
	struct walk *walk, const struct sl_table *table, struct place place)
{
	bool is_array = table->n_array > 0 && table->n_pairs == 0;
	int rc;

	place.levels++;
	if (is_array)
		msgpack_pack_array(to(walk), table->n_array);
	else
		msgpack_pack_map(to(walk), table->n_array + table->n_pairs);
	rc = write_items(walk, table, !is_array, place);
	if (rc)
		return rc;
	return write_pairs(walk, table->pairs, table->n_pairs, place);
}

/* [[k1, v1, …], metatable] in an extension: other keys, a metatable, or the levels used up. */
static int write_extended_table(
	struct walk *walk, const struct sl_table *table, struct place place)
{
	struct sl_way meta_way = {place.way, NULL, "metatable", {0}};
	size_t begun = sl_pack_extension_begin(walk->how->pack);
	struct sl_value meta = {.kind = SL_VALUE_TABLE, .table = table->meta};
	int rc;

	place.levels = 2;
	msgpack_pack_array(to(walk), 2);
	msgpack_pack_array(to(walk), 2 * (table->n_array + table->n_pairs));
	rc = write_items(walk, table, true, place);
	if (rc)
		return rc;
	rc = write_pairs(walk, table->pairs, table->n_pairs, place);
	if (rc)
		return rc;
	if (!table->meta)
		meta.kind = SL_VALUE_NIL;
	rc = write_value(walk, &meta, (struct place){&meta_way, place.depth, 1});
	if (rc)
		return rc;
	sl_pack_extension_end(walk->how->pack, begun, SL_EXT_TABLE);
	return 0;
}

static int write_table(struct walk *walk, struct sl_table *table, struct place place)
{
	if (table->mark) {
		write_reference(walk, table->mark);
		return 0;
	}
	if (place.depth == SL_MAX_VALUE_DEPTH)
		return write_stand_in(walk, place, "a table nested too deep");
	table->mark = ++walk->n_begun;
	place.depth++;
	if (place.levels < SL_MAX_PLAIN_LEVELS && is_plain(table))
		return write_plain_table(walk, table, place);
	return write_extended_table(walk, table, place);
}

static int write_upvalue(
	struct walk *walk, const struct sl_function *function, size_t i, struct place place)
{
	const struct sl_upvalue *upvalue = &function->upvalues[i];
	struct sl_way way = {place.way, NULL, "upvalue", upvalue->name};
	struct sl_cell *cell = upvalue->cell;

	msgpack_pack_array(to(walk), 2);
	sl_pack_string(walk->how->pack, upvalue->name);
	if (cell->mark_function) {
		write_cell_reference(walk, cell);
		return 0;
	}
	cell->mark_function = function->mark;
	cell->mark_index = (uint32_t)i;
	return write_value(
		walk, &cell->value, (struct place){&way, place.depth, place.levels + 1});
}

/* The upvalues and the globals: @place is that of the two. */
static int write_upvalues(
	struct walk *walk, const struct sl_function *function, struct place place)
{
	place.levels++;
	msgpack_pack_array(to(walk), function->n_upvalues);
	for (size_t i = 0; i < function->n_upvalues; i++) {
		int rc = write_upvalue(walk, function, i, place);

		if (rc)
			return rc;
	}
	return 0;
}

static int write_globals(
	struct walk *walk, const struct sl_function *function, struct place place)
{
	place.levels++;
	msgpack_pack_map(to(walk), function->n_globals);
	return write_pairs(walk, function->globals, function->n_globals, place);
}

static int write_binary_function(
	struct walk *walk, const struct sl_function *function, struct place place)
{
	char text[256];

	snprintf(text, sizeof(text), "function: %.*s:%" PRId64,
		function->file.size < 200 ? (int)function->file.size : 200,
		function->file.data ? function->file.data : "", function->line);
	return write_stand_in(walk, place, text);
}

static int write_function(struct walk *walk, struct sl_function *function, struct place place)
{
	size_t begun;
	int rc;

	if (function->mark) {
		write_reference(walk, function->mark);
		return 0;
	}
	if (function->binary)
		return write_binary_function(walk, function, place);
	if (place.depth == SL_MAX_VALUE_DEPTH)
		return write_stand_in(walk, place, "a function nested too deep");
	function->mark = ++walk->n_begun;
	place.depth++;
	place.levels = 1;

	begun = sl_pack_extension_begin(walk->how->pack);
	msgpack_pack_array(to(walk), 5);
	sl_pack_string(walk->how->pack, function->text);
	sl_pack_string(walk->how->pack, function->file);
	msgpack_pack_int64(to(walk), function->line);
	rc = write_upvalues(walk, function, place);
	if (rc)
		return rc;
	rc = write_globals(walk, function, place);
	if (rc)
		return rc;
	sl_pack_extension_end(walk->how->pack, begun, SL_EXT_FUNCTION);
	return 0;
}

static void write_named(struct walk *walk, struct sl_bytes name)
{
	msgpack_pack_ext_with_body(to(walk), name.data, name.size, SL_EXT_NAMED);
}

static int write_value(struct walk *walk, const struct sl_value *value, struct place place)
{
	switch (value->kind) {
	case SL_VALUE_NIL:
		msgpack_pack_nil(to(walk));
		return 0;
	case SL_VALUE_BOOLEAN:
		sl_pack_boolean(walk->how->pack, value->boolean);
		return 0;
	case SL_VALUE_INTEGER:
		msgpack_pack_int64(to(walk), value->integer);
		return 0;
	case SL_VALUE_FLOAT:
		msgpack_pack_double(to(walk), value->number);
		return 0;
	case SL_VALUE_STRING:
		sl_pack_string(walk->how->pack, value->string);
		return 0;
	case SL_VALUE_TABLE:
		return write_table(walk, value->table, place);
	case SL_VALUE_FUNCTION:
		return write_function(walk, value->function, place);
	case SL_VALUE_NAMED:
		write_named(walk, value->string);
		return 0;
	case SL_VALUE_HANDLE:
		return write_stand_in(walk, place, value->handle->kind);
	}
	return refuse(walk, place, "a value of no kind");
}

/* Clears the marks again. They were set depth first, and so are cleared: where a node is found
 * marked, the way to it is the one on which it was written. */
static void clear_value(const struct sl_value *value, unsigned depth);

static void clear_pairs(const struct sl_pair *pairs, size_t n, unsigned depth)
{
	for (size_t i = 0; i < n; i++) {
		clear_value(&pairs[i].key, depth);
		clear_value(&pairs[i].value, depth);
	}
}

static void clear_table(struct sl_table *table, unsigned depth)
{
	struct sl_value meta = {.kind = SL_VALUE_TABLE, .table = table->meta};

	table->mark = 0;
	for (size_t i = 0; i < table->n_array; i++)
		clear_value(&table->array[i], depth);
	clear_pairs(table->pairs, table->n_pairs, depth);
	if (table->meta)
		clear_value(&meta, depth);
}

static void clear_function(struct sl_function *function, unsigned depth)
{
	uint32_t mark = function->mark;

	function->mark = 0;
	for (size_t i = 0; i < function->n_upvalues; i++) {
		struct sl_cell *cell = function->upvalues[i].cell;

		if (cell->mark_function != mark)
			continue;
		cell->mark_function = cell->mark_index = 0;
		clear_value(&cell->value, depth);
	}
	clear_pairs(function->globals, function->n_globals, depth);
}

static void clear_value(const struct sl_value *value, unsigned depth)
{
	if (depth == SL_MAX_VALUE_DEPTH)
		return;
	if (value->kind == SL_VALUE_TABLE && value->table->mark)
		clear_table(value->table, depth + 1);
	else if (value->kind == SL_VALUE_FUNCTION && value->function->mark)
		clear_function(value->function, depth + 1);
}

int sl_value_writer_write(const struct sl_value_writer *writer, const struct sl_value *value,
	struct sl_error *err)
{
	struct walk walk = {.how = writer, .err = err};
	int rc = write_value(&walk, value, (struct place){0});

	clear_value(value, 0);
	return rc;
}

static int write_chunk(struct walk *walk, struct sl_function *function)
{
	struct place place = {.depth = 1, .levels = 1};
	struct sl_pack *pack = walk->how->pack;
	int rc;

	function->mark = ++walk->n_begun;
	msgpack_pack_map(to(walk), 5);
	sl_pack_word(pack, "text");
	sl_pack_string(pack, function->text);
	sl_pack_word(pack, "file");
	sl_pack_string(pack, function->file);
	sl_pack_word(pack, "line");
	msgpack_pack_int64(to(walk), function->line);
	sl_pack_word(pack, "upvalues");
	rc = write_upvalues(walk, function, place);
	if (rc)
		return rc;
	sl_pack_word(pack, "globals");
	return write_globals(walk, function, place);
}

int sl_value_writer_write_chunk(const struct sl_value_writer *writer,
	struct sl_function *function, struct sl_error *err)
{
	struct walk walk = {.how = writer, .err = err};
	int rc = write_chunk(&walk, function);

	clear_function(function, 1);
	return rc;
}
