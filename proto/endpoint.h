/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Endpoint: connections that carry requests one way and replies the other, in
 * SP REQ/REP framing over NNG's byte streams. One noun for both ends: an agent
 * listens, a controller dials.
 *
 * NNG's threads only put what happened into the endpoint's inbox and write to
 * its eventfd. Everything else, each callback below included, happens on the
 * loop: the one thread that calls sl_endpoint_dispatch().
 *
 * Each connection is bounded: by deadlines of our own for greeting, hello,
 * idleness and writing, by a size for what it may send, and by the number of
 * its requests that wait for a reply, beyond which it is not read. A dialled
 * one from which nothing has come for SL_IDLE_MS although a reply is due ends
 * with SL_ETIMEOUT; one that replies to what was not asked, with SL_EPROTOCOL.
 * Dialling again is the owner's.
 *
 * Threads: the loop's.
 */

#include "common/buffer.h"

struct sl_conn;
struct sl_endpoint;
struct sl_error;

struct sl_endpoint_ops {
	/* A connection finished its greeting (accepted) or was made (dialled). Accepted ones
	 * have SL_MAX_HELLO_BYTES and SL_HELLO_MS until sl_conn_set_welcome(). */
	void (*opened)(void *ctx, struct sl_conn *conn);
	/* Accepted: a request came; reply with @id when there is something to say, at any
	 * time. @body is borrowed for the call. */
	void (*request)(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body);
	/* Dialled: the reply to request @id came. @body is borrowed for the call. */
	void (*reply)(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body);
	/* It is over, for @why: the last call for @conn, which is freed afterwards. Comes for a
	 * dialled connection that never opened, too; not for one whose greeting failed. */
	void (*closed)(void *ctx, struct sl_conn *conn, const struct sl_error *why);
};

/* @ops and @ctx are borrowed until free. max_connections counts accepted ones; further ones are
 * closed at once. */
int sl_endpoint_new(const struct sl_endpoint_ops *ops, void *ctx, size_t max_connections,
	struct sl_endpoint **out, struct sl_error *err) sl_must_check;

/* Closes everything without callbacks. Blocks until NNG has let go. NULL is fine. */
void sl_endpoint_free(struct sl_endpoint *endpoint);

/* Accepts connections on @url: ipc:///PATH, tcp://HOST:PORT (port 0: a free one). Writes the
 * address that can be dialled to @bound. An ipc path gets @ipc_mode as its permissions; a
 * socket file nobody listens on any more is replaced, one with a listener is SL_EBUSY. */
int sl_endpoint_listen(struct sl_endpoint *endpoint, const char *url, unsigned ipc_mode,
	char *bound, size_t bound_size, struct sl_error *err) sl_must_check;

/* Stops accepting (and unlinks ipc sockets); connections go on. */
void sl_endpoint_stop_listening(struct sl_endpoint *endpoint);

/* Starts to dial. *out is valid until closed() was called for it. @user comes back from
 * sl_conn_user(). Never calls back from within. */
int sl_endpoint_dial(struct sl_endpoint *endpoint, const char *url, void *user,
	struct sl_conn **out, struct sl_error *err) sl_must_check;

/* Readable when sl_endpoint_dispatch() has something to do. */
int sl_endpoint_fd(const struct sl_endpoint *endpoint);

/* Runs what is due: callbacks, deadlines. Returns milliseconds until it wants to be called
 * again although the fd is not readable; -1 for never. */
int sl_endpoint_dispatch(struct sl_endpoint *endpoint);

/* Accepted connections that are open. */
size_t sl_endpoint_n_accepted(const struct sl_endpoint *endpoint);

struct sl_endpoint_numbers {
	uint64_t accepted;      /* connections so far */
	uint64_t over_limit;    /* closed at once, as there were too many */
	uint64_t bad_greetings; /* ended before they were opened */
};

void sl_endpoint_count(const struct sl_endpoint *endpoint, struct sl_endpoint_numbers *out);

/* Sends @body as the reply to @id, once. Takes @body (copies nothing, leaves an empty buffer).
 * Never calls back from within, and is fine until closed() was called. */
void sl_conn_reply(struct sl_conn *conn, uint32_t id, struct sl_buffer *body);

/* Sends @body as a request; *out_id names its reply. Takes @body. Fine before opened(), too: it
 * goes out then. An agent doesn't read more than SL_MAX_REQUESTS_PER_CONNECTION that it hasn't
 * answered: further ones wait, whatever they ask. */
void sl_conn_request(struct sl_conn *conn, struct sl_buffer *body, uint32_t *out_id);

/* The peer may stay: lifts the pre-hello limits. */
void sl_conn_set_welcome(struct sl_conn *conn);

/* Closes after @delay_ms, and reads nothing more till then. closed() follows from dispatch. */
void sl_conn_close(struct sl_conn *conn, int delay_ms);

/* The owner's pointer. */
void sl_conn_set_user(struct sl_conn *conn, void *user);
void *sl_conn_user(const struct sl_conn *conn);

/* Bytes that wait to be sent: what a peer that doesn't read makes us keep. An accepted
 * connection with SL_MAX_BACKLOG_BYTES of them is not read until it has taken some; who has
 * long polls to answer keeps replies small meanwhile. */
size_t sl_conn_backlog(const struct sl_conn *conn);

/* The peer's uid, on an accepted ipc connection only; false else. */
bool sl_conn_peer_uid(const struct sl_conn *conn, uint32_t *out_uid);

/* The peer's address as text ("ipc", "127.0.0.1:4711"); borrowed while @conn lives. */
const char *sl_conn_peer(const struct sl_conn *conn);
