/* SPDX-License-Identifier: MIT */
#include "agent/http_head.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "tests/support/check_main.h"

static struct sl_http_head head;

static int parse(const char *text)
{
	return sl_http_head_parse(sl_bytes_of(text), &head);
}

static void assert_bytes(struct sl_bytes found, const char *expected)
{
	ck_assert_msg(sl_bytes_equal(found, sl_bytes_of(expected)), "'%.*s' is not '%s'",
		(int)found.size, found.data, expected);
}

START_TEST(a_request_is_read)
{
	ck_assert_int_eq(
		parse("GET /metrics?a=b HTTP/1.1\r\nHost: x\r\naccept:  a/b \r\n\r\n"), 0);
	assert_bytes(head.method, "GET");
	assert_bytes(head.path, "/metrics");
	assert_bytes(head.accept, "  a/b ");
}
END_TEST

START_TEST(lines_may_end_as_in_a_terminal)
{
	ck_assert_int_eq(parse("HEAD / HTTP/1.0\n\nrest"), 0);
	assert_bytes(head.method, "HEAD");
	assert_bytes(head.path, "/");
	assert_bytes(head.accept, "");
}
END_TEST

START_TEST(a_beginning_wants_more)
{
	static const char whole[] = "GET /metrics HTTP/1.1\r\nAccept: x\r\n\r\n";

	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		char *part = malloc(n + 1); /* of its size, for who looks beyond it */

		memcpy(part, whole, n);
		ck_assert_int_eq(sl_http_head_parse((struct sl_bytes){part, n}, &head),
			SL_HTTP_HEAD_MORE);
		free(part);
	}
	ck_assert_int_eq(parse(whole), 0);
}
END_TEST

START_TEST(what_is_no_request_is_told_from_its_first_line)
{
	static const char *const cases[] = {"\n", "GET\n", "GET /\n", "GET / HTTP/2\n",
		"get / HTTP/1.1\n", " GET / HTTP/1.1\n", "GET metrics HTTP/1.1\n",
		"GET http://x/ HTTP/1.1\n", "GET  / HTTP/1.1\n", "GET / HTTP/1.1 \n",
		"GETGETGETGETGETGETGET / HTTP/1.1\n", "\x16\x03\x01\n"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(parse(cases[i]) == SL_EPROTOCOL, "%s", cases[i]);
}
END_TEST

static bool is_inside(struct sl_bytes part, struct sl_bytes whole)
{
	return part.size == 0 ||
	       (part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

START_TEST(any_bytes_are_safe)
{
	static const char seed[] = "GET /metrics?x HTTP/1.1\r\nAccept: a;q=1\r\nAccept:\n\r\n";
	static const char *const codes = "\r\n :?/\0\xffGHa";
	unsigned random = 1;

	for (int i = 0; i < 20000; i++) {
		size_t size = 1 + (random >> 8) % (sizeof(seed) - 1);
		char *data = malloc(size);
		struct sl_bytes in = {data, size};
		int result;

		memcpy(data, seed, size);
		for (int n = 0; n < 3; n++) {
			random = random * 1664525 + 1013904223;
			data[(random >> 8) % size] = codes[(random >> 24) % 11];
		}
		result = sl_http_head_parse(in, &head);
		ck_assert(result == 0 || result == SL_HTTP_HEAD_MORE || result == SL_EPROTOCOL);
		if (result == 0)
			ck_assert(is_inside(head.method, in) && is_inside(head.path, in) &&
				  is_inside(head.accept, in) && head.path.data[0] == '/');
		free(data);
	}
}
END_TEST

SL_CHECK_MAIN("http_head", a_request_is_read, lines_may_end_as_in_a_terminal,
	a_beginning_wants_more, what_is_no_request_is_told_from_its_first_line,
	any_bytes_are_safe)
