/* SPDX-License-Identifier: MIT */
#include "agent/ring.h"

#include "agent/link.h"
#include "common/buffer.h"
#include "tests/support/check_main.h"

static void add(struct sl_ring *ring, uint64_t count, const char *text)
{
	ck_assert_int_eq(sl_ring_append(ring, count, sl_bytes_of(text), NULL), 0);
}

START_TEST(events_are_numbered_from_one_without_gaps)
{
	struct sl_batch batches[4];
	struct sl_ring ring;
	bool more;

	sl_ring_init(&ring);
	add(&ring, 1, "a");
	add(&ring, 3, "bcd");
	add(&ring, 2, "ef");
	ck_assert_uint_eq(ring.last, 6);
	ck_assert_uint_eq(sl_ring_read(&ring, 0, 100, batches, 4, &more), 3);
	ck_assert(!more);
	ck_assert_uint_eq(batches[0].first, 1);
	ck_assert_uint_eq(batches[1].first, 2);
	ck_assert_uint_eq(batches[1].count, 3);
	ck_assert_uint_eq(batches[2].first, 5);
	ck_assert(sl_bytes_equal(batches[2].bytes, sl_bytes_of("ef")));
	sl_ring_deinit(&ring);
}
END_TEST

START_TEST(a_reader_in_the_middle_of_a_batch_gets_all_of_it)
{
	struct sl_batch batches[4];
	struct sl_ring ring;
	bool more;

	sl_ring_init(&ring);
	add(&ring, 3, "abc");
	ck_assert_uint_eq(sl_ring_read(&ring, 2, 100, batches, 4, &more), 1);
	ck_assert_uint_eq(batches[0].first, 1);
	ck_assert_uint_eq(sl_ring_read(&ring, 3, 100, batches, 4, &more), 0);
	sl_ring_deinit(&ring);
}
END_TEST

START_TEST(a_reply_is_bounded_but_never_empty)
{
	struct sl_batch batches[4];
	struct sl_ring ring;
	bool more;

	sl_ring_init(&ring);
	add(&ring, 1, "0123456789");
	add(&ring, 1, "0123456789");
	add(&ring, 1, "x");
	ck_assert_uint_eq(sl_ring_read(&ring, 0, 1, batches, 4, &more), 1);
	ck_assert(more);
	ck_assert_uint_eq(sl_ring_read(&ring, 0, 20, batches, 4, &more), 2);
	ck_assert(more);
	ck_assert_uint_eq(sl_ring_read(&ring, 0, 21, batches, 4, &more), 3);
	ck_assert(!more);
	ck_assert_uint_eq(sl_ring_read(&ring, 0, 100, batches, 2, &more), 2);
	ck_assert(more);
	sl_ring_deinit(&ring);
}
END_TEST

START_TEST(what_is_acknowledged_is_paid_back_once)
{
	struct sl_ring ring;

	sl_ring_init(&ring);
	add(&ring, 2, "ab");
	add(&ring, 2, "cd");
	ck_assert_uint_eq(ring.bytes, 2 * SL_LINK_COST(2));
	ck_assert_uint_eq(sl_ring_acknowledge(&ring, 1), 0);
	ck_assert_uint_eq(sl_ring_acknowledge(&ring, 3), SL_LINK_COST(2));
	ck_assert_uint_eq(sl_ring_acknowledge(&ring, 2), 0);
	ck_assert_uint_eq(ring.acked, 3);
	ck_assert_uint_eq(sl_ring_acknowledge(&ring, 99), SL_LINK_COST(2));
	ck_assert_uint_eq(ring.acked, 4);
	add(&ring, 1, "e");
	ck_assert_uint_eq(ring.last, 5);
	sl_ring_deinit(&ring);
}
END_TEST

START_TEST(some_of_what_was_acknowledged_stays_for_who_comes_late)
{
	static char piece[20000];
	struct sl_batch batches[100];
	struct sl_ring ring;
	size_t n;
	bool more;

	sl_ring_init(&ring);
	add(&ring, 1, "first");
	sl_ring_acknowledge(&ring, 1);
	ck_assert_uint_eq(sl_ring_read(&ring, 0, 100, batches, 100, &more), 1);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(
			sl_ring_append(&ring, 1, (struct sl_bytes){piece, sizeof(piece)}, NULL),
			0);
	ck_assert_uint_eq(ring.last, 101);
	sl_ring_acknowledge(&ring, 91);
	ck_assert_uint_le(ring.history, SL_RING_HISTORY_BYTES);
	ck_assert_uint_gt(ring.history, SL_RING_HISTORY_BYTES / 2);
	ck_assert_uint_eq(ring.bytes, ring.history + 10 * SL_LINK_COST(sizeof(piece)));
	n = sl_ring_read(&ring, 0, UINT64_MAX, batches, 100, &more);
	ck_assert_uint_eq(batches[n - 1].first, 101);
	sl_ring_deinit(&ring);
}
END_TEST

SL_CHECK_MAIN("ring", events_are_numbered_from_one_without_gaps,
	a_reader_in_the_middle_of_a_batch_gets_all_of_it, a_reply_is_bounded_but_never_empty,
	what_is_acknowledged_is_paid_back_once,
	some_of_what_was_acknowledged_stays_for_who_comes_late)
