/* SPDX-License-Identifier: MIT */
#include "proto/endpoint.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "common/clock.h"
#include "common/error.h"
#include "proto/limits.h"
#include "tests/support/check_main.h"

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

static void on_opened(void *ctx, struct sl_conn *conn)
{
	struct side *side = ctx;

	side->n_opened++;
	side->last_conn = conn;
	if (side->welcome)
		sl_conn_set_welcome(conn);
}

static void on_request(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
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

static void on_reply(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct side *side = ctx;

	(void)conn;
	side->n_replies++;
	side->last_id = id;
	sl_buffer_clear(&side->last);
	ck_assert(sl_buffer_append(&side->last, body.data, body.size));
}

static void on_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct side *side = ctx;

	(void)conn;
	side->n_closed++;
	side->last_why = *why;
}

static const struct sl_endpoint_ops ops = {on_opened, on_request, on_reply, on_closed};

/* One turn of a loop over both sides. */
static void turn(struct side *a, struct side *b, int at_most_ms)
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

#define TURN_UNTIL(condition, a, b)                                                            \
	do {                                                                                   \
		int64_t end_ = sl_clock_monotonic_ms() + 20000;                                \
		while (!(condition)) {                                                         \
			ck_assert_msg(sl_clock_monotonic_ms() < end_, "not so: " #condition);  \
			turn(a, b, 50);                                                        \
		}                                                                              \
	} while (0)

static void start_at(struct side *side, const char *url)
{
	struct sl_error err;

	*side = (struct side){.welcome = true};
	ck_assert_int_eq(sl_endpoint_new(&ops, side, 64, &side->endpoint, &err), 0);
	if (url)
		ck_assert_msg(sl_endpoint_listen(side->endpoint, url, 0600, side->address,
				      sizeof(side->address), &err) == 0,
			"%s", err.text);
}

static void stop(struct side *side)
{
	sl_endpoint_free(side->endpoint);
	sl_buffer_deinit(&side->last);
}

static void make_place(void)
{
	ck_assert_ptr_nonnull(mkdtemp(place));
}

static const char *ipc_url(void)
{
	static char url[128];

	snprintf(url, sizeof(url), "ipc://%s/socket", place);
	return url;
}

static void ask(struct side *side, struct sl_conn *conn, const char *text, size_t size)
{
	struct sl_buffer body = SL_BUFFER_INIT;
	uint32_t id;

	ck_assert(sl_buffer_append(&body, text, size));
	sl_conn_request(conn, &body, &id);
	ck_assert_uint_eq(body.size, 0);
	(void)side;
}

static void round_trips_on(const char *url)
{
	struct side server, client;
	struct sl_conn *conn;
	size_t large = 3u << 20;
	char *bytes = malloc(large);

	start_at(&server, url);
	start_at(&client, NULL);
	ck_assert_int_eq(
		sl_endpoint_dial(client.endpoint, server.address, NULL, &conn, NULL), 0);
	TURN_UNTIL(client.n_opened == 1 && server.n_opened == 1, &server, &client);

	ask(&client, conn, "hello", 5);
	TURN_UNTIL(client.n_replies == 1, &server, &client);
	ck_assert(sl_bytes_equal(sl_buffer_bytes(&client.last), sl_bytes_of("hello")));

	/* Many at once, and one that comes in many pieces. */
	for (int i = 0; i < 200; i++)
		ask(&client, conn, "burst", 5);
	TURN_UNTIL(client.n_replies == 201, &server, &client);
	for (size_t i = 0; i < large; i++)
		bytes[i] = (char)(i * 31);
	ask(&client, conn, bytes, large);
	TURN_UNTIL(client.n_replies == 202, &server, &client);
	ck_assert_uint_eq(client.last.size, large);
	ck_assert_mem_eq(client.last.data, bytes, large);

	sl_conn_close(conn, 0);
	TURN_UNTIL(client.n_closed == 1 && server.n_closed == 1, &server, &client);
	ck_assert_uint_eq(sl_endpoint_n_accepted(server.endpoint), 0);
	stop(&client);
	stop(&server);
	free(bytes);
}

START_TEST(requests_are_answered_over_ipc)
{
	make_place();
	round_trips_on(ipc_url());
}
END_TEST

START_TEST(requests_are_answered_over_tcp)
{
	round_trips_on("tcp://127.0.0.1:0");
}
END_TEST

START_TEST(replies_may_come_in_any_order)
{
	struct side server, client;
	struct sl_buffer late = SL_BUFFER_INIT;
	struct sl_conn *conn, *held;
	uint32_t held_id;

	start_at(&server, "tcp://127.0.0.1:0");
	start_at(&client, NULL);
	server.hold = true;
	ck_assert_int_eq(
		sl_endpoint_dial(client.endpoint, server.address, NULL, &conn, NULL), 0);
	ask(&client, conn, "first", 5); /* before it has even opened */
	TURN_UNTIL(server.n_requests == 1, &server, &client);
	held = server.last_conn;
	held_id = server.last_id;
	server.hold = false;
	ask(&client, conn, "second", 6);
	TURN_UNTIL(client.n_replies == 1, &server, &client);
	ck_assert_uint_eq(client.last_id, 2);

	ck_assert(sl_buffer_append(&late, "late", 4));
	sl_conn_reply(held, held_id, &late);
	TURN_UNTIL(client.n_replies == 2, &server, &client);
	ck_assert_uint_eq(client.last_id, 1);
	stop(&client);
	stop(&server);
}
END_TEST

START_TEST(somebody_who_asks_too_much_at_once_is_not_read_until_answered)
{
	struct side server, client;
	struct sl_conn *conn;

	start_at(&server, "tcp://127.0.0.1:0");
	start_at(&client, NULL);
	server.hold = true;
	ck_assert_int_eq(
		sl_endpoint_dial(client.endpoint, server.address, NULL, &conn, NULL), 0);
	for (int i = 0; i < SL_MAX_REQUESTS_PER_CONNECTION + 10; i++)
		ask(&client, conn, "x", 1);
	TURN_UNTIL(server.n_requests == SL_MAX_REQUESTS_PER_CONNECTION, &server, &client);
	for (int i = 0; i < 5; i++)
		turn(&server, &client, 10);
	ck_assert_uint_eq(server.n_requests, SL_MAX_REQUESTS_PER_CONNECTION);

	server.hold = false;
	for (uint32_t id = 1; id <= SL_MAX_REQUESTS_PER_CONNECTION; id++) {
		struct sl_buffer body = SL_BUFFER_INIT;

		sl_conn_reply(server.last_conn, id, &body);
	}
	TURN_UNTIL(client.n_replies == SL_MAX_REQUESTS_PER_CONNECTION + 10, &server, &client);
	stop(&client);
	stop(&server);
}
END_TEST

START_TEST(a_dial_that_nobody_takes_ends_in_closed)
{
	struct side client;
	struct sl_conn *conn;

	make_place();
	start_at(&client, NULL);
	ck_assert_int_eq(sl_endpoint_dial(client.endpoint, ipc_url(), &client, &conn, NULL), 0);
	TURN_UNTIL(client.n_closed == 1, &client, NULL);
	ck_assert_uint_eq(client.n_opened, 0);
	ck_assert_str_ne(client.last_why.text, "");
	stop(&client);
}
END_TEST

START_TEST(an_ipc_peer_is_known_by_its_uid)
{
	struct side server, client;
	struct sl_conn *conn;
	uint32_t uid = 12345;

	make_place();
	start_at(&server, ipc_url());
	start_at(&client, NULL);
	ck_assert_int_eq(
		sl_endpoint_dial(client.endpoint, server.address, NULL, &conn, NULL), 0);
	TURN_UNTIL(server.n_opened == 1, &server, &client);
	ck_assert(sl_conn_peer_uid(server.last_conn, &uid));
	ck_assert_uint_eq(uid, getuid());
	ck_assert_str_eq(sl_conn_peer(server.last_conn), "ipc");
	ck_assert(!sl_conn_peer_uid(conn, &uid));
	stop(&client);
	stop(&server);
}
END_TEST

START_TEST(a_socket_in_use_is_not_taken_and_a_stale_one_is_replaced)
{
	struct side first, second;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sl_error err;
	struct stat st;
	char path[128], bound[128];
	int fd;

	make_place();
	snprintf(path, sizeof(path), "%s/socket", place);
	start_at(&first, ipc_url());
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	start_at(&second, NULL);
	ck_assert_int_eq(sl_endpoint_listen(
				 second.endpoint, ipc_url(), 0600, bound, sizeof(bound), &err),
		SL_EBUSY);
	stop(&first);
	ck_assert_int_ne(access(path, F_OK), 0);

	/* What a killed agent leaves behind. */
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	ck_assert_int_eq(sl_endpoint_listen(
				 second.endpoint, ipc_url(), 0600, bound, sizeof(bound), &err),
		0);
	stop(&second);

	fclose(fopen(path, "w"));
	start_at(&second, NULL);
	ck_assert_int_eq(sl_endpoint_listen(
				 second.endpoint, ipc_url(), 0600, bound, sizeof(bound), &err),
		SL_EINVALID);
	stop(&second);
}
END_TEST

/* --- Peers that are not ours --- */

static bool is_connected(int fd)
{
	struct pollfd poll_fd = {fd, POLLOUT, 0};

	return poll(&poll_fd, 1, 0) == 1;
}

/* Turns the server's loop meanwhile: with nobody to accept, connect() waits for room in the
 * backlog, for ever. */
static int raw_connect(struct side *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(strrchr(server->address, ':') + 1));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		ck_assert_int_eq(errno, EINPROGRESS);
	TURN_UNTIL(is_connected(fd), server, NULL);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	return fd;
}

static void raw_send(int fd, const void *bytes, size_t size)
{
	/* A peer that was closed already is what some of these are about. */
	if (send(fd, bytes, size, MSG_NOSIGNAL) < 0)
		return;
}

static size_t n_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static const char greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

START_TEST(a_message_may_come_byte_by_byte)
{
	struct side server;
	const char message[] = "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\x07\x80\0\0\x01"
			       "abc";
	char reply[8 + 8 + 7];
	size_t got = 0;
	int fd;

	start_at(&server, "tcp://127.0.0.1:0");
	fd = raw_connect(&server);
	for (size_t i = 0; i < sizeof(message) - 1; i++) {
		raw_send(fd, message + i, 1);
		turn(&server, NULL, 1);
	}
	TURN_UNTIL(server.n_requests == 1, &server, NULL);
	while (got < sizeof(reply)) {
		ssize_t n;

		turn(&server, NULL, 1);
		n = recv(fd, reply + got, sizeof(reply) - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_mem_eq(reply,
		"\0SP\0\0\x31\0\0\0\0\0\0\0\0\0\x07\x80\0\0\x01"
		"abc",
		sizeof(reply));
	close(fd);
	TURN_UNTIL(server.n_closed == 1, &server, NULL);
	stop(&server);
}
END_TEST

START_TEST(hops_before_the_id_come_back_with_the_reply)
{
	struct side server;
	const char body[] = "\0\0\0\0\0\0\0\x0d\0\0\0\x05\0\0\0\x06\x80\0\0\x01z";
	char reply[8 + 8 + 13];
	size_t got = 0;
	int fd;

	start_at(&server, "tcp://127.0.0.1:0");
	fd = raw_connect(&server);
	raw_send(fd, greeting, 8);
	raw_send(fd, body, sizeof(body) - 1);
	while (got < sizeof(reply)) {
		ssize_t n;

		turn(&server, NULL, 1);
		n = recv(fd, reply + got, sizeof(reply) - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_mem_eq(reply + 8, body, sizeof(body) - 1);
	close(fd);
	stop(&server);
}
END_TEST

/* Whether the server hangs up on somebody who sends this after the greeting. */
static bool hangs_up_on(bool welcome, const void *bytes, size_t size)
{
	struct side server;
	int64_t end = sl_clock_monotonic_ms() + 3000;
	bool hung_up = false;
	char byte;
	int fd;

	start_at(&server, "tcp://127.0.0.1:0");
	server.welcome = welcome;
	fd = raw_connect(&server);
	raw_send(fd, greeting, 8);
	TURN_UNTIL(server.n_opened == 1, &server, NULL);
	raw_send(fd, bytes, size);
	while (!hung_up && server.n_requests == 0 && sl_clock_monotonic_ms() < end) {
		turn(&server, NULL, 10);
		if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || server.n_closed > 0)
			hung_up = true;
	}
	close(fd);
	stop(&server);
	return hung_up;
}

START_TEST(a_length_over_the_limit_ends_the_connection)
{
	ck_assert(hangs_up_on(true, "\x80\0\0\0\0\0\0\0", 8));
	ck_assert(hangs_up_on(true, "\0\0\0\0\x7f\xff\xff\xff", 8));
	ck_assert(hangs_up_on(true, "\xff\xff\xff\xff\xff\xff\xff\xff", 8));
}
END_TEST

START_TEST(before_hello_only_little_is_heard)
{
	ck_assert(hangs_up_on(false, "\0\0\0\0\0\0\x20\0", 8));
	ck_assert(!hangs_up_on(true, "\0\0\0\0\0\0\0\x05\x80\0\0\x01x", 13));
}
END_TEST

START_TEST(a_request_without_an_id_ends_the_connection)
{
	ck_assert(hangs_up_on(true, "\0\0\0\0\0\0\0\0", 8));
	ck_assert(hangs_up_on(true, "\0\0\0\0\0\0\0\x04\0\0\0\x01", 12));
	ck_assert(hangs_up_on(true,
		"\0\0\0\0\0\0\0\x28"
		"\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"
		"\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1",
		48));
}
END_TEST

START_TEST(a_hundred_who_hang_up_leave_nothing_behind)
{
	struct side server;
	size_t before;

	start_at(&server, "tcp://127.0.0.1:0");
	turn(&server, NULL, 1);
	before = n_fds();
	for (int i = 0; i < 300; i++) {
		int fd = raw_connect(&server);

		switch (i % 4) {
		case 0: /* asks eight times and doesn't wait */
			raw_send(fd, greeting, 8);
			for (int k = 0; k < 8; k++)
				raw_send(fd, "\0\0\0\0\0\0\0\x05\x80\0\0\x01x", 13);
			break;
		case 1:
			raw_send(fd, "GET / HTTP/1.0\r\n\r\n", 18);
			break;
		case 2:
			raw_send(fd, greeting, 3);
			break;
		}
		if (i % 2) {
			struct linger linger = {1, 0};

			setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		}
		close(fd);
		turn(&server, NULL, 1);
	}
	TURN_UNTIL(n_fds() <= before && sl_endpoint_n_accepted(server.endpoint) == 0, &server,
		NULL);
	ck_assert_uint_eq(server.n_opened, server.n_closed);
	stop(&server);
}
END_TEST

START_TEST(beyond_the_most_connections_a_new_one_is_closed_at_once)
{
	struct side server;
	int fds[66];
	char byte;

	start_at(&server, "tcp://127.0.0.1:0");
	for (int i = 0; i < 64; i++) {
		fds[i] = raw_connect(&server);
		raw_send(fds[i], greeting, 8);
	}
	TURN_UNTIL(server.n_opened == 64, &server, NULL);
	fds[64] = raw_connect(&server);
	TURN_UNTIL(recv(fds[64], &byte, 1, MSG_DONTWAIT) == 0, &server, NULL);

	close(fds[0]);
	TURN_UNTIL(server.n_closed == 1, &server, NULL);
	fds[65] = raw_connect(&server);
	raw_send(fds[65], greeting, 8);
	TURN_UNTIL(server.n_opened == 65, &server, NULL);
	for (int i = 1; i < 66; i++)
		close(fds[i]);
	stop(&server);
}
END_TEST

/* --- NNG's own sockets --- */

static atomic_bool nng_done;

static void on_nng_done(void *ctx)
{
	(void)ctx;
	atomic_store(&nng_done, true);
}

static void answers_req0_on(const char *url)
{
	struct side server;
	nng_socket socket;
	nng_aio *aio;

	start_at(&server, url);
	ck_assert_int_eq(nng_req0_open(&socket), 0);
	ck_assert_int_eq(nng_aio_alloc(&aio, on_nng_done, NULL), 0);
	ck_assert_int_eq(nng_dial(socket, server.address, NULL, NNG_FLAG_NONBLOCK), 0);
	for (int i = 0; i < 20; i++) {
		nng_msg *msg;

		ck_assert_int_eq(nng_msg_alloc(&msg, 0), 0);
		ck_assert_int_eq(nng_msg_append(msg, "from nng", 8), 0);
		nng_aio_set_msg(aio, msg);
		atomic_store(&nng_done, false);
		nng_send_aio(socket, aio); /* done once there is a connection: so turn */
		TURN_UNTIL(atomic_load(&nng_done), &server, NULL);
		atomic_store(&nng_done, false);
		nng_recv_aio(socket, aio);
		TURN_UNTIL(atomic_load(&nng_done), &server, NULL);
		ck_assert_int_eq(nng_aio_result(aio), 0);
		msg = nng_aio_get_msg(aio);
		ck_assert_uint_eq(nng_msg_len(msg), 8);
		ck_assert_mem_eq(nng_msg_body(msg), "from nng", 8);
		nng_msg_free(msg);
	}
	nng_close(socket);
	nng_aio_free(aio);
	stop(&server);
}

START_TEST(a_plain_req0_socket_is_answered)
{
	make_place();
	answers_req0_on(ipc_url());
	answers_req0_on("tcp://127.0.0.1:0");
}
END_TEST

START_TEST(a_plain_rep0_socket_can_be_asked)
{
	struct side client;
	struct sl_conn *conn;
	nng_socket socket;
	nng_aio *aio;
	nng_msg *msg;

	make_place();
	ck_assert_int_eq(nng_rep0_open(&socket), 0);
	ck_assert_int_eq(nng_listen(socket, ipc_url(), NULL, 0), 0);
	ck_assert_int_eq(nng_aio_alloc(&aio, on_nng_done, NULL), 0);
	start_at(&client, NULL);
	ck_assert_int_eq(sl_endpoint_dial(client.endpoint, ipc_url(), NULL, &conn, NULL), 0);
	ask(&client, conn, "to nng", 6);
	atomic_store(&nng_done, false);
	nng_recv_aio(socket, aio);
	TURN_UNTIL(atomic_load(&nng_done), &client, NULL);
	msg = nng_aio_get_msg(aio);
	ck_assert_mem_eq(nng_msg_body(msg), "to nng", 6);
	ck_assert_int_eq(nng_sendmsg(socket, msg, 0), 0);
	TURN_UNTIL(client.n_replies == 1, &client, NULL);
	ck_assert(sl_bytes_equal(sl_buffer_bytes(&client.last), sl_bytes_of("to nng")));
	stop(&client);
	nng_close(socket);
	nng_aio_free(aio);
}
END_TEST

SL_CHECK_MAIN("endpoint", requests_are_answered_over_ipc, requests_are_answered_over_tcp,
	replies_may_come_in_any_order,
	somebody_who_asks_too_much_at_once_is_not_read_until_answered,
	a_dial_that_nobody_takes_ends_in_closed, an_ipc_peer_is_known_by_its_uid,
	a_socket_in_use_is_not_taken_and_a_stale_one_is_replaced,
	a_message_may_come_byte_by_byte, hops_before_the_id_come_back_with_the_reply,
	a_length_over_the_limit_ends_the_connection, before_hello_only_little_is_heard,
	a_request_without_an_id_ends_the_connection, a_hundred_who_hang_up_leave_nothing_behind,
	beyond_the_most_connections_a_new_one_is_closed_at_once,
	a_plain_req0_socket_is_answered, a_plain_rep0_socket_can_be_asked)
