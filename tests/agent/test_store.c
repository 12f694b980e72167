/* SPDX-License-Identifier: MIT */
#include "agent/store.h"

#include <string.h>

#include "agent/link.h"
#include "tests/support/check_main.h"

static struct sl_store *store;

static void make(size_t max_finished, size_t max_bytes)
{
	const struct sl_store_limits limits = {1000, max_finished, max_bytes};

	ck_assert_int_eq(sl_store_new(&limits, &store, NULL), 0);
}

static struct sl_job_id id_of(uint64_t number)
{
	struct sl_job_id id = {{0}};

	memcpy(id.bytes, &number, sizeof(number));
	return id;
}

static struct sl_record *find(uint64_t number)
{
	struct sl_job_id id = id_of(number);

	return sl_store_find(store, &id);
}

static struct sl_record *add(uint64_t number)
{
	struct sl_store_head head = {.id = id_of(number),
		.name = sl_bytes_of("name"),
		.controller = sl_bytes_of("ctl"),
		.accepted_us = 5};
	struct sl_record *record;

	ck_assert_int_eq(sl_store_add(store, &head, &record, NULL), 0);
	return record;
}

/* A job that ended at @now_ms with one event of @size bytes that nobody fetched. */
static struct sl_record *add_finished(uint64_t number, size_t size, int64_t now_ms)
{
	static const char bytes[1000];
	struct sl_record *record = add(number);

	ck_assert_int_eq(
		sl_store_append(store, record, 1, (struct sl_bytes){bytes, size}, NULL), 0);
	sl_store_finish(store, record, SL_STATE_DONE, 7, now_ms);
	return record;
}

START_TEST(a_record_is_found_by_its_id_until_it_is_forgotten)
{
	struct sl_record *record;

	make(10, 1000);
	ck_assert_ptr_null(find(1));
	record = add(1);
	ck_assert_ptr_eq(find(1), record);
	ck_assert(sl_bytes_equal(record->name, sl_bytes_of("name")));
	ck_assert(sl_bytes_equal(record->controller, sl_bytes_of("ctl")));
	ck_assert_uint_eq(record->workflow.size, 0);
	sl_store_finish(store, record, SL_STATE_FAILED, 7, 0);
	sl_store_forget(store, record);
	ck_assert_ptr_null(find(1));
	sl_store_free(store);
}
END_TEST

START_TEST(thousands_are_found_and_walked_from_the_newest)
{
	struct sl_record *record = NULL;
	uint64_t number = 3000;

	make(10000, 1000);
	for (uint64_t i = 1; i <= 3000; i++)
		add(i);
	for (uint64_t i = 1; i <= 3000; i++)
		ck_assert_ptr_nonnull(find(i));
	while ((record = sl_store_next(store, record)))
		ck_assert_ptr_eq(record, find(number--));
	ck_assert_uint_eq(number, 0);
	sl_store_free(store);
}
END_TEST

START_TEST(states_are_counted)
{
	struct sl_record *record;

	make(10, 1000);
	record = add(1);
	add(2);
	ck_assert_uint_eq(sl_store_count(store, SL_STATE_ACCEPTED), 2);
	sl_store_start(store, record, 6);
	ck_assert_uint_eq(sl_store_count(store, SL_STATE_RUNNING), 1);
	sl_store_finish(store, record, SL_STATE_CRASHED, 7, 0);
	ck_assert_uint_eq(sl_store_count(store, SL_STATE_RUNNING), 0);
	ck_assert_uint_eq(sl_store_count(store, SL_STATE_CRASHED), 1);
	sl_store_forget(store, record);
	ck_assert_uint_eq(sl_store_count(store, SL_STATE_CRASHED), 0);
	sl_store_free(store);
}
END_TEST

START_TEST(finished_records_are_kept_for_their_time)
{
	make(10, 100000);
	add_finished(1, 1, 0);
	add_finished(2, 1, 400);
	add(3);
	ck_assert_int_eq(sl_store_expire(store, 500), 500);
	ck_assert_ptr_nonnull(find(1));
	ck_assert_int_eq(sl_store_expire(store, 1000), 400);
	ck_assert_ptr_null(find(1));
	ck_assert_int_eq(sl_store_expire(store, 5000), -1);
	ck_assert_ptr_null(find(2));
	ck_assert_ptr_nonnull(find(3));
	sl_store_free(store);
}
END_TEST

START_TEST(in_a_crowd_the_acknowledged_go_first_and_then_the_oldest)
{
	make(2, 100000);
	add_finished(1, 1, 0);
	add_finished(2, 1, 0);
	sl_store_acknowledge(store, find(2), 1);
	add_finished(3, 1, 0); /* one over, which the next one pushes out */
	add_finished(4, 1, 0);
	ck_assert_ptr_null(find(2));
	ck_assert_ptr_nonnull(find(1));
	add_finished(5, 1, 0);
	ck_assert_ptr_null(find(1));
	ck_assert_ptr_nonnull(find(3));
	sl_store_free(store);
}
END_TEST

START_TEST(the_memory_of_events_is_known)
{
	make(100, 100000);
	add_finished(1, 900, 0);
	add_finished(2, 100, 0);
	ck_assert_uint_eq(sl_store_bytes(store), SL_LINK_COST(900) + SL_LINK_COST(100));
	sl_store_acknowledge(store, find(1), 1); /* as history, it stays */
	ck_assert_uint_eq(sl_store_bytes(store), SL_LINK_COST(900) + SL_LINK_COST(100));
	sl_store_forget(store, find(1));
	ck_assert_uint_eq(sl_store_bytes(store), SL_LINK_COST(100));
	sl_store_forget(store, find(2));
	ck_assert_uint_eq(sl_store_bytes(store), 0);
	sl_store_free(store);
}
END_TEST

START_TEST(history_that_leaves_is_memory_no_more)
{
	static char bytes[SL_RING_HISTORY_BYTES];
	struct sl_record *record;

	make(100, 1 << 30);
	record = add(1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(sl_store_append(store, record, 1,
					 (struct sl_bytes){bytes, sizeof(bytes)}, NULL),
			0);
	sl_store_acknowledge(store, record, 2);
	ck_assert_uint_eq(sl_store_bytes(store), record->ring.bytes);
	ck_assert_uint_lt(sl_store_bytes(store), 2 * sizeof(bytes));
	sl_store_free(store);
}
END_TEST

START_TEST(unfetched_events_are_bounded_in_bytes)
{
	make(100, 3 * SL_LINK_COST(900));
	for (uint64_t i = 1; i <= 20; i++)
		add_finished(i, 900, 0);
	ck_assert_ptr_null(find(1));
	ck_assert_ptr_null(find(16));
	ck_assert_ptr_nonnull(find(20));
	/* What was fetched leaves before what was not. */
	for (uint64_t i = 21; i <= 60; i++)
		sl_store_acknowledge(store, add_finished(i, 900, 0), 1);
	ck_assert_ptr_nonnull(find(20));
	ck_assert_ptr_null(find(21));
	ck_assert_ptr_nonnull(find(60));
	sl_store_free(store);
}
END_TEST

SL_CHECK_MAIN("store", a_record_is_found_by_its_id_until_it_is_forgotten,
	thousands_are_found_and_walked_from_the_newest, states_are_counted,
	finished_records_are_kept_for_their_time,
	in_a_crowd_the_acknowledged_go_first_and_then_the_oldest, the_memory_of_events_is_known,
	history_that_leaves_is_memory_no_more, unfetched_events_are_bounded_in_bytes)
