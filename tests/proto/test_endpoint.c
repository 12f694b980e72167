/* SPDX-License-Identifier: MIT */
#include "tests/proto/side.h"

#include <sys/stat.h>

#include "tests/support/check_main.h"

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

static void reply_to(struct side *server, uint32_t id, const char *text)
{
	struct sl_buffer body = SL_BUFFER_INIT;

	ck_assert(sl_buffer_append(&body, text, strlen(text)));
	sl_conn_reply(server->last_conn, id, &body);
}

START_TEST(a_small_reply_that_goes_through_wakes_nobody_at_home)
{
	struct pollfd news = {.events = POLLIN};
	struct side server, client;
	struct sl_conn *conn;

	start_at(&server, ipc_url());
	start_at(&client, NULL);
	server.hold = true;
	ck_assert_int_eq(
		sl_endpoint_dial(client.endpoint, server.address, NULL, &conn, NULL), 0);
	for (int i = 0; i < 3; i++)
		ask(&client, conn, "x", 1);
	TURN_UNTIL(server.n_requests == 3, &server, &client);

	/* The first one brings a deadline along, of which the loop has to hear. */
	reply_to(&server, server.last_id - 2, "first");
	TURN_UNTIL(client.n_replies == 1, &server, &client);
	turn(&server, NULL, 50);
	reply_to(&server, server.last_id - 1, "second");
	TURN_UNTIL(client.n_replies == 2, &client, NULL);
	news.fd = sl_endpoint_fd(server.endpoint);
	ck_assert_int_eq(poll(&news, 1, 50), 0);

	/* The next one goes although the loop has not come by. */
	reply_to(&server, server.last_id, "third");
	TURN_UNTIL(client.n_replies == 3, &client, NULL);
	ck_assert(sl_bytes_equal(sl_buffer_bytes(&client.last), sl_bytes_of("third")));
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
	ck_assert_int_eq(unlink(path), 0); /* it is still there */
}
END_TEST

START_TEST(an_address_that_is_none_is_refused)
{
	static const char *const bad[] = {"", "tcp", "tcp://", "tcp://:", "tcp://127.0.0.1",
		"tcp://127.0.0.1:", "tcp://:80", "tcp://[::1]", "tcp://[::1", "ipc://",
		"ipc://x", "inproc://x", "tls+tcp://127.0.0.1:1", "http://127.0.0.1:1"};
	struct sl_conn *conn;
	struct side side;
	char bound[128];

	start_at(&side, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sl_error err = {0};

		ck_assert_msg(sl_endpoint_listen(side.endpoint, bad[i], 0600, bound,
				      sizeof(bound), &err) == SL_EINVALID,
			"%s", bad[i]);
		ck_assert_str_ne(err.text, "");
		ck_assert_msg(sl_endpoint_dial(side.endpoint, bad[i], NULL, &conn, NULL) ==
				      SL_EINVALID,
			"%s", bad[i]);
	}
	ck_assert_int_eq(
		sl_endpoint_listen(side.endpoint, "tcp://127.0.0.1:0", 0, bound, 8, NULL),
		SL_EINVALID);
	stop(&side);
}
END_TEST

/* Keeps the first two requests, and answers both when a third comes. */
static uint32_t kept[2];

static void reply_to_two(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct side *side = ctx;

	(void)body;
	side->last_conn = conn;
	if (side->n_requests < 2)
		kept[side->n_requests] = id;
	side->n_requests++;
}

START_TEST(replying_never_calls_back)
{
	static const struct sl_endpoint_ops holding = {
		on_opened, reply_to_two, on_reply, on_closed};
	struct side server = {.welcome = true}, client;
	struct sl_conn *conn;

	ck_assert_int_eq(sl_endpoint_new(&holding, &server, 64, &server.endpoint, NULL), 0);
	ck_assert_int_eq(sl_endpoint_listen(server.endpoint, "tcp://127.0.0.1:0", 0,
				 server.address, sizeof(server.address), NULL),
		0);
	start_at(&client, NULL);
	ck_assert_int_eq(
		sl_endpoint_dial(client.endpoint, server.address, NULL, &conn, NULL), 0);
	/* More than are read: some wait, in the endpoint's own memory. */
	for (int i = 0; i < SL_MAX_REQUESTS_PER_CONNECTION + 10; i++)
		ask(&client, conn, "x", 1);
	TURN_UNTIL(server.n_requests == SL_MAX_REQUESTS_PER_CONNECTION, &server, &client);
	for (int i = 0; i < 2; i++) {
		struct sl_buffer body = SL_BUFFER_INIT;

		sl_conn_reply(server.last_conn, kept[i], &body);
		ck_assert_uint_eq(server.n_requests, SL_MAX_REQUESTS_PER_CONNECTION);
	}
	TURN_UNTIL(server.n_requests == SL_MAX_REQUESTS_PER_CONNECTION + 2, &server, &client);
	stop(&client);
	stop(&server);
}
END_TEST

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

SL_CHECK_MAIN_WITH("endpoint", make_place, drop_place, requests_are_answered_over_ipc,
	requests_are_answered_over_tcp, replies_may_come_in_any_order,
	a_small_reply_that_goes_through_wakes_nobody_at_home,
	somebody_who_asks_too_much_at_once_is_not_read_until_answered,
	a_dial_that_nobody_takes_ends_in_closed, an_ipc_peer_is_known_by_its_uid,
	a_socket_in_use_is_not_taken_and_a_stale_one_is_replaced,
	an_address_that_is_none_is_refused, replying_never_calls_back,
	a_message_may_come_byte_by_byte, hops_before_the_id_come_back_with_the_reply)
