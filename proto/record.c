/* SPDX-License-Identifier: MIT */
#include "proto/record.h"

#include <assert.h>
#include <string.h>

#include "common/state.h"
#include "proto/items.h"

static bool is_written(const struct sl_record_field *field, const void *from)
{
	const void *member = (const char *)from + field->offset;

	switch (field->type) {
	case SL_RECORD_UINT:
		return *(const uint64_t *)member != 0;
	case SL_RECORD_INT:
		return *(const int64_t *)member != 0;
	case SL_RECORD_NUMBER:
		return *(const double *)member != 0;
	case SL_RECORD_BOOLEAN:
		return *(const bool *)member;
	case SL_RECORD_STRING:
	case SL_RECORD_RAW:
		return ((const struct sl_bytes *)member)->size > 0;
	case SL_RECORD_FIXED:
	case SL_RECORD_STATE:
		return true;
	}
	return false;
}

size_t sl_record_count(const struct sl_record *record, const void *from)
{
	size_t n = 0;

	for (size_t i = 0; i < record->n_fields; i++)
		n += is_written(&record->fields[i], from);
	return n;
}

static void write_field(
	const struct sl_record_field *field, const void *from, struct sl_pack *pack)
{
	const void *member = (const char *)from + field->offset;

	sl_pack_word(pack, field->key);
	switch (field->type) {
	case SL_RECORD_UINT:
		msgpack_pack_uint64(&pack->to, *(const uint64_t *)member);
		break;
	case SL_RECORD_INT:
		msgpack_pack_int64(&pack->to, *(const int64_t *)member);
		break;
	case SL_RECORD_NUMBER:
		msgpack_pack_double(&pack->to, *(const double *)member);
		break;
	case SL_RECORD_BOOLEAN:
		sl_pack_boolean(pack, *(const bool *)member);
		break;
	case SL_RECORD_STRING:
		sl_pack_string(pack, *(const struct sl_bytes *)member);
		break;
	case SL_RECORD_RAW:
		sl_pack_raw(pack, *(const struct sl_bytes *)member);
		break;
	case SL_RECORD_FIXED:
		sl_pack_bin(pack, member, field->size);
		break;
	case SL_RECORD_STATE:
		sl_pack_word(pack, sl_state_name(*(const enum sl_state *)member));
		break;
	}
}

void sl_record_write(const struct sl_record *record, const void *from, struct sl_pack *pack)
{
	for (size_t i = 0; i < record->n_fields; i++)
		if (is_written(&record->fields[i], from))
			write_field(&record->fields[i], from, pack);
}

static bool read_fixed(struct sl_bytes item, size_t size, void *to)
{
	struct sl_bytes bytes;

	if (!sl_item_string(item, &bytes) || bytes.size != size)
		return false;
	memcpy(to, bytes.data, size);
	return true;
}

static bool read_string(struct sl_bytes item, size_t max_size, struct sl_bytes *to)
{
	struct sl_bytes bytes;

	if (!sl_item_string(item, &bytes) || (max_size > 0 && bytes.size > max_size))
		return false;
	*to = bytes;
	return true;
}

static bool read_state(struct sl_bytes item, enum sl_state *to)
{
	struct sl_bytes name;
	char text[16];

	if (!sl_item_string(item, &name) || name.size >= sizeof(text))
		return false;
	memcpy(text, name.data, name.size);
	text[name.size] = '\0';
	return sl_state_from_name(text, to);
}

static bool read_field(const struct sl_record_field *field, struct sl_bytes item, void *to)
{
	void *member = (char *)to + field->offset;

	switch (field->type) {
	case SL_RECORD_UINT:
		return sl_item_uint(item, member);
	case SL_RECORD_INT:
		return sl_item_int(item, member);
	case SL_RECORD_NUMBER:
		return sl_item_number(item, member);
	case SL_RECORD_BOOLEAN:
		return sl_item_boolean(item, member);
	case SL_RECORD_STRING:
		return read_string(item, field->size, member);
	case SL_RECORD_RAW:
		*(struct sl_bytes *)member = item;
		return true;
	case SL_RECORD_FIXED:
		return read_fixed(item, field->size, member);
	case SL_RECORD_STATE:
		return read_state(item, member);
	}
	return false;
}

static int refuse(const struct sl_record *record, const struct sl_record_field *field,
	enum sl_code code, struct sl_error *err)
{
	static const char *const wanted[] = {
		[SL_RECORD_UINT] = "an integer, not negative",
		[SL_RECORD_INT] = "an integer",
		[SL_RECORD_NUMBER] = "a number",
		[SL_RECORD_BOOLEAN] = "true or false",
		[SL_RECORD_STRING] = "a string",
		[SL_RECORD_FIXED] = "bytes",
		[SL_RECORD_STATE] = "the name of a state",
		[SL_RECORD_RAW] = "a value",
	};

	if (field->type == SL_RECORD_FIXED)
		return sl_fail(err, code, "%s: '%s' must be %zu bytes", record->what,
			field->key, field->size);
	if (field->type == SL_RECORD_STRING && field->size > 0)
		return sl_fail(err, code, "%s: '%s' must be a string of at most %zu bytes",
			record->what, field->key, field->size);
	return sl_fail(err, code, "%s: '%s' must be %s", record->what, field->key,
		wanted[field->type]);
}

static bool is_called(const char *key, struct sl_bytes name)
{
	for (size_t i = 0; i < name.size; i++)
		if (key[i] == '\0' || key[i] != name.data[i])
			return false;
	return key[name.size] == '\0';
}

/* The index of the field under @key; n_fields for none. */
static size_t find(const struct sl_record *record, struct sl_bytes key)
{
	struct sl_bytes name;
	size_t i = record->n_fields;

	if (sl_item_string(key, &name))
		for (i = 0; i < record->n_fields; i++)
			if (is_called(record->fields[i].key, name))
				break;
	return i;
}

int sl_record_read(const struct sl_record *record, struct sl_bytes document, enum sl_code code,
	void *to, struct sl_error *err)
{
	struct sl_bytes key, item;
	struct sl_items items;
	uint64_t seen = 0;

	assert(record->n_fields <= 64);
	if (!sl_items_of_map(document, &items))
		return sl_fail(err, code, "%s: no map", record->what);
	while (sl_items_next(&items, &key) && sl_items_next(&items, &item)) {
		size_t i = find(record, key);

		if (i == record->n_fields || sl_item_is_nil(item))
			continue;
		if (seen & (uint64_t)1 << i)
			return sl_fail(err, code, "%s: '%s' is there twice", record->what,
				record->fields[i].key);
		seen |= (uint64_t)1 << i;
		if (!read_field(&record->fields[i], item, to))
			return refuse(record, &record->fields[i], code, err);
	}
	for (size_t i = 0; i < record->n_fields; i++)
		if (record->fields[i].required && !(seen & (uint64_t)1 << i))
			return sl_fail(err, code, "%s: '%s' is missing", record->what,
				record->fields[i].key);
	return 0;
}
