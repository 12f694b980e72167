/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Limits: every number that the wire is bounded by, in one place.
 */

#define SL_PROTOCOL_VERSION 1

/* Messages */
#define SL_MAX_MESSAGE_BYTES (16u << 20) /* a request or reply, after hello */
#define SL_MAX_HELLO_BYTES 4096u         /* a message from a peer that is not welcome yet */
#define SL_MAX_ENVELOPE_BYTES 64u        /* of them: request id and hops before the msgpack */
#define SL_MAX_TASK_BYTES (15u << 20)    /* a task: leaves room for submit around it */
#define SL_MAX_EVENT_BYTES (4u << 20)    /* an event, with the values in it */
#define SL_MAX_MSGPACK_DEPTH 32          /* nesting inside one msgpack document */
#define SL_MAX_VALUE_DEPTH 200           /* nesting of a Lua value */
#define SL_MAX_PARCEL_BYTES (64u << 20)  /* a message's values, unpacked */
#define SL_MAX_VALUES (SL_MAX_PARCEL_BYTES / 24) /* in a message: each takes up so much */
#define SL_MAX_NAME_BYTES 256u                   /* task, agent, workflow, user names */
#define SL_MAX_PATH_BYTES 4096u
#define SL_MAX_TIMEOUT_MS (10000ull * 86400 * 1000) /* of a task */

/* Connections; milliseconds */
#define SL_MAX_CONNECTIONS 1024
#define SL_MAX_REQUESTS_PER_CONNECTION 256 /* unanswered; further ones are read later */
#define SL_HANDSHAKE_MS 5000
#define SL_HELLO_MS 5000
#define SL_IDLE_MS 60000
#define SL_WRITE_MS 30000 /* a peer that doesn't take a reply in this time is closed */
#define SL_HELLO_FAILED_CLOSE_MS 100
#define SL_MAX_BACKLOG_BYTES (4u << 20) /* replies that a peer has not taken yet */

/* next */
#define SL_MAX_WAIT_MS 30000 /* longer wait_ms is cut to this */
#define SL_MAX_REPLY_EVENT_BYTES (1u << 20)

/* Worker and job */
#define SL_BATCH_BYTES (16u << 10)
#define SL_BATCH_MS 5
#define SL_MAX_JOB_RING_BYTES (8u << 20)
#define SL_MAX_JOB_LOG_BYTES (64u << 20)
#define SL_MAX_LOG_LINE_BYTES (64u << 10)
