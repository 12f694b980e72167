/* SPDX-License-Identifier: MIT */
#include "agent/admission.h"

#include "tests/support/check_main.h"

static struct sl_admission *make(size_t inside, size_t waiting, size_t bytes)
{
	struct sl_admission *admission;

	ck_assert_int_eq(sl_admission_new(inside, waiting, bytes, &admission, NULL), 0);
	return admission;
}

static enum sl_admission_answer ask(
	struct sl_admission *admission, struct sl_ticket *ticket, size_t size)
{
	uint64_t retry_ms;

	return sl_admission_ask(admission, ticket, size, 0, &retry_ms);
}

START_TEST(so_many_enter_so_many_wait_and_the_next_is_busy)
{
	sl_cleanup(sl_admission_freep) struct sl_admission *admission = make(2, 1, 1000);
	struct sl_ticket tickets[4] = {0};
	uint64_t retry_ms = 0;

	ck_assert_int_eq(ask(admission, &tickets[0], 1), SL_ADMISSION_ENTERED);
	ck_assert_int_eq(ask(admission, &tickets[1], 1), SL_ADMISSION_ENTERED);
	ck_assert_int_eq(ask(admission, &tickets[2], 1), SL_ADMISSION_WAITING);
	ck_assert_int_eq(
		sl_admission_ask(admission, &tickets[3], 1, 0, &retry_ms), SL_ADMISSION_BUSY);
	ck_assert_uint_gt(retry_ms, 0);
	ck_assert_uint_eq(sl_admission_n_inside(admission), 2);
	ck_assert_uint_eq(sl_admission_n_waiting(admission), 1);
}
END_TEST

START_TEST(those_that_wait_go_in_order)
{
	sl_cleanup(sl_admission_freep) struct sl_admission *admission = make(1, 3, 1000);
	struct sl_ticket tickets[4] = {0};

	for (int i = 0; i < 4; i++)
		ck_assert_int_ge(ask(admission, &tickets[i], 1), 0);
	ck_assert_ptr_null(sl_admission_next(admission, 0));
	for (int i = 1; i < 4; i++) {
		sl_admission_leave(admission, &tickets[i - 1], 0);
		ck_assert_ptr_eq(sl_admission_next(admission, 0), &tickets[i]);
		ck_assert_ptr_null(sl_admission_next(admission, 0));
	}
}
END_TEST

START_TEST(a_newcomer_does_not_pass_those_that_wait)
{
	sl_cleanup(sl_admission_freep) struct sl_admission *admission = make(1, 3, 1000);
	struct sl_ticket tickets[3] = {0};

	ck_assert_int_eq(ask(admission, &tickets[0], 1), SL_ADMISSION_ENTERED);
	ck_assert_int_eq(ask(admission, &tickets[1], 1), SL_ADMISSION_WAITING);
	sl_admission_leave(admission, &tickets[0], 0);
	ck_assert_int_eq(ask(admission, &tickets[2], 1), SL_ADMISSION_WAITING);
	ck_assert_ptr_eq(sl_admission_next(admission, 0), &tickets[1]);
}
END_TEST

START_TEST(one_that_gives_up_waiting_makes_room)
{
	sl_cleanup(sl_admission_freep) struct sl_admission *admission = make(1, 1, 1000);
	struct sl_ticket tickets[3] = {0};

	ck_assert_int_eq(ask(admission, &tickets[0], 1), SL_ADMISSION_ENTERED);
	ck_assert_int_eq(ask(admission, &tickets[1], 1), SL_ADMISSION_WAITING);
	ck_assert_int_eq(ask(admission, &tickets[2], 1), SL_ADMISSION_BUSY);
	sl_admission_leave(admission, &tickets[1], 0);
	ck_assert_int_eq(ask(admission, &tickets[2], 1), SL_ADMISSION_WAITING);
	sl_admission_leave(admission, &tickets[0], 0);
	ck_assert_ptr_eq(sl_admission_next(admission, 0), &tickets[2]);
}
END_TEST

START_TEST(what_waits_is_bounded_in_bytes_but_one_may_always)
{
	sl_cleanup(sl_admission_freep) struct sl_admission *admission = make(1, 9, 100);
	struct sl_ticket tickets[4] = {0};

	ck_assert_int_eq(ask(admission, &tickets[0], 500), SL_ADMISSION_ENTERED);
	ck_assert_int_eq(ask(admission, &tickets[1], 500), SL_ADMISSION_WAITING);
	ck_assert_int_eq(ask(admission, &tickets[2], 1), SL_ADMISSION_BUSY);
	sl_admission_leave(admission, &tickets[1], 0);
	ck_assert_int_eq(ask(admission, &tickets[2], 60), SL_ADMISSION_WAITING);
	ck_assert_int_eq(ask(admission, &tickets[3], 41), SL_ADMISSION_BUSY);
	ck_assert_int_eq(ask(admission, &tickets[3], 40), SL_ADMISSION_WAITING);
}
END_TEST

START_TEST(a_draining_agent_takes_nobody_but_keeps_its_queue)
{
	sl_cleanup(sl_admission_freep) struct sl_admission *admission = make(1, 9, 100);
	struct sl_ticket tickets[3] = {0};

	ck_assert_int_eq(ask(admission, &tickets[0], 1), SL_ADMISSION_ENTERED);
	ck_assert_int_eq(ask(admission, &tickets[1], 1), SL_ADMISSION_WAITING);
	sl_admission_drain(admission);
	ck_assert_int_eq(ask(admission, &tickets[2], 1), SL_ADMISSION_DRAINING);
	ck_assert_ptr_eq(sl_admission_first_waiting(admission), &tickets[1]);
}
END_TEST

START_TEST(the_time_to_come_back_follows_how_long_tasks_take)
{
	sl_cleanup(sl_admission_freep) struct sl_admission *admission = make(1, 0, 100);
	struct sl_ticket ticket = {0}, other = {0};
	uint64_t quick = 0, slow = 0;
	int64_t now = 0;

	ck_assert_int_eq(
		sl_admission_ask(admission, &ticket, 1, now, &quick), SL_ADMISSION_ENTERED);
	ck_assert_int_eq(
		sl_admission_ask(admission, &other, 1, now, &quick), SL_ADMISSION_BUSY);
	for (int i = 0; i < 50; i++) {
		now += 60000;
		sl_admission_leave(admission, &ticket, now);
		ck_assert_int_eq(sl_admission_ask(admission, &ticket, 1, now, &slow),
			SL_ADMISSION_ENTERED);
	}
	ck_assert_int_eq(sl_admission_ask(admission, &other, 1, now, &slow), SL_ADMISSION_BUSY);
	ck_assert_uint_gt(slow, quick);
	ck_assert_uint_le(slow, 5000);
}
END_TEST

SL_CHECK_MAIN("admission", so_many_enter_so_many_wait_and_the_next_is_busy,
	those_that_wait_go_in_order, a_newcomer_does_not_pass_those_that_wait,
	one_that_gives_up_waiting_makes_room, what_waits_is_bounded_in_bytes_but_one_may_always,
	a_draining_agent_takes_nobody_but_keeps_its_queue,
	the_time_to_come_back_follows_how_long_tasks_take)
