/* SPDX-License-Identifier: MIT */
#include "proto/function_reader.h"

#include "common/error.h"
#include "proto/scan.h"
#include "proto/value_ext.h"
#include "proto/value_reader.h"

/* [f, u]: the variable that is upvalue u of function f. */
static int read_cell_reference(
	struct sl_value_walk *walk, const msgpack_object *object, void *out)
{
	struct sl_cell **cell = out;
	const msgpack_object *numbers = object->via.array.ptr;
	const struct sl_function *function;
	size_t i, upvalue;

	if (object->via.array.size != 2 ||
		!sl_value_walk_index(&numbers[0], walk->n_begun, &i) ||
		walk->begun[i].kind != SL_VALUE_FUNCTION)
		return sl_value_walk_malformed(
			walk, "a reference to a variable of no function");
	function = walk->begun[i].function;
	if (!sl_value_walk_index(&numbers[1], function->n_upvalues, &upvalue) ||
		!function->upvalues[upvalue].cell)
		return sl_value_walk_malformed(
			walk, "a reference to a variable that has not begun");
	*cell = function->upvalues[upvalue].cell;
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
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_upvalue *upvalue)
{
	const msgpack_object *value;
	int rc;

	if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < 2)
		return sl_value_walk_malformed(walk, "an upvalue that is no [name, value]");
	rc = sl_value_walk_string(walk, &object->via.array.ptr[0], &upvalue->name);
	if (rc)
		return rc;
	value = &object->via.array.ptr[1];
	if (is_cell_reference(value))
		return sl_value_walk_payload(walk, value, read_cell_reference, &upvalue->cell);
	upvalue->cell = sl_parcel_alloc(walk->parcel, sizeof(*upvalue->cell));
	if (!upvalue->cell)
		return sl_value_walk_no_memory(walk);
	return sl_value_reader_read_object(walk, value, &upvalue->cell->value);
}

static int read_upvalues(
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_function *function)
{
	if (object->type != MSGPACK_OBJECT_ARRAY)
		return sl_value_walk_malformed(walk, "upvalues that are no array");
	function->n_upvalues = object->via.array.size;
	function->upvalues = sl_parcel_array(
		walk->parcel, function->n_upvalues, sizeof(*function->upvalues));
	if (!function->upvalues)
		return sl_value_walk_no_memory(walk);
	for (size_t i = 0; i < function->n_upvalues; i++) {
		int rc = read_upvalue(walk, &object->via.array.ptr[i], &function->upvalues[i]);

		if (rc)
			return rc;
	}
	return 0;
}

static int read_globals(
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_function *function)
{
	if (object->type != MSGPACK_OBJECT_MAP)
		return sl_value_walk_malformed(walk, "globals that are no map");
	function->n_globals = object->via.map.size;
	function->globals =
		sl_parcel_array(walk->parcel, function->n_globals, sizeof(*function->globals));
	if (!function->globals)
		return sl_value_walk_no_memory(walk);
	for (size_t i = 0; i < function->n_globals; i++) {
		const msgpack_object_kv *pair = &object->via.map.ptr[i];
		struct sl_value *key = &function->globals[i].key;
		int rc;

		key->kind = SL_VALUE_STRING;
		rc = sl_value_walk_string(walk, &pair->key, &key->string);
		if (rc)
			return rc;
		rc = sl_value_reader_read_object(walk, &pair->val, &function->globals[i].value);
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

static int read_part(struct sl_value_walk *walk, enum part part, const msgpack_object *object,
	struct sl_function *function)
{
	switch (part) {
	case PART_TEXT:
		return sl_value_walk_string(walk, object, &function->text);
	case PART_FILE:
		return sl_value_walk_string(walk, object, &function->file);
	case PART_LINE:
		if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
			object->via.u64 > INT32_MAX)
			return sl_value_walk_malformed(
				walk, "a function's line that is no line");
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

static int begin_function(struct sl_value_walk *walk, struct sl_value *out)
{
	struct sl_function *function = sl_parcel_alloc(walk->parcel, sizeof(*function));

	if (!function)
		return sl_value_walk_no_memory(walk);
	function->line = 1;
	*out = (struct sl_value){.kind = SL_VALUE_FUNCTION, .function = function};
	return sl_value_walk_begin(walk, *out);
}

static int end_function(struct sl_value_walk *walk, const struct sl_function *function)
{
	if (!function->text.data)
		return sl_value_walk_malformed(walk, "a function without text");
	if (function->text.data[0] == '\x1b')
		return sl_value_walk_malformed(
			walk, "a function in bytecode: only source text may be sent");
	walk->depth--;
	return 0;
}

int sl_function_reader_read(struct sl_value_walk *walk, const msgpack_object *object, void *out)
{
	struct sl_value *value = out;
	int rc = begin_function(walk, value);

	if (rc)
		return rc;
	if (object->type != MSGPACK_OBJECT_ARRAY)
		return sl_value_walk_malformed(walk, "a function that is no array");
	for (uint32_t i = 0; i < object->via.array.size && i < N_PARTS; i++) {
		rc = read_part(walk, i, &object->via.array.ptr[i], value->function);
		if (rc)
			return rc;
	}
	return end_function(walk, value->function);
}

/* Which part of a chunk @key names; N_PARTS for none that is known here. */
static enum part part_called(const msgpack_object *key)
{
	struct sl_bytes name;
	unsigned part = N_PARTS;

	if (sl_value_walk_bytes(key, &name))
		for (part = 0; part < N_PARTS; part++)
			if (sl_bytes_equal(name, sl_bytes_of(part_names[part])))
				break;
	return part;
}

int sl_function_reader_read_chunk(
	struct sl_value_walk *walk, const msgpack_object *object, void *out)
{
	struct sl_value *value = out;
	unsigned seen = 0;
	int rc = begin_function(walk, value);

	if (rc)
		return rc;
	if (object->type != MSGPACK_OBJECT_MAP)
		return sl_value_walk_malformed(walk, "a chunk that is no map");
	for (uint32_t i = 0; i < object->via.map.size; i++) {
		const msgpack_object_kv *pair = &object->via.map.ptr[i];
		enum part part = part_called(&pair->key);

		if (part == N_PARTS)
			continue;
		if (seen & 1u << part)
			return sl_value_walk_malformed(walk, "a chunk with a key twice");
		seen |= 1u << part;
		rc = read_part(walk, part, &pair->val, value->function);
		if (rc)
			return rc;
	}
	return end_function(walk, value->function);
}
