/* SPDX-License-Identifier: MIT */
#include "proto/value_reader.h"

#include <math.h>

#include "common/error.h"
#include "proto/function_reader.h"
#include "proto/table_keys.h"
#include "proto/value_ext.h"

/* A key as Lua keeps it: a float that is a whole number is that integer. */
static int read_key(
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_value *out)
{
	int rc = sl_value_reader_read_object(walk, object, out);

	if (rc)
		return rc;
	if (out->kind == SL_VALUE_NIL)
		return sl_value_walk_malformed(walk, "nil as a key");
	if (out->kind != SL_VALUE_FLOAT)
		return 0;
	if (isnan(out->number))
		return sl_value_walk_malformed(walk, "nan as a key");
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
static int read_pair(struct sl_value_walk *walk, const struct entries *entries, size_t i,
	struct sl_pair *pair)
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
	return sl_value_reader_read_object(walk, value_of(entries, i), &pair->value);
}

static int read_entries(
	struct sl_value_walk *walk, const struct entries *entries, struct sl_table *table)
{
	size_t n_array = count_leading(entries);

	table->array = sl_parcel_array(walk->parcel, n_array, sizeof(*table->array));
	table->pairs =
		sl_parcel_array(walk->parcel, entries->n - n_array, sizeof(*table->pairs));
	if (!table->array || !table->pairs)
		return sl_value_walk_no_memory(walk);
	for (size_t i = 0; i < n_array; i++) {
		int rc = sl_value_reader_read_object(
			walk, value_of(entries, i), &table->array[i]);

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

static int begin_table(struct sl_value_walk *walk, struct sl_value *out)
{
	struct sl_table *table = sl_parcel_alloc(walk->parcel, sizeof(*table));

	if (!table)
		return sl_value_walk_no_memory(walk);
	*out = (struct sl_value){.kind = SL_VALUE_TABLE, .table = table};
	return sl_value_walk_begin(walk, *out);
}

static int read_plain_table(
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_value *out)
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
	struct sl_value_walk *walk, const msgpack_object *object, void *out)
{
	struct sl_value *value = out;
	struct entries entries = {.flat = true};
	struct sl_value meta = {0};
	int rc = begin_table(walk, value);

	if (rc)
		return rc;
	if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < 1 ||
		object->via.array.ptr[0].type != MSGPACK_OBJECT_ARRAY ||
		object->via.array.ptr[0].via.array.size % 2 != 0)
		return sl_value_walk_malformed(
			walk, "a table that is no [[key, value, ...], metatable]");
	entries.from = &object->via.array.ptr[0];
	entries.n = entries.from->via.array.size / 2;
	if (entries.n > 0)
		rc = read_entries(walk, &entries, value->table);
	if (rc)
		return rc;
	if (object->via.array.size > 1)
		rc = sl_value_reader_read_object(walk, &object->via.array.ptr[1], &meta);
	if (rc)
		return rc;
	if (meta.kind != SL_VALUE_TABLE && meta.kind != SL_VALUE_NIL)
		return sl_value_walk_malformed(walk, "a metatable that is no table");
	value->table->meta = meta.kind == SL_VALUE_TABLE ? meta.table : NULL;
	walk->depth--;
	return 0;
}

static int read_reference(struct sl_value_walk *walk, const msgpack_object *object, void *out)
{
	struct sl_value *value = out;
	size_t i;

	if (!sl_value_walk_index(object, walk->n_begun, &i))
		return sl_value_walk_malformed(walk, "a reference to what has not begun");
	*value = walk->begun[i];
	return 0;
}

static int read_extension(
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_value *out)
{
	switch (object->via.ext.type) {
	case SL_EXT_FUNCTION:
		return sl_value_walk_payload(walk, object, sl_function_reader_read, out);
	case SL_EXT_REFERENCE:
		return sl_value_walk_payload(walk, object, read_reference, out);
	case SL_EXT_TABLE:
		return sl_value_walk_payload(walk, object, read_extended_table, out);
	case SL_EXT_NAMED:
		out->kind = SL_VALUE_NAMED;
		if (!sl_parcel_copy(walk->parcel,
			    (struct sl_bytes){object->via.ext.ptr, object->via.ext.size},
			    &out->string))
			return sl_value_walk_no_memory(walk);
		return 0;
	default:
		return sl_value_walk_malformed(
			walk, "an extension of a type that is not known");
	}
}

static int read_integer(struct sl_value_walk *walk, uint64_t number, struct sl_value *out)
{
	if (number > INT64_MAX)
		return sl_value_walk_malformed(walk, "an integer above 2^63-1");
	*out = (struct sl_value){.kind = SL_VALUE_INTEGER, .integer = (int64_t)number};
	return 0;
}

int sl_value_reader_read_object(
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_value *out)
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
		return sl_value_walk_string(walk, object, &out->string);
	case MSGPACK_OBJECT_ARRAY:
	case MSGPACK_OBJECT_MAP:
		return read_plain_table(walk, object, out);
	case MSGPACK_OBJECT_EXT:
		return read_extension(walk, object, out);
	}
	return sl_value_walk_malformed(walk, "something that is no msgpack");
}

static int read_whole(struct sl_value_walk *walk, const msgpack_object *object, void *out)
{
	return sl_value_reader_read_object(walk, object, out);
}

static int read_document(struct sl_bytes bytes, struct sl_parcel *parcel,
	int (*read)(struct sl_value_walk *walk, const msgpack_object *object, void *out),
	struct sl_value *out, struct sl_error *err)
{
	struct sl_value_walk walk = {.parcel = parcel, .err = err};
	struct sl_value value = {0};
	int rc = sl_value_walk_document(&walk, bytes, read, &value);

	sl_value_walk_deinit(&walk);
	if (rc)
		return rc;
	*out = value;
	return 0;
}

int sl_value_reader_read(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err)
{
	return read_document(bytes, parcel, read_whole, out, err);
}

int sl_value_reader_read_chunk(struct sl_bytes bytes, struct sl_parcel *parcel,
	struct sl_value *out, struct sl_error *err)
{
	return read_document(bytes, parcel, sl_function_reader_read_chunk, out, err);
}
