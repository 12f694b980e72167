/* SPDX-License-Identifier: MIT */

/*
 * What a reactor watches, freed by another thread while its callback runs.
 */

#include <check.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "lua/schedule/reactor.h"
#include "tests/support/check_main.h"

enum {
	N_ROUNDS = 300
};

static struct sl_reactor *reactor;
static struct sl_alarm *alarms[N_ROUNDS];
static struct sl_watch *watches[N_ROUNDS];
static _Atomic int calls[N_ROUNDS];
static _Atomic bool freed[N_ROUNDS];
static _Atomic int late;
static int numbers[N_ROUNDS];

static void set_up(void)
{
	ck_assert_int_eq(sl_reactor_new(&reactor, NULL), 0);
	for (int i = 0; i < N_ROUNDS; i++)
		numbers[i] = i;
}

static void tear_down(void)
{
	sl_reactor_free(reactor);
}

static void doze(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* Counts, and takes long enough to be freed meanwhile. */
static int called(void *ctx)
{
	int i = *(int *)ctx;

	if (atomic_load(&freed[i]))
		atomic_fetch_add(&late, 1);
	atomic_fetch_add(&calls[i], 1);
	doze(100);
	return i;
}

static void await_call(int i)
{
	int64_t end = sl_clock_monotonic_ns() + INT64_C(20000000000);

	while (atomic_load(&calls[i]) == 0 && sl_clock_monotonic_ns() < end)
		doze(20);
	ck_assert_int_gt(calls[i], 0);
}

static void set_again(void *ctx)
{
	int i = called(ctx);

	sl_alarm_set(alarms[i], sl_clock_monotonic_ns() + 50000);
}

START_TEST(an_alarm_that_sets_itself_again_ends)
{
	for (int i = 0; i < N_ROUNDS; i++) {
		ck_assert_int_eq(
			sl_alarm_new(reactor, set_again, &numbers[i], &alarms[i], NULL), 0);
		sl_alarm_set(alarms[i], 0);
		await_call(i);
		sl_alarm_free(alarms[i]);
		atomic_store(&freed[i], true);
	}
	doze(1000);
	ck_assert_int_eq(late, 0);
}
END_TEST

static void watch_again(void *ctx, unsigned what)
{
	int i = called(ctx);

	sl_watch_set(watches[i], what);
}

START_TEST(a_watch_that_sets_itself_again_ends)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1); /* nobody reads it */
	for (int i = 0; i < N_ROUNDS; i++) {
		ck_assert_int_eq(sl_reactor_watch(reactor, ends[0], 0, watch_again, &numbers[i],
					 &watches[i], NULL),
			0);
		sl_watch_set(watches[i], SL_REACTOR_READ);
		await_call(i);
		sl_watch_free(watches[i]);
		atomic_store(&freed[i], true);
	}
	doze(1000);
	ck_assert_int_eq(late, 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static void note_readable(void *ctx, unsigned what)
{
	(void)what;
	called(ctx);
	sl_watch_set(watches[0], 0);
}

START_TEST(one_that_is_held_calls_nobody_before_it_is_released)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	sl_reactor_hold(reactor);
	ck_assert_int_eq(sl_reactor_watch(reactor, ends[0], SL_REACTOR_READ, note_readable,
				 &numbers[0], &watches[0], NULL),
		0);
	doze(2000);
	ck_assert_int_eq(calls[0], 0);
	ck_assert_int_eq(sl_reactor_release(reactor, NULL), 0);
	await_call(0);
	sl_watch_free(watches[0]);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(one_that_is_held_for_ever_can_be_freed)
{
	sl_reactor_hold(reactor);
	ck_assert_int_eq(sl_alarm_new(reactor, set_again, &numbers[0], &alarms[0], NULL), 0);
	sl_alarm_set(alarms[0], 0);
	sl_alarm_free(alarms[0]);
}
END_TEST

SL_CHECK_MAIN_WITH("lua/reactor", set_up, tear_down, an_alarm_that_sets_itself_again_ends,
	a_watch_that_sets_itself_again_ends,
	one_that_is_held_calls_nobody_before_it_is_released,
	one_that_is_held_for_ever_can_be_freed)
