/* SPDX-License-Identifier: MIT */

/*
 * How long a thread was at something, by what is seen of it; and what is seen of threads that
 * run, sleep and look odd.
 */

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "lua/schedule/glance.h"
#include "tests/support/check_main.h"

#define MS INT64_C(1000000)

static int64_t between(int64_t passed_ms, int64_t ran_ms, enum sl_glance_state state)
{
	struct sl_glance before = {1000 * MS, 70 * MS, SL_GLANCE_WANTS_CPU};
	struct sl_glance after = {(1000 + passed_ms) * MS, (70 + ran_ms) * MS, state};

	return sl_glance_between(&before, &after, 10 * MS) / MS;
}

START_TEST(time_on_a_cpu_counts)
{
	ck_assert_int_eq(between(5, 5, SL_GLANCE_WANTS_CPU), 5);
	ck_assert_int_eq(between(100, 98, SL_GLANCE_WANTS_CPU), 98);
}
END_TEST

START_TEST(waiting_for_a_cpu_does_not_count)
{
	ck_assert_int_eq(between(5, 0, SL_GLANCE_WANTS_CPU), 0);
	ck_assert_int_eq(between(100, 7, SL_GLANCE_WANTS_CPU), 7);
}
END_TEST

START_TEST(being_blocked_counts)
{
	ck_assert_int_eq(between(5, 0, SL_GLANCE_BLOCKED), 5);
	ck_assert_int_eq(between(5, 2, SL_GLANCE_BLOCKED), 5);
}
END_TEST

START_TEST(nobody_knows_what_a_long_while_was_like)
{
	ck_assert_int_eq(between(3000, 0, SL_GLANCE_BLOCKED), 10);
	ck_assert_int_eq(between(3000, 40, SL_GLANCE_BLOCKED), 40);
}
END_TEST

START_TEST(what_is_unknown_counts_as_time)
{
	struct sl_glance before = {1000 * MS, -1, SL_GLANCE_UNKNOWN};
	struct sl_glance after = {1006 * MS, -1, SL_GLANCE_UNKNOWN};

	ck_assert_int_eq(sl_glance_between(&before, &after, 10 * MS), 6 * MS);
	after.state = SL_GLANCE_WANTS_CPU;
	ck_assert_int_eq(sl_glance_between(&before, &after, 10 * MS), 6 * MS);
	ck_assert_int_eq(between(5, 0, SL_GLANCE_UNKNOWN), 5);
}
END_TEST

struct subject {
	_Atomic pid_t tid;
	_Atomic bool over;
	int wait_on; /* a pipe that it reads from; -1: it computes */
	const char *name;
};

static void *live(void *arg)
{
	struct subject *subject = arg;
	char byte;

	if (subject->name)
		prctl(PR_SET_NAME, subject->name);
	atomic_store(&subject->tid, gettid());
	if (subject->wait_on >= 0)
		return read(subject->wait_on, &byte, 1) == 0 ? NULL : subject;
	while (!atomic_load(&subject->over))
		;
	return NULL;
}

/* Looks until it sees @state; the first look may come too early. */
static bool is_seen(pthread_t thread, pid_t tid, enum sl_glance_state state, int64_t cpu_ns)
{
	int64_t end = sl_clock_monotonic_ms() + 10000;
	struct sl_glance glance;

	do {
		sl_glance_take(thread, tid, &glance);
		if (glance.state == state && glance.cpu_ns >= cpu_ns)
			return true;
		usleep(1000);
	} while (sl_clock_monotonic_ms() < end);
	return false;
}

static void check_seen(struct subject *subject, enum sl_glance_state state, int64_t cpu_ns)
{
	pthread_t thread;
	bool seen;

	ck_assert_int_eq(pthread_create(&thread, NULL, live, subject), 0);
	while (atomic_load(&subject->tid) == 0)
		usleep(100);
	seen = is_seen(thread, subject->tid, state, cpu_ns);
	atomic_store(&subject->over, true);
	if (subject->wait_on >= 0)
		close(subject->wait_on + 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(seen);
}

START_TEST(one_that_computes_is_seen_to)
{
	check_seen(&(struct subject){.wait_on = -1}, SL_GLANCE_WANTS_CPU, 20 * MS);
}
END_TEST

START_TEST(one_that_waits_in_the_kernel_is_seen_to)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(ends[1], ends[0] + 1);
	check_seen(&(struct subject){.wait_on = ends[0]}, SL_GLANCE_BLOCKED, 0);
}
END_TEST

START_TEST(a_name_does_not_hide_a_state)
{
	check_seen(&(struct subject){.wait_on = -1, .name = ") S (x) S"}, SL_GLANCE_WANTS_CPU,
		20 * MS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("glance");
	TCase *tcase = tcase_create("glance");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, time_on_a_cpu_counts);
	tcase_add_test(tcase, waiting_for_a_cpu_does_not_count);
	tcase_add_test(tcase, being_blocked_counts);
	tcase_add_test(tcase, nobody_knows_what_a_long_while_was_like);
	tcase_add_test(tcase, what_is_unknown_counts_as_time);
	tcase_add_test(tcase, one_that_computes_is_seen_to);
	tcase_add_test(tcase, one_that_waits_in_the_kernel_is_seen_to);
	tcase_add_test(tcase, a_name_does_not_hide_a_state);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
