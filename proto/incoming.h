/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Incoming: bytes as they arrive on a connection, and the messages in them.
 * Memory follows what has really come, not what a head announces.
 *
 * Threads: the connection's loop.
 */

#include "common/buffer.h"

struct sl_incoming {
	bool ipc;
	struct sl_buffer bytes;
	size_t taken; /* of them: handed on, not yet dropped */
};

void sl_incoming_deinit(struct sl_incoming *incoming);

/* Room for what comes next: where, and *out_size bytes of it. Drops what was taken. NULL when
 * memory ran out. */
char *sl_incoming_room(struct sl_incoming *incoming, size_t *out_size);

/* @size bytes have come into the room. */
void sl_incoming_came(struct sl_incoming *incoming, size_t size);

/* Takes the next @size bytes, which stay until sl_incoming_room(). False when they are not all
 * there. */
bool sl_incoming_take(struct sl_incoming *incoming, size_t size, struct sl_bytes *out);

/* Takes the next message, which stays until sl_incoming_room(). Returns 0; SL_SP_MORE when it
 * is not all there; SL_EPROTOCOL, or SL_ETOO_LARGE for one that says it has more than @max
 * bytes, as soon as it says so. */
int sl_incoming_take_message(
	struct sl_incoming *incoming, size_t max, struct sl_bytes *out) sl_must_check;
