/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Conn: one connection of an endpoint, from its greeting to its end. Inside
 * proto only; what owners may call is in endpoint.h.
 *
 * Threads: the loop's.
 */

#include <nng/nng.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "common/error.h"
#include "proto/asked.h"
#include "proto/endpoint.h"
#include "proto/inbox.h"
#include "proto/incoming.h"
#include "proto/outgoing.h"

enum sl_conn_phase {
	SL_CONN_DIALING,
	SL_CONN_GREETING,
	SL_CONN_OPEN,
	SL_CONN_CLOSED, /* the stream is closed; what is under way is coming back */
};

struct sl_conn {
	TAILQ_ENTRY(sl_conn) link; /* sl_endpoint.conns */
	struct sl_endpoint *endpoint;
	enum sl_conn_phase phase;
	bool accepted; /* else dialled */
	bool ipc;
	bool welcome;
	bool opened_was_called;
	bool leaving; /* sl_conn_close(): reads nothing more */
	bool reading; /* what came is being taken in, and then reading goes on */
	void *user;
	char peer[64];
	struct sl_error why;

	nng_stream_dialer *dialer; /* while dialling */
	nng_stream *stream;
	struct sl_completion rx, tx;

	struct sl_incoming incoming;
	struct sl_outgoing outgoing;
	struct sl_asked asked; /* accepted: by the peer; dialled: by us */

	/* Monotonic milliseconds. */
	int64_t begun_ms;    /* dialling, or greeting */
	int64_t moved_ms;    /* the last time that bytes came or went */
	int64_t heard_ms;    /* dialled: the last sign of life, or the first request since */
	int64_t writing_ms;  /* the last time that bytes went; 0: nothing is waiting to */
	int64_t hello_by_ms; /* accepted and open: welcome no later */
	int64_t leave_at_ms; /* with leaving */
};

/* What the endpoint does for its connections. */
void sl_endpoint_due(struct sl_endpoint *endpoint, int64_t at_ms);
const struct sl_endpoint_ops *sl_endpoint_ops(struct sl_endpoint *endpoint, void **out_ctx);
struct sl_inbox *sl_endpoint_inbox(struct sl_endpoint *endpoint);

/* A connection without a stream yet. */
int sl_conn_new(struct sl_endpoint *endpoint, bool accepted, bool ipc, struct sl_conn **out,
	struct sl_error *err) sl_must_check;

/* Frees it. Blocks until NNG has let go. No callback. */
void sl_conn_free(struct sl_conn *conn);

/* Takes @stream and greets. */
void sl_conn_start(struct sl_conn *conn, nng_stream *stream);

/* Dials with @dialer, which it takes. */
void sl_conn_start_dialing(struct sl_conn *conn, nng_stream_dialer *dialer);

/* Ends the connection for @why; it can be freed once sl_conn_is_idle(). */
void sl_conn_fail(struct sl_conn *conn, enum sl_code code, const char *why);

bool sl_conn_is_idle(const struct sl_conn *conn);

/* From dispatch: closes the connection if a deadline has passed. Returns when the next one is
 * due, INT64_MAX for none. */
int64_t sl_conn_check(struct sl_conn *conn, int64_t now_ms);
