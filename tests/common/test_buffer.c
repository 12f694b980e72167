/* SPDX-License-Identifier: MIT */
#include "common/buffer.h"

#include "tests/support/check_main.h"

START_TEST(appended_bytes_stand_in_order)
{
	struct sl_buffer buffer = SL_BUFFER_INIT;

	ck_assert(sl_buffer_append(&buffer, "ab\0", 3));
	ck_assert(sl_buffer_printf(&buffer, "%d-%s", 42, "x"));
	ck_assert_uint_eq(buffer.size, 7);
	ck_assert_mem_eq(buffer.data, "ab\00042-x", 7);
	sl_buffer_deinit(&buffer);
}
END_TEST

START_TEST(it_grows_past_any_first_guess)
{
	struct sl_buffer buffer = SL_BUFFER_INIT;

	for (int i = 0; i < 10000; i++)
		ck_assert(sl_buffer_append(&buffer, "0123456789", 10));
	ck_assert_uint_eq(buffer.size, 100000);
	ck_assert_mem_eq(buffer.data + 99990, "0123456789", 10);
	sl_buffer_deinit(&buffer);
}
END_TEST

START_TEST(consumed_bytes_are_gone_and_the_rest_moves_up)
{
	struct sl_buffer buffer = SL_BUFFER_INIT;

	ck_assert(sl_buffer_append(&buffer, "headbody", 8));
	sl_buffer_consume(&buffer, 4);
	ck_assert(sl_bytes_equal(sl_buffer_bytes(&buffer), sl_bytes_of("body")));
	sl_buffer_consume(&buffer, 4);
	ck_assert_uint_eq(buffer.size, 0);
	sl_buffer_deinit(&buffer);
}
END_TEST

START_TEST(a_size_that_overflows_fails_and_stays_failed_until_cleared)
{
	struct sl_buffer buffer = SL_BUFFER_INIT;

	ck_assert(sl_buffer_append(&buffer, "a", 1));
	ck_assert_ptr_null(sl_buffer_reserve(&buffer, SIZE_MAX));
	ck_assert(buffer.failed);
	ck_assert(!sl_buffer_append(&buffer, "b", 1));
	ck_assert_uint_eq(buffer.size, 1);

	sl_buffer_clear(&buffer);
	ck_assert(sl_buffer_append(&buffer, "b", 1));
	ck_assert_mem_eq(buffer.data, "b", 1);
	sl_buffer_deinit(&buffer);
}
END_TEST

SL_CHECK_MAIN("buffer", appended_bytes_stand_in_order, it_grows_past_any_first_guess,
	consumed_bytes_are_gone_and_the_rest_moves_up,
	a_size_that_overflows_fails_and_stays_failed_until_cleared)
