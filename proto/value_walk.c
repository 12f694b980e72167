/* SPDX-License-Identifier: MIT */
#include "proto/value_walk.h"

#include <stdlib.h>

#include "common/error.h"
#include "proto/limits.h"
#include "proto/scan.h"

int sl_value_walk_no_memory(struct sl_value_walk *walk)
{
	return sl_fail(walk->err, SL_ETOO_LARGE,
		"a value that takes more memory than the %u bytes it may", SL_MAX_PARCEL_BYTES);
}

int sl_value_walk_malformed(struct sl_value_walk *walk, const char *what)
{
	return sl_fail(walk->err, SL_EPROTOCOL, "a malformed value: %s", what);
}

void sl_value_walk_deinit(struct sl_value_walk *walk)
{
	free(walk->begun);
	walk->begun = NULL;
}

int sl_value_walk_begin(struct sl_value_walk *walk, struct sl_value value)
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

int sl_value_walk_document(struct sl_value_walk *walk, struct sl_bytes bytes,
	int (*read)(struct sl_value_walk *walk, const msgpack_object *object, void *out),
	void *out)
{
	size_t n_values, at = 0;
	msgpack_object object;
	msgpack_zone zone;
	int rc = sl_scan_document(bytes, &n_values, walk->err);

	if (rc)
		return rc;
	walk->n_values += n_values;
	if (walk->n_values > SL_MAX_VALUES)
		return sl_value_walk_no_memory(walk);
	if (!msgpack_zone_init(&zone, n_values * sizeof(msgpack_object)))
		return sl_fail(walk->err, SL_ENOMEM, "out of memory");
	if (msgpack_unpack(bytes.data, bytes.size, &at, &zone, &object) ==
		MSGPACK_UNPACK_SUCCESS)
		rc = read(walk, &object, out);
	else
		rc = sl_value_walk_malformed(walk, "msgpack that can't be unpacked");
	msgpack_zone_destroy(&zone);
	return rc;
}

int sl_value_walk_payload(struct sl_value_walk *walk, const msgpack_object *object,
	int (*read)(struct sl_value_walk *walk, const msgpack_object *object, void *out),
	void *out)
{
	struct sl_bytes payload = {object->via.ext.ptr, object->via.ext.size};

	return sl_value_walk_document(walk, payload, read, out);
}

/* str and bin are laid out alike in libmsgpack, but it doesn't say that they will always be. */
bool sl_value_walk_bytes(const msgpack_object *object, struct sl_bytes *out)
{
	if (object->type == MSGPACK_OBJECT_STR)
		*out = (struct sl_bytes){object->via.str.ptr, object->via.str.size};
	else if (object->type == MSGPACK_OBJECT_BIN)
		*out = (struct sl_bytes){object->via.bin.ptr, object->via.bin.size};
	else
		return false;
	return true;
}

int sl_value_walk_string(
	struct sl_value_walk *walk, const msgpack_object *object, struct sl_bytes *out)
{
	struct sl_bytes bytes;

	if (!sl_value_walk_bytes(object, &bytes))
		return sl_value_walk_malformed(walk, "something else where a string belongs");
	return sl_parcel_copy(walk->parcel, bytes, out) ? 0 : sl_value_walk_no_memory(walk);
}

bool sl_value_walk_index(const msgpack_object *object, size_t below, size_t *out)
{
	if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 >= below)
		return false;
	*out = (size_t)object->via.u64;
	return true;
}
