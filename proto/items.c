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

bool sl_items_next(struct sl_items *items, struct sl_bytes *out)
{
	size_t size = 0;

	if (items->n_left == 0 || sl_scan_value(items->rest, &size, NULL, NULL))
		return false;
	*out = (struct sl_bytes){items->rest.data, size};
	items->rest.data += size;
	items->rest.size -= size;
	items->n_left--;
	return true;
}

#define FIRST(item) ((uint8_t)(item).data[0])
#define NIL 0xc0
#define SMALL_BELOW 0x80 /* such a byte is an integer: itself */

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

bool sl_item_uint(struct sl_bytes item, uint64_t *out)
{
	msgpack_object object;

	/* Most are small: levels, kinds, counts. */
	if (item.size > 0 && FIRST(item) < SMALL_BELOW) {
		*out = FIRST(item);
		return true;
	}
	if (!unpack(item, &object) || object.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return false;
	*out = object.via.u64;
	return true;
}

bool sl_item_int(struct sl_bytes item, int64_t *out)
{
	msgpack_object object;

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
