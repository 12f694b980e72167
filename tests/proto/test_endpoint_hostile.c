/* SPDX-License-Identifier: MIT */
#include "tests/proto/side.h"

#include <sys/resource.h>

#include "tests/support/check_main.h"

/* Whether the server hangs up on somebody who sends this after the greeting. */
static bool hangs_up_on(bool welcome, const void *bytes, size_t size)
{
	struct side server;
	int64_t end = real_ms() + 3000;
	bool hung_up = false;
	char byte;
	int fd;

	start_at(&server, "tcp://127.0.0.1:0");
	server.welcome = welcome;
	fd = raw_connect(&server);
	raw_send(fd, greeting, 8);
	TURN_UNTIL(server.n_opened == 1, &server, NULL);
	raw_send(fd, bytes, size);
	while (!hung_up && server.n_requests == 0 && real_ms() < end) {
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

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__
#endif
#endif

/* Under AddressSanitizer, which keeps what was freed for a while, always 0. */
static size_t rss_bytes(void)
{
#ifdef __SANITIZE_ADDRESS__
	return 0;
#else
	FILE *file = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%*u %zu", &pages), 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
#endif
}

/* Comes, does one of several rude things, and goes. */
static void be_rude(struct side *server, int i)
{
	static const char ipc_head[] = "\1\0\0\0\0\0\xff\0\0";
	static const char ipc_request[] = "\1\0\0\0\0\0\0\0\x05\x80\0\0\x01x";
	bool ipc = server->address[0] == 'i';
	int fd = raw_connect(server);

	switch (i % 5) {
	case 0: /* asks eight times and doesn't wait */
		raw_send(fd, greeting, 8);
		for (int k = 0; k < 8; k++)
			raw_send(fd, ipc_request + !ipc, 14 - !ipc);
		break;
	case 1:
		raw_send(fd, "GET / HTTP/1.0\r\n\r\n", 18);
		break;
	case 2:
		raw_send(fd, greeting, 3);
		break;
	case 3: /* announces 16 MiB less a bit and sends nothing of it */
		raw_send(fd, greeting, 8);
		raw_send(fd, ipc_head + !ipc, 9 - !ipc);
		break;
	}
	if (i % 2 && !ipc) {
		struct linger linger = {1, 0};

		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	close(fd);
}

static void are_rude(const char *url, int n)
{
	struct side server;
	size_t fds, rss;

	start_at(&server, url);
	for (int i = 0; i < 100; i++) /* what a heap grows by anyway */
		be_rude(&server, i);
	TURN_UNTIL(sl_endpoint_n_accepted(server.endpoint) == 0, &server, NULL);
	rss = rss_bytes();
	fds = n_fds();
	for (int i = 0; i < n; i++)
		be_rude(&server, i);
	TURN_UNTIL(
		n_fds() <= fds && sl_endpoint_n_accepted(server.endpoint) == 0, &server, NULL);
	ck_assert_uint_eq(server.n_opened, server.n_closed);
	ck_assert_uint_le(rss_bytes(), rss + (8u << 20));
	stop(&server);
}

START_TEST(hundreds_who_hang_up_leave_nothing_behind_on_tcp)
{
	are_rude("tcp://127.0.0.1:0", 500);
}
END_TEST

START_TEST(hundreds_who_hang_up_leave_nothing_behind_on_ipc)
{
	are_rude(ipc_url(), 500);
}
END_TEST

START_TEST(who_announces_much_and_sends_nothing_costs_little)
{
	struct side server;
	size_t before;
	int fds[60];

	start_at(&server, "tcp://127.0.0.1:0");
	before = rss_bytes();
	for (int i = 0; i < 60; i++) {
		fds[i] = raw_connect(&server);
		raw_send(fds[i], greeting, 8);
		raw_send(fds[i], "\0\0\0\0\0\xff\0\0x", 9);
	}
	TURN_UNTIL(server.n_opened == 60, &server, NULL);
	for (int i = 0; i < 5; i++)
		turn(&server, NULL, 5);
	/* 60 times 16 MiB were nearly a gigabyte. */
	ck_assert_uint_le(rss_bytes(), before + (16u << 20));
	sl_test_skip(SL_IDLE_MS);
	TURN_UNTIL(server.n_closed == 60, &server, NULL);
	for (int i = 0; i < 60; i++)
		close(fds[i]);
	stop(&server);
}
END_TEST

/* Answers each request with this much. */
#define LARGE_REPLY (256u << 10)

static void reply_large(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct side *side = ctx;
	struct sl_buffer reply = SL_BUFFER_INIT;

	(void)body;
	side->n_requests++;
	side->last_conn = conn;
	ck_assert_ptr_nonnull(sl_buffer_reserve(&reply, LARGE_REPLY));
	memset(reply.data, 0, LARGE_REPLY);
	reply.size = LARGE_REPLY;
	sl_conn_reply(conn, id, &reply);
}

START_TEST(who_asks_for_much_and_does_not_read_is_not_read_either)
{
	static const struct sl_endpoint_ops large_ops = {
		on_opened, reply_large, on_reply, on_closed};
	struct side server = {.welcome = true};
	size_t before, taken = 0, frame = 8 + 4 + LARGE_REPLY;
	static char bytes[1 << 20];
	int fd;

	ck_assert_int_eq(sl_endpoint_new(&large_ops, &server, 64, &server.endpoint, NULL), 0);
	ck_assert_int_eq(sl_endpoint_listen(server.endpoint, "tcp://127.0.0.1:0", 0,
				 server.address, sizeof(server.address), NULL),
		0);
	before = rss_bytes();
	fd = raw_connect(&server);
	raw_send(fd, greeting, 8);
	for (int i = 0; i < 1000; i++)
		raw_send(fd, "\0\0\0\0\0\0\0\x05\x80\0\0\x01x", 13);
	TURN_UNTIL(server.n_requests > 0 &&
			   sl_conn_backlog(server.last_conn) >= SL_MAX_BACKLOG_BYTES,
		&server, NULL);
	for (int i = 0; i < 10; i++)
		turn(&server, NULL, 5);
	ck_assert_uint_le(sl_conn_backlog(server.last_conn), SL_MAX_BACKLOG_BYTES + frame);
	ck_assert_uint_le(rss_bytes(), before + (32u << 20));
	/* Once he reads, he gets it all. */
	while (taken < 8 + 1000 * frame) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		ck_assert(n > 0 || (n < 0 && errno == EAGAIN));
		if (n > 0)
			taken += (size_t)n;
		else
			turn(&server, NULL, 5);
		ck_assert_uint_eq(server.n_closed, 0);
	}
	ck_assert_uint_eq(server.n_requests, 1000);
	close(fd);
	stop(&server);
}
END_TEST

START_TEST(without_descriptors_accepting_waits_and_goes_on)
{
	struct side server;
	int first, second = socket(AF_INET, SOCK_STREAM, 0), spare[256];
	struct sockaddr_storage address;
	socklen_t size;
	size_t n = 0;

	start_at(&server, "tcp://127.0.0.1:0");
	first = raw_connect(&server);
	raw_send(first, greeting, 8);
	TURN_UNTIL(server.n_opened == 1, &server, NULL);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){256, 256}), 0);
	while ((spare[n] = dup(first)) >= 0)
		n++;
	ck_assert_int_eq(errno, EMFILE);

	size = raw_address(&server, &address);
	ck_assert_int_eq(connect(second, (struct sockaddr *)&address, size), 0);
	raw_send(second, greeting, 8);
	for (int i = 0; i < 20; i++)
		turn(&server, NULL, 5);
	ck_assert_uint_eq(server.n_opened, 1);
	/* Not in a hurry: it sleeps between two tries. */
	ck_assert_int_gt(sl_endpoint_dispatch(server.endpoint), 0);
	while (n > 0)
		close(spare[--n]);
	TURN_UNTIL(server.n_opened == 2, &server, NULL);
	close(first);
	close(second);
	stop(&server);
}
END_TEST

/* NNG closes some descriptors on a thread of its own, soon. */
static void wait_for_fds(size_t most)
{
	int64_t end = real_ms() + 20000;

	while (n_fds() > most) {
		ck_assert_msg(real_ms() < end, "%zu descriptors, not %zu", n_fds(), most);
		poll(NULL, 0, 5);
	}
}

START_TEST(stopping_closes_those_who_wait_to_be_accepted)
{
	size_t before = 0;

	for (int round = 0; round < 30; round++) {
		struct sockaddr_storage address;
		struct side server;
		socklen_t size;
		int fds[4];

		start_at(&server, round % 2 ? ipc_url() : "tcp://127.0.0.1:0");
		size = raw_address(&server, &address);
		for (int i = 0; i < 4; i++) {
			fds[i] = socket(address.ss_family, SOCK_STREAM, 0);
			ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&address, size), 0);
		}
		/* NNG has accepted one and said so: nobody looks at it any more. */
		poll(&(struct pollfd){sl_endpoint_fd(server.endpoint), POLLIN, 0}, 1, 5000);
		if (round % 3 == 0)
			sl_endpoint_stop_listening(server.endpoint);
		stop(&server);
		for (int i = 0; i < 4; i++) {
			poll(&(struct pollfd){fds[i], POLLIN, 0}, 1, 5000);
			ck_assert(raw_is_over(fds[i]));
			close(fds[i]);
		}
		if (round == 2)
			before = n_fds();
	}
	wait_for_fds(before);
}
END_TEST

START_TEST(stopping_closes_a_dial_that_has_just_come_through)
{
	struct side server;
	size_t before = 0;

	start_at(&server, "tcp://127.0.0.1:0");
	for (int round = 0; round < 30; round++) {
		struct side client;
		struct sl_conn *conn;

		start_at(&client, NULL);
		ck_assert_int_eq(
			sl_endpoint_dial(client.endpoint, server.address, NULL, &conn, NULL),
			0);
		sl_endpoint_dispatch(client.endpoint); /* so that the next one is the dial */
		poll(&(struct pollfd){sl_endpoint_fd(client.endpoint), POLLIN, 0}, 1, 5000);
		if (round % 2)
			sl_conn_close(conn, 0);
		stop(&client);
		TURN_UNTIL(sl_endpoint_n_accepted(server.endpoint) == 0, &server, NULL);
		if (round == 2)
			before = n_fds();
	}
	wait_for_fds(before);
	stop(&server);
}
END_TEST

START_TEST(a_reply_to_what_was_not_asked_ends_a_dialled_connection)
{
	static const char *const replies[] = {
		"\0\0\0\0\0\0\0\x05\x80\0\0\x09x", "\0\0\0\0\0\0\0\x05\0\0\0\x01x"};

	for (int i = 0; i < 2; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET};
		socklen_t size = sizeof(address);
		int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
		struct sl_conn *conn;
		struct side client;
		char url[64];

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
		ck_assert_int_eq(listen(listener, 1), 0);
		ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
		snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", ntohs(address.sin_port));
		start_at(&client, NULL);
		ck_assert_int_eq(sl_endpoint_dial(client.endpoint, url, NULL, &conn, NULL), 0);
		ask(&client, conn, "x", 1);
		fd = accept(listener, NULL, NULL);
		raw_send(fd, "\0SP\0\0\x31\0\0", 8);
		raw_send(fd, replies[i], 13);
		TURN_UNTIL(client.n_closed == 1, &client, NULL);
		ck_assert_int_eq(client.last_why.code, SL_EPROTOCOL);
		ck_assert_uint_eq(client.n_replies, 0);
		close(fd);
		close(listener);
		stop(&client);
	}
}
END_TEST

START_TEST(beyond_the_most_connections_a_new_one_is_closed_at_once)
{
	struct sl_endpoint_numbers numbers;
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
	sl_endpoint_count(server.endpoint, &numbers);
	ck_assert_uint_eq(numbers.accepted, 65);
	ck_assert_uint_eq(numbers.over_limit, 1);
	ck_assert_uint_eq(numbers.bad_greetings, 0);
	for (int i = 1; i < 66; i++)
		close(fds[i]);
	stop(&server);
}
END_TEST

SL_CHECK_MAIN_WITH("endpoint_hostile", make_place, drop_place,
	a_length_over_the_limit_ends_the_connection, before_hello_only_little_is_heard,
	a_request_without_an_id_ends_the_connection,
	hundreds_who_hang_up_leave_nothing_behind_on_tcp,
	hundreds_who_hang_up_leave_nothing_behind_on_ipc,
	who_announces_much_and_sends_nothing_costs_little,
	who_asks_for_much_and_does_not_read_is_not_read_either,
	without_descriptors_accepting_waits_and_goes_on,
	stopping_closes_those_who_wait_to_be_accepted,
	stopping_closes_a_dial_that_has_just_come_through,
	a_reply_to_what_was_not_asked_ends_a_dialled_connection,
	beyond_the_most_connections_a_new_one_is_closed_at_once)
