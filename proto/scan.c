/* SPDX-License-Identifier: MIT */
#include "proto/scan.h"

#include "common/error.h"
#include "proto/limits.h"

/* How the bytes 0xc0 … 0xdf begin a value. The size of the number behind the byte, which is a
 * length or a count where counted says so and the value itself where not. */
static const struct {
	uint8_t type;
	uint8_t number_bytes;
	bool counted;
	bool known;
} kinds[32] = {
	[0x00] = {SL_SCAN_NIL, 0, false, true},
	[0x02] = {SL_SCAN_BOOLEAN, 0, false, true},
	[0x03] = {SL_SCAN_BOOLEAN, 0, false, true},
	[0x04] = {SL_SCAN_STRING, 1, true, true},
	[0x05] = {SL_SCAN_STRING, 2, true, true},
	[0x06] = {SL_SCAN_STRING, 4, true, true},
	[0x07] = {SL_SCAN_EXTENSION, 1, true, true},
	[0x08] = {SL_SCAN_EXTENSION, 2, true, true},
	[0x09] = {SL_SCAN_EXTENSION, 4, true, true},
	[0x0a] = {SL_SCAN_FLOAT, 4, false, true},
	[0x0b] = {SL_SCAN_FLOAT, 8, false, true},
	[0x0c] = {SL_SCAN_INTEGER, 1, false, true},
	[0x0d] = {SL_SCAN_INTEGER, 2, false, true},
	[0x0e] = {SL_SCAN_INTEGER, 4, false, true},
	[0x0f] = {SL_SCAN_INTEGER, 8, false, true},
	[0x10] = {SL_SCAN_INTEGER, 1, false, true},
	[0x11] = {SL_SCAN_INTEGER, 2, false, true},
	[0x12] = {SL_SCAN_INTEGER, 4, false, true},
	[0x13] = {SL_SCAN_INTEGER, 8, false, true},
	/* fixext: the type's byte, then 1, 2, 4, 8, 16 bytes */
	[0x14] = {SL_SCAN_EXTENSION, 2, false, true},
	[0x15] = {SL_SCAN_EXTENSION, 3, false, true},
	[0x16] = {SL_SCAN_EXTENSION, 5, false, true},
	[0x17] = {SL_SCAN_EXTENSION, 9, false, true},
	[0x18] = {SL_SCAN_EXTENSION, 17, false, true},
	[0x19] = {SL_SCAN_STRING, 1, true, true},
	[0x1a] = {SL_SCAN_STRING, 2, true, true},
	[0x1b] = {SL_SCAN_STRING, 4, true, true},
	[0x1c] = {SL_SCAN_ARRAY, 2, true, true},
	[0x1d] = {SL_SCAN_ARRAY, 4, true, true},
	[0x1e] = {SL_SCAN_MAP, 2, true, true},
	[0x1f] = {SL_SCAN_MAP, 4, true, true},
};

static uint32_t big_endian(const uint8_t *at, unsigned n)
{
	uint32_t number = 0;

	for (unsigned i = 0; i < n; i++)
		number = number << 8 | at[i];
	return number;
}

/* Puts @count to where it belongs by type. */
static void set_count(struct sl_scan_head *head, uint32_t count)
{
	switch (head->type) {
	case SL_SCAN_ARRAY:
		head->n_items = count;
		break;
	case SL_SCAN_MAP:
		head->n_items = 2 * (uint64_t)count;
		break;
	default:
		head->body_bytes = count;
	}
}

/* The values whose first byte has their size in it. */
static void read_short(uint8_t byte, struct sl_scan_head *out)
{
	out->head_bytes = 1;
	if (byte < 0x80 || byte >= 0xe0) {
		out->type = SL_SCAN_INTEGER;
	} else if (byte < 0x90) {
		out->type = SL_SCAN_MAP;
		set_count(out, byte & 0x0f);
	} else if (byte < 0xa0) {
		out->type = SL_SCAN_ARRAY;
		set_count(out, byte & 0x0f);
	} else {
		out->type = SL_SCAN_STRING;
		set_count(out, byte & 0x1f);
	}
}

/* The others. */
static bool read_long(const uint8_t *at, size_t size, struct sl_scan_head *out)
{
	unsigned kind = at[0] & 0x1f, n = kinds[kind].number_bytes;

	if (!kinds[kind].known || size < 1 + n)
		return false;
	out->type = kinds[kind].type;
	out->head_bytes = 1 + n;
	if (kinds[kind].counted)
		set_count(out, big_endian(at + 1, n));
	if (kinds[kind].counted && out->type == SL_SCAN_EXTENSION)
		out->head_bytes++;
	return true;
}

bool sl_scan_head(struct sl_bytes bytes, struct sl_scan_head *out)
{
	const uint8_t *at = (const uint8_t *)bytes.data;
	struct sl_scan_head head = {0};

	if (bytes.size == 0)
		return false;
	if (at[0] >= 0xc0 && at[0] < 0xe0) {
		if (!read_long(at, bytes.size, &head))
			return false;
	} else {
		read_short(at[0], &head);
	}
	/* Each item takes a byte at least. */
	if (head.head_bytes > bytes.size ||
		head.body_bytes + head.n_items > bytes.size - head.head_bytes)
		return false;
	*out = head;
	return true;
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
		if (head.n_items > 0) {
			if (depth == SL_MAX_MSGPACK_DEPTH)
				return sl_fail(err, SL_ETOO_LARGE,
					"msgpack nested deeper than %d levels",
					SL_MAX_MSGPACK_DEPTH);
			missing[++depth] = head.n_items;
		}
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
