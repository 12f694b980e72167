/* SPDX-License-Identifier: MIT */
#include "proto/value_reader.h"

#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "proto/limits.h"
#include "proto/scan.h"
#include "proto/table_keys.h"
#include "proto/value_ext.h"

/* A value being read, over all documents that it consists of. */
struct walk {
	struct sl_parcel *parcel;
	struct sl_value *begun; /* tables and functions, in the order in which they began */
	size_t n_begun, capacity;
	size_t n_values; /* in all documents so far */
	unsigned depth;  /* tables and functions around */
	struct sl_error *err;
};

/* What a document is read as: which type @out is of follows from it. */
enum reading {
	READ_VALUE, /* struct sl_value, as the rest but the last */
	READ_CHUNK,
	READ_FUNCTION,
	READ_REFERENCE,
	READ_TABLE,
	READ_CELL, /* struct sl_cell * */
};

static int read_value(struct walk *, const msgpack_object *, struct sl_value *out);
static int read_payload(struct walk *, const msgpack_object *, enum reading, void *out);

static int no_memory(struct walk *walk)
{
	return sl_fail(walk->err, SL_ETOO_LARGE,
		"a value that takes more memory than the %u bytes it may", SL_MAX_PARCEL_BYTES);
}

static int malformed(struct walk *walk, const char *what)
{
	return sl_fail(walk->err, SL_EPROTOCOL, "a malformed value: %s", what);
}

/* Enters one level deeper into @value, and numbers it for references. */
static int begin(struct walk *walk, struct sl_value value)
{
	if (walk->depth == SL_MAX_VALUE_DEPTH)
		return sl_fail(walk->err, SL_ETOO_LARGE, "a value nested deeper than %d levels",
			SL_MAX_VALUE_DEPTH);
	if (walk->n_begun == walk->capacity) {
		size_t capacity = walk->capacity ? walk->capacity * 2 : 16;
		struct sl_value *begun = realloc(walk->begun, capacity * sizeof(*walk->begun));

		if (!begun)
			return sl_fail(walk->err, SL_ENOMEM, "out of memory");
		walk->begun = begun;
		walk->capacity = capacity;
	}
	walk->begun[walk->n_begun++] = value;
	walk->depth++;
	return 0;
}

static bool is_string(const msgpack_object *object)
{
	return object->type == MSGPACK_OBJECT_STR || object->type == MSGPACK_OBJECT_BIN;
}

/* str and bin are laid out alike in libmsgpack, but it doesn't say that they will always be. */
static struct sl_bytes string_of(const msgpack_object *object)
{
	if (object->type == MSGPACK_OBJECT_STR)
		return (struct sl_bytes){object->via.str.ptr, object->via.str.size};
	return (struct sl_bytes){object->via.bin.ptr, object->via.bin.size};
}

static int read_string(struct walk *walk, const msgpack_object *object, struct sl_bytes *out)
{
	if (!is_string(object))
		return malformed(walk, "something else where a string belongs");
	return sl_parcel_copy(walk->parcel, string_of(object), out) ? 0 : no_memory(walk);
}

static bool read_index(const msgpack_object *object, size_t below, size_t *out)
{
	if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 >= below)
		return false;
	*out = (size_t)object->via.u64;
	return true;
}

/* A key as Lua keeps it: a float that is a whole number is that integer. */
static int read_key(struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	int rc = read_value(walk, object, out);

	if (rc)
		return rc;
	if (out->kind == SL_VALUE_NIL)
		return malformed(walk, "nil as a key");
	if (out->kind != SL_VALUE_FLOAT)
		return 0;
	if (isnan(out->number))
		return malformed(walk, "nan as a key");
	if (out->number >= -0x1p63 && out->number < 0x1p63 && out->number == floor(out->number))
		*out = (struct sl_value){
			.kind = SL_VALUE_INTEGER, .integer = (int64_t)out->number};
	return 0;
}

/* What a table is read from: an array's items, a map's pairs, or the extension's flat list. */
struct entries {
	const msgpack_object *from;
	bool flat;
	size_t n;
};

/* NULL where the key is not written: an array's item i has i + 1. */
static const msgpack_object *key_of(const struct entries *entries, size_t i)
{
	if (entries->from->type == MSGPACK_OBJECT_MAP)
		return &entries->from->via.map.ptr[i].key;
	return entries->flat ? &entries->from->via.array.ptr[2 * i] : NULL;
}

static const msgpack_object *value_of(const struct entries *entries, size_t i)
{
	if (entries->from->type == MSGPACK_OBJECT_MAP)
		return &entries->from->via.map.ptr[i].val;
	return &entries->from->via.array.ptr[entries->flat ? 2 * i + 1 : i];
}

/* How many entries at the beginning have the keys 1, 2, 3, … and a value: the array part. */
static size_t count_leading(const struct entries *entries)
{
	size_t i;

	for (i = 0; i < entries->n; i++) {
		const msgpack_object *key = key_of(entries, i);

		if (key &&
			(key->type != MSGPACK_OBJECT_POSITIVE_INTEGER || key->via.u64 != i + 1))
			break;
		if (value_of(entries, i)->type == MSGPACK_OBJECT_NIL)
			break;
	}
	return i;
}

/* Reads entry @i into @pair; one whose value is nil leaves nothing but its numbers. */
static int read_pair(
	struct walk *walk, const struct entries *entries, size_t i, struct sl_pair *pair)
{
	const msgpack_object *key = key_of(entries, i);

	if (key) {
		int rc = read_key(walk, key, &pair->key);

		if (rc)
			return rc;
	} else {
		pair->key =
			(struct sl_value){.kind = SL_VALUE_INTEGER, .integer = (int64_t)i + 1};
	}
	return read_value(walk, value_of(entries, i), &pair->value);
}

static int read_entries(
	struct walk *walk, const struct entries *entries, struct sl_table *table)
{
	size_t n_array = count_leading(entries);

	table->array = sl_parcel_array(walk->parcel, n_array, sizeof(*table->array));
	table->pairs =
		sl_parcel_array(walk->parcel, entries->n - n_array, sizeof(*table->pairs));
	if (!table->array || !table->pairs)
		return no_memory(walk);
	for (size_t i = 0; i < n_array; i++) {
		int rc = read_value(walk, value_of(entries, i), &table->array[i]);

		if (rc)
			return rc;
		table->n_array++;
	}
	for (size_t i = n_array; i < entries->n; i++) {
		struct sl_pair *pair = &table->pairs[table->n_pairs];
		int rc = read_pair(walk, entries, i, pair);

		if (rc)
			return rc;
		if (pair->value.kind != SL_VALUE_NIL)
			table->n_pairs++;
	}
	if (!key_of(entries, 0))
		return 0;
	return sl_table_keys_check(table, walk->err);
}

static int begin_table(struct walk *walk, struct sl_value *out)
{
	struct sl_table *table = sl_parcel_alloc(walk->parcel, sizeof(*table));

	if (!table)
		return no_memory(walk);
	*out = (struct sl_value){.kind = SL_VALUE_TABLE, .table = table};
	return begin(walk, *out);
}

static int read_plain_table(
	struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	struct entries entries = {.from = object};
	int rc = begin_table(walk, out);

	if (rc)
		return rc;
	entries.n = object->type == MSGPACK_OBJECT_MAP ? object->via.map.size
	                                               : object->via.array.size;
	if (entries.n > 0)
		rc = read_entries(walk, &entries, out->table);
	walk->depth--;
	return rc;
}

/* The extension's document: [[k1, v1, …], metatable]. */
static int read_extended_table(
	struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	struct entries entries = {.flat = true};
	struct sl_value meta = {0};
	int rc = begin_table(walk, out);

	if (rc)
		return rc;
	if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < 1 ||
		object->via.array.ptr[0].type != MSGPACK_OBJECT_ARRAY ||
		object->via.array.ptr[0].via.array.size % 2 != 0)
		return malformed(walk, "a table that is no [[key, value, ...], metatable]");
	entries.from = &object->via.array.ptr[0];
	entries.n = entries.from->via.array.size / 2;
	if (entries.n > 0)
		rc = read_entries(walk, &entries, out->table);
	if (rc)
		return rc;
	if (object->via.array.size > 1)
		rc = read_value(walk, &object->via.array.ptr[1], &meta);
	if (rc)
		return rc;
	if (meta.kind != SL_VALUE_TABLE && meta.kind != SL_VALUE_NIL)
		return malformed(walk, "a metatable that is no table");
	out->table->meta = meta.kind == SL_VALUE_TABLE ? meta.table : NULL;
	walk->depth--;
	return 0;
}

static int read_reference(struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	size_t i;

	if (!read_index(object, walk->n_begun, &i))
		return malformed(walk, "a reference to what has not begun");
	*out = walk->begun[i];
	return 0;
}

/* [f, u]: the variable that is upvalue u of function f. */
static int read_cell_reference(
	struct walk *walk, const msgpack_object *object, struct sl_cell **out)
{
	const msgpack_object *numbers = object->via.array.ptr;
	const struct sl_function *function;
	size_t i, upvalue;

	if (object->via.array.size != 2 || !read_index(&numbers[0], walk->n_begun, &i) ||
		walk->begun[i].kind != SL_VALUE_FUNCTION)
		return malformed(walk, "a reference to a variable of no function");
	function = walk->begun[i].function;
	if (!read_index(&numbers[1], function->n_upvalues, &upvalue) ||
		!function->upvalues[upvalue].cell)
		return malformed(walk, "a reference to a variable that has not begun");
	*out = function->upvalues[upvalue].cell;
	return 0;
}

static bool is_cell_reference(const msgpack_object *object)
{
	struct sl_scan_head head;

	return object->type == MSGPACK_OBJECT_EXT && object->via.ext.type == SL_EXT_REFERENCE &&
	       sl_scan_head(
		       (struct sl_bytes){object->via.ext.ptr, object->via.ext.size}, &head) &&
	       head.type == SL_SCAN_ARRAY;
}

/* [name, value] or [name, reference to a variable]. */
static int read_upvalue(
	struct walk *walk, const msgpack_object *object, struct sl_upvalue *upvalue)
{
	const msgpack_object *value;
	int rc;

	if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < 2)
		return malformed(walk, "an upvalue that is no [name, value]");
	rc = read_string(walk, &object->via.array.ptr[0], &upvalue->name);
	if (rc)
		return rc;
	value = &object->via.array.ptr[1];
	if (is_cell_reference(value))
		return read_payload(walk, value, READ_CELL, &upvalue->cell);
	upvalue->cell = sl_parcel_alloc(walk->parcel, sizeof(*upvalue->cell));
	if (!upvalue->cell)
		return no_memory(walk);
	return read_value(walk, value, &upvalue->cell->value);
}

static int read_upvalues(
	struct walk *walk, const msgpack_object *object, struct sl_function *function)
{
	if (object->type != MSGPACK_OBJECT_ARRAY)
		return malformed(walk, "upvalues that are no array");
	function->n_upvalues = object->via.array.size;
	function->upvalues = sl_parcel_array(
		walk->parcel, function->n_upvalues, sizeof(*function->upvalues));
	if (!function->upvalues)
		return no_memory(walk);
	for (size_t i = 0; i < function->n_upvalues; i++) {
		int rc = read_upvalue(walk, &object->via.array.ptr[i], &function->upvalues[i]);

		if (rc)
			return rc;
	}
	return 0;
}

static int read_globals(
	struct walk *walk, const msgpack_object *object, struct sl_function *function)
{
	if (object->type != MSGPACK_OBJECT_MAP)
		return malformed(walk, "globals that are no map");
	function->n_globals = object->via.map.size;
	function->globals =
		sl_parcel_array(walk->parcel, function->n_globals, sizeof(*function->globals));
	if (!function->globals)
		return no_memory(walk);
	for (size_t i = 0; i < function->n_globals; i++) {
		const msgpack_object_kv *pair = &object->via.map.ptr[i];
		struct sl_value *key = &function->globals[i].key;
		int rc;

		key->kind = SL_VALUE_STRING;
		rc = read_string(walk, &pair->key, &key->string);
		if (rc)
			return rc;
		rc = read_value(walk, &pair->val, &function->globals[i].value);
		if (rc)
			return rc;
	}
	return 0;
}

/* The parts of a function: their places in the extension's array, their keys in a chunk. */
enum part {
	PART_TEXT,
	PART_FILE,
	PART_LINE,
	PART_UPVALUES,
	PART_GLOBALS,
	N_PARTS
};

static const char *const part_names[N_PARTS] = {"text", "file", "line", "upvalues", "globals"};

static int read_part(struct walk *walk, enum part part, const msgpack_object *object,
	struct sl_function *function)
{
	switch (part) {
	case PART_TEXT:
		return read_string(walk, object, &function->text);
	case PART_FILE:
		return read_string(walk, object, &function->file);
	case PART_LINE:
		if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
			object->via.u64 > INT32_MAX)
			return malformed(walk, "a function's line that is no line");
		function->line = (int64_t)object->via.u64;
		return 0;
	case PART_UPVALUES:
		return read_upvalues(walk, object, function);
	case PART_GLOBALS:
		return read_globals(walk, object, function);
	default:
		return 0; /* of a later version */
	}
}

static int begin_function(struct walk *walk, struct sl_value *out)
{
	struct sl_function *function = sl_parcel_alloc(walk->parcel, sizeof(*function));

	if (!function)
		return no_memory(walk);
	function->line = 1;
	*out = (struct sl_value){.kind = SL_VALUE_FUNCTION, .function = function};
	return begin(walk, *out);
}

static int end_function(struct walk *walk, const struct sl_function *function)
{
	if (!function->text.data)
		return malformed(walk, "a function without text");
	if (function->text.data[0] == '\x1b')
		return malformed(walk, "a function in bytecode: only source text may be sent");
	walk->depth--;
	return 0;
}

static int read_function(struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	int rc = begin_function(walk, out);

	if (rc)
		return rc;
	if (object->type != MSGPACK_OBJECT_ARRAY)
		return malformed(walk, "a function that is no array");
	for (uint32_t i = 0; i < object->via.array.size && i < N_PARTS; i++) {
		rc = read_part(walk, i, &object->via.array.ptr[i], out->function);
		if (rc)
			return rc;
	}
	return end_function(walk, out->function);
}

/* Which part of a chunk @key names; N_PARTS for none that is known here. */
static enum part part_called(const msgpack_object *key)
{
	unsigned part;

	if (!is_string(key))
		return N_PARTS;
	for (part = 0; part < N_PARTS; part++)
		if (sl_bytes_equal(string_of(key), sl_bytes_of(part_names[part])))
			break;
	return part;
}

static int read_chunk(struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	unsigned seen = 0;
	int rc = begin_function(walk, out);

	if (rc)
		return rc;
	if (object->type != MSGPACK_OBJECT_MAP)
		return malformed(walk, "a chunk that is no map");
	for (uint32_t i = 0; i < object->via.map.size; i++) {
		const msgpack_object_kv *pair = &object->via.map.ptr[i];
		enum part part = part_called(&pair->key);

		if (part == N_PARTS)
			continue;
		if (seen & 1u << part)
			return malformed(walk, "a chunk with a key twice");
		seen |= 1u << part;
		rc = read_part(walk, part, &pair->val, out->function);
		if (rc)
			return rc;
	}
	return end_function(walk, out->function);
}

static int read_extension(struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	switch (object->via.ext.type) {
	case SL_EXT_FUNCTION:
		return read_payload(walk, object, READ_FUNCTION, out);
	case SL_EXT_REFERENCE:
		return read_payload(walk, object, READ_REFERENCE, out);
	case SL_EXT_TABLE:
		return read_payload(walk, object, READ_TABLE, out);
	case SL_EXT_NAMED:
		out->kind = SL_VALUE_NAMED;
		if (!sl_parcel_copy(walk->parcel,
			    (struct sl_bytes){object->via.ext.ptr, object->via.ext.size},
			    &out->string))
			return no_memory(walk);
		return 0;
	default:
		return malformed(walk, "an extension of a type that is not known");
	}
}

static int read_integer(struct walk *walk, uint64_t number, struct sl_value *out)
{
	if (number > INT64_MAX)
		return malformed(walk, "an integer above 2^63-1");
	*out = (struct sl_value){.kind = SL_VALUE_INTEGER, .integer = (int64_t)number};
	return 0;
}

/* *out is zeroed, and only whole when 0 was returned. */
static int read_value(struct walk *walk, const msgpack_object *object, struct sl_value *out)
{
	switch (object->type) {
	case MSGPACK_OBJECT_NIL:
		return 0;
	case MSGPACK_OBJECT_BOOLEAN:
		*out = (struct sl_value){
			.kind = SL_VALUE_BOOLEAN, .boolean = object->via.boolean};
		return 0;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return read_integer(walk, object->via.u64, out);
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		*out = (struct sl_value){.kind = SL_VALUE_INTEGER, .integer = object->via.i64};
		return 0;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		*out = (struct sl_value){.kind = SL_VALUE_FLOAT, .number = object->via.f64};
		return 0;
	case MSGPACK_OBJECT_STR:
	case MSGPACK_OBJECT_BIN:
		out->kind = SL_VALUE_STRING;
		return read_string(walk, object, &out->string);
	case MSGPACK_OBJECT_ARRAY:
	case MSGPACK_OBJECT_MAP:
		return read_plain_table(walk, object, out);
	case MSGPACK_OBJECT_EXT:
		return read_extension(walk, object, out);
	}
	return malformed(walk, "something that is no msgpack");
}

static int read_object(
	struct walk *walk, const msgpack_object *object, enum reading reading, void *out)
{
	switch (reading) {
	case READ_VALUE:
		return read_value(walk, object, out);
	case READ_CHUNK:
		return read_chunk(walk, object, out);
	case READ_FUNCTION:
		return read_function(walk, object, out);
	case READ_REFERENCE:
		return read_reference(walk, object, out);
	case READ_TABLE:
		return read_extended_table(walk, object, out);
	case READ_CELL:
		return read_cell_reference(walk, object, out);
	}
	return malformed(walk, "something that is no value");
}

static int read_document(
	struct walk *walk, struct sl_bytes bytes, enum reading reading, void *out)
{
	size_t n_values, at = 0;
	msgpack_object object;
	msgpack_zone zone;
	int rc = sl_scan_document(bytes, &n_values, walk->err);

	if (rc)
		return rc;
	walk->n_values += n_values;
	if (walk->n_values > SL_MAX_VALUES)
		return no_memory(walk);
	if (!msgpack_zone_init(&zone, n_values * sizeof(msgpack_object)))
		return sl_fail(walk->err, SL_ENOMEM, "out of memory");
	if (msgpack_unpack(bytes.data, bytes.size, &at, &zone, &object) ==
		MSGPACK_UNPACK_SUCCESS)
		rc = read_object(walk, &object, reading, out);
	else
		rc = malformed(walk, "msgpack that can't be unpacked");
	msgpack_zone_destroy(&zone);
	return rc;
}

static int read_payload(
	struct walk *walk, const msgpack_object *object, enum reading reading, void *out)
{
	return read_document(walk, (struct sl_bytes){object->via.ext.ptr, object->via.ext.size},
		reading, out);
}

static int read_all(struct sl_bytes bytes, struct sl_parcel *parcel, enum reading reading,
	struct sl_value *out, struct sl_error *err)
{
	struct walk walk = {.parcel = parcel, .err = err};
	struct sl_value value = {0};
	int rc = read_document(&walk, bytes, reading, &value);

	free(walk.begun);
	if (rc)
		return rc;
	*out = value;
	return 0;
}

int sl_value_reader_read(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err)
{
	return read_all(bytes, parcel, READ_VALUE, out, err);
}

int sl_value_reader_read_chunk(struct sl_bytes bytes, struct sl_parcel *parcel,
	struct sl_value *out, struct sl_error *err)
{
	return read_all(bytes, parcel, READ_CHUNK, out, err);
}
