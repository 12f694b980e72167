/* SPDX-License-Identifier: MIT */
#include "proto/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"

#define SP_REQ 0x30
#define SP_REP 0x31
#define LEAST_READ 4096u
#define KEPT_CAPACITY (256u << 10)
#define MAX_IOVS 8 /* what an nng_aio takes */

static void received(void *ctx);
static void sent(void *ctx);
static void read_more(struct sl_conn *conn);

int sl_conn_new(struct sl_endpoint *endpoint, bool accepted, bool ipc, struct sl_conn **out,
	struct sl_error *err)
{
	struct sl_inbox *inbox = sl_endpoint_inbox(endpoint);
	struct sl_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return sl_fail(err, SL_ENOMEM, "connection: out of memory");
	conn->endpoint = endpoint;
	conn->accepted = accepted;
	conn->ipc = ipc;
	conn->since_ms = sl_endpoint_now(endpoint);
	TAILQ_INIT(&conn->outgoing);
	TAILQ_INIT(&conn->asked);
	if (sl_completion_init(&conn->rx, inbox, received, conn, err) ||
		sl_completion_init(&conn->tx, inbox, sent, conn, err)) {
		sl_conn_free(conn);
		return SL_ENOMEM;
	}
	*out = conn;
	return 0;
}

static void free_outgoing(struct sl_conn *conn, struct sl_outgoing *out)
{
	TAILQ_REMOVE(&conn->outgoing, out, link);
	sl_buffer_deinit(&out->body);
	free(out);
}

static void free_asked(struct sl_conn *conn, struct sl_asked *asked)
{
	TAILQ_REMOVE(&conn->asked, asked, link);
	conn->n_asked--;
	free(asked);
}

void sl_conn_free(struct sl_conn *conn)
{
	struct sl_outgoing *out;
	struct sl_asked *asked;

	if (!conn)
		return;
	if (conn->stream)
		nng_stream_close(conn->stream);
	if (conn->dialer)
		nng_stream_dialer_close(conn->dialer);
	sl_completion_deinit(&conn->rx);
	sl_completion_deinit(&conn->tx);
	if (conn->stream)
		nng_stream_free(conn->stream);
	if (conn->dialer)
		nng_stream_dialer_free(conn->dialer);
	while ((out = TAILQ_FIRST(&conn->outgoing)) != NULL)
		free_outgoing(conn, out);
	while ((asked = TAILQ_FIRST(&conn->asked)) != NULL)
		free_asked(conn, asked);
	sl_buffer_deinit(&conn->in);
	free(conn);
}

void sl_conn_fail(struct sl_conn *conn, enum sl_code code, const char *why)
{
	if (conn->phase == SL_CONN_CLOSED)
		return;
	if (!conn->leaving) /* else the owner's reason stands */
		sl_fail(&conn->why, code, "%s", why);
	conn->phase = SL_CONN_CLOSED;
	if (conn->stream)
		nng_stream_close(conn->stream);
	if (conn->dialer)
		nng_stream_dialer_close(conn->dialer);
	sl_endpoint_due(conn->endpoint, 0); /* to be reaped */
}

static void fail_nng(struct sl_conn *conn, int result)
{
	switch (result) {
	case NNG_ECLOSED:
	case NNG_ECONNSHUT:
	case NNG_ECONNRESET:
	case NNG_ECONNABORTED:
		sl_conn_fail(conn, SL_ECLOSED, "the other side closed the connection");
		break;
	default:
		sl_conn_fail(conn, SL_ECLOSED, nng_strerror(result));
	}
}

bool sl_conn_is_idle(const struct sl_conn *conn)
{
	return !conn->rx.pending && !conn->tx.pending;
}

/* --- Writing --- */

static size_t add_iov(nng_iov *iov, size_t n, void *data, size_t size, size_t *skip)
{
	if (*skip >= size) {
		*skip -= size;
		return n;
	}
	iov[n] = (nng_iov){(char *)data + *skip, size - *skip};
	*skip = 0;
	return n + 1;
}

static void write_more(struct sl_conn *conn)
{
	size_t skip = conn->first_sent, n = 0;
	struct sl_outgoing *out;
	nng_iov iov[MAX_IOVS];

	if (conn->tx.pending || conn->phase == SL_CONN_CLOSED || !conn->stream)
		return;
	if (conn->greeting_sent < sizeof(conn->greeting)) {
		size_t done = conn->greeting_sent;

		n = add_iov(iov, 0, conn->greeting, sizeof(conn->greeting), &done);
	} else {
		TAILQ_FOREACH(out, &conn->outgoing, link)
		{
			if (n + 2 > MAX_IOVS)
				break;
			n = add_iov(iov, n, out->header, out->header_size, &skip);
			n = add_iov(iov, n, out->body.data, out->body.size, &skip);
		}
	}
	if (n == 0) {
		conn->writing_ms = 0;
		return;
	}
	if (conn->writing_ms == 0) {
		conn->writing_ms = sl_endpoint_now(conn->endpoint);
		sl_endpoint_due(conn->endpoint, conn->writing_ms + SL_WRITE_MS);
	}
	nng_aio_set_iov(conn->tx.aio, (unsigned)n, iov);
	conn->tx.pending = true;
	nng_stream_send(conn->stream, conn->tx.aio);
}

static void account_sent(struct sl_conn *conn, size_t n)
{
	struct sl_outgoing *out;

	if (conn->greeting_sent < sizeof(conn->greeting)) {
		conn->greeting_sent += n;
		return;
	}
	conn->first_sent += n;
	while ((out = TAILQ_FIRST(&conn->outgoing)) != NULL) {
		size_t size = out->header_size + out->body.size;

		if (conn->first_sent < size)
			break;
		conn->first_sent -= size;
		conn->backlog -= size;
		free_outgoing(conn, out);
	}
}

static void sent(void *ctx)
{
	struct sl_conn *conn = ctx;
	int result = nng_aio_result(conn->tx.aio);

	if (conn->phase == SL_CONN_CLOSED) {
		sl_endpoint_due(conn->endpoint, 0);
		return;
	}
	if (result) {
		fail_nng(conn, result);
		return;
	}
	account_sent(conn, nng_aio_count(conn->tx.aio));
	conn->since_ms = conn->writing_ms = sl_endpoint_now(conn->endpoint);
	write_more(conn);
	read_more(conn);
}

/* Queues @body behind @header (the SP one), leaving @body empty. */
static void send_message(
	struct sl_conn *conn, const uint8_t *header, size_t header_size, struct sl_buffer *body)
{
	struct sl_outgoing *out;
	uint64_t size = header_size + body->size;
	uint8_t *at;

	if (conn->phase == SL_CONN_CLOSED) {
		sl_buffer_deinit(body);
		return;
	}
	out = calloc(1, sizeof(*out));
	if (!out || body->failed) {
		free(out);
		sl_buffer_deinit(body);
		/* The peer would wait for ever for what can't be said. */
		sl_conn_fail(conn, SL_ENOMEM, "out of memory");
		return;
	}
	at = out->header;
	if (conn->ipc)
		*at++ = 1;
	for (int shift = 56; shift >= 0; shift -= 8)
		*at++ = (uint8_t)(size >> shift);
	memcpy(at, header, header_size);
	out->header_size = (size_t)(at - out->header) + header_size;
	out->body = *body;
	*body = SL_BUFFER_INIT;
	conn->backlog += out->header_size + out->body.size;
	TAILQ_INSERT_TAIL(&conn->outgoing, out, link);
	write_more(conn);
}

void sl_conn_reply(struct sl_conn *conn, uint32_t id, struct sl_buffer *body)
{
	struct sl_asked *asked;

	TAILQ_FOREACH(asked, &conn->asked, link)
	if (asked->id == id)
		break;
	/* One reply to each request: a second one is our own mistake. */
	assert(asked);
	send_message(conn, asked->header, asked->header_size, body);
	free_asked(conn, asked);
	if (conn->n_asked == 0)
		sl_endpoint_due(conn->endpoint, sl_endpoint_now(conn->endpoint) + SL_IDLE_MS);
	read_more(conn);
}

void sl_conn_request(struct sl_conn *conn, struct sl_buffer *body, uint32_t *out_id)
{
	uint32_t id = ++conn->last_id & 0x7fffffff, wire = htonl(id | 0x80000000);
	uint8_t header[4];

	assert(!conn->accepted);
	memcpy(header, &wire, sizeof(header));
	*out_id = id;
	send_message(conn, header, sizeof(header), body);
}

/* --- Reading --- */

static size_t frame_head_size(const struct sl_conn *conn)
{
	return conn->ipc ? 9 : 8;
}

static size_t message_limit(const struct sl_conn *conn)
{
	size_t body =
		conn->accepted && !conn->welcome ? SL_MAX_HELLO_BYTES : SL_MAX_MESSAGE_BYTES;

	return body + SL_MAX_SP_HEADER;
}

/* The size of the message at the beginning of conn->in, once its head is there. Returns 1 when
 * it isn't yet, 0 with *out set, -1 after it closed the connection. */
static int frame_size(struct sl_conn *conn, size_t *out)
{
	const uint8_t *at = (const uint8_t *)conn->in.data;
	uint64_t size = 0;

	if (conn->in.size < frame_head_size(conn))
		return 1;
	if (conn->ipc && *at++ != 1) {
		sl_conn_fail(conn, SL_EPROTOCOL, "a frame that doesn't begin with 01");
		return -1;
	}
	for (int i = 0; i < 8; i++)
		size = size << 8 | at[i];
	if (size > message_limit(conn)) {
		sl_conn_fail(conn, SL_ETOO_LARGE, "a message over the limit");
		return -1;
	}
	*out = (size_t)size;
	return 0;
}

/* Whether more may be taken in: somebody who doesn't take replies gets no more work done. */
static bool may_read(const struct sl_conn *conn)
{
	return conn->phase != SL_CONN_CLOSED && conn->phase != SL_CONN_DIALING &&
	       !conn->leaving && conn->n_asked < SL_MAX_REQUESTS_PER_CONNECTION &&
	       (!conn->accepted || conn->backlog < SL_MAX_BACKLOG_BYTES);
}

static void receive(struct sl_conn *conn)
{
	size_t want = LEAST_READ, message;
	nng_iov iov;

	/* A large message gets room as it comes in, twice what has come so far: a head that
	 * announces 16 MiB reserves nothing. */
	if (conn->phase == SL_CONN_OPEN && frame_size(conn, &message) == 0) {
		size_t missing = frame_head_size(conn) + message - conn->in.size;

		if (missing > want)
			want = missing < conn->in.size + LEAST_READ
			               ? missing
			               : conn->in.size + LEAST_READ;
	}
	if (conn->phase == SL_CONN_CLOSED)
		return;
	iov.iov_buf = sl_buffer_reserve(&conn->in, want);
	iov.iov_len = want;
	if (!iov.iov_buf) {
		sl_conn_fail(conn, SL_ENOMEM, "out of memory");
		return;
	}
	nng_aio_set_iov(conn->rx.aio, 1, &iov);
	conn->rx.pending = true;
	nng_stream_recv(conn->stream, conn->rx.aio);
}

static void take_request(struct sl_conn *conn, struct sl_bytes message)
{
	const struct sl_endpoint_ops *ops;
	struct sl_asked *asked;
	size_t size = 0;
	void *ctx;

	/* Hops, then the id, which is the first with the high bit set. */
	do {
		size += 4;
		if (size > message.size || size > SL_MAX_SP_HEADER) {
			sl_conn_fail(conn, SL_EPROTOCOL, "a request without an id");
			return;
		}
	} while (!((uint8_t)message.data[size - 4] & 0x80));

	asked = calloc(1, sizeof(*asked));
	if (!asked) {
		sl_conn_fail(conn, SL_ENOMEM, "out of memory");
		return;
	}
	asked->id = ++conn->last_id;
	asked->header_size = size;
	memcpy(asked->header, message.data, size);
	TAILQ_INSERT_TAIL(&conn->asked, asked, link);
	conn->n_asked++;

	ops = sl_endpoint_ops(conn->endpoint, &ctx);
	ops->request(ctx, conn, asked->id,
		(struct sl_bytes){message.data + size, message.size - size});
}

static void take_reply(struct sl_conn *conn, struct sl_bytes message)
{
	const struct sl_endpoint_ops *ops;
	uint32_t id;
	void *ctx;

	if (message.size < 4 || !((uint8_t)message.data[0] & 0x80)) {
		sl_conn_fail(conn, SL_EPROTOCOL, "a reply without an id");
		return;
	}
	memcpy(&id, message.data, 4);
	ops = sl_endpoint_ops(conn->endpoint, &ctx);
	ops->reply(ctx, conn, ntohl(id) & 0x7fffffff,
		(struct sl_bytes){message.data + 4, message.size - 4});
}

static void take_greeting(struct sl_conn *conn)
{
	const uint8_t expected[8] = {0, 'S', 'P', 0, 0, conn->accepted ? SP_REQ : SP_REP, 0, 0};
	const struct sl_endpoint_ops *ops;
	void *ctx;

	if (conn->in.size < sizeof(expected))
		return;
	if (memcmp(conn->in.data, expected, sizeof(expected)) != 0) {
		sl_conn_fail(conn, SL_EPROTOCOL, "the peer doesn't speak SP request/reply");
		return;
	}
	sl_buffer_consume(&conn->in, sizeof(expected));
	conn->phase = SL_CONN_OPEN;
	conn->since_ms = sl_endpoint_now(conn->endpoint);
	conn->hello_by_ms = conn->since_ms + SL_HELLO_MS;
	if (conn->accepted)
		sl_endpoint_due(conn->endpoint, conn->hello_by_ms);
	conn->opened_was_called = true;
	ops = sl_endpoint_ops(conn->endpoint, &ctx);
	ops->opened(ctx, conn);
}

/* Hands on every whole message that is there. */
static void take_messages(struct sl_conn *conn)
{
	size_t at = 0, head = frame_head_size(conn), size;

	while (may_read(conn) && conn->phase == SL_CONN_OPEN) {
		struct sl_bytes message;

		/* frame_size() looks at the beginning: consume first, but only when there may
		 * be another message, so that a burst of small ones is not moved each time. */
		if (at > 0) {
			sl_buffer_consume(&conn->in, at);
			at = 0;
		}
		if (frame_size(conn, &size) != 0 || conn->in.size < head + size)
			break;
		at = head + size;
		message = (struct sl_bytes){conn->in.data + head, size};
		if (conn->accepted)
			take_request(conn, message);
		else
			take_reply(conn, message);
	}
	if (at > 0)
		sl_buffer_consume(&conn->in, at);
	if (conn->in.size == 0 && conn->in.capacity > KEPT_CAPACITY)
		sl_buffer_deinit(&conn->in);
}

static void read_more(struct sl_conn *conn)
{
	/* A callback may reply, and come back here, while messages are being handed on. */
	if (conn->rx.pending || conn->reading)
		return;
	conn->reading = true;
	if (conn->phase == SL_CONN_GREETING)
		take_greeting(conn);
	take_messages(conn);
	conn->reading = false;
	if (may_read(conn) && conn->stream)
		receive(conn);
}

static void dialed(struct sl_conn *conn)
{
	int result = nng_aio_result(conn->rx.aio);

	if (result) {
		sl_conn_fail(conn, SL_ECLOSED, nng_strerror(result));
		return;
	}
	sl_conn_start(conn, nng_aio_get_output(conn->rx.aio, 0));
}

static void received(void *ctx)
{
	struct sl_conn *conn = ctx;
	int result;

	if (conn->phase == SL_CONN_DIALING) {
		dialed(conn);
		return;
	}
	if (conn->phase == SL_CONN_CLOSED) {
		/* A dial that was given up may have succeeded all the same. */
		if (!conn->stream && nng_aio_result(conn->rx.aio) == 0)
			conn->stream = nng_aio_get_output(conn->rx.aio, 0);
		sl_endpoint_due(conn->endpoint, 0);
		return;
	}
	result = nng_aio_result(conn->rx.aio);
	if (result) {
		fail_nng(conn, result);
		return;
	}
	conn->in.size += nng_aio_count(conn->rx.aio);
	if (conn->phase == SL_CONN_OPEN)
		conn->since_ms = sl_endpoint_now(conn->endpoint);
	read_more(conn);
}

/* --- Life --- */

static void learn_peer(struct sl_conn *conn)
{
	nng_sockaddr address;
	char host[INET6_ADDRSTRLEN] = "?";

	snprintf(conn->peer, sizeof(conn->peer), "%s", conn->ipc ? "ipc" : "tcp");
	if (conn->ipc || nng_stream_get_addr(conn->stream, NNG_OPT_REMADDR, &address))
		return;
	if (address.s_family == NNG_AF_INET) {
		inet_ntop(AF_INET, &address.s_in.sa_addr, host, sizeof(host));
		snprintf(conn->peer, sizeof(conn->peer), "%s:%u", host,
			ntohs(address.s_in.sa_port));
	} else if (address.s_family == NNG_AF_INET6) {
		inet_ntop(AF_INET6, address.s_in6.sa_addr, host, sizeof(host));
		snprintf(conn->peer, sizeof(conn->peer), "[%s]:%u", host,
			ntohs(address.s_in6.sa_port));
	}
}

void sl_conn_start(struct sl_conn *conn, nng_stream *stream)
{
	const uint8_t greeting[8] = {0, 'S', 'P', 0, 0, conn->accepted ? SP_REP : SP_REQ, 0, 0};

	conn->stream = stream;
	conn->phase = SL_CONN_GREETING;
	conn->since_ms = sl_endpoint_now(conn->endpoint);
	sl_endpoint_due(conn->endpoint, conn->since_ms + SL_HANDSHAKE_MS);
	learn_peer(conn);
	memcpy(conn->greeting, greeting, sizeof(greeting));
	write_more(conn);
	read_more(conn);
}

void sl_conn_start_dialing(struct sl_conn *conn, nng_stream_dialer *dialer)
{
	conn->dialer = dialer;
	conn->phase = SL_CONN_DIALING;
	conn->since_ms = sl_endpoint_now(conn->endpoint);
	sl_endpoint_due(conn->endpoint, conn->since_ms + SL_HANDSHAKE_MS);
	conn->rx.pending = true;
	nng_stream_dialer_dial(dialer, conn->rx.aio);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t sl_conn_check_deadlines(struct sl_conn *conn, int64_t now_ms)
{
	int64_t due = INT64_MAX;
	const char *why = "";

	if (conn->phase == SL_CONN_CLOSED)
		return INT64_MAX;
	if (conn->phase == SL_CONN_DIALING || conn->phase == SL_CONN_GREETING) {
		due = conn->since_ms + SL_HANDSHAKE_MS;
		why = "no connection and greeting in time";
	} else if (conn->accepted && !conn->welcome) {
		due = conn->hello_by_ms;
		why = "no hello in time";
	} else if (conn->accepted && conn->n_asked == 0 && conn->writing_ms == 0) {
		due = conn->since_ms + SL_IDLE_MS;
		why = "idle";
	}
	if (conn->writing_ms > 0 && conn->writing_ms + SL_WRITE_MS < due) {
		due = conn->writing_ms + SL_WRITE_MS;
		why = "the peer doesn't read";
	}
	if (conn->leaving)
		due = earlier(due, conn->leave_at_ms);
	if (due <= now_ms) {
		sl_conn_fail(conn, SL_ETIMEOUT, why);
		return INT64_MAX;
	}
	return due;
}

void sl_conn_set_welcome(struct sl_conn *conn)
{
	conn->welcome = true;
}

void sl_conn_close(struct sl_conn *conn, int delay_ms)
{
	if (conn->phase == SL_CONN_CLOSED || conn->leaving)
		return;
	sl_fail(&conn->why, SL_ECLOSED, "closed here");
	conn->leaving = true;
	if (delay_ms <= 0) {
		sl_conn_fail(conn, SL_ECLOSED, "closed here");
		return;
	}
	conn->leave_at_ms = sl_endpoint_now(conn->endpoint) + delay_ms;
	sl_endpoint_due(conn->endpoint, conn->leave_at_ms);
}

void sl_conn_set_user(struct sl_conn *conn, void *user)
{
	conn->user = user;
}

void *sl_conn_user(const struct sl_conn *conn)
{
	return conn->user;
}

size_t sl_conn_backlog(const struct sl_conn *conn)
{
	return conn->backlog;
}

bool sl_conn_peer_uid(const struct sl_conn *conn, uint32_t *out_uid)
{
	uint64_t uid;

	if (!conn->accepted || !conn->ipc || !conn->stream ||
		nng_stream_get_uint64(conn->stream, NNG_OPT_IPC_PEER_UID, &uid))
		return false;
	*out_uid = (uint32_t)uid;
	return true;
}

const char *sl_conn_peer(const struct sl_conn *conn)
{
	return conn->peer;
}
