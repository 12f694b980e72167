/* SPDX-License-Identifier: MIT */

/*
 * Text as events: in pieces where it is longer than an event's.
 */

#include "lua/runtime_inside.h"

/* PROTOCOL: a line over 64 KiB is split. */
#define LONGEST_PIECE ((size_t)64 * 1024)

/* Takes a piece off the front of @text, not inside of a UTF-8 character. */
static struct sl_bytes next_piece(struct sl_bytes *text)
{
	struct sl_bytes piece = *text;

	if (piece.size > LONGEST_PIECE) {
		piece.size = LONGEST_PIECE;
		for (int i = 0; i < 3 && (text->data[piece.size] & 0xC0) == 0x80; i++)
			piece.size--;
	}
	text->data += piece.size;
	text->size -= piece.size;
	return piece;
}

bool sl_runtime_emit_log(struct sl_runtime *runtime, enum sl_log_level level,
	uint64_t goroutine, struct sl_bytes message, const struct sl_value *fields)
{
	bool full;

	do {
		struct sl_event event = {.kind = SL_EVENT_LOG};

		event.log.level = level;
		event.log.goroutine = goroutine;
		event.log.message = next_piece(&message);
		event.log.continued = message.size > 0;
		if (fields && !event.log.continued)
			event.log.fields = *fields;
		full = sl_runtime_emit(runtime, &event);
	} while (message.size > 0);
	return full;
}

bool sl_runtime_emit_out(
	struct sl_runtime *runtime, int stream, uint64_t goroutine, struct sl_bytes bytes)
{
	bool full;

	do {
		struct sl_event event = {.kind = SL_EVENT_OUT};

		event.out.stream = stream;
		event.out.goroutine = goroutine;
		event.out.bytes = next_piece(&bytes);
		event.out.continued = bytes.size > 0;
		full = sl_runtime_emit(runtime, &event);
	} while (bytes.size > 0);
	return full;
}
