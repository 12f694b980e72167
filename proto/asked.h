/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Asked: the requests on a connection that wait for their reply, in the order in
 * which they came or went.
 *
 * Threads: the connection's loop.
 */

#include <sys/queue.h>

#include "common/buffer.h"
#include "proto/sp.h"

struct sl_asked_request {
	TAILQ_ENTRY(sl_asked_request) link; /* sl_asked.requests */
	uint32_t id;                        /* what the owner knows it by */
	uint8_t header[SL_SP_MAX_HEADER_BYTES];
	size_t header_size;
};

struct sl_asked {
	TAILQ_HEAD(, sl_asked_request) requests;
	size_t n;
	uint32_t last_id;
	bool wrapped; /* ids begin anew: they may be in use */
};

void sl_asked_init(struct sl_asked *asked);
void sl_asked_deinit(struct sl_asked *asked);

/* Gives the next request its id, which no other that waits has. @header (NULL: none) is kept
 * for the reply. False when memory ran out. */
bool sl_asked_add(
	struct sl_asked *asked, struct sl_bytes header, uint32_t *out_id) sl_must_check;

/* Takes request @id out, with its header in *out (NULL is fine). False when it doesn't wait. */
bool sl_asked_take(
	struct sl_asked *asked, uint32_t id, struct sl_asked_request *out) sl_must_check;
