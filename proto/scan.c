/* SPDX-License-Identifier: MIT */
#include "proto/scan.h"

#include "common/error.h"
#include "proto/limits.h"

enum counts {
	NOTHING, /* or the value itself: it is over with the head */
	BYTES,
	ITEMS,
	PAIRS,
};

/*
 * How a value begins, by its first byte: what it is, how many bytes of a number
 * follow, and what that number counts. In the short forms (no bytes, a mask) the
 * number is in the first byte itself.
 */
static const struct kind {
	uint8_t type, number_bytes, counts, mask;
} kinds[256] = {
	[0x00 ... 0x7f] = {SL_SCAN_INTEGER, 0, NOTHING, 0},
	[0x80 ... 0x8f] = {SL_SCAN_MAP, 0, PAIRS, 0x0f},
	[0x90 ... 0x9f] = {SL_SCAN_ARRAY, 0, ITEMS, 0x0f},
	[0xa0 ... 0xbf] = {SL_SCAN_STRING, 0, BYTES, 0x1f},
	[0xc0] = {SL_SCAN_NIL, 0, NOTHING, 0},
	[0xc1] = {SL_SCAN_NONE, 0, NOTHING, 0},
	[0xc2 ... 0xc3] = {SL_SCAN_BOOLEAN, 0, NOTHING, 0},
	[0xc4] = {SL_SCAN_STRING, 1, BYTES, 0},
	[0xc5] = {SL_SCAN_STRING, 2, BYTES, 0},
	[0xc6] = {SL_SCAN_STRING, 4, BYTES, 0},
	[0xc7] = {SL_SCAN_EXTENSION, 1, BYTES, 0},
	[0xc8] = {SL_SCAN_EXTENSION, 2, BYTES, 0},
	[0xc9] = {SL_SCAN_EXTENSION, 4, BYTES, 0},
	[0xca] = {SL_SCAN_FLOAT, 4, NOTHING, 0},
	[0xcb] = {SL_SCAN_FLOAT, 8, NOTHING, 0},
	[0xcc] = {SL_SCAN_INTEGER, 1, NOTHING, 0},
	[0xcd] = {SL_SCAN_INTEGER, 2, NOTHING, 0},
	[0xce] = {SL_SCAN_INTEGER, 4, NOTHING, 0},
	[0xcf] = {SL_SCAN_INTEGER, 8, NOTHING, 0},
	[0xd0] = {SL_SCAN_INTEGER, 1, NOTHING, 0},
	[0xd1] = {SL_SCAN_INTEGER, 2, NOTHING, 0},
	[0xd2] = {SL_SCAN_INTEGER, 4, NOTHING, 0},
	[0xd3] = {SL_SCAN_INTEGER, 8, NOTHING, 0},
	/* fixext: its type's byte, then 1, 2, 4, 8, 16 */
	[0xd4] = {SL_SCAN_EXTENSION, 2, NOTHING, 0},
	[0xd5] = {SL_SCAN_EXTENSION, 3, NOTHING, 0},
	[0xd6] = {SL_SCAN_EXTENSION, 5, NOTHING, 0},
	[0xd7] = {SL_SCAN_EXTENSION, 9, NOTHING, 0},
	[0xd8] = {SL_SCAN_EXTENSION, 17, NOTHING, 0},
	[0xd9] = {SL_SCAN_STRING, 1, BYTES, 0},
	[0xda] = {SL_SCAN_STRING, 2, BYTES, 0},
	[0xdb] = {SL_SCAN_STRING, 4, BYTES, 0},
	[0xdc] = {SL_SCAN_ARRAY, 2, ITEMS, 0},
	[0xdd] = {SL_SCAN_ARRAY, 4, ITEMS, 0},
	[0xde] = {SL_SCAN_MAP, 2, PAIRS, 0},
	[0xdf] = {SL_SCAN_MAP, 4, PAIRS, 0},
	[0xe0 ... 0xff] = {SL_SCAN_INTEGER, 0, NOTHING, 0},
};

/* What the head's number counts, for those that count. */
static uint32_t number_at(const uint8_t *at, const struct kind *kind)
{
	uint32_t number = at[0] & kind->mask;

	for (unsigned i = 1; i <= kind->number_bytes; i++)
		number = number << 8 | at[i];
	return number;
}

bool sl_scan_head(struct sl_bytes bytes, struct sl_scan_head *out)
{
	const uint8_t *at = (const uint8_t *)bytes.data;
	const struct kind *kind;
	uint32_t number;

	if (bytes.size == 0)
		return false;
	kind = &kinds[at[0]];
	if (kind->type == SL_SCAN_NONE || bytes.size - 1 < kind->number_bytes)
		return false;
	*out = (struct sl_scan_head){.type = kind->type, .head_bytes = 1u + kind->number_bytes};
	if (kind->counts == NOTHING)
		return true;

	number = number_at(at, kind);
	if (kind->counts == BYTES)
		out->body_bytes = number;
	else
		out->n_items = kind->counts == PAIRS ? 2 * (uint64_t)number : number;
	if (kind->type == SL_SCAN_EXTENSION)
		out->head_bytes++;
	/* Each item takes a byte at least. */
	return out->head_bytes <= bytes.size &&
	       out->body_bytes + out->n_items <= bytes.size - out->head_bytes;
}

int sl_scan_value(struct sl_bytes bytes, size_t *at, size_t *out_n_values, struct sl_error *err)
{
	uint64_t missing[SL_MAX_MSGPACK_DEPTH + 1]; /* items still to come, by level */
	uint64_t all_missing = 1;
	size_t where = *at, n_values = 0;
	unsigned depth = 0;

	missing[0] = 1;
	while (all_missing > 0) {
		struct sl_bytes rest = {bytes.data + where, bytes.size - where};
		struct sl_scan_head head;

		if (!sl_scan_head(rest, &head))
			return sl_fail(err, SL_EPROTOCOL,
				"bad msgpack at byte %zu of %zu: cut off or malformed", where,
				bytes.size);
		if (++n_values > SL_MAX_VALUES)
			return sl_fail(err, SL_ETOO_LARGE, "a message of more than %u values",
				SL_MAX_VALUES);
		where += head.head_bytes + head.body_bytes;
		missing[depth]--;
		all_missing += head.n_items - 1;
		if (depth == SL_MAX_MSGPACK_DEPTH &&
			(head.type == SL_SCAN_ARRAY || head.type == SL_SCAN_MAP))
			return sl_fail(err, SL_ETOO_LARGE,
				"msgpack nested deeper than %d levels", SL_MAX_MSGPACK_DEPTH);
		if (head.n_items > 0)
			missing[++depth] = head.n_items;
		while (depth > 0 && missing[depth] == 0)
			depth--;
	}
	*at = where;
	if (out_n_values)
		*out_n_values = n_values;
	return 0;
}

int sl_scan_document(struct sl_bytes bytes, size_t *out_n_values, struct sl_error *err)
{
	size_t at = 0;
	int rc;

	if (bytes.size > SL_MAX_MESSAGE_BYTES)
		return sl_fail(err, SL_ETOO_LARGE, "a message of %zu bytes: at most %u",
			bytes.size, SL_MAX_MESSAGE_BYTES);
	rc = sl_scan_value(bytes, &at, out_n_values, err);
	if (rc)
		return rc;
	if (at < bytes.size)
		return sl_fail(err, SL_EPROTOCOL, "%zu bytes too many behind a message",
			bytes.size - at);
	return 0;
}
