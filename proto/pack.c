/* SPDX-License-Identifier: MIT */
#include "proto/pack.h"

#include <string.h>

#include "common/error.h"

/* An extension's head: ext 32 with four bytes of length, ext 8 with one. */
#define EXT32_HEAD 6
#define EXT8_HEAD 3

static int write_out(void *ctx, const char *data, size_t size)
{
	struct sl_pack *pack = ctx;
	size_t used = pack->out->size - pack->start;

	if (pack->too_large || size > pack->max_size - used) {
		pack->too_large = true;
		return -1;
	}
	return sl_buffer_append(pack->out, data, size) ? 0 : -1;
}

void sl_pack_begin(struct sl_pack *pack, struct sl_buffer *out, size_t max_size)
{
	*pack = (struct sl_pack){.out = out, .start = out->size, .max_size = max_size};
	msgpack_packer_init(&pack->to, pack, write_out);
}

void sl_pack_undo(struct sl_pack *pack)
{
	pack->out->size = pack->start;
	pack->out->failed = false;
}

int sl_pack_end(struct sl_pack *pack, const char *what, struct sl_error *err)
{
	if (!pack->too_large && !pack->out->failed)
		return 0;
	sl_pack_undo(pack);
	if (pack->too_large)
		return sl_fail(err, SL_ETOO_LARGE, "%s would be more than %zu bytes", what,
			pack->max_size);
	return sl_fail(err, SL_ENOMEM, "out of memory while writing %s", what);
}

/* How many bytes the UTF-8 character at @at takes, 0 for none: RFC 3629, so no surrogates,
 * nothing longer than it need be, nothing above U+10FFFF. */
static size_t character(const uint8_t *at, size_t left)
{
	size_t n = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

	if (n == 1)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
		(at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return n;
}

static bool is_utf8(struct sl_bytes string)
{
	const uint8_t *at = (const uint8_t *)string.data;
	size_t left = string.size;

	while (left > 0) {
		uint64_t eight;
		size_t n;

		/* Most of what is logged is ASCII: eight bytes a step. */
		if (left >= sizeof(eight)) {
			memcpy(&eight, at, sizeof(eight));
			if (!(eight & 0x8080808080808080u)) {
				at += sizeof(eight);
				left -= sizeof(eight);
				continue;
			}
		}
		n = character(at, left);
		if (n == 0)
			return false;
		at += n;
		left -= n;
	}
	return true;
}

void sl_pack_string(struct sl_pack *pack, struct sl_bytes string)
{
	if (is_utf8(string))
		msgpack_pack_str_with_body(&pack->to, string.data, string.size);
	else
		msgpack_pack_bin_with_body(&pack->to, string.data, string.size);
}

void sl_pack_bin(struct sl_pack *pack, const void *data, size_t size)
{
	msgpack_pack_bin_with_body(&pack->to, data, size);
}

void sl_pack_word(struct sl_pack *pack, const char *word)
{
	msgpack_pack_str_with_body(&pack->to, word, strlen(word));
}

void sl_pack_raw(struct sl_pack *pack, struct sl_bytes document)
{
	write_out(pack, document.data, document.size);
}

void sl_pack_boolean(struct sl_pack *pack, bool boolean)
{
	if (boolean)
		msgpack_pack_true(&pack->to);
	else
		msgpack_pack_false(&pack->to);
}

size_t sl_pack_extension_begin(struct sl_pack *pack)
{
	static const char room[EXT32_HEAD];

	write_out(pack, room, sizeof(room));
	return pack->out->size;
}

void sl_pack_extension_end(struct sl_pack *pack, size_t begun, int8_t type)
{
	char *payload = pack->out->data + begun;
	size_t size = pack->out->size - begun;
	uint8_t head[EXT32_HEAD] = {0xc9, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
		(uint8_t)(size >> 8), (uint8_t)size, (uint8_t)type};

	if (pack->too_large || pack->out->failed)
		return;
	if (size > UINT8_MAX) {
		memcpy(payload - EXT32_HEAD, head, EXT32_HEAD);
		return;
	}
	/* Most of them are short, and moving a short one costs less than three bytes more
	 * each. */
	memmove(payload - EXT32_HEAD + EXT8_HEAD, payload, size);
	memcpy(payload - EXT32_HEAD, (uint8_t[]){0xc7, (uint8_t)size, (uint8_t)type},
		EXT8_HEAD);
	pack->out->size -= EXT32_HEAD - EXT8_HEAD;
}
