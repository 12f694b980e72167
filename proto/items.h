/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Items: a msgpack array or map taken apart, each item being the bytes that it
 * takes up; and a single item as what it should be. For bytes that were scanned:
 * what was not makes these functions answer "no", not go astray.
 *
 * Threads: any.
 */

#include "common/buffer.h"

struct sl_items {
	struct sl_bytes rest;
	uint64_t n_left; /* of a map: keys and values, each */
};

/* False when @document is no array, or no map. */
bool sl_items_of_array(struct sl_bytes document, struct sl_items *out);
bool sl_items_of_map(struct sl_bytes document, struct sl_items *out);

/* False after the last one. */
bool sl_items_next(struct sl_items *items, struct sl_bytes *out);

bool sl_item_is_nil(struct sl_bytes item);

/* False, and *out left alone, when the item is something else or out of range. A number may be
 * an integer or a float; a string is borrowed from @item. */
bool sl_item_uint(struct sl_bytes item, uint64_t *out);
bool sl_item_int(struct sl_bytes item, int64_t *out);
bool sl_item_number(struct sl_bytes item, double *out);
bool sl_item_boolean(struct sl_bytes item, bool *out);
bool sl_item_string(struct sl_bytes item, struct sl_bytes *out);
