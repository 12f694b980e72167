/* SPDX-License-Identifier: MIT */
#include "agent/outbox.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/link.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/event.h"
#include "common/tally.h"
#include "lua/schedule/reactor.h"
#include "proto/event_msg.h"
#include "tests/support/check_main.h"

#define PATIENCE_MS 10000

static int ends[2]; /* main's and the outbox's */
static struct sl_reactor *reactor;
static struct sl_tally tally;
static struct sl_outbox *outbox;
static atomic_int n_drained;

/* What main has read. */
static struct sl_buffer in;
static uint64_t n_batches, n_events, n_by_kind[SL_N_EVENT_KINDS], dropped_lines;
static enum sl_event_kind last_kind;
static bool finished, result_ok;
static enum sl_state finished_state;

static void on_drained(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&n_drained, 1);
}

static void set_up(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(sl_reactor_new(&reactor, NULL), 0);
	ck_assert_int_eq(
		sl_outbox_new(ends[1], reactor, &tally, on_drained, NULL, &outbox, NULL), 0);
}

static void tear_down(void)
{
	sl_outbox_free(outbox);
	sl_reactor_free(reactor);
	close(ends[0]);
	close(ends[1]);
	sl_buffer_deinit(&in);
}

static void note_batch(const struct sl_link_frame *frame)
{
	struct sl_parcel *parcel = sl_parcel_new(64u << 20);
	struct sl_event event;
	size_t at = 0;

	n_batches++;
	for (uint64_t i = 0; i < frame->number; i++) {
		ck_assert_int_eq(sl_event_decode(frame->bytes, &at, parcel, &event, NULL), 0);
		n_events++;
		n_by_kind[event.kind]++;
		last_kind = event.kind;
		if (event.kind == SL_EVENT_RESULT)
			result_ok = event.result.ok;
		if (event.kind == SL_EVENT_DROPPED)
			dropped_lines = event.dropped.lines;
	}
	ck_assert_uint_eq(at, frame->bytes.size);
	sl_parcel_free(parcel);
}

/* Reads for at most @ms, or until the outbox finished. */
static void read_for(int ms)
{
	int64_t until_ms = sl_clock_monotonic_ms() + ms;
	struct pollfd fd = {.fd = ends[0], .events = POLLIN};
	struct sl_link_frame frame;
	size_t used;

	while (!finished) {
		int64_t rest_ms = until_ms - sl_clock_monotonic_ms();

		if (rest_ms < 0 || poll(&fd, 1, (int)rest_ms) <= 0)
			return;
		ck_assert_int_eq(sl_link_receive(ends[0], &in, NULL), 0);
		while (sl_link_next(sl_buffer_bytes(&in), &frame, &used, NULL) == 0) {
			if (frame.kind == SL_LINK_BATCH) {
				note_batch(&frame);
			} else {
				finished = true;
				finished_state = (enum sl_state)frame.number;
			}
			sl_buffer_consume(&in, used);
		}
	}
}

static bool say(const char *text, size_t size)
{
	struct sl_event event = {.kind = SL_EVENT_LOG, .time_us = 1};

	event.log.level = SL_LOG_INFO;
	event.log.message = (struct sl_bytes){text, size};
	return sl_outbox_emit(outbox, &event);
}

static void say_result(bool ok, struct sl_value outputs)
{
	struct sl_event event = {.kind = SL_EVENT_RESULT, .time_us = 1};

	event.result.ok = ok;
	event.result.outputs = outputs;
	sl_outbox_emit(outbox, &event);
}

static void *finish(void *state)
{
	struct sl_error err;

	if (sl_outbox_finish(outbox, *(enum sl_state *)state, &err) < 0)
		return NULL;
	return state;
}

static void finish_and_read(enum sl_state state)
{
	pthread_t thread;
	void *done;

	ck_assert_int_eq(pthread_create(&thread, NULL, finish, &state), 0);
	read_for(PATIENCE_MS);
	ck_assert(finished);
	pthread_join(thread, &done);
	ck_assert_ptr_nonnull(done);
}

START_TEST(a_lone_event_goes_after_a_moment)
{
	sl_outbox_credit(outbox, 1u << 20);
	say("hello", 5);
	read_for(0);
	ck_assert_uint_eq(n_events, 0);
	read_for(300);
	ck_assert_uint_eq(n_events, 1);
}
END_TEST

START_TEST(many_events_go_in_few_batches)
{
	sl_outbox_credit(outbox, 8u << 20);
	for (int i = 0; i < 1000; i++)
		ck_assert(!say("a line of the usual length, or so", 33));
	say_result(true, (struct sl_value){0});
	finish_and_read(SL_STATE_DONE);
	ck_assert_uint_eq(n_by_kind[SL_EVENT_LOG], 1000);
	ck_assert_uint_lt(n_batches, 20);
	ck_assert_int_eq(last_kind, SL_EVENT_RESULT);
	ck_assert_int_eq(finished_state, SL_STATE_DONE);
}
END_TEST

START_TEST(what_is_said_is_counted)
{
	struct sl_event event = {.kind = SL_EVENT_LOG, .time_us = 1};

	event.log.level = SL_LOG_ERROR;
	event.log.message = sl_bytes_of("in ");
	event.log.continued = true;
	sl_outbox_emit(outbox, &event);
	event.log.message = sl_bytes_of("two pieces");
	event.log.continued = false;
	sl_outbox_emit(outbox, &event);
	event = (struct sl_event){.kind = SL_EVENT_OUT, .time_us = 1};
	event.out.stream = 2;
	event.out.bytes = sl_bytes_of("seven!\n");
	sl_outbox_emit(outbox, &event);
	ck_assert_uint_eq(sl_tally_get(&tally, SL_TALLY_LOG_LINES + SL_LOG_ERROR), 1);
	ck_assert_uint_eq(sl_tally_get(&tally, SL_TALLY_LOG_LINES + SL_LOG_INFO), 0);
	ck_assert_uint_eq(sl_tally_get(&tally, SL_TALLY_STDERR_BYTES), 7);
	ck_assert_uint_eq(sl_tally_get(&tally, SL_TALLY_STDOUT_BYTES), 0);
}
END_TEST

START_TEST(the_result_comes_last_whatever_is_said_after_it)
{
	sl_outbox_credit(outbox, 8u << 20);
	say_result(true, (struct sl_value){0});
	say("late", 4);
	finish_and_read(SL_STATE_DONE);
	ck_assert_uint_eq(n_events, 2);
	ck_assert_int_eq(last_kind, SL_EVENT_RESULT);
}
END_TEST

/* Says lines of 1000 bytes until it should wait; how many. */
static int say_until_told_to_wait(void)
{
	static const char line[1000];
	int n = 1;

	while (!say(line, sizeof(line)) && n < 10000)
		n++;
	return n;
}

START_TEST(without_credit_it_fills_up_and_says_so)
{
	int n = say_until_told_to_wait();

	ck_assert_int_gt(n, 200);
	ck_assert_int_lt(n, 400);
	read_for(50);
	ck_assert_uint_eq(n_events, 0);
	ck_assert_int_eq(atomic_load(&n_drained), 0);
	sl_outbox_credit(outbox, 1u << 20);
	read_for(300);
	ck_assert_uint_eq(n_events, (uint64_t)n);
	ck_assert_int_eq(atomic_load(&n_drained), 1);
}
END_TEST

START_TEST(credit_is_kept_to_but_for_the_last_batch)
{
	int n = say_until_told_to_wait();

	sl_outbox_credit(outbox, 40000);
	read_for(100);
	ck_assert_uint_gt(n_events, 30);
	ck_assert_uint_lt(n_events, 70);
	/* Last words wait for nobody. */
	say_result(true, (struct sl_value){0});
	finish_and_read(SL_STATE_DONE);
	ck_assert_uint_eq(n_events, (uint64_t)n + 1);
}
END_TEST

START_TEST(a_socket_that_is_full_makes_it_wait_too)
{
	int n;

	sl_outbox_credit(outbox, 100u << 20);
	n = say_until_told_to_wait();
	ck_assert_int_lt(n, 2000);
	read_for(300);
	ck_assert_int_eq(atomic_load(&n_drained), 1);
	ck_assert_uint_eq(n_events, (uint64_t)n);
}
END_TEST

START_TEST(output_beyond_the_cap_is_counted)
{
	static char line[60000];
	pthread_t thread;
	enum sl_state state = SL_STATE_DONE;
	int n = 1300; /* 78 MB */

	sl_outbox_credit(outbox, 1u << 30);
	for (int i = 0; i < n; i++) {
		say(line, sizeof(line));
		read_for(0);
	}
	say_result(true, (struct sl_value){0});
	ck_assert_int_eq(pthread_create(&thread, NULL, finish, &state), 0);
	read_for(PATIENCE_MS);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(n_by_kind[SL_EVENT_DROPPED], 1);
	ck_assert_uint_gt(dropped_lines, 100);
	/* One of the lines says that the others are left out. */
	ck_assert_uint_eq(n_by_kind[SL_EVENT_LOG] - 1 + dropped_lines, (uint64_t)n);
	ck_assert_uint_eq(sl_tally_get(&tally, SL_TALLY_LOG_LINES + SL_LOG_INFO), (uint64_t)n);
	ck_assert_uint_eq(
		sl_tally_get(&tally, SL_TALLY_DROPPED_BYTES), dropped_lines * sizeof(line));
	ck_assert_int_eq(last_kind, SL_EVENT_RESULT);
}
END_TEST

START_TEST(a_result_that_is_too_large_is_a_failure_that_says_so)
{
	static char big[SL_MAX_EVENT_BYTES + 1];
	struct sl_value value = {.kind = SL_VALUE_STRING, .string = {big, sizeof(big)}};

	sl_outbox_credit(outbox, 8u << 20);
	say_result(true, value);
	finish_and_read(SL_STATE_DONE);
	ck_assert_uint_eq(n_by_kind[SL_EVENT_RESULT], 1);
	ck_assert(!result_ok);
	ck_assert_int_eq(finished_state, SL_STATE_FAILED);
}
END_TEST

START_TEST(a_process_made_to_exit_still_says_what_it_had_said)
{
	say("before the end", 14);
	sl_outbox_rescue(outbox, 1000);
	read_for(100);
	ck_assert_uint_eq(n_events, 1);
	ck_assert(!finished);
}
END_TEST

START_TEST(when_main_is_gone_finish_fails)
{
	struct sl_error err;

	close(ends[0]);
	sl_outbox_credit(outbox, 8u << 20);
	say_result(true, (struct sl_value){0});
	ck_assert_int_eq(sl_outbox_finish(outbox, SL_STATE_DONE, &err), SL_ECLOSED);
}
END_TEST

SL_CHECK_MAIN_WITH("outbox", set_up, tear_down, a_lone_event_goes_after_a_moment,
	many_events_go_in_few_batches, what_is_said_is_counted,
	the_result_comes_last_whatever_is_said_after_it, without_credit_it_fills_up_and_says_so,
	credit_is_kept_to_but_for_the_last_batch, a_socket_that_is_full_makes_it_wait_too,
	output_beyond_the_cap_is_counted, a_result_that_is_too_large_is_a_failure_that_says_so,
	a_process_made_to_exit_still_says_what_it_had_said, when_main_is_gone_finish_fails)
