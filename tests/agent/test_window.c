/* SPDX-License-Identifier: MIT */
#include "agent/window.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/loop.h"
#include "common/clock.h"
#include "common/error.h"
#include "tests/support/check_main.h"

#define PATIENCE_MS 20000
#define MOST SL_WINDOW_MAX_CONNECTIONS

static struct sl_loop *loop;
static struct sl_loop_timer *turn;
static struct sl_window *window;
static struct sl_error err;
static char bound[128];
static int port;
static bool keeps; /* requests are not answered */
static struct sl_window_request *kept;
static size_t n_got;

static void on_get(void *ctx, struct sl_window_request *request)
{
	struct sl_bytes path = sl_window_path(request);

	(void)ctx;
	n_got++;
	if (keeps)
		kept = request;
	else
		sl_window_answer(request, 200, "text/plain", path);
}

static void on_turn(void *ctx)
{
	(void)ctx;
	sl_loop_stop(loop);
}

/* Lets the loop go on for @ms. */
static void turn_for(int64_t ms)
{
	sl_loop_timer_set(turn, ms);
	ck_assert_int_eq(sl_loop_run(loop, NULL), 0);
}

static void open_window(int64_t ms)
{
	ck_assert_int_eq(sl_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(sl_loop_timer_new(loop, on_turn, NULL, &turn, NULL), 0);
	ck_assert_msg(sl_window_new(loop, "tcp://127.0.0.1:0", ms, on_get, NULL, bound,
			      sizeof(bound), &window, &err) == 0,
		"%s", err.text);
	ck_assert_int_eq(sscanf(bound, "tcp://127.0.0.1:%d", &port), 1);
}

static void tear_down(void)
{
	sl_window_free(window);
	sl_loop_timer_free(turn);
	sl_loop_free(loop);
}

static int dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All that comes until the other side hangs up, or @ms have passed: then ends with "…". */
static const char *read_all(int fd, int64_t ms)
{
	static char text[8192];
	int64_t until_ms = sl_clock_monotonic_ms() + ms;
	size_t size = 0;

	for (;;) {
		ssize_t n = recv(fd, text + size, sizeof(text) - size - 8, MSG_DONTWAIT);

		if (n > 0)
			size += (size_t)n;
		text[size] = 0;
		if (n == 0)
			return text;
		/* A reset may take away what was on its way. */
		ck_assert_int_eq(errno, EAGAIN);
		if (sl_clock_monotonic_ms() > until_ms)
			return strcat(text, "…");
		turn_for(1);
	}
}

static const char *ask(const char *request)
{
	const char *answer;
	int fd = dial();

	send_text(fd, request);
	answer = read_all(fd, PATIENCE_MS);
	close(fd);
	return answer;
}

static void assert_begins(const char *text, const char *begin)
{
	ck_assert_msg(strncmp(text, begin, strlen(begin)) == 0, "%s", text);
}

static void assert_ends(const char *text, const char *end)
{
	ck_assert_msg(strlen(text) >= strlen(end) &&
			      strcmp(text + strlen(text) - strlen(end), end) == 0,
		"%s", text);
}

START_TEST(a_get_is_answered_and_a_head_without_the_body)
{
	const char *answer;

	open_window(PATIENCE_MS);
	answer = ask("GET /path?query HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Length: 5\r\n"));
	assert_ends(answer, "\r\n\r\n/path");
	answer = ask("HEAD /path HTTP/1.1\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Length: 5\r\n"));
	assert_ends(answer, "\r\n\r\n");
}
END_TEST

START_TEST(other_methods_are_refused_whatever_comes_with_them)
{
	const char *answer;

	open_window(PATIENCE_MS);
	answer = ask("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
	assert_begins(answer, "HTTP/1.1 405 Method Not Allowed\r\n");
	ck_assert_ptr_nonnull(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
	assert_begins(ask("BREW /pot HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 ");
	ck_assert_uint_eq(n_got, 0);
}
END_TEST

START_TEST(nonsense_is_refused_at_its_first_line)
{
	open_window(PATIENCE_MS);
	assert_begins(ask("hello there\n"), "HTTP/1.1 400 Bad Request\r\n");
}
END_TEST

START_TEST(a_head_that_is_too_large_is_refused)
{
	char line[1001];
	int fd;

	open_window(PATIENCE_MS);
	memset(line, 'a', 1000);
	line[1000] = 0;
	fd = dial();
	send_text(fd, "GET / HTTP/1.1\r\nX: ");
	for (int i = 0; i < 20; i++)
		send_text(fd, line);
	assert_begins(read_all(fd, PATIENCE_MS), "HTTP/1.1 431 ");
	close(fd);
	ck_assert_uint_eq(n_got, 0);
}
END_TEST

START_TEST(who_sends_a_byte_now_and_then_is_put_out_in_time)
{
	int64_t began_ms;
	int fd, n = 0;
	char byte;

	open_window(300);
	began_ms = sl_clock_monotonic_ms();
	fd = dial();
	send_text(fd, "GET /");
	while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) {
		if (send(fd, "a", 1, MSG_NOSIGNAL) == 1)
			n++;
		turn_for(20);
		ck_assert_int_lt(sl_clock_monotonic_ms() - began_ms, PATIENCE_MS);
	}
	ck_assert_int_ge(sl_clock_monotonic_ms() - began_ms, 290);
	ck_assert_int_gt(n, 1);
	close(fd);
}
END_TEST

START_TEST(who_does_not_take_the_answer_is_put_out_in_time)
{
	static char body[8 << 20]; /* more than sockets hold */
	int fd;

	open_window(300);
	keeps = true;
	fd = dial();
	send_text(fd, "GET / HTTP/1.1\r\n\r\n");
	while (!kept)
		turn_for(1);
	sl_window_answer(kept, 200, "text/plain", (struct sl_bytes){body, sizeof(body)});
	turn_for(400);
	/* Its place is free: all of them are. */
	keeps = false;
	for (int i = 0; i < 2 * MOST; i++)
		assert_begins(ask("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 ");
	close(fd);
}
END_TEST

START_TEST(beyond_the_most_connections_the_next_waits_until_one_is_over)
{
	int fds[MOST], fd;

	open_window(PATIENCE_MS);
	for (int i = 0; i < MOST; i++)
		fds[i] = dial();
	turn_for(50);
	fd = dial();
	send_text(fd, "GET /late HTTP/1.1\r\n\r\n");
	ck_assert_str_eq(read_all(fd, 200), "…");
	close(fds[3]);
	assert_ends(read_all(fd, PATIENCE_MS), "/late");
	close(fd);
	for (int i = 0; i < MOST; i++)
		if (i != 3)
			close(fds[i]);
}
END_TEST

START_TEST(an_answer_may_come_when_nobody_waits_for_it_any_more)
{
	int fd;

	open_window(100);
	keeps = true;
	fd = dial();
	send_text(fd, "GET / HTTP/1.1\r\n\r\n");
	while (!kept)
		turn_for(1);
	close(fd);
	turn_for(200); /* beyond its time, too */
	sl_window_answer(kept, 200, "text/plain", sl_bytes_of("x"));
	turn_for(10);
	keeps = false;
	assert_begins(ask("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 ");
}
END_TEST

START_TEST(it_goes_with_requests_that_have_no_answer)
{
	int fd;

	open_window(PATIENCE_MS);
	keeps = true;
	fd = dial();
	send_text(fd, "GET / HTTP/1.1\r\n\r\n");
	while (!kept)
		turn_for(1);
	sl_window_free(sl_steal(window));
	ck_assert_str_eq(read_all(fd, PATIENCE_MS), "");
	close(fd);
}
END_TEST

static int dial_file(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

START_TEST(a_socket_file_is_replaced_if_nobody_listens_and_goes_with_it)
{
	char dir[] = "/tmp/sloth-test-XXXXXX", path[64], url[80];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sl_window *second;
	struct stat st;
	int fd;

	open_window(PATIENCE_MS);
	sl_window_free(sl_steal(window));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(url, sizeof(url), "ipc://%s", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);

	ck_assert_int_eq(sl_window_new(loop, url, PATIENCE_MS, on_get, NULL, bound,
				 sizeof(bound), &window, &err),
		0);
	ck_assert_str_eq(bound, url);
	ck_assert_int_eq(sl_window_new(loop, url, PATIENCE_MS, on_get, NULL, bound,
				 sizeof(bound), &second, &err),
		SL_ESYSTEM);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	fd = dial_file(path);
	send_text(fd, "GET /file HTTP/1.1\r\n\r\n");
	assert_ends(read_all(fd, PATIENCE_MS), "/file");
	close(fd);
	sl_window_free(sl_steal(window));
	ck_assert_int_lt(stat(path, &st), 0);
	rmdir(dir);
}
END_TEST

SL_CHECK_MAIN_WITH("window", NULL, tear_down, a_get_is_answered_and_a_head_without_the_body,
	other_methods_are_refused_whatever_comes_with_them,
	nonsense_is_refused_at_its_first_line, a_head_that_is_too_large_is_refused,
	who_sends_a_byte_now_and_then_is_put_out_in_time,
	who_does_not_take_the_answer_is_put_out_in_time,
	beyond_the_most_connections_the_next_waits_until_one_is_over,
	an_answer_may_come_when_nobody_waits_for_it_any_more,
	it_goes_with_requests_that_have_no_answer,
	a_socket_file_is_replaced_if_nobody_listens_and_goes_with_it)
