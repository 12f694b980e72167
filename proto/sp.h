/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SP: the bytes that nanomsg's request/reply protocol puts around a message on a
 * stream: a greeting each way, a head before each message, and in the message the
 * request's id, which the reply repeats.
 *
 * Threads: any.
 */

#include "common/buffer.h"

#define SL_SP_GREETING_BYTES 8
#define SL_SP_MAX_HEAD_BYTES 9

/* The id of a request, with the hops that proxies on its way put before it. */
#define SL_SP_ID_BYTES 4
#define SL_SP_MAX_HOPS 8
#define SL_SP_MAX_HEADER_BYTES ((SL_SP_MAX_HOPS + 1) * SL_SP_ID_BYTES)

/* A positive answer of sl_sp_read_head(). */
#define SL_SP_MORE 1

/* What the side that answers says first, or the one that asks. */
void sl_sp_greeting(bool answers, uint8_t out[SL_SP_GREETING_BYTES]);

/* How many bytes stand before a message. ipc has one more than tcp. */
size_t sl_sp_head_bytes(bool ipc);

/* Writes the head of a message of @size bytes, header included. Returns its size. */
size_t sl_sp_write_head(bool ipc, uint64_t size, uint8_t out[SL_SP_MAX_HEAD_BYTES]);

/* Reads the head at the beginning of @bytes. Returns 0 with the message's size, SL_SP_MORE when
 * not all of the head is there, or SL_EPROTOCOL. */
int sl_sp_read_head(bool ipc, struct sl_bytes bytes, uint64_t *out_size) sl_must_check;

/* The size of the header at the beginning of @message; 0 when it has none that may be. */
size_t sl_sp_header_bytes(struct sl_bytes message);

/* The header of request @number, and back: 0 to 2^31-1. */
void sl_sp_write_id(uint32_t number, uint8_t out[SL_SP_ID_BYTES]);
uint32_t sl_sp_read_id(const uint8_t bytes[SL_SP_ID_BYTES]);
