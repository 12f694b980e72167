/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Outgoing: what waits to be sent on a connection, in order. Bodies are taken,
 * not copied.
 *
 * Threads: the connection's loop.
 */

#include <sys/queue.h>
#include <sys/uio.h>

#include "common/buffer.h"
#include "proto/sp.h"

struct sl_outgoing_piece;

struct sl_outgoing {
	TAILQ_HEAD(, sl_outgoing_piece) pieces;
	size_t first_sent; /* bytes of the first piece that are gone */
	size_t size;       /* bytes that are left */
};

void sl_outgoing_init(struct sl_outgoing *outgoing);
void sl_outgoing_deinit(struct sl_outgoing *outgoing);

#define SL_OUTGOING_MAX_HEAD (SL_SP_MAX_HEAD_BYTES + SL_SP_MAX_HEADER_BYTES)

/* Adds a piece: @head_size bytes of @head, then @body (NULL: nothing), which it takes, in any
 * case. False when memory ran out. */
bool sl_outgoing_add(struct sl_outgoing *outgoing, const void *head, size_t head_size,
	struct sl_buffer *body) sl_must_check;

/* Points @out at the first bytes that are to be sent; returns how many of @max it used. They
 * stay where they are until sl_outgoing_sent(). */
size_t sl_outgoing_iov(const struct sl_outgoing *outgoing, struct iovec *out, size_t max);

/* The first @size bytes are gone. */
void sl_outgoing_sent(struct sl_outgoing *outgoing, size_t size);
