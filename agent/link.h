/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Link: the frames on the socket between main and one worker. Both ends are
 * this very program, so that numbers go in the machine's own order; but the
 * worker runs foreign code, so that main believes no size it reads.
 *
 * A frame is a head of SL_LINK_HEAD_BYTES and the bytes that it announces.
 */

#include "common/buffer.h"
#include "proto/limits.h"

struct sl_error;

enum sl_link_kind {
	SL_LINK_TASK = 1, /* to the worker: bytes: the job's id, then an encoded task; number:
	                   * its first credit */
	SL_LINK_STOP,     /* to the worker: end the task; bytes say why */
	SL_LINK_CREDIT,   /* to the worker: so many bytes more may be sent */
	SL_LINK_BATCH,    /* from the worker: number events end to end in bytes */
	SL_LINK_FINISHED, /* from the worker, its last: number is the task's enum sl_state */
};

struct sl_link_frame {
	enum sl_link_kind kind;
	uint64_t number;
	struct sl_bytes bytes;
};

#define SL_LINK_HEAD_BYTES 16

/* What a frame may carry: with what stands around it, it must fit into one message. */
#define SL_LINK_MAX_BYTES (SL_MAX_MESSAGE_BYTES - 4096)

/* What a frame of @size bytes counts against the credit: its place in main's memory. */
#define SL_LINK_COST(size) ((uint64_t)(size) + 64)

enum {
	SL_LINK_MORE = 1, /* the frame isn't there as a whole yet */
};

/* Writes the head of a frame whose bytes follow by themselves. */
void sl_link_head(
	char out[SL_LINK_HEAD_BYTES], enum sl_link_kind kind, uint64_t number, size_t size);

/* Appends a frame. False when memory ran out. */
bool sl_link_append(struct sl_buffer *out, const struct sl_link_frame *frame);

/* Reads the frame at the beginning of @in, which *out borrows; *out_used says how long it is.
 * Returns 0, SL_LINK_MORE, or SL_EPROTOCOL for what no frame begins with. */
int sl_link_next(struct sl_bytes in, struct sl_link_frame *out, size_t *out_used,
	struct sl_error *err) sl_must_check;

/* Reads from the non-blocking @fd what is there, at most a good piece, to the end of @in.
 * Returns 0 when bytes came, SL_LINK_MORE when none are there now, SL_ECLOSED at the end,
 * SL_ESYSTEM, SL_ENOMEM. */
int sl_link_receive(int fd, struct sl_buffer *in, struct sl_error *err) sl_must_check;

/* Writes to the non-blocking @fd from the beginning of @out what it takes, and consumes it.
 * Returns 0 when all went, SL_LINK_MORE when some is left, SL_ECLOSED, SL_ESYSTEM. */
int sl_link_flush(int fd, struct sl_buffer *out, struct sl_error *err) sl_must_check;
