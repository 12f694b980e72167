/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Limits: every number that the wire is bounded by, in one place.
 */

#define SL_PROTOCOL_VERSION 1

/* Messages */
#define SL_MAX_MESSAGE_BYTES (16u << 20) /* a request or reply, after hello */
#define SL_MAX_HELLO_BYTES 4096u         /* a message on a connection that hasn't said hello */
#define SL_MAX_MSGPACK_DEPTH 32          /* nesting inside one msgpack document */
#define SL_MAX_VALUE_DEPTH 200           /* nesting of a Lua value */
#define SL_MAX_PARCEL_BYTES (64u << 20)  /* a message's values, unpacked */
#define SL_MAX_NAME_BYTES 256u           /* task, agent, workflow, user names */

/* Connections; milliseconds */
#define SL_MAX_CONNECTIONS 1024
#define SL_MAX_REQUESTS_PER_CONNECTION                                                         \
	256 /* outstanding; further ones are read when some are answered */
#define SL_HANDSHAKE_MS 5000
#define SL_HELLO_MS 5000
#define SL_IDLE_MS 60000
#define SL_PING_MS 15000
#define SL_WRITE_MS 30000 /* a peer that doesn't take a reply in this time is closed */
#define SL_HELLO_FAILED_CLOSE_MS 100

/* next */
#define SL_MAX_WAIT_MS 30000 /* longer wait_ms is cut to this */
#define SL_MAX_REPLY_EVENT_BYTES (1u << 20)

/* Worker and job */
#define SL_BATCH_BYTES (16u << 10)
#define SL_BATCH_MS 5
#define SL_MAX_JOB_RING_BYTES (8u << 20)
#define SL_MAX_JOB_LOG_BYTES (64u << 20)
#define SL_MAX_LOG_LINE_BYTES (64u << 10)
