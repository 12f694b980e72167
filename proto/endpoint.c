/* SPDX-License-Identifier: MIT */
#include "proto/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "proto/conn.h"
#include "proto/limits.h"

#define ACCEPT_PAUSE_MS 100

struct listener {
	TAILQ_ENTRY(listener) link; /* sl_endpoint.listeners */
	struct sl_endpoint *endpoint;
	nng_stream_listener *nng;
	struct sl_completion accept;
	bool ipc;
	int64_t again_at_ms; /* after an accept that failed; 0: not waiting */
};

struct sl_endpoint {
	const struct sl_endpoint_ops *ops;
	void *ctx;
	struct sl_inbox *inbox;
	size_t max_connections, n_accepted;
	struct sl_endpoint_numbers numbers;
	TAILQ_HEAD(, listener) listeners;
	TAILQ_HEAD(, sl_conn) conns;
	int64_t due_ms; /* no deadline is earlier; INT64_MAX: there is none */
	bool dispatching;
};

void sl_endpoint_due(struct sl_endpoint *endpoint, int64_t at_ms)
{
	if (at_ms >= endpoint->due_ms)
		return;
	endpoint->due_ms = at_ms;
	/* The loop sleeps by what the last dispatch told it. */
	if (!endpoint->dispatching)
		sl_inbox_wake(endpoint->inbox);
}

const struct sl_endpoint_ops *sl_endpoint_ops(struct sl_endpoint *endpoint, void **out_ctx)
{
	*out_ctx = endpoint->ctx;
	return endpoint->ops;
}

struct sl_inbox *sl_endpoint_inbox(struct sl_endpoint *endpoint)
{
	return endpoint->inbox;
}

int sl_endpoint_new(const struct sl_endpoint_ops *ops, void *ctx, size_t max_connections,
	struct sl_endpoint **out, struct sl_error *err)
{
	struct sl_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	int code;

	if (!endpoint)
		return sl_fail(err, SL_ENOMEM, "endpoint: out of memory");
	code = sl_inbox_new(&endpoint->inbox, err);
	if (code) {
		free(endpoint);
		return code;
	}
	endpoint->ops = ops;
	endpoint->ctx = ctx;
	endpoint->max_connections = max_connections;
	endpoint->due_ms = INT64_MAX;
	TAILQ_INIT(&endpoint->listeners);
	TAILQ_INIT(&endpoint->conns);
	*out = endpoint;
	return 0;
}

static void refuse(nng_stream *stream)
{
	nng_stream_close(stream);
	nng_stream_free(stream);
}

static void free_listener(struct listener *listener)
{
	if (listener->nng)
		nng_stream_listener_close(listener->nng);
	sl_completion_stop(&listener->accept);
	/* Somebody who was accepted but not yet looked at. */
	if (listener->accept.pending && nng_aio_result(listener->accept.aio) == 0)
		refuse(nng_aio_get_output(listener->accept.aio, 0));
	sl_completion_deinit(&listener->accept);
	if (listener->nng)
		nng_stream_listener_free(listener->nng);
	free(listener);
}

static void remove_conn(struct sl_conn *conn)
{
	struct sl_endpoint *endpoint = conn->endpoint;

	TAILQ_REMOVE(&endpoint->conns, conn, link);
	if (conn->accepted)
		endpoint->n_accepted--;
	sl_conn_free(conn);
}

void sl_endpoint_free(struct sl_endpoint *endpoint)
{
	struct listener *listener;
	struct sl_conn *conn;

	if (!endpoint)
		return;
	while ((listener = TAILQ_FIRST(&endpoint->listeners)) != NULL) {
		TAILQ_REMOVE(&endpoint->listeners, listener, link);
		free_listener(listener);
	}
	while ((conn = TAILQ_FIRST(&endpoint->conns)) != NULL)
		remove_conn(conn);
	sl_inbox_free(endpoint->inbox);
	free(endpoint);
}

/* --- Listening --- */

static void accept_next(struct listener *listener)
{
	listener->accept.pending = true;
	nng_stream_listener_accept(listener->nng, listener->accept.aio);
}

static void accepted(void *ctx)
{
	struct listener *listener = ctx;
	struct sl_endpoint *endpoint = listener->endpoint;
	int result = nng_aio_result(listener->accept.aio);
	struct sl_conn *conn;
	nng_stream *stream;

	if (result == NNG_ECLOSED)
		return;
	if (result) {
		/* Out of descriptors or memory: they come back, and so does the accept. */
		listener->again_at_ms = sl_clock_monotonic_ms() + ACCEPT_PAUSE_MS;
		sl_endpoint_due(endpoint, listener->again_at_ms);
		return;
	}
	stream = nng_aio_get_output(listener->accept.aio, 0);
	if (endpoint->n_accepted >= endpoint->max_connections ||
		sl_conn_new(endpoint, true, listener->ipc, &conn, NULL)) {
		endpoint->numbers.over_limit++;
		refuse(stream);
	} else {
		endpoint->numbers.accepted++;
		TAILQ_INSERT_TAIL(&endpoint->conns, conn, link);
		endpoint->n_accepted++;
		sl_conn_start(conn, stream);
	}
	accept_next(listener);
}

/* Whether somebody accepts connections on the socket at @path. */
static bool has_listener(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answered;

	if (fd < 0)
		return true; /* better to refuse than to steal it */
	answered = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	           (errno != ECONNREFUSED && errno != ENOENT);
	close(fd);
	return answered;
}

/* Makes @path free to listen on. */
static int clear_path(const char *path, struct sl_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;

	if (strlen(path) >= sizeof(address.sun_path))
		return sl_fail(err, SL_EINVALID, "ipc://%s: the path is longer than %zu bytes",
			path, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : sl_fail_errno(err, errno, "ipc://%s", path);
	if (!S_ISSOCK(st.st_mode))
		return sl_fail(
			err, SL_EINVALID, "ipc://%s: there is a file that is no socket", path);
	if (has_listener(&address))
		return sl_fail(err, SL_EBUSY, "ipc://%s: somebody listens there already", path);
	if (unlink(path) < 0)
		return sl_fail_errno(
			err, errno, "ipc://%s: can't remove the stale socket", path);
	return 0;
}

static int bind_listener(
	struct listener *listener, const char *url, unsigned ipc_mode, struct sl_error *err)
{
	mode_t saved = 0;
	int result;

	result = nng_stream_listener_alloc(&listener->nng, url);
	if (result) {
		listener->nng = NULL;
		return sl_fail(err, SL_EINVALID, "%s: %s", url, nng_strerror(result));
	}
	if (!listener->ipc) {
		nng_stream_listener_set_bool(listener->nng, NNG_OPT_TCP_NODELAY, true);
		nng_stream_listener_set_bool(listener->nng, NNG_OPT_TCP_KEEPALIVE, true);
	} else {
		nng_stream_listener_set_int(
			listener->nng, NNG_OPT_IPC_PERMISSIONS, (int)ipc_mode);
		/* NNG sets the mode after bind(): the mask keeps the time between closed. */
		saved = umask(~ipc_mode & 0777);
	}
	result = nng_stream_listener_listen(listener->nng);
	if (listener->ipc)
		umask(saved);
	if (result)
		return sl_fail(err, SL_ESYSTEM, "%s: %s", url, nng_strerror(result));
	return 0;
}

/* Where the port stands in tcp://HOST:PORT; NULL when it is no such address. */
static const char *port_of(const char *url)
{
	const char *host = url + strlen("tcp://"), *end;

	end = *host == '[' ? strchr(host, ']') : host;
	end = end ? strrchr(end, ':') : NULL;
	return end && end > host && end[1] ? end + 1 : NULL;
}

static int check_address(const char *url, struct sl_error *err)
{
	if (strncmp(url, "ipc://", 6) == 0 && url[6] == '/')
		return 0;
	if (strncmp(url, "tcp://", 6) == 0 && port_of(url))
		return 0;
	return sl_fail(err, SL_EINVALID,
		"'%.200s' is no address: write ipc:///PATH or tcp://HOST:PORT", url);
}

/* Writes the address under which @listener can be dialled: with the port that was given out. */
static int write_bound(struct listener *listener, const char *url, char *bound, size_t size,
	struct sl_error *err)
{
	int n, port;

	if (listener->ipc ||
		nng_stream_listener_get_int(listener->nng, NNG_OPT_TCP_BOUND_PORT, &port))
		n = snprintf(bound, size, "%s", url);
	else
		n = snprintf(bound, size, "%.*s%d", (int)(port_of(url) - url), url, port);
	if (n < 0 || (size_t)n >= size)
		return sl_fail(err, SL_EINVALID, "the address '%.200s' is too long", url);
	return 0;
}

int sl_endpoint_listen(struct sl_endpoint *endpoint, const char *url, unsigned ipc_mode,
	char *bound, size_t bound_size, struct sl_error *err)
{
	const char *path = strncmp(url, "ipc://", 6) == 0 ? url + 6 : NULL;
	struct listener *listener;
	int code;

	code = check_address(url, err);
	if (!code && path)
		code = clear_path(path, err);
	if (code)
		return code;

	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return sl_fail(err, SL_ENOMEM, "endpoint: out of memory");
	listener->endpoint = endpoint;
	listener->ipc = path != NULL;
	code = sl_completion_init(&listener->accept, endpoint->inbox, accepted, listener, err);
	if (!code)
		code = bind_listener(listener, url, ipc_mode, err);
	if (!code)
		code = write_bound(listener, url, bound, bound_size, err);
	if (code) {
		free_listener(listener);
		return code;
	}
	TAILQ_INSERT_TAIL(&endpoint->listeners, listener, link);
	accept_next(listener);
	return 0;
}

void sl_endpoint_stop_listening(struct sl_endpoint *endpoint)
{
	struct listener *listener;

	while ((listener = TAILQ_FIRST(&endpoint->listeners)) != NULL) {
		TAILQ_REMOVE(&endpoint->listeners, listener, link);
		free_listener(listener);
	}
}

/* --- Dialling --- */

int sl_endpoint_dial(struct sl_endpoint *endpoint, const char *url, void *user,
	struct sl_conn **out, struct sl_error *err)
{
	bool ipc = strncmp(url, "ipc://", 6) == 0;
	nng_stream_dialer *dialer;
	struct sl_conn *conn;
	int code;

	code = check_address(url, err);
	if (code)
		return code;
	code = nng_stream_dialer_alloc(&dialer, url);
	if (code)
		return sl_fail(err, SL_EINVALID, "%s: %s", url, nng_strerror(code));
	if (!ipc) {
		nng_stream_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
		nng_stream_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
	}
	code = sl_conn_new(endpoint, false, ipc, &conn, err);
	if (code) {
		nng_stream_dialer_free(dialer);
		return code;
	}
	conn->user = user;
	TAILQ_INSERT_TAIL(&endpoint->conns, conn, link);
	sl_conn_start_dialing(conn, dialer);
	*out = conn;
	return 0;
}

/* --- The loop's turn --- */

int sl_endpoint_fd(const struct sl_endpoint *endpoint)
{
	return sl_inbox_fd(endpoint->inbox);
}

/* Tells the owner and frees, unless something is still under way: that makes it due again. */
static void reap(struct sl_conn *conn)
{
	struct sl_endpoint *endpoint = conn->endpoint;

	if (!sl_conn_is_idle(conn))
		return;
	if (conn->opened_was_called || !conn->accepted)
		endpoint->ops->closed(endpoint->ctx, conn, &conn->why);
	else
		endpoint->numbers.bad_greetings++;
	remove_conn(conn);
}

static void check(struct sl_endpoint *endpoint, int64_t now_ms)
{
	struct sl_conn *conn, *next;
	struct listener *listener;
	int64_t due;

	endpoint->due_ms = INT64_MAX;
	TAILQ_FOREACH(listener, &endpoint->listeners, link)
	{
		if (listener->again_at_ms == 0)
			continue;
		if (listener->again_at_ms <= now_ms) {
			listener->again_at_ms = 0;
			accept_next(listener);
		} else {
			sl_endpoint_due(endpoint, listener->again_at_ms);
		}
	}
	for (conn = TAILQ_FIRST(&endpoint->conns); conn; conn = next) {
		due = sl_conn_check(conn, now_ms);
		next = TAILQ_NEXT(conn, link);
		if (conn->phase == SL_CONN_CLOSED)
			reap(conn);
		else
			sl_endpoint_due(endpoint, due);
	}
}

int sl_endpoint_dispatch(struct sl_endpoint *endpoint)
{
	int64_t now_ms;

	endpoint->dispatching = true;
	sl_inbox_dispatch(endpoint->inbox);
	now_ms = sl_clock_monotonic_ms();
	if (endpoint->due_ms <= now_ms)
		check(endpoint, now_ms);
	endpoint->dispatching = false;

	if (endpoint->due_ms == INT64_MAX)
		return -1;
	now_ms = sl_clock_monotonic_ms();
	if (endpoint->due_ms <= now_ms)
		return 0;
	return endpoint->due_ms - now_ms > 3600000 ? 3600000 : (int)(endpoint->due_ms - now_ms);
}

size_t sl_endpoint_n_accepted(const struct sl_endpoint *endpoint)
{
	return endpoint->n_accepted;
}

void sl_endpoint_count(const struct sl_endpoint *endpoint, struct sl_endpoint_numbers *out)
{
	*out = endpoint->numbers;
}
