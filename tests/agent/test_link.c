/* SPDX-License-Identifier: MIT */
#include "agent/link.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/support/check_main.h"

START_TEST(a_frame_comes_out_as_it_went_in)
{
	struct sl_link_frame in = {SL_LINK_BATCH, 42, sl_bytes_of("three events")}, out;
	struct sl_buffer bytes = SL_BUFFER_INIT;
	size_t used;

	ck_assert(sl_link_append(&bytes, &in));
	ck_assert_int_eq(sl_link_next(sl_buffer_bytes(&bytes), &out, &used, NULL), 0);
	ck_assert_uint_eq(used, bytes.size);
	ck_assert_int_eq(out.kind, SL_LINK_BATCH);
	ck_assert_uint_eq(out.number, 42);
	ck_assert(sl_bytes_equal(out.bytes, in.bytes));
	sl_buffer_deinit(&bytes);
}
END_TEST

START_TEST(each_part_of_a_frame_asks_for_more)
{
	struct sl_link_frame in = {SL_LINK_STOP, 0, sl_bytes_of("why")}, out;
	struct sl_buffer bytes = SL_BUFFER_INIT;
	size_t used;

	ck_assert(sl_link_append(&bytes, &in));
	for (size_t size = 0; size < bytes.size; size++)
		ck_assert_int_eq(
			sl_link_next((struct sl_bytes){bytes.data, size}, &out, &used, NULL),
			SL_LINK_MORE);
	sl_buffer_deinit(&bytes);
}
END_TEST

START_TEST(a_frame_of_an_impossible_size_is_refused_at_its_head)
{
	char head[SL_LINK_HEAD_BYTES];
	struct sl_link_frame out;
	struct sl_error err;
	size_t used;

	sl_link_head(head, SL_LINK_BATCH, 1, SL_LINK_MAX_BYTES + 1);
	ck_assert_int_eq(sl_link_next((struct sl_bytes){head, sizeof(head)}, &out, &used, &err),
		SL_EPROTOCOL);
	ck_assert_ptr_nonnull(strstr(err.text, "bytes"));
}
END_TEST

START_TEST(a_frame_of_an_unknown_kind_is_refused)
{
	char head[SL_LINK_HEAD_BYTES] = {0};
	struct sl_link_frame out;
	size_t used;

	ck_assert_int_eq(sl_link_next((struct sl_bytes){head, sizeof(head)}, &out, &used, NULL),
		SL_EPROTOCOL);
	memset(head, 0xff, sizeof(head));
	ck_assert_int_eq(sl_link_next((struct sl_bytes){head, sizeof(head)}, &out, &used, NULL),
		SL_EPROTOCOL);
}
END_TEST

START_TEST(what_a_full_socket_does_not_take_stays)
{
	struct sl_buffer out = SL_BUFFER_INIT, in = SL_BUFFER_INIT;
	size_t total = 4u << 20, got = 0;
	int ends[2], result;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	memset(sl_buffer_reserve(&out, total), 'x', total);
	out.size = total;
	ck_assert_int_eq(sl_link_flush(ends[0], &out, NULL), SL_LINK_MORE);
	ck_assert_uint_gt(out.size, 0);
	ck_assert_uint_lt(out.size, total);
	while (got < total) {
		result = sl_link_receive(ends[1], &in, NULL);
		if (result == SL_LINK_MORE)
			ck_assert_int_ge(sl_link_flush(ends[0], &out, NULL), 0);
		else
			ck_assert_int_eq(result, 0);
		got += in.size;
		sl_buffer_clear(&in);
	}
	ck_assert_uint_eq(got, total);
	close(ends[0]);
	ck_assert_int_eq(sl_link_receive(ends[1], &in, NULL), SL_ECLOSED);
	close(ends[1]);
	sl_buffer_deinit(&in);
	sl_buffer_deinit(&out);
}
END_TEST

START_TEST(a_closed_socket_is_said_to_be_closed)
{
	struct sl_buffer out = SL_BUFFER_INIT;
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	close(ends[1]);
	ck_assert(sl_buffer_append(&out, "x", 1));
	ck_assert_int_eq(sl_link_flush(ends[0], &out, NULL), SL_ECLOSED);
	close(ends[0]);
	sl_buffer_deinit(&out);
}
END_TEST

SL_CHECK_MAIN("link", a_frame_comes_out_as_it_went_in, each_part_of_a_frame_asks_for_more,
	a_frame_of_an_impossible_size_is_refused_at_its_head,
	a_frame_of_an_unknown_kind_is_refused, what_a_full_socket_does_not_take_stays,
	a_closed_socket_is_said_to_be_closed)
