/* SPDX-License-Identifier: MIT */
#include "proto/sp.h"

#include <string.h>

#include "common/error.h"

#define REQ 0x30
#define REP 0x31
#define IPC_MESSAGE 1
#define SIZE_BYTES 8
#define LAST_WORD 0x80 /* on the id, not on the hops before it */

void sl_sp_greeting(bool answers, uint8_t out[SL_SP_GREETING_BYTES])
{
	const uint8_t greeting[] = {0, 'S', 'P', 0, 0, answers ? REP : REQ, 0, 0};

	memcpy(out, greeting, SL_SP_GREETING_BYTES);
}

size_t sl_sp_head_bytes(bool ipc)
{
	return ipc ? 1 + SIZE_BYTES : SIZE_BYTES;
}

size_t sl_sp_write_head(bool ipc, uint64_t size, uint8_t out[SL_SP_MAX_HEAD_BYTES])
{
	if (ipc)
		*out++ = IPC_MESSAGE;
	for (int shift = 56; shift >= 0; shift -= 8)
		*out++ = (uint8_t)(size >> shift);
	return sl_sp_head_bytes(ipc);
}

int sl_sp_read_head(bool ipc, struct sl_bytes bytes, uint64_t *out_size)
{
	const uint8_t *at = (const uint8_t *)bytes.data;
	uint64_t size = 0;

	if (ipc && bytes.size > 0 && *at++ != IPC_MESSAGE)
		return SL_EPROTOCOL;
	if (bytes.size < sl_sp_head_bytes(ipc))
		return SL_SP_MORE;
	for (int i = 0; i < SIZE_BYTES; i++)
		size = size << 8 | at[i];
	*out_size = size;
	return 0;
}

size_t sl_sp_header_bytes(struct sl_bytes message)
{
	size_t at = 0;

	while (at + SL_SP_ID_BYTES <= message.size && at < SL_SP_MAX_HEADER_BYTES) {
		bool last = (uint8_t)message.data[at] & LAST_WORD;

		at += SL_SP_ID_BYTES;
		if (last)
			return at;
	}
	return 0;
}

void sl_sp_write_id(uint32_t number, uint8_t out[SL_SP_ID_BYTES])
{
	out[0] = (uint8_t)(number >> 24) | LAST_WORD;
	out[1] = (uint8_t)(number >> 16);
	out[2] = (uint8_t)(number >> 8);
	out[3] = (uint8_t)number;
}

uint32_t sl_sp_read_id(const uint8_t bytes[SL_SP_ID_BYTES])
{
	return (uint32_t)(bytes[0] & ~LAST_WORD) << 24 | (uint32_t)bytes[1] << 16 |
	       (uint32_t)bytes[2] << 8 | bytes[3];
}
