/* SPDX-License-Identifier: MIT */
#include "agent/loop.h"

#include <time.h>

#include "common/histogram.h"
#include "tests/support/check_main.h"

static struct sl_loop *loop;
static struct sl_loop_timer *timer;
static int busy_ms;

static void set_up(void)
{
	ck_assert_int_eq(sl_loop_new(&loop, NULL), 0);
}

static void tear_down(void)
{
	sl_loop_timer_free(timer);
	sl_loop_free(loop);
}

/* The loop is what is late here, by as much as a callback of it takes. */
static void work(void *ctx)
{
	struct timespec time = {busy_ms / 1000, busy_ms % 1000 * 1000000L};

	(void)ctx;
	nanosleep(&time, NULL);
	sl_loop_stop(loop);
}

static void run_a_round(int wait_ms, int work_ms)
{
	busy_ms = work_ms;
	if (!timer)
		ck_assert_int_eq(sl_loop_timer_new(loop, work, NULL, &timer, NULL), 0);
	sl_loop_timer_set(timer, wait_ms);
	ck_assert_int_eq(sl_loop_run(loop, NULL), 0);
}

START_TEST(a_round_is_as_long_as_what_is_done_in_it)
{
	const struct sl_histogram *rounds = sl_loop_rounds(loop);

	run_a_round(0, 30);
	ck_assert_uint_eq(sl_histogram_count(rounds), 1);
	ck_assert_uint_ge(rounds->sum_ns, 30000000);
	ck_assert(!sl_loop_was_late(loop));
}
END_TEST

START_TEST(to_wait_is_not_to_work)
{
	run_a_round(200, 0);
	ck_assert_uint_eq(sl_histogram_count(sl_loop_rounds(loop)), 1);
	ck_assert_uint_lt(sl_loop_rounds(loop)->sum_ns, 100000000);
}
END_TEST

START_TEST(a_long_round_makes_it_late_for_a_while)
{
	run_a_round(0, SL_LOOP_LATE_MS + 20);
	ck_assert(sl_loop_was_late(loop));
	run_a_round(0, 0);
	ck_assert(sl_loop_was_late(loop));
}
END_TEST

SL_CHECK_MAIN_WITH("loop", set_up, tear_down, a_round_is_as_long_as_what_is_done_in_it,
	to_wait_is_not_to_work, a_long_round_makes_it_late_for_a_while)
