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
#include "proto/endpoint.h"
#include "proto/inbox.h"

/* A request's 4-byte id, with the hops that came before it. */
#define SL_MAX_HOPS 8
#define SL_MAX_SP_HEADER ((SL_MAX_HOPS + 1) * 4)

struct sl_outgoing {
	TAILQ_ENTRY(sl_outgoing) link; /* sl_conn.outgoing */
	uint8_t header[1 + 8 + SL_MAX_SP_HEADER];
	size_t header_size;
	struct sl_buffer body;
};

struct sl_asked {
	TAILQ_ENTRY(sl_asked) link; /* sl_conn.asked */
	uint32_t id;                /* what the owner knows it by */
	uint8_t header[SL_MAX_SP_HEADER];
	size_t header_size;
};

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
	bool reading; /* messages are being handed on */
	void *user;
	char peer[64];
	struct sl_error why;

	nng_stream_dialer *dialer; /* while dialling */
	nng_stream *stream;
	struct sl_completion rx, tx;

	struct sl_buffer in; /* received, not yet a whole message */
	uint8_t greeting[8];
	size_t greeting_sent;
	TAILQ_HEAD(, sl_outgoing) outgoing;
	size_t first_sent; /* bytes of the first outgoing that are gone */
	size_t backlog;    /* bytes in outgoing */
	TAILQ_HEAD(, sl_asked) asked;
	size_t n_asked;
	uint32_t last_id;

	/* Monotonic milliseconds; what they mean depends on the phase. */
	int64_t since_ms;    /* this phase, or the last sign of life */
	int64_t writing_ms;  /* the last time that bytes went out; 0: nothing is waiting to */
	int64_t hello_by_ms; /* accepted and open: no later */
	int64_t leave_at_ms; /* with leaving */
};

/* What the endpoint does for its connections. */
void sl_endpoint_due(struct sl_endpoint *endpoint, int64_t at_ms);
const struct sl_endpoint_ops *sl_endpoint_ops(struct sl_endpoint *endpoint, void **out_ctx);
struct sl_inbox *sl_endpoint_inbox(struct sl_endpoint *endpoint);
int64_t sl_endpoint_now(const struct sl_endpoint *endpoint);

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

/* Closes it if a deadline has passed. Returns when the next one is due, INT64_MAX for none. */
int64_t sl_conn_check_deadlines(struct sl_conn *conn, int64_t now_ms);
