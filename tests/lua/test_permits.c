/* SPDX-License-Identifier: MIT */

/*
 * Permits as threads take them and give them back; those who wait for some are goroutines, see
 * test_locks.c.
 */

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lua/sync/permits.h"
#include "tests/support/check_main.h"

enum {
	CAPACITY = 5,
	N_THREADS = 8,
	N_ROUNDS = 30000,
};

static struct sl_permits permits;
static _Atomic int held, broken, taken;

static void *take_and_give(void *arg)
{
	struct sl_goroutine self = {.id = (uint64_t)(uintptr_t)arg};

	for (int i = 0; i < N_ROUNDS; i++) {
		int amount = 1 + (i + (int)self.id) % CAPACITY;

		if (!sl_permits_try(&permits, (uint64_t)amount, &self))
			continue;
		atomic_fetch_add(&taken, 1);
		if (atomic_fetch_add(&held, amount) + amount > CAPACITY)
			atomic_fetch_add(&broken, 1);
		if (sl_permits_available(&permits) > (uint64_t)(CAPACITY - amount))
			atomic_fetch_add(&broken, 1);
		atomic_fetch_sub(&held, amount);
		if (!sl_permits_give(&permits, (uint64_t)amount, SL_PERMITS_ANY))
			atomic_fetch_add(&broken, 1);
	}
	return NULL;
}

START_TEST(threads_never_hold_more_than_there_are)
{
	pthread_t threads[N_THREADS];

	sl_permits_init(&permits, CAPACITY);
	for (uintptr_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, take_and_give, (void *)i), 0);
	for (size_t i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(broken, 0);
	ck_assert_int_gt(taken, 0);
	ck_assert_uint_eq(sl_permits_available(&permits), CAPACITY);
	sl_permits_deinit(&permits);
}
END_TEST

START_TEST(so_many_are_given_back_as_were_taken)
{
	struct sl_goroutine self = {.id = 1};

	sl_permits_init(&permits, 3);
	ck_assert(!sl_permits_give(&permits, 1, SL_PERMITS_ANY));
	ck_assert(!sl_permits_try(&permits, 4, &self));
	ck_assert(sl_permits_try(&permits, 3, &self));
	ck_assert(!sl_permits_try(&permits, 1, &self));
	ck_assert(!sl_permits_give(&permits, 1, SL_PERMITS_SHARED)); /* one has all of them */
	ck_assert(sl_permits_give(&permits, 3, SL_PERMITS_ANY));
	ck_assert(sl_permits_try(&permits, 1, &self));
	ck_assert(sl_permits_try(&permits, 1, &self));
	ck_assert(!sl_permits_give(&permits, 3, SL_PERMITS_ANY));
	ck_assert(sl_permits_give(&permits, 1, SL_PERMITS_SHARED));
	ck_assert_uint_eq(sl_permits_available(&permits), 2);
	sl_permits_deinit(&permits);
}
END_TEST

SL_CHECK_MAIN("lua/permits", threads_never_hold_more_than_there_are,
	so_many_are_given_back_as_were_taken)
