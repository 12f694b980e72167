/* SPDX-License-Identifier: MIT */

/*
 * Deadlines that many threads put in and take out again.
 */

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "lua/schedule/deadlines.h"
#include "lua/schedule/reactor.h"
#include "tests/support/check_main.h"

enum {
	N_THREADS = 8,
	N_AT_ONCE = 20,
	N_ROUNDS = 40,
};

struct item {
	struct sl_deadline deadline; /* first */
	_Atomic int fired;
	_Atomic bool out; /* nothing may fire it any more */
};

static struct sl_reactor *reactor;
static struct sl_deadlines *deadlines;
static _Atomic int wrong;

static void fire(struct sl_deadline *deadline)
{
	struct item *item = (struct item *)deadline;

	if (atomic_load(&item->out) || sl_clock_monotonic_ns() < deadline->at_ns)
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&item->fired, 1);
}

static void set_up(void)
{
	ck_assert_int_eq(sl_reactor_new(&reactor, NULL), 0);
	ck_assert_int_eq(sl_deadlines_new(reactor, fire, &deadlines, NULL), 0);
}

static void tear_down(void)
{
	sl_deadlines_free(deadlines);
	sl_reactor_free(reactor);
}

static void doze(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void *add_and_remove(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	struct item items[N_AT_ONCE];

	for (int round = 0; round < N_ROUNDS; round++) {
		for (int i = 0; i < N_AT_ONCE; i++) {
			items[i] = (struct item){.deadline.at_ns = sl_clock_monotonic_ns() +
			                                           rand_r(&seed) % 400000};
			if (!sl_deadlines_add(deadlines, &items[i].deadline))
				atomic_fetch_add(&wrong, 1);
		}
		doze(rand_r(&seed) % 400);
		for (int i = 0; i < N_AT_ONCE; i++) {
			sl_deadlines_remove(deadlines, &items[i].deadline);
			atomic_store(&items[i].out, true);
			if (atomic_load(&items[i].fired) > 1)
				atomic_fetch_add(&wrong, 1);
		}
	}
	return NULL;
}

START_TEST(what_is_removed_does_not_fire)
{
	pthread_t threads[N_THREADS];

	for (uintptr_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, add_and_remove, (void *)(i + 1)), 0);
	for (size_t i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(wrong, 0);
}
END_TEST

/* In whatever order they came; the last one of them is the last to fire. */
START_TEST(each_fires_once_at_its_time)
{
	static struct item items[500];
	int64_t end = sl_clock_monotonic_ns() + INT64_C(20000000000);
	int64_t now = sl_clock_monotonic_ns();
	int n = (int)(sizeof(items) / sizeof(items[0]));

	for (int i = 0; i < n; i++) {
		items[i].deadline.at_ns = now + (int64_t)(i * 7919 % n) * 50000;
		ck_assert(sl_deadlines_add(deadlines, &items[i].deadline));
	}
	for (int i = 0; i < n; i++) {
		while (atomic_load(&items[i].fired) == 0 && sl_clock_monotonic_ns() < end)
			doze(200);
		sl_deadlines_remove(deadlines, &items[i].deadline);
		ck_assert_int_eq(items[i].fired, 1);
	}
	ck_assert_int_eq(wrong, 0);
}
END_TEST

SL_CHECK_MAIN_WITH("lua/deadlines", set_up, tear_down, what_is_removed_does_not_fire,
	each_fires_once_at_its_time)
