/* SPDX-License-Identifier: MIT */
#include "proto/items.h"

#include <msgpack.h>

#include "proto/scan.h"

static bool open_items(struct sl_bytes document, enum sl_scan_type type, struct sl_items *out)
{
	struct sl_scan_head head;

	if (!sl_scan_head(document, &head) || head.type != type)
		return false;
	out->rest.data = document.data + head.head_bytes;
	out->rest.size = document.size - head.head_bytes;
	out->n_left = head.n_items;
	return true;
}

bool sl_items_of_array(struct sl_bytes document, struct sl_items *out)
{
	return open_items(document, SL_SCAN_ARRAY, out);
}

bool sl_items_of_map(struct sl_bytes document, struct sl_items *out)
{
	return open_items(document, SL_SCAN_MAP, out);
}

#define FIRST(item) ((uint8_t)(item).data[0])
#define NIL 0xc0
#define UINT8 0xcc
#define UINT64 0xcf
#define SMALL_BELOW 0x80 /* such a byte is an integer: itself */

/* How many bytes the value at the beginning of @rest takes up; 0 when it isn't all there. */
static size_t size_of_next(struct sl_bytes rest)
{
	struct sl_scan_head head;
	size_t size = 0;

	if (rest.size > 0 && FIRST(rest) < SMALL_BELOW)
		return 1;
	if (!sl_scan_head(rest, &head))
		return 0;
	if (head.n_items == 0)
		return head.head_bytes + head.body_bytes;
	return sl_scan_value(rest, &size, NULL, NULL) ? 0 : size;
}

bool sl_items_next(struct sl_items *items, struct sl_bytes *out)
{
	size_t size = items->n_left > 0 ? size_of_next(items->rest) : 0;

	if (size == 0)
		return false;
	*out = (struct sl_bytes){items->rest.data, size};
	items->rest.data += size;
	items->rest.size -= size;
	items->n_left--;
	return true;
}

/* Unpacks what is no array and no map. Nothing else takes memory from the zone, so that it may
 * be an empty one: without any libmsgpack would make one and keep it. */
static bool unpack(struct sl_bytes item, msgpack_object *out)
{
	struct sl_scan_head head;
	msgpack_zone empty = {0};
	size_t at = 0;

	if (!sl_scan_head(item, &head) || head.type == SL_SCAN_ARRAY ||
		head.type == SL_SCAN_MAP)
		return false;
	return msgpack_unpack(item.data, item.size, &at, &empty, out) == MSGPACK_UNPACK_SUCCESS;
}

bool sl_item_is_nil(struct sl_bytes item)
{
	return item.size > 0 && FIRST(item) == NIL;
}

/* Reads an integer in one of the forms without a sign, which is how times, levels and counts
 * come: each event has a handful. */
static bool read_unsigned(struct sl_bytes item, uint64_t *out)
{
	uint8_t first = item.size > 0 ? FIRST(item) : NIL;
	uint64_t number = 0;

	if (first < SMALL_BELOW) {
		*out = first;
		return true;
	}
	if (first < UINT8 || first > UINT64 || item.size <= (size_t)1 << (first - UINT8))
		return false;
	for (size_t i = 1; i <= (size_t)1 << (first - UINT8); i++)
		number = number << 8 | (uint8_t)item.data[i];
	*out = number;
	return true;
}

bool sl_item_uint(struct sl_bytes item, uint64_t *out)
{
	msgpack_object object;

	if (read_unsigned(item, out))
		return true;
	if (!unpack(item, &object) || object.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return false;
	*out = object.via.u64;
	return true;
}

bool sl_item_int(struct sl_bytes item, int64_t *out)
{
	msgpack_object object;
	uint64_t number;

	if (read_unsigned(item, &number)) {
		if (number > INT64_MAX)
			return false;
		*out = (int64_t)number;
		return true;
	}
	if (!unpack(item, &object))
		return false;
	if (object.type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		*out = object.via.i64;
	else if (object.type == MSGPACK_OBJECT_POSITIVE_INTEGER && object.via.u64 <= INT64_MAX)
		*out = (int64_t)object.via.u64;
	else
		return false;
	return true;
}

bool sl_item_number(struct sl_bytes item, double *out)
{
	msgpack_object object;

	if (!unpack(item, &object))
		return false;
	if (object.type == MSGPACK_OBJECT_FLOAT64 || object.type == MSGPACK_OBJECT_FLOAT32)
		*out = object.via.f64;
	else if (object.type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		*out = (double)object.via.u64;
	else if (object.type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		*out = (double)object.via.i64;
	else
		return false;
	return true;
}

bool sl_item_boolean(struct sl_bytes item, bool *out)
{
	msgpack_object object;

	if (!unpack(item, &object) || object.type != MSGPACK_OBJECT_BOOLEAN)
		return false;
	*out = object.via.boolean;
	return true;
}

/* Their bytes stand where the head says: there is nothing to unpack. */
bool sl_item_string(struct sl_bytes item, struct sl_bytes *out)
{
	struct sl_scan_head head;

	if (!sl_scan_head(item, &head) || head.type != SL_SCAN_STRING)
		return false;
	*out = (struct sl_bytes){item.data + head.head_bytes, head.body_bytes};
	return true;
}
