/* SPDX-License-Identifier: MIT */
#include "tests/proto/side.h"

#include "tests/support/check_main.h"

/* Room for the milliseconds that a test itself takes. */
#define SOON 2000

static const char request[13] = {0, 0, 0, 0, 0, 0, 0, 5, (char)0x80, 0, 0, 1, 'x'};

/* Until what was written is known to be gone: a clock that is moved on before that finds a peer
 * that doesn't read. */
static void let_go(struct side *side, struct sl_conn *conn)
{
	TURN_UNTIL(sl_conn_backlog(conn) == 0, side, NULL);
}

static int open_raw(struct side *server, bool welcome)
{
	int fd;

	start_at(server, "tcp://127.0.0.1:0");
	server->welcome = welcome;
	fd = raw_connect(server);
	raw_send(fd, greeting, sizeof(greeting));
	TURN_UNTIL(server->n_opened == 1, server, NULL);
	let_go(server, server->last_conn); /* the greeting */
	return fd;
}

/* Some turns in which nothing should happen. */
static void settle(struct side *server)
{
	for (int i = 0; i < 5; i++)
		turn(server, NULL, 5);
}

static void greets_too_late(const char *bytes, size_t size)
{
	struct side server;
	int fd;

	start_at(&server, "tcp://127.0.0.1:0");
	fd = raw_connect(&server);
	raw_send(fd, bytes, size);
	TURN_UNTIL(sl_endpoint_n_accepted(server.endpoint) == 1, &server, NULL);
	sl_test_skip(SL_HANDSHAKE_MS - SOON);
	settle(&server);
	ck_assert_uint_eq(sl_endpoint_n_accepted(server.endpoint), 1);
	sl_test_skip(SOON);
	TURN_UNTIL(raw_is_over(fd), &server, NULL);
	TURN_UNTIL(sl_endpoint_n_accepted(server.endpoint) == 0, &server, NULL);
	ck_assert_uint_eq(server.n_opened + server.n_closed, 0);
	close(fd);
	stop(&server);
}

START_TEST(who_greets_too_late_is_closed_without_a_word)
{
	greets_too_late("", 0);
	greets_too_late(greeting, 7);
}
END_TEST

START_TEST(who_is_not_welcome_in_time_is_closed_whatever_he_sends)
{
	struct side server;
	int fd = open_raw(&server, false);

	for (int i = 0; i < 4; i++) {
		raw_send(fd, request, sizeof(request));
		TURN_UNTIL(server.n_requests == (size_t)i + 1, &server, NULL);
		ck_assert_uint_eq(server.n_closed, 0);
		sl_test_skip(SL_HELLO_MS / 4);
	}
	TURN_UNTIL(server.n_closed == 1, &server, NULL);
	ck_assert_int_eq(server.last_why.code, SL_ETIMEOUT);
	close(fd);
	stop(&server);
}
END_TEST

START_TEST(who_asks_nothing_for_a_minute_is_closed)
{
	struct side server;
	int fd = open_raw(&server, true);

	sl_test_skip(SL_IDLE_MS - SOON);
	settle(&server);
	raw_send(fd, request, sizeof(request));
	TURN_UNTIL(server.n_requests == 1, &server, NULL);
	let_go(&server, server.last_conn); /* the reply */
	sl_test_skip(SL_IDLE_MS - SOON);
	settle(&server);
	ck_assert_uint_eq(server.n_closed, 0);
	sl_test_skip(SOON);
	TURN_UNTIL(server.n_closed == 1, &server, NULL);
	ck_assert_int_eq(server.last_why.code, SL_ETIMEOUT);
	close(fd);
	stop(&server);
}
END_TEST

START_TEST(who_waits_for_a_reply_is_not_idle)
{
	struct sl_buffer reply = SL_BUFFER_INIT;
	struct side server;
	int fd = open_raw(&server, true);

	server.hold = true;
	raw_send(fd, request, sizeof(request));
	TURN_UNTIL(server.n_requests == 1, &server, NULL);
	sl_test_skip(10 * SL_IDLE_MS);
	settle(&server);
	ck_assert_uint_eq(server.n_closed, 0);
	sl_conn_reply(server.last_conn, server.last_id, &reply);
	settle(&server);
	ck_assert_uint_eq(server.n_closed, 0);
	sl_test_skip(SL_IDLE_MS);
	TURN_UNTIL(server.n_closed == 1, &server, NULL);
	close(fd);
	stop(&server);
}
END_TEST

START_TEST(who_does_not_take_his_reply_is_closed)
{
	struct sl_buffer reply = SL_BUFFER_INIT;
	size_t size = 16 << 20;
	struct side server;
	int fd = open_raw(&server, true);

	server.hold = true;
	raw_send(fd, request, sizeof(request));
	TURN_UNTIL(server.n_requests == 1, &server, NULL);
	ck_assert_ptr_nonnull(sl_buffer_reserve(&reply, size));
	memset(reply.data, 0, size);
	reply.size = size;
	sl_conn_reply(server.last_conn, server.last_id, &reply);
	settle(&server); /* what the sockets hold is gone */
	ck_assert_uint_gt(sl_conn_backlog(server.last_conn), 0);
	sl_test_skip(SL_WRITE_MS - SOON);
	settle(&server);
	ck_assert_uint_eq(server.n_closed, 0);
	/* The sockets may have held more than went out at first: that was taken, too. */
	for (int i = 0; i < 20 && server.n_closed == 0; i++) {
		sl_test_skip(SL_WRITE_MS);
		settle(&server);
	}
	ck_assert_uint_eq(server.n_closed, 1);
	ck_assert_str_eq(server.last_why.text, "the peer doesn't read");
	close(fd);
	stop(&server);
}
END_TEST

START_TEST(a_reply_given_between_dispatches_wakes_the_loop_for_its_deadline)
{
	struct sl_buffer reply = SL_BUFFER_INIT;
	struct pollfd poll_fd = {.events = POLLIN};
	struct side server;
	int fd = open_raw(&server, true), before;

	server.hold = true;
	raw_send(fd, request, sizeof(request));
	TURN_UNTIL(server.n_requests == 1, &server, NULL);
	sl_test_skip(SL_IDLE_MS);
	settle(&server);
	before = sl_endpoint_dispatch(server.endpoint);
	ck_assert_int_eq(before, -1);
	/* Nothing of what the peer's kernel doesn't take completes, so nothing but this wakes.
	 */
	ck_assert_ptr_nonnull(sl_buffer_reserve(&reply, 32 << 20));
	reply.size = 32 << 20;
	memset(reply.data, 0, reply.size);
	sl_conn_reply(server.last_conn, server.last_id, &reply);
	poll_fd.fd = sl_endpoint_fd(server.endpoint);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 1);
	before = sl_endpoint_dispatch(server.endpoint);
	ck_assert_int_ge(before, 0);
	ck_assert_int_le(before, SL_WRITE_MS);
	close(fd);
	stop(&server);
}
END_TEST

START_TEST(a_connection_closed_between_dispatches_wakes_the_loop)
{
	struct pollfd poll_fd = {.events = POLLIN};
	struct side server;
	int fd = open_raw(&server, true);

	settle(&server);
	poll_fd.fd = sl_endpoint_fd(server.endpoint);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	sl_conn_close(server.last_conn, 0);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 1);
	ck_assert_uint_eq(server.n_closed, 0);
	TURN_UNTIL(server.n_closed == 1, &server, NULL);
	close(fd);
	stop(&server);
}
END_TEST

START_TEST(a_connection_may_be_closed_later_and_still_sends)
{
	struct sl_buffer reply = SL_BUFFER_INIT;
	struct side server;
	char bytes[64];
	size_t got = 0;
	int fd = open_raw(&server, true);

	server.hold = true;
	raw_send(fd, request, sizeof(request));
	TURN_UNTIL(server.n_requests == 1, &server, NULL);
	ck_assert(sl_buffer_append(&reply, "denied", 6));
	sl_conn_reply(server.last_conn, server.last_id, &reply);
	sl_conn_close(server.last_conn, 1000);
	raw_send(fd, request, sizeof(request));
	while (got < 8 + 8 + 4 + 6) {
		ssize_t n = recv(fd, bytes + got, sizeof(bytes) - got, MSG_DONTWAIT);

		got += n > 0 ? (size_t)n : 0;
		turn(&server, NULL, 5);
	}
	ck_assert_mem_eq(bytes + 20, "denied", 6);
	ck_assert_uint_eq(server.n_closed, 0);
	sl_test_skip(1000);
	TURN_UNTIL(server.n_closed == 1, &server, NULL);
	ck_assert_uint_eq(server.n_requests, 1);
	close(fd);
	stop(&server);
}
END_TEST

/* --- Dialled connections --- */

static int listen_raw(char *url, size_t size)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(url, size, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
	return fd;
}

START_TEST(a_dial_that_is_not_greeted_is_given_up)
{
	struct sl_conn *conn;
	struct side client;
	char url[64];
	int fd = listen_raw(url, sizeof(url));

	start_at(&client, NULL);
	ck_assert_int_eq(sl_endpoint_dial(client.endpoint, url, NULL, &conn, NULL), 0);
	sl_test_skip(SL_HANDSHAKE_MS - SOON);
	settle(&client);
	ck_assert_uint_eq(client.n_closed, 0);
	sl_test_skip(SOON);
	TURN_UNTIL(client.n_closed == 1, &client, NULL);
	ck_assert_int_eq(client.last_why.code, SL_ETIMEOUT);
	ck_assert_uint_eq(client.n_opened, 0);
	close(fd);
	stop(&client);
}
END_TEST

START_TEST(a_dial_that_does_not_come_through_is_given_up)
{
	struct sl_conn *conn;
	struct side client;
	char url[64];
	int fd = listen_raw(url, sizeof(url)), others[8];
	struct sockaddr_in address = {.sin_family = AF_INET};

	/* Room for six, and nobody accepts: the next one gets no answer from the kernel. */
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
	for (int i = 0; i < 8; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(others[i], (struct sockaddr *)&address, sizeof(address)) < 0)
			ck_assert_int_eq(errno, EINPROGRESS);
	}
	start_at(&client, NULL);
	ck_assert_int_eq(sl_endpoint_dial(client.endpoint, url, NULL, &conn, NULL), 0);
	settle(&client);
	sl_test_skip(SL_HANDSHAKE_MS);
	TURN_UNTIL(client.n_closed == 1, &client, NULL);
	ck_assert_int_eq(client.last_why.code, SL_ETIMEOUT);
	for (int i = 0; i < 8; i++)
		close(others[i]);
	close(fd);
	stop(&client);
}
END_TEST

START_TEST(a_peer_that_goes_silent_while_a_reply_is_due_is_given_up)
{
	static const char answer[8] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
	struct sl_conn *conn;
	struct side client;
	char url[64];
	int listener = listen_raw(url, sizeof(url)), fd;

	start_at(&client, NULL);
	ck_assert_int_eq(sl_endpoint_dial(client.endpoint, url, NULL, &conn, NULL), 0);
	fd = accept(listener, NULL, NULL);
	raw_send(fd, answer, sizeof(answer));
	TURN_UNTIL(client.n_opened == 1, &client, NULL);
	let_go(&client, conn); /* the greeting */

	/* Without a request it may be as silent as it likes. */
	sl_test_skip(10 * SL_IDLE_MS);
	settle(&client);
	ck_assert_uint_eq(client.n_closed, 0);
	ask(&client, conn, "x", 1);
	let_go(&client, conn);
	sl_test_skip(SL_IDLE_MS - SOON);
	settle(&client);
	/* What goes out is no sign of life. */
	ask(&client, conn, "y", 1);
	settle(&client);
	ck_assert_uint_eq(client.n_closed, 0);
	sl_test_skip(SOON);
	TURN_UNTIL(client.n_closed == 1, &client, NULL);
	ck_assert_int_eq(client.last_why.code, SL_ETIMEOUT);
	close(fd);
	close(listener);
	stop(&client);
}
END_TEST

SL_CHECK_MAIN_WITH("endpoint_deadlines", make_place, drop_place,
	who_greets_too_late_is_closed_without_a_word,
	who_is_not_welcome_in_time_is_closed_whatever_he_sends,
	who_asks_nothing_for_a_minute_is_closed, who_waits_for_a_reply_is_not_idle,
	who_does_not_take_his_reply_is_closed,
	a_reply_given_between_dispatches_wakes_the_loop_for_its_deadline,
	a_connection_closed_between_dispatches_wakes_the_loop,
	a_connection_may_be_closed_later_and_still_sends,
	a_dial_that_is_not_greeted_is_given_up, a_dial_that_does_not_come_through_is_given_up,
	a_peer_that_goes_silent_while_a_reply_is_due_is_given_up)
