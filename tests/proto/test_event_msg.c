/* SPDX-License-Identifier: MIT */
#include "proto/event_msg.h"

#include "common/error.h"
#include "proto/limits.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

#define NOW 1700000000123456

static struct sl_parcel *parcel;
static struct sl_buffer out;

static void setup(void)
{
	parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	ck_assert_ptr_nonnull(parcel);
}

static void teardown(void)
{
	sl_parcel_free(parcel);
	sl_buffer_deinit(&out);
}

static struct sl_event travel(struct sl_event event)
{
	struct sl_error err = {0};
	struct sl_event back;
	size_t at = 0;

	sl_buffer_clear(&out);
	event.time_us = NOW;
	ck_assert_msg(sl_event_encode(&event, &out, &err) == 0, "%s", err.text);
	ck_assert_msg(sl_event_decode(sl_buffer_bytes(&out), &at, parcel, &back, &err) == 0,
		"%s", err.text);
	ck_assert_uint_eq(at, out.size);
	ck_assert_int_eq(back.kind, event.kind);
	ck_assert_int_eq(back.time_us, NOW);
	return back;
}

START_TEST(a_state_travels)
{
	struct sl_event back = travel((struct sl_event){.kind = SL_EVENT_STATE,
		.state = {SL_STATE_CRASHED, sl_bytes_of("signal 9"), sl_bytes_of("agent")}});

	ck_assert_int_eq(back.state.state, SL_STATE_CRASHED);
	sl_test_bytes_eq(back.state.why, "signal 9");
	sl_test_bytes_eq(back.state.by, "agent");
}
END_TEST

START_TEST(a_log_line_is_as_short_as_it_can_be)
{
	struct sl_event back = travel((struct sl_event){.kind = SL_EVENT_LOG,
		.log = {SL_LOG_INFO, 7, sl_bytes_of("hello"), {0}, false}});

	sl_test_hex_eq(sl_buffer_bytes(&out),
		"95 cf 00 06 0a 24 18 20 22 40 01 03 07 a5 68 65 6c 6c 6f");
	ck_assert_int_eq(back.log.level, SL_LOG_INFO);
	ck_assert_uint_eq(back.log.goroutine, 7);
	sl_test_bytes_eq(back.log.message, "hello");
	ck_assert_int_eq(back.log.fields.kind, SL_VALUE_NIL);
	ck_assert(!back.log.continued);
}
END_TEST

START_TEST(a_log_line_keeps_fields_and_continuation)
{
	struct sl_value fields = sl_test_table(parcel, 0, 1);
	struct sl_event back;

	fields.table->pairs[0] = (struct sl_pair){sl_test_string("k"), sl_test_integer(4)};
	back = travel((struct sl_event){.kind = SL_EVENT_LOG,
		.log = {SL_LOG_DEBUG, 1, sl_bytes_of("\xff\x00"), fields, true}});
	ck_assert_int_eq(sl_table_get(back.log.fields.table, "k")->integer, 4);
	ck_assert(back.log.continued);
	ck_assert_uint_eq(fields.table->mark, 0);
}
END_TEST

START_TEST(output_travels)
{
	struct sl_event back = travel((struct sl_event){
		.kind = SL_EVENT_OUT, .out = {2, 3, sl_bytes_of("\xfe raw"), true}});

	ck_assert_int_eq(back.out.stream, 2);
	ck_assert_uint_eq(back.out.goroutine, 3);
	sl_test_bytes_eq(back.out.bytes, "\xfe raw");
	ck_assert(back.out.continued);
}
END_TEST

START_TEST(a_pool_task_keeps_its_nils)
{
	struct sl_value values[3] = {sl_test_integer(1), {0}, sl_test_string("x")};
	struct sl_event back = travel((struct sl_event){.kind = SL_EVENT_TASK,
		.task = {.id = sl_bytes_of("p-1"),
			.pool = sl_bytes_of("p"),
			.goroutine = 9,
			.success = true,
			.values = values,
			.n_values = 3,
			.wait_ms = 0.25,
			.run_ms = 12.5}});

	sl_test_bytes_eq(back.task.id, "p-1");
	sl_test_bytes_eq(back.task.pool, "p");
	ck_assert_uint_eq(back.task.goroutine, 9);
	ck_assert(back.task.success);
	ck_assert_uint_eq(back.task.n_values, 3);
	ck_assert_int_eq(back.task.values[0].integer, 1);
	ck_assert_int_eq(back.task.values[1].kind, SL_VALUE_NIL);
	sl_test_bytes_eq(back.task.values[2].string, "x");
	ck_assert_double_eq(back.task.wait_ms, 0.25);
	ck_assert_double_eq(back.task.run_ms, 12.5);
}
END_TEST

START_TEST(a_failed_task_keeps_error_and_traceback)
{
	struct sl_event back = travel((struct sl_event){.kind = SL_EVENT_TASK,
		.task = {.error = sl_test_string("boom"), .traceback = sl_bytes_of("tb")}});

	ck_assert(!back.task.success);
	sl_test_bytes_eq(back.task.error.string, "boom");
	sl_test_bytes_eq(back.task.traceback, "tb");
}
END_TEST

START_TEST(pool_counters_travel)
{
	struct sl_pool_stats pool = {
		sl_bytes_of("p"), 1, 2, 3, 4, 5, 6, 7, 8, 9, 1.5, 2.5, true};
	struct sl_event back = travel((struct sl_event){.kind = SL_EVENT_POOL, .pool = pool});

	sl_test_bytes_eq(back.pool.name, "p");
	ck_assert_uint_eq(back.pool.workers, 1);
	ck_assert_uint_eq(back.pool.active, 2);
	ck_assert_uint_eq(back.pool.completed, 3);
	ck_assert_uint_eq(back.pool.failed, 4);
	ck_assert_uint_eq(back.pool.queued, 5);
	ck_assert_uint_eq(back.pool.submitted, 6);
	ck_assert_uint_eq(back.pool.rejected, 7);
	ck_assert_uint_eq(back.pool.capacity, 8);
	ck_assert_uint_eq(back.pool.peak_active, 9);
	ck_assert_double_eq(back.pool.wait_ms_avg, 1.5);
	ck_assert_double_eq(back.pool.run_ms_avg, 2.5);
	ck_assert(back.pool.closed);
}
END_TEST

START_TEST(a_result_travels)
{
	struct sl_event back = travel((struct sl_event){.kind = SL_EVENT_RESULT,
		.result = {.ok = true,
			.message = sl_bytes_of("deployed"),
			.outputs = sl_test_table(parcel, 0, 0),
			.error = sl_test_integer(5),
			.traceback = sl_bytes_of("tb"),
			.duration_ms = 1.5,
			.cpu_ms = 0.5,
			.peak_memory_bytes = 1 << 20,
			.goroutines = 12,
			.failed_goroutines = 1}});

	ck_assert(back.result.ok);
	sl_test_bytes_eq(back.result.message, "deployed");
	ck_assert_int_eq(back.result.outputs.kind, SL_VALUE_TABLE);
	ck_assert_int_eq(back.result.error.integer, 5);
	sl_test_bytes_eq(back.result.traceback, "tb");
	ck_assert_double_eq(back.result.duration_ms, 1.5);
	ck_assert_double_eq(back.result.cpu_ms, 0.5);
	ck_assert_uint_eq(back.result.peak_memory_bytes, 1 << 20);
	ck_assert_uint_eq(back.result.goroutines, 12);
	ck_assert_uint_eq(back.result.failed_goroutines, 1);
}
END_TEST

START_TEST(dropped_bytes_travel)
{
	struct sl_event back =
		travel((struct sl_event){.kind = SL_EVENT_DROPPED, .dropped = {UINT64_MAX, 2}});

	ck_assert_uint_eq(back.dropped.bytes, UINT64_MAX);
	ck_assert_uint_eq(back.dropped.lines, 2);
}
END_TEST

START_TEST(what_cannot_travel_becomes_a_string)
{
	struct sl_handle handle = {.refs = 1, .kind = "wait group"};
	struct sl_value outputs = sl_test_table(parcel, 3, 0);
	struct sl_event back;

	outputs.table->array[0] = (struct sl_value){.kind = SL_VALUE_HANDLE, .handle = &handle};
	outputs.table->array[1] = sl_test_function(parcel, "\x1bLua", 0);
	outputs.table->array[1].function->binary = true;
	outputs.table->array[2] = sl_test_function(parcel, "function() end", 0);
	back = travel(
		(struct sl_event){.kind = SL_EVENT_RESULT, .result = {.outputs = outputs}});
	sl_test_bytes_eq(back.result.outputs.table->array[0].string, "wait group");
	sl_test_bytes_eq(back.result.outputs.table->array[1].string, "function: x.lua:1");
	ck_assert_int_eq(back.result.outputs.table->array[2].kind, SL_VALUE_FUNCTION);
}
END_TEST

START_TEST(what_is_nested_too_deep_becomes_a_string)
{
	/* A list of 100,000 links, and from the first one a way to every hundredth: what is
	 * too deep on one way is not on another. */
	enum {
		N = 100000
	};
	struct sl_value *links = calloc(N, sizeof(*links));
	struct sl_value top = sl_test_table(parcel, N / 100, 0);

	ck_assert_ptr_nonnull(links);
	for (int i = N - 1; i >= 0; i--) {
		links[i] = sl_test_table(parcel, i + 1 < N, 0);
		if (i + 1 < N)
			links[i].table->array[0] = links[i + 1];
	}
	for (int i = 0; i < N / 100; i++)
		top.table->array[i] = links[100 * i];
	travel((struct sl_event){.kind = SL_EVENT_RESULT, .result = {.outputs = top}});
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(links[i].table->mark, 0);
	free(links);
}
END_TEST

START_TEST(a_batch_is_read_event_by_event)
{
	struct sl_event event = {.kind = SL_EVENT_LOG, .log = {.message = sl_bytes_of("x")}};
	struct sl_event back;
	size_t at = 0;
	int n = 0;

	for (int i = 0; i < 5; i++) {
		event.time_us = i;
		ck_assert_int_eq(sl_event_encode(&event, &out, NULL), 0);
	}
	while (at < out.size) {
		ck_assert_int_eq(
			sl_event_decode(sl_buffer_bytes(&out), &at, parcel, &back, NULL), 0);
		ck_assert_int_eq(back.time_us, n++);
	}
	ck_assert_int_eq(n, 5);
}
END_TEST

static int decode(const char *hex, struct sl_event *event)
{
	char bytes[256];
	size_t n = sl_test_unhex(hex, bytes, sizeof(bytes)), at = 0;

	return sl_event_decode((struct sl_bytes){bytes, n}, &at, parcel, event, NULL);
}

START_TEST(a_later_version_may_add_fields_and_kinds)
{
	struct sl_event event = {0};

	ck_assert_int_eq(decode("97 00 06 01 02 c0 93 01 02 03 a1 78", &event), 0);
	ck_assert_uint_eq(event.dropped.lines, 2);
	ck_assert_int_eq(decode("92 00 07", &event), SL_EVENT_SKIPPED);
	ck_assert_int_eq(decode("92 00 06", &event), 0);
	ck_assert_uint_eq(event.dropped.lines, 0);
}
END_TEST

START_TEST(malformed_events_are_refused)
{
	static const char *const bad[] = {"", "90", "91 00", "92 00 ff", "92 c0 01", "80",
		"93 00 01 05", "93 00 01 a1 78", "93 00 02 00", "95 00 01 03 00 05",
		"96 00 01 03 00 a0 c1", "93 00 00 a3 66 6f 6f", "92 00 00", "92 00 02",
		"96 00 01 03 00 a0 c7 01 02 00", "99 00 03 a0 a0 00 c2 00 00 05",
		"dd ff ff ff ff"};
	struct sl_event event;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(decode(bad[i], &event) == SL_EPROTOCOL, "%s", bad[i]);
}
END_TEST

START_TEST(an_event_over_the_limit_is_refused)
{
	size_t n = SL_MAX_EVENT_BYTES;
	char *text = calloc(1, n);
	struct sl_event event = {.kind = SL_EVENT_RESULT, .result = {.message = {text, n}}};

	ck_assert(sl_buffer_append(&out, "kept", 4));
	ck_assert_int_eq(sl_event_encode(&event, &out, NULL), SL_ETOO_LARGE);
	sl_test_bytes_eq(sl_buffer_bytes(&out), "kept");
	event.result.message.size = n - 100;
	ck_assert_int_eq(sl_event_encode(&event, &out, NULL), 0);
	free(text);
}
END_TEST

SL_CHECK_MAIN_WITH("event_msg", setup, teardown, a_state_travels,
	a_log_line_is_as_short_as_it_can_be, a_log_line_keeps_fields_and_continuation,
	output_travels, a_pool_task_keeps_its_nils, a_failed_task_keeps_error_and_traceback,
	pool_counters_travel, a_result_travels, dropped_bytes_travel,
	what_cannot_travel_becomes_a_string, what_is_nested_too_deep_becomes_a_string,
	a_batch_is_read_event_by_event, a_later_version_may_add_fields_and_kinds,
	malformed_events_are_refused, an_event_over_the_limit_is_refused)
