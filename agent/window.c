/* SPDX-License-Identifier: MIT */

/*
 * libevent's evhttp is not what is used here: in Debian 12 it bounds neither the
 * number of connections nor the time of one that sends a byte now and then.
 */
#include "agent/window.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/http_head.h"
#include "agent/loop.h"
#include "common/error.h"
#include "common/log.h"

#define BACKLOG 16

/* Descriptors ran out: they come back. */
#define ACCEPT_AGAIN_MS 1000

/* What a client still sends after its answer is thrown away for so long. To close before would
 * take the answer away again. */
#define LINGER_MS 1000

/* All may connect: there is nothing to see that a user of the machine may not know. */
#define IPC_MODE 0666

#define TEXT "text/plain; charset=utf-8"

/* A connection, and its one request. */
struct sl_window_request {
	TAILQ_ENTRY(sl_window_request) link; /* sl_window.connections */
	struct sl_window *window;
	int fd;
	struct sl_loop_watch *watch;
	struct sl_loop_timer *deadline;
	enum {
		READING,
		WAITING, /* for its answer */
		WRITING,
		LINGERING, /* it has its answer, and may hang up */
	} phase;
	size_t n_in;
	struct sl_http_head head; /* from WAITING on; borrows in */
	struct sl_buffer out;
	size_t n_sent;
	char in[SL_WINDOW_MAX_HEAD_BYTES];
};

struct sl_window {
	struct sl_loop *loop;
	int64_t ms; /* of a connection */
	void (*get)(void *ctx, struct sl_window_request *request);
	void *ctx;
	int fd;
	struct sl_loop_watch *watch;
	struct sl_loop_timer *again;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of the socket; "": none */
	TAILQ_HEAD(, sl_window_request) connections;
	size_t n_connections;
};

/* ---- a connection ---- */

static void hang_up(struct sl_window_request *request)
{
	struct sl_window *window = request->window;

	TAILQ_REMOVE(&window->connections, request, link);
	sl_loop_watch_free(request->watch);
	sl_loop_timer_free(request->deadline);
	close(request->fd);
	sl_buffer_deinit(&request->out);
	free(request);
	if (window->n_connections-- == SL_WINDOW_MAX_CONNECTIONS)
		sl_loop_watch_set(window->watch, SL_LOOP_READ);
}

/* A request that waits for its answer is not gone before it has it. */
static void on_deadline(void *ctx)
{
	struct sl_window_request *request = ctx;

	if (request->phase == WAITING)
		shutdown(request->fd, SHUT_RDWR);
	else
		hang_up(request);
}

static void linger(struct sl_window_request *request)
{
	request->phase = LINGERING;
	shutdown(request->fd, SHUT_WR);
	sl_loop_timer_set(request->deadline, LINGER_MS);
	sl_loop_watch_set(request->watch, SL_LOOP_READ);
}

static void write_answer(struct sl_window_request *request)
{
	const struct sl_buffer *out = &request->out;

	while (request->n_sent < out->size) {
		ssize_t n = send(request->fd, out->data + request->n_sent,
			out->size - request->n_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			sl_loop_watch_set(request->watch, SL_LOOP_WRITE);
			return;
		}
		if (n < 0) {
			hang_up(request);
			return;
		}
		request->n_sent += (size_t)n;
	}
	linger(request);
}

static const char *words_for(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Bad Request";
	}
}

void sl_window_answer(struct sl_window_request *request, int status, const char *content_type,
	struct sl_bytes body)
{
	struct sl_buffer *out = &request->out;

	request->phase = WRITING;
	sl_buffer_printf(out,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\nConnection: close\r\n%s\r\n",
		status, words_for(status), content_type, body.size,
		status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!sl_bytes_equal(request->head.method, sl_bytes_of("HEAD")))
		sl_buffer_append(out, body.data, body.size);
	if (out->failed)
		hang_up(request);
	else
		write_answer(request);
}

static void refuse(struct sl_window_request *request, int status, const char *why)
{
	sl_window_answer(request, status, TEXT, sl_bytes_of(why));
}

struct sl_bytes sl_window_path(const struct sl_window_request *request)
{
	return request->head.path;
}

struct sl_bytes sl_window_accept(const struct sl_window_request *request)
{
	return request->head.accept;
}

static void take_head(struct sl_window_request *request)
{
	struct sl_window *window = request->window;

	request->phase = WAITING;
	sl_loop_watch_set(request->watch, 0);
	if (sl_bytes_equal(request->head.method, sl_bytes_of("GET")) ||
		sl_bytes_equal(request->head.method, sl_bytes_of("HEAD")))
		window->get(window->ctx, request);
	else
		refuse(request, 405, "only GET and HEAD are answered here\n");
}

static void take_in(struct sl_window_request *request)
{
	int result = sl_http_head_parse(
		(struct sl_bytes){request->in, request->n_in}, &request->head);

	if (result == 0)
		take_head(request);
	else if (result < 0)
		refuse(request, 400, "this is no request of HTTP/1\n");
	else if (request->n_in == sizeof(request->in))
		refuse(request, 431, "the head of a request has at most 8 KiB here\n");
}

static void read_more(struct sl_window_request *request)
{
	bool reading = request->phase == READING;
	size_t at = reading ? request->n_in : 0;
	ssize_t n = recv(request->fd, request->in + at, sizeof(request->in) - at, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(request);
		return;
	}
	if (!reading)
		return; /* it has its answer */
	request->n_in += (size_t)n;
	take_in(request);
}

static void on_ready(void *ctx, unsigned what)
{
	struct sl_window_request *request = ctx;

	if (what & SL_LOOP_WRITE)
		write_answer(request);
	else if (what & SL_LOOP_READ)
		read_more(request);
}

/* ---- accepting ---- */

/* Takes @fd. */
static int add_connection(struct sl_window *window, int fd, struct sl_error *err)
{
	struct sl_window_request *request = calloc(1, sizeof(*request));
	int result;

	if (!request) {
		close(fd);
		return sl_fail(err, SL_ENOMEM, "no memory for who wants metrics");
	}
	request->window = window;
	request->fd = fd;
	result = sl_loop_timer_new(window->loop, on_deadline, request, &request->deadline, err);
	if (result == 0)
		result = sl_loop_watch_new(window->loop, fd, SL_LOOP_READ, on_ready, request,
			&request->watch, err);
	if (result < 0) {
		sl_loop_timer_free(request->deadline);
		close(fd);
		free(request);
		return result;
	}
	TAILQ_INSERT_TAIL(&window->connections, request, link);
	if (++window->n_connections == SL_WINDOW_MAX_CONNECTIONS)
		sl_loop_watch_set(window->watch, 0);
	sl_loop_timer_set(request->deadline, window->ms);
	return 0;
}

static void pause_accepting(struct sl_window *window, const char *why)
{
	sl_log(SL_LOG_WARNING, "cannot accept who wants metrics: %s", why);
	sl_loop_watch_set(window->watch, 0);
	sl_loop_timer_set(window->again, ACCEPT_AGAIN_MS);
}

static void on_again(void *ctx)
{
	struct sl_window *window = ctx;

	if (window->n_connections < SL_WINDOW_MAX_CONNECTIONS)
		sl_loop_watch_set(window->watch, SL_LOOP_READ);
}

/* One a round: tasks come between. */
static void on_connection(void *ctx, unsigned what)
{
	struct sl_window *window = ctx;
	struct sl_error err;
	int fd = accept4(window->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd >= 0) {
		if (add_connection(window, fd, &err) < 0)
			pause_accepting(window, err.text);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		pause_accepting(window, strerror(errno));
	}
}

/* ---- listening ---- */

static int bind_ipc(
	struct sl_window *window, const char *path, int *out_fd, struct sl_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result;

	if (fd < 0)
		return sl_fail_errno(err, errno, "cannot make a socket for metrics");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	/* What is left of an agent that died; one that listens is left alone. */
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
		errno == ECONNREFUSED)
		unlink(path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		result = sl_fail_errno(
			err, errno, "cannot listen for metrics on ipc://%s", path);
		close(fd);
		return result;
	}
	snprintf(window->path, sizeof(window->path), "%s", path);
	if (chmod(path, IPC_MODE) < 0)
		sl_log(SL_LOG_WARNING, "cannot let all read metrics at %s: %s", path,
			strerror(errno));
	*out_fd = fd;
	return 0;
}

/* Writes the address with the port that was given out. */
static int write_bound(
	int fd, const char *host, int host_size, char *bound, size_t size, struct sl_error *err)
{
	struct sockaddr_storage address;
	socklen_t address_size = sizeof(address);
	char port[16];
	int n;

	if (getsockname(fd, (struct sockaddr *)&address, &address_size) < 0 ||
		getnameinfo((struct sockaddr *)&address, address_size, NULL, 0, port,
			sizeof(port), NI_NUMERICSERV) != 0)
		return sl_fail(err, SL_ESYSTEM, "cannot find out the port of the metrics");
	n = snprintf(bound, size, "tcp://%.*s:%s", host_size, host, port);
	if (n < 0 || (size_t)n >= size)
		return sl_fail(err, SL_EINVALID, "the address for metrics is too long");
	return 0;
}

static int bind_to(
	const struct addrinfo *to, const char *url, int *out_fd, struct sl_error *err)
{
	int one = 1, result;
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return sl_fail_errno(err, errno, "cannot make a socket for metrics");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, to->ai_addr, to->ai_addrlen) < 0) {
		result = sl_fail_errno(err, errno, "cannot listen for metrics on %s", url);
		close(fd);
		return result;
	}
	*out_fd = fd;
	return 0;
}

static int bind_tcp(const char *url, const char *rest, char *bound, size_t size, int *out_fd,
	struct sl_error *err)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	const char *colon = strrchr(rest, ':');
	struct addrinfo *found = NULL;
	char host[256];
	int n = (int)(colon - rest), result;

	snprintf(host, sizeof(host), "%.*s", *rest == '[' ? n - 2 : n,
		*rest == '[' ? rest + 1 : rest);
	result = getaddrinfo(host, colon + 1, &hints, &found);
	if (result != 0)
		return sl_fail(err, SL_EINVALID, "%s: %s", url, gai_strerror(result));
	result = bind_to(found, url, out_fd, err);
	freeaddrinfo(found);
	if (result == 0)
		result = write_bound(*out_fd, rest, n, bound, size, err);
	if (result < 0 && *out_fd >= 0) {
		close(*out_fd);
		*out_fd = -1;
	}
	return result;
}

static int bind_url(struct sl_window *window, const char *url, char *bound, size_t size,
	int *out_fd, struct sl_error *err)
{
	if (strncmp(url, "tcp://", 6) == 0)
		return bind_tcp(url, url + 6, bound, size, out_fd, err);
	snprintf(bound, size, "%s", url);
	return bind_ipc(window, url + strlen("ipc://"), out_fd, err);
}

int sl_window_new(struct sl_loop *loop, const char *url, int64_t ms,
	void (*get)(void *ctx, struct sl_window_request *request), void *ctx, char *bound,
	size_t bound_size, struct sl_window **out, struct sl_error *err)
{
	struct sl_window *window = calloc(1, sizeof(*window));
	int result;

	if (!window)
		return sl_fail(err, SL_ENOMEM, "no memory for metrics");
	*window = (struct sl_window){.loop = loop, .ms = ms, .get = get, .ctx = ctx, .fd = -1};
	TAILQ_INIT(&window->connections);
	result = sl_loop_timer_new(loop, on_again, window, &window->again, err);
	if (result == 0)
		result = bind_url(window, url, bound, bound_size, &window->fd, err);
	if (result == 0 && listen(window->fd, BACKLOG) < 0)
		result = sl_fail_errno(err, errno, "cannot listen for metrics on %s", url);
	if (result == 0)
		result = sl_loop_watch_new(loop, window->fd, SL_LOOP_READ, on_connection,
			window, &window->watch, err);
	if (result < 0) {
		sl_window_free(window);
		return result;
	}
	*out = window;
	return 0;
}

void sl_window_free(struct sl_window *window)
{
	struct sl_window_request *request;

	if (!window)
		return;
	if (window->path[0])
		unlink(window->path);
	while ((request = TAILQ_FIRST(&window->connections)))
		hang_up(request);
	sl_loop_watch_free(window->watch);
	sl_loop_timer_free(window->again);
	if (window->fd >= 0)
		close(window->fd);
	free(window);
}
