/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Side: an endpoint for tests that echoes what it is asked and keeps score; a
 * loop over two of them; and bare sockets that talk to one.
 *
 * The clock is the tests' own: sl_test_skip() moves it on, so that deadlines need
 * no waiting.
 */

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "proto/endpoint.h"
#include "proto/limits.h"

/* Instead of common/clock.c, which the linker then leaves out. */
static int64_t skipped_ms;

int64_t sl_clock_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec + skipped_ms * 1000000;
}

int64_t sl_clock_monotonic_ms(void)
{
	return sl_clock_monotonic_ns() / 1000000;
}

int64_t sl_clock_wall_us(void)
{
	return 0;
}

static inline void sl_test_skip(int64_t ms)
{
	skipped_ms += ms;
}

/* One endpoint that echoes what it is asked, and keeps score. */
struct side {
	struct sl_endpoint *endpoint;
	char address[128];
	size_t n_opened, n_requests, n_replies, n_closed;
	bool hold;    /* requests are kept, not answered */
	bool welcome; /* each connection at once */
	struct sl_conn *last_conn;
	uint32_t last_id;
	struct sl_buffer last;
	struct sl_error last_why;
};

static char place[] = "/tmp/sloth-endpoint.XXXXXX";

static inline void on_opened(void *ctx, struct sl_conn *conn)
{
	struct side *side = ctx;

	side->n_opened++;
	side->last_conn = conn;
	if (side->welcome)
		sl_conn_set_welcome(conn);
}

static inline void on_request(
	void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct side *side = ctx;
	struct sl_buffer copy = SL_BUFFER_INIT;

	side->n_requests++;
	side->last_conn = conn;
	side->last_id = id;
	if (side->hold)
		return;
	ck_assert(sl_buffer_append(&copy, body.data, body.size));
	sl_conn_reply(conn, id, &copy);
}

static inline void on_reply(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct side *side = ctx;

	(void)conn;
	side->n_replies++;
	side->last_id = id;
	sl_buffer_clear(&side->last);
	ck_assert(sl_buffer_append(&side->last, body.data, body.size));
}

static inline void on_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct side *side = ctx;

	(void)conn;
	side->n_closed++;
	side->last_why = *why;
}

static const struct sl_endpoint_ops ops = {on_opened, on_request, on_reply, on_closed};

/* One turn of a loop over both sides. */
static inline void turn(struct side *a, struct side *b, int at_most_ms)
{
	struct pollfd fds[2] = {{sl_endpoint_fd(a->endpoint), POLLIN, 0}, {-1, POLLIN, 0}};
	int wait = sl_endpoint_dispatch(a->endpoint), wait_b;

	if (b) {
		fds[1].fd = sl_endpoint_fd(b->endpoint);
		wait_b = sl_endpoint_dispatch(b->endpoint);
		if (wait < 0 || (wait_b >= 0 && wait_b < wait))
			wait = wait_b;
	}
	if (wait < 0 || wait > at_most_ms)
		wait = at_most_ms;
	poll(fds, 2, wait);
	sl_endpoint_dispatch(a->endpoint);
	if (b)
		sl_endpoint_dispatch(b->endpoint);
}

static inline int64_t real_ms(void)
{
	return sl_clock_monotonic_ms() - skipped_ms;
}

#define TURN_UNTIL(condition, a, b)                                                            \
	do {                                                                                   \
		int64_t end_ = real_ms() + 20000;                                              \
		while (!(condition)) {                                                         \
			ck_assert_msg(real_ms() < end_, "not so: " #condition);                \
			turn(a, b, 50);                                                        \
		}                                                                              \
	} while (0)

static inline void start_at(struct side *side, const char *url)
{
	struct sl_error err;

	*side = (struct side){.welcome = true};
	ck_assert_int_eq(sl_endpoint_new(&ops, side, 64, &side->endpoint, &err), 0);
	if (url)
		ck_assert_msg(sl_endpoint_listen(side->endpoint, url, 0600, side->address,
				      sizeof(side->address), &err) == 0,
			"%s", err.text);
}

static inline void stop(struct side *side)
{
	sl_endpoint_free(side->endpoint);
	sl_buffer_deinit(&side->last);
}

static inline void make_place(void)
{
	ck_assert_ptr_nonnull(mkdtemp(place));
}

/* Fails when a socket was left behind. */
static inline void drop_place(void)
{
	ck_assert_int_eq(rmdir(place), 0);
}

static inline const char *ipc_url(void)
{
	static char url[128];

	snprintf(url, sizeof(url), "ipc://%s/socket", place);
	return url;
}

static inline void ask(struct side *side, struct sl_conn *conn, const char *text, size_t size)
{
	struct sl_buffer body = SL_BUFFER_INIT;
	uint32_t id;

	ck_assert(sl_buffer_append(&body, text, size));
	sl_conn_request(conn, &body, &id);
	ck_assert_uint_eq(body.size, 0);
	(void)side;
}

static inline bool is_connected(int fd)
{
	struct pollfd poll_fd = {fd, POLLOUT, 0};

	return poll(&poll_fd, 1, 0) == 1;
}

static inline socklen_t raw_address(const struct side *server, struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)out;
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (strncmp(server->address, "ipc://", 6) == 0) {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", server->address + 6);
		return sizeof(*un);
	}
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = htons((uint16_t)atoi(strrchr(server->address, ':') + 1));
	return sizeof(*in);
}

/* Turns the server's loop meanwhile: with nobody to accept, connect() waits for room in the
 * backlog, for ever. */
static inline int raw_connect(struct side *server)
{
	struct sockaddr_storage address;
	socklen_t size = raw_address(server, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int rc;

	ck_assert_int_ge(fd, 0);
	while ((rc = connect(fd, (struct sockaddr *)&address, size)) < 0 && errno == EAGAIN)
		turn(server, NULL, 1); /* ipc: the backlog is full */
	if (rc < 0)
		ck_assert_int_eq(errno, EINPROGRESS);
	TURN_UNTIL(is_connected(fd), server, NULL);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	return fd;
}

static inline void raw_send(int fd, const void *bytes, size_t size)
{
	/* A peer that was closed already is what some of these are about. */
	if (send(fd, bytes, size, MSG_NOSIGNAL) < 0)
		return;
}

/* Whether the other end of @fd hung up. What it sent before is read and forgotten. */
static inline bool raw_is_over(int fd)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static inline size_t n_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static const char greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
