/* SPDX-License-Identifier: MIT */
#include "proto/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "proto/limits.h"

#define MAX_IOVS 8 /* what an nng_aio takes */

/* What may stay in memory, though it is sent, until the loop comes by. */
#define MAX_QUIET_BYTES (16u << 10)

static void received(void *ctx);
static void sent(void *ctx);
static void read_more(struct sl_conn *conn);

int sl_conn_new(struct sl_endpoint *endpoint, bool accepted, bool ipc, struct sl_conn **out,
	struct sl_error *err)
{
	struct sl_inbox *inbox = sl_endpoint_inbox(endpoint);
	struct sl_conn *conn = calloc(1, sizeof(*conn));
	uint8_t greeting[SL_SP_GREETING_BYTES];

	if (!conn)
		return sl_fail(err, SL_ENOMEM, "connection: out of memory");
	conn->endpoint = endpoint;
	conn->accepted = accepted;
	conn->ipc = conn->incoming.ipc = ipc;
	conn->begun_ms = sl_clock_monotonic_ms();
	sl_outgoing_init(&conn->outgoing);
	sl_asked_init(&conn->asked);
	sl_sp_greeting(accepted, greeting);
	if (!sl_outgoing_add(&conn->outgoing, greeting, sizeof(greeting), NULL) ||
		sl_completion_init(&conn->rx, inbox, received, conn, err) ||
		sl_completion_init(&conn->tx, inbox, sent, conn, err)) {
		sl_conn_free(conn);
		return sl_fail(err, SL_ENOMEM, "connection: out of memory");
	}
	*out = conn;
	return 0;
}

/* What a dial came to, if that has not been looked at yet. */
static void take_dialed(struct sl_conn *conn)
{
	if (conn->dialer && !conn->stream && nng_aio_result(conn->rx.aio) == 0)
		conn->stream = nng_aio_get_output(conn->rx.aio, 0);
}

void sl_conn_free(struct sl_conn *conn)
{
	if (!conn)
		return;
	if (conn->stream)
		nng_stream_close(conn->stream);
	if (conn->dialer)
		nng_stream_dialer_close(conn->dialer);
	sl_completion_stop(&conn->rx);
	sl_completion_stop(&conn->tx);
	take_dialed(conn);
	if (conn->stream)
		nng_stream_free(conn->stream);
	if (conn->dialer)
		nng_stream_dialer_free(conn->dialer);
	sl_completion_deinit(&conn->rx);
	sl_completion_deinit(&conn->tx);
	sl_outgoing_deinit(&conn->outgoing);
	sl_asked_deinit(&conn->asked);
	sl_incoming_deinit(&conn->incoming);
	free(conn);
}

void sl_conn_fail(struct sl_conn *conn, enum sl_code code, const char *why)
{
	if (conn->phase == SL_CONN_CLOSED)
		return;
	if (!conn->leaving) /* else the owner's reason stands */
		sl_fail(&conn->why, code, "%s", why);
	conn->phase = SL_CONN_CLOSED;
	sl_completion_hurry(&conn->tx); /* it is freed when nothing is under way */
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

/* Whether nothing waits for the end of a write but the memory that it holds. */
static bool may_be_quiet(const struct sl_conn *conn)
{
	return (conn->rx.pending || conn->reading) && conn->outgoing.size <= MAX_QUIET_BYTES;
}

/* A write has completed. */
static void note_sent(struct sl_conn *conn)
{
	int result = nng_aio_result(conn->tx.aio);
	size_t n = nng_aio_count(conn->tx.aio);

	if (result) {
		fail_nng(conn, result);
		return;
	}
	/* If nobody was told, that may be long ago. */
	conn->moved_ms = conn->tx.quiet_bytes == n ? conn->writing_ms : sl_clock_monotonic_ms();
	conn->writing_ms = conn->moved_ms;
	sl_outgoing_sent(&conn->outgoing, n);
}

static void write_more(struct sl_conn *conn)
{
	struct iovec pieces[MAX_IOVS];
	nng_iov iov[MAX_IOVS];
	size_t n;

	if (conn->phase == SL_CONN_CLOSED || !conn->stream)
		return;
	if (conn->tx.pending && sl_completion_take(&conn->tx))
		note_sent(conn);
	if (conn->tx.pending)
		sl_completion_hurry(&conn->tx); /* more waits for it */
	if (conn->tx.pending || conn->phase == SL_CONN_CLOSED)
		return;
	n = sl_outgoing_iov(&conn->outgoing, pieces, MAX_IOVS);
	if (n == 0) {
		conn->writing_ms = 0;
		return;
	}
	for (size_t i = 0; i < n; i++)
		iov[i] = (nng_iov){pieces[i].iov_base, pieces[i].iov_len};
	if (conn->writing_ms == 0) {
		conn->writing_ms = sl_clock_monotonic_ms();
		sl_endpoint_due(conn->endpoint, conn->writing_ms + SL_WRITE_MS);
	}
	nng_aio_set_iov(conn->tx.aio, (unsigned)n, iov);
	sl_completion_expect(&conn->tx, may_be_quiet(conn) ? conn->outgoing.size : 0);
	conn->tx.pending = true;
	nng_stream_send(conn->stream, conn->tx.aio);
}

static void sent(void *ctx)
{
	struct sl_conn *conn = ctx;

	if (conn->phase == SL_CONN_CLOSED) {
		sl_endpoint_due(conn->endpoint, 0);
		return;
	}
	note_sent(conn);
	write_more(conn);
	read_more(conn);
}

/* Queues @body behind @header (the SP one), leaving @body empty. */
static void send_message(
	struct sl_conn *conn, const uint8_t *header, size_t header_size, struct sl_buffer *body)
{
	uint8_t head[SL_OUTGOING_MAX_HEAD];
	size_t n;

	if (conn->phase == SL_CONN_CLOSED) {
		sl_buffer_deinit(body);
		return;
	}
	n = sl_sp_write_head(conn->ipc, header_size + body->size, head);
	memcpy(head + n, header, header_size);
	if (sl_outgoing_add(&conn->outgoing, head, n + header_size, body))
		write_more(conn);
	else /* The peer would wait for ever for what can't be said. */
		sl_conn_fail(conn, SL_ENOMEM, "out of memory");
}

/* That there is room for another request now is seen to when the reply has gone: sent(). */
void sl_conn_reply(struct sl_conn *conn, uint32_t id, struct sl_buffer *body)
{
	struct sl_asked_request request;

	/* One reply to each request: a second one is our own mistake. */
	bool waits = sl_asked_take(&conn->asked, id, &request);

	assert(conn->accepted && waits);
	send_message(conn, request.header, request.header_size, body);
	if (conn->asked.n == 0)
		sl_endpoint_due(conn->endpoint, sl_clock_monotonic_ms() + SL_IDLE_MS);
}

void sl_conn_request(struct sl_conn *conn, struct sl_buffer *body, uint32_t *out_id)
{
	uint8_t header[SL_SP_ID_BYTES];

	assert(!conn->accepted);
	*out_id = 0;
	if (!sl_asked_add(&conn->asked, (struct sl_bytes){0}, out_id)) {
		sl_buffer_deinit(body);
		sl_conn_fail(conn, SL_ENOMEM, "out of memory");
		return;
	}
	if (conn->asked.n == 1) {
		conn->heard_ms = sl_clock_monotonic_ms();
		sl_endpoint_due(conn->endpoint, conn->heard_ms + SL_IDLE_MS);
	}
	sl_sp_write_id(*out_id, header);
	send_message(conn, header, sizeof(header), body);
}

/* --- Reading --- */

static size_t message_limit(const struct sl_conn *conn)
{
	return conn->accepted && !conn->welcome ? SL_MAX_HELLO_BYTES : SL_MAX_MESSAGE_BYTES;
}

/* Whether more may be taken in: somebody who doesn't take replies gets no more work done. */
static bool may_read(const struct sl_conn *conn)
{
	if (conn->phase == SL_CONN_CLOSED || conn->phase == SL_CONN_DIALING || conn->leaving)
		return false;
	return !conn->accepted || (conn->asked.n < SL_MAX_REQUESTS_PER_CONNECTION &&
					  conn->outgoing.size < SL_MAX_BACKLOG_BYTES);
}

static void receive(struct sl_conn *conn)
{
	nng_iov iov;

	iov.iov_buf = sl_incoming_room(&conn->incoming, &iov.iov_len);
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
	size_t n = sl_sp_header_bytes(message);
	const struct sl_endpoint_ops *ops;
	uint32_t id;
	void *ctx;

	if (n == 0) {
		sl_conn_fail(conn, SL_EPROTOCOL, "a request without an id");
		return;
	}
	if (!sl_asked_add(&conn->asked, (struct sl_bytes){message.data, n}, &id)) {
		sl_conn_fail(conn, SL_ENOMEM, "out of memory");
		return;
	}
	ops = sl_endpoint_ops(conn->endpoint, &ctx);
	ops->request(ctx, conn, id, (struct sl_bytes){message.data + n, message.size - n});
}

static void take_reply(struct sl_conn *conn, struct sl_bytes message)
{
	const struct sl_endpoint_ops *ops;
	uint32_t id;
	void *ctx;

	if (sl_sp_header_bytes(message) != SL_SP_ID_BYTES) {
		sl_conn_fail(conn, SL_EPROTOCOL, "a reply without an id");
		return;
	}
	id = sl_sp_read_id((const uint8_t *)message.data);
	if (!sl_asked_take(&conn->asked, id, NULL)) {
		sl_conn_fail(conn, SL_EPROTOCOL, "a reply to what was not asked");
		return;
	}
	ops = sl_endpoint_ops(conn->endpoint, &ctx);
	ops->reply(ctx, conn, id,
		(struct sl_bytes){
			message.data + SL_SP_ID_BYTES, message.size - SL_SP_ID_BYTES});
}

static void take_greeting(struct sl_conn *conn)
{
	uint8_t expected[SL_SP_GREETING_BYTES];
	const struct sl_endpoint_ops *ops;
	struct sl_bytes greeting;
	void *ctx;

	if (!sl_incoming_take(&conn->incoming, sizeof(expected), &greeting))
		return;
	sl_sp_greeting(!conn->accepted, expected);
	if (memcmp(greeting.data, expected, sizeof(expected)) != 0) {
		sl_conn_fail(conn, SL_EPROTOCOL, "the peer doesn't speak SP request/reply");
		return;
	}
	conn->phase = SL_CONN_OPEN;
	conn->moved_ms = conn->heard_ms = sl_clock_monotonic_ms();
	conn->hello_by_ms = conn->moved_ms + SL_HELLO_MS;
	if (conn->accepted)
		sl_endpoint_due(conn->endpoint, conn->hello_by_ms);
	conn->opened_was_called = true;
	ops = sl_endpoint_ops(conn->endpoint, &ctx);
	ops->opened(ctx, conn);
}

/* Hands on every whole message that is there. */
static void take_messages(struct sl_conn *conn)
{
	while (may_read(conn) && conn->phase == SL_CONN_OPEN) {
		struct sl_bytes message;
		int rc = sl_incoming_take_message(
			&conn->incoming, message_limit(conn), &message);

		if (rc == SL_SP_MORE)
			break;
		if (rc == SL_ETOO_LARGE)
			sl_conn_fail(conn, rc, "a message over the limit");
		else if (rc)
			sl_conn_fail(conn, rc, "a message that doesn't begin with 01");
		else if (conn->accepted)
			take_request(conn, message);
		else
			take_reply(conn, message);
	}
}

static void read_more(struct sl_conn *conn)
{
	if (conn->rx.pending || conn->phase == SL_CONN_CLOSED)
		return;
	conn->reading = true;
	if (conn->phase == SL_CONN_GREETING && !conn->leaving)
		take_greeting(conn);
	take_messages(conn);
	conn->reading = false;
	if (may_read(conn))
		receive(conn);
	else if (conn->tx.pending)
		sl_completion_hurry(&conn->tx); /* then there may be room to read */
}

static void dialed(struct sl_conn *conn)
{
	int result = nng_aio_result(conn->rx.aio);

	if (result)
		sl_conn_fail(conn, SL_ECLOSED, nng_strerror(result));
	else
		sl_conn_start(conn, nng_aio_get_output(conn->rx.aio, 0));
}

static void received(void *ctx)
{
	struct sl_conn *conn = ctx;
	int result = nng_aio_result(conn->rx.aio);

	if (conn->phase == SL_CONN_CLOSED) {
		take_dialed(conn); /* given up, but it may have succeeded all the same */
		sl_endpoint_due(conn->endpoint, 0);
		return;
	}
	if (conn->phase == SL_CONN_DIALING) {
		dialed(conn);
		return;
	}
	if (result) {
		fail_nng(conn, result);
		return;
	}
	sl_incoming_came(&conn->incoming, nng_aio_count(conn->rx.aio));
	conn->moved_ms = conn->heard_ms = sl_clock_monotonic_ms();
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
		inet_ntop(AF_INET6, &address.s_in6.sa_addr, host, sizeof(host));
		snprintf(conn->peer, sizeof(conn->peer), "[%s]:%u", host,
			ntohs(address.s_in6.sa_port));
	}
}

void sl_conn_start(struct sl_conn *conn, nng_stream *stream)
{
	conn->stream = stream;
	conn->phase = SL_CONN_GREETING;
	conn->begun_ms = sl_clock_monotonic_ms();
	sl_endpoint_due(conn->endpoint, conn->begun_ms + SL_HANDSHAKE_MS);
	learn_peer(conn);
	write_more(conn);
	read_more(conn);
}

void sl_conn_start_dialing(struct sl_conn *conn, nng_stream_dialer *dialer)
{
	conn->dialer = dialer;
	conn->phase = SL_CONN_DIALING;
	sl_endpoint_due(conn->endpoint, conn->begun_ms + SL_HANDSHAKE_MS);
	conn->rx.pending = true;
	nng_stream_dialer_dial(dialer, conn->rx.aio);
}

struct deadline {
	int64_t at_ms;
	const char *why;
};

static void sooner(struct deadline *deadline, int64_t at_ms, const char *why)
{
	if (at_ms < deadline->at_ms)
		*deadline = (struct deadline){at_ms, why};
}

static struct deadline next_deadline(const struct sl_conn *conn)
{
	struct deadline deadline = {INT64_MAX, ""};

	if (conn->phase != SL_CONN_OPEN)
		sooner(&deadline, conn->begun_ms + SL_HANDSHAKE_MS,
			"no connection and greeting in time");
	else if (conn->accepted && !conn->welcome)
		sooner(&deadline, conn->hello_by_ms, "no hello in time");
	else if (conn->accepted && conn->asked.n == 0 && conn->outgoing.size == 0)
		sooner(&deadline, conn->moved_ms + SL_IDLE_MS, "idle");
	else if (!conn->accepted && conn->asked.n > 0)
		sooner(&deadline, conn->heard_ms + SL_IDLE_MS,
			"nothing heard though a reply is due");
	if (conn->writing_ms > 0)
		sooner(&deadline, conn->writing_ms + SL_WRITE_MS, "the peer doesn't read");
	if (conn->leaving)
		sooner(&deadline, conn->leave_at_ms, "closed here");
	return deadline;
}

int64_t sl_conn_check(struct sl_conn *conn, int64_t now_ms)
{
	struct deadline deadline;

	if (conn->phase == SL_CONN_CLOSED)
		return INT64_MAX;
	deadline = next_deadline(conn);
	if (deadline.at_ms > now_ms)
		return deadline.at_ms;
	sl_conn_fail(conn, SL_ETIMEOUT, deadline.why);
	return INT64_MAX;
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
	conn->leave_at_ms = sl_clock_monotonic_ms() + delay_ms;
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
	return conn->outgoing.size;
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
