/* SPDX-License-Identifier: MIT */
#include "common/histogram.h"

#include "tests/support/check_main.h"

static const int64_t bounds[] = {10, 100, 1000};

START_TEST(each_is_counted_at_the_first_bound_that_holds_it)
{
	static const int64_t seen[] = {0, 10, 11, 100, 1000, 1001, 5000};
	struct sl_histogram histogram;

	sl_histogram_init(&histogram, bounds, 3);
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		sl_histogram_observe(&histogram, seen[i]);
	ck_assert_uint_eq(histogram.counts[0], 2);
	ck_assert_uint_eq(histogram.counts[1], 2);
	ck_assert_uint_eq(histogram.counts[2], 1);
	ck_assert_uint_eq(histogram.counts[3], 2);
	ck_assert_uint_eq(sl_histogram_count(&histogram), 7);
	ck_assert_uint_eq(histogram.sum_ns, 7122);
}
END_TEST

START_TEST(less_than_nothing_is_nothing)
{
	struct sl_histogram histogram;

	sl_histogram_init(&histogram, bounds, 3);
	sl_histogram_observe(&histogram, -5);
	ck_assert_uint_eq(histogram.counts[0], 1);
	ck_assert_uint_eq(histogram.sum_ns, 0);
}
END_TEST

SL_CHECK_MAIN("histogram", each_is_counted_at_the_first_bound_that_holds_it,
	less_than_nothing_is_nothing)
