/* SPDX-License-Identifier: MIT */
#include "common/parcel.h"

#include "tests/support/check_main.h"

START_TEST(memory_is_zeroed_aligned_and_apart)
{
	sl_cleanup(sl_parcel_freep) struct sl_parcel *parcel = sl_parcel_new(1 << 20);
	char *last = NULL;

	for (size_t size = 1; size < 3000; size += 7) {
		char *at = sl_parcel_alloc(parcel, size);

		ck_assert_ptr_nonnull(at);
		ck_assert_uint_eq((uintptr_t)at % 16, 0);
		for (size_t i = 0; i < size; i++)
			ck_assert_int_eq(at[i], 0);
		memset(at, 0x55, size);
		ck_assert_ptr_ne(at, last);
		last = at;
	}
}
END_TEST

START_TEST(the_limit_holds_whatever_the_pieces)
{
	sl_cleanup(sl_parcel_freep) struct sl_parcel *parcel = sl_parcel_new(4096);
	struct sl_bytes bytes = {0};

	ck_assert_ptr_null(sl_parcel_alloc(parcel, 5000));
	ck_assert_ptr_null(sl_parcel_alloc(parcel, SIZE_MAX));
	ck_assert_ptr_null(sl_parcel_array(parcel, SIZE_MAX / 2, 16));
	ck_assert_ptr_nonnull(sl_parcel_alloc(parcel, 4096));
	ck_assert_ptr_null(sl_parcel_alloc(parcel, 1));
	ck_assert(!sl_parcel_copy(parcel, sl_bytes_of("x"), &bytes));
	ck_assert_uint_eq(sl_parcel_size(parcel), 4096);
}
END_TEST

START_TEST(copied_bytes_keep_their_zeros_and_end_in_one)
{
	sl_cleanup(sl_parcel_freep) struct sl_parcel *parcel = sl_parcel_new(4096);
	struct sl_bytes copy;

	ck_assert(sl_parcel_copy(parcel, (struct sl_bytes){"a\0b", 3}, &copy));
	ck_assert_uint_eq(copy.size, 3);
	ck_assert_mem_eq(copy.data, "a\0b\0", 4);
}
END_TEST

static int n_freed;

static void count_free(struct sl_handle *handle)
{
	(void)handle;
	n_freed++;
}

START_TEST(a_held_handle_lives_exactly_as_long_as_it_is_needed)
{
	struct sl_handle handle = {.refs = 1, .kind = "test", .free = count_free};
	struct sl_parcel *parcel = sl_parcel_new(4096);

	n_freed = 0;
	ck_assert(sl_parcel_hold(parcel, &handle));
	ck_assert(sl_parcel_hold(parcel, &handle));
	sl_handle_unref(&handle);
	ck_assert_int_eq(n_freed, 0);
	sl_parcel_free(parcel);
	ck_assert_int_eq(n_freed, 1);
}
END_TEST

SL_CHECK_MAIN("parcel", memory_is_zeroed_aligned_and_apart, the_limit_holds_whatever_the_pieces,
	copied_bytes_keep_their_zeros_and_end_in_one,
	a_held_handle_lives_exactly_as_long_as_it_is_needed)
