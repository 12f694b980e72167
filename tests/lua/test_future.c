/* SPDX-License-Identifier: MIT */

/*
 * Futures between threads: one completes, many try to take.
 */

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "lua/sync/future.h"
#include "tests/support/check_main.h"

enum {
	N_TAKERS = 4,
	N_FUTURES = 2000,
};

static struct sl_future *futures[N_FUTURES];
static _Atomic int takers[N_FUTURES]; /* how many have the outcome */
static _Atomic int wrong;

static void take(int i)
{
	struct sl_outcome *outcome;
	bool awaited = false;

	while (!(outcome = sl_future_take(futures[i], &awaited)) && !awaited)
		sched_yield();
	if (!outcome)
		return;
	atomic_fetch_add(&takers[i], 1);
	if (!outcome->ok || outcome->n_values != (size_t)i)
		atomic_fetch_add(&wrong, 1);
}

static void *take_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < N_FUTURES; i++)
		take(i);
	return NULL;
}

static void *complete_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < N_FUTURES; i++) {
		struct sl_outcome outcome = {.ok = true, .n_values = (size_t)i};

		if (sl_future_is_done(futures[i]))
			atomic_fetch_add(&wrong, 1);
		sl_future_complete(futures[i], &outcome);
		if (!sl_future_is_done(futures[i]))
			atomic_fetch_add(&wrong, 1);
	}
	return NULL;
}

START_TEST(an_outcome_is_for_one)
{
	pthread_t threads[N_TAKERS + 1];

	for (int i = 0; i < N_FUTURES; i++)
		ck_assert_ptr_nonnull(futures[i] = sl_future_new());
	for (int i = 0; i < N_TAKERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_all, NULL), 0);
	ck_assert_int_eq(pthread_create(&threads[N_TAKERS], NULL, complete_all, NULL), 0);
	for (int i = 0; i <= N_TAKERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(wrong, 0);
	for (int i = 0; i < N_FUTURES; i++) {
		ck_assert_int_eq(takers[i], 1);
		sl_handle_unref(sl_future_handle(futures[i]));
	}
}
END_TEST

SL_CHECK_MAIN("lua/future", an_outcome_is_for_one)
