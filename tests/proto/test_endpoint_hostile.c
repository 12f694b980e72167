/* SPDX-License-Identifier: MIT */
#include "tests/proto/side.h"

#include "tests/support/check_main.h"

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

SL_CHECK_MAIN("endpoint_hostile", a_length_over_the_limit_ends_the_connection,
	before_hello_only_little_is_heard, a_request_without_an_id_ends_the_connection,
	a_hundred_who_hang_up_leave_nothing_behind,
	beyond_the_most_connections_a_new_one_is_closed_at_once)
