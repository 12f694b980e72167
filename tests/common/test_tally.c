/* SPDX-License-Identifier: MIT */
#include "common/tally.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check_main.h"

static int fd = -1;
static struct sl_tally *worker;
static struct sl_tally *reader;

static void set_up(void)
{
	ck_assert_int_eq(sl_tally_make(&fd, NULL), 0);
	worker = sl_tally_map(fd, true);
	reader = sl_tally_map(fd, false);
	ck_assert_ptr_nonnull(worker);
	ck_assert_ptr_nonnull(reader);
}

static void tear_down(void)
{
	sl_tally_unmap(worker);
	sl_tally_unmap(reader);
	close(fd);
}

START_TEST(what_one_counts_the_other_reads)
{
	sl_tally_add(worker, SL_TALLY_STDOUT_BYTES, 5);
	sl_tally_add(worker, SL_TALLY_POOLS, 2);
	sl_tally_sub(worker, SL_TALLY_POOLS, 1);
	ck_assert_uint_eq(sl_tally_next(worker, SL_TALLY_GOROUTINES_STARTED), 0);
	ck_assert_uint_eq(sl_tally_next(worker, SL_TALLY_GOROUTINES_STARTED), 1);
	ck_assert_uint_eq(sl_tally_get(reader, SL_TALLY_STDOUT_BYTES), 5);
	ck_assert_uint_eq(sl_tally_get(reader, SL_TALLY_POOLS), 1);
	ck_assert_uint_eq(sl_tally_get(reader, SL_TALLY_GOROUTINES_STARTED), 2);
}
END_TEST

START_TEST(nobody_can_take_the_memory_away)
{
	ck_assert_int_lt(ftruncate(fd, 0), 0);
	ck_assert_uint_eq(sl_tally_get(reader, 0), 0);
}
END_TEST

START_TEST(a_copy_that_parted_counts_for_itself)
{
	pid_t pid;
	int status;

	sl_tally_add(worker, SL_TALLY_STDOUT_BYTES, 5);
	pid = fork();
	if (pid == 0) {
		sl_tally_part(worker);
		sl_tally_add(worker, SL_TALLY_STDOUT_BYTES, 100);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(sl_tally_get(reader, SL_TALLY_STDOUT_BYTES), 5);
}
END_TEST

START_TEST(nonsense_makes_no_sum_run_over)
{
	struct sl_tally_sum sum = {{0}};

	memset(worker, 0xff, sizeof(*worker));
	for (int i = 0; i < 1000; i++)
		sl_tally_sum(&sum, reader, 0, SL_N_TALLY_ITEMS);
	for (int i = 0; i < SL_N_TALLY_ITEMS; i++)
		ck_assert_uint_lt(sum.items[i], UINT64_MAX / 2);
	ck_assert_uint_gt(sum.items[0], UINT32_MAX);
}
END_TEST

START_TEST(a_sum_is_of_what_was_asked_for)
{
	struct sl_tally_sum sum = {{0}};

	sl_tally_add(worker, SL_TALLY_GOROUTINES, 4);
	sl_tally_add(worker, SL_TALLY_LOG_LINES + SL_LOG_DEBUG, 3);
	sl_tally_sum(&sum, reader, 0, SL_TALLY_FIRST_GAUGE);
	ck_assert_uint_eq(sum.items[SL_TALLY_LOG_LINES + SL_LOG_DEBUG], 3);
	ck_assert_uint_eq(sum.items[SL_TALLY_GOROUTINES], 0);
}
END_TEST

SL_CHECK_MAIN_WITH("tally", set_up, tear_down, what_one_counts_the_other_reads,
	nobody_can_take_the_memory_away, a_copy_that_parted_counts_for_itself,
	nonsense_makes_no_sum_run_over, a_sum_is_of_what_was_asked_for)
