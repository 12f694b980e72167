/* SPDX-License-Identifier: MIT */
#include "controller/dispatch.h"

#include "common/clock.h"
#include "controller/remote.h"
#include "tests/controller/fake_agent.h"
#include "tests/support/check_main.h"

static struct sl_loop *loop;
static struct sl_remote *remote;
static struct sl_dispatch *dispatch;
static struct sl_alarm patience;
static uint64_t n_events; /* so many came, each once and in order */
static int n_notes, n_waits, n_ends;
static bool cancel_at_first_event;
static enum sl_verdict verdict;
static char why[400];

static void on_event(void *ctx, uint64_t number, const struct sl_event *event)
{
	(void)ctx;
	ck_assert_uint_eq(number, n_events + 1);
	n_events = number;
	if (event->kind == SL_EVENT_LOG) {
		char text[40];

		snprintf(text, sizeof(text), "line %d", (int)number);
		ck_assert(sl_bytes_equal(event->log.message, sl_bytes_of(text)));
	}
	if (cancel_at_first_event && number == 1)
		sl_dispatch_cancel(dispatch, "enough");
}

static void on_caught_up(void *ctx)
{
	(void)ctx;
}

static void on_waiting(void *ctx, const char *text)
{
	(void)ctx;
	ck_assert_ptr_nonnull(strstr(text, "full"));
	n_waits++;
}

static void on_ended(void *ctx, enum sl_verdict what, const char *text)
{
	(void)ctx;
	n_ends++;
	verdict = what;
	snprintf(why, sizeof(why), "%s", text);
	sl_loop_stop(loop);
}

static void on_note(void *ctx, struct sl_remote *of, const char *text)
{
	(void)ctx;
	(void)of;
	(void)text;
	n_notes++;
}

static void too_long(void *ctx)
{
	(void)ctx;
	ck_abort_msg("it didn't end in 20 s");
}

/* Runs one job on @fake to its end. */
static void run_at(struct fake_agent *fake, const char *address)
{
	struct sl_remote_config config = {
		.name = "web-01",
		.address = address,
		.connect_ms = 1000,
		.reconnect_ms = 400,
		.note = on_note,
	};
	struct sl_dispatch_config what = {
		.job = {{1, 2, 3}},
		.task = sl_bytes_of("\x80"),
		.event = on_event,
		.caught_up = on_caught_up,
		.waiting = on_waiting,
		.ended = on_ended,
	};
	struct sl_error err;

	ck_assert_int_eq(sl_remote_new(loop, &config, &remote, &err), 0);
	what.remote = remote;
	ck_assert_int_eq(sl_dispatch_new(loop, &what, &dispatch, &err), 0);
	sl_loop_set(loop, &patience, sl_clock_monotonic_ms() + 20000, too_long, NULL);
	sl_loop_run(loop);
	ck_assert_int_eq(n_ends, 1);
	sl_dispatch_free(dispatch);
	sl_remote_free(remote);
	fake_agent_stop(fake);
	sl_loop_free(loop);
}

static void run(struct fake_agent *fake)
{
	struct sl_error err;

	ck_assert_int_eq(sl_loop_new(&sl_remote_endpoint_ops, &loop, &err), 0);
	fake_agent_start(fake, loop);
	run_at(fake, fake->address);
}

START_TEST(events_come_in_order_each_once_whatever_happens_to_the_connection)
{
	struct fake_agent fake = {.n_events = 50, .per_reply = 3, .overlap = 2, .cut_every = 4};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_DONE);
	ck_assert_uint_eq(n_events, 50);
	ck_assert_int_eq(fake.n_executed, 1);
	ck_assert_int_gt(fake.n_connections, 3);
	ck_assert_int_gt(n_notes, 3);
}
END_TEST

START_TEST(the_end_is_acknowledged_before_it_is_told)
{
	struct fake_agent fake = {.n_events = 5, .per_reply = 9};

	fake.terminal = SL_STATE_FAILED;
	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_FAILED);
	ck_assert_uint_eq(fake.acknowledged, 5);
	ck_assert_str_eq(why, "the end");
}
END_TEST

START_TEST(an_agent_that_hangs_up_after_the_end_is_not_missed)
{
	struct fake_agent fake = {
		.n_events = 5, .per_reply = 9, .cut_every = 2, .leave_on_cut = true};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_DONE);
	ck_assert_uint_eq(fake.acknowledged, 5);
	ck_assert_int_eq(n_notes, 0);
}
END_TEST

START_TEST(a_busy_agent_is_asked_again)
{
	struct fake_agent fake = {.n_events = 2, .per_reply = 9, .n_busy = 3};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_DONE);
	ck_assert_int_eq(fake.n_submits, 4);
	ck_assert_int_eq(n_waits, 1);
}
END_TEST

START_TEST(a_submit_whose_reply_was_lost_is_submitted_again_under_the_same_id)
{
	struct fake_agent fake = {.n_events = 2, .per_reply = 9, .cut_every = 1};

	fake.cut_every = 2;
	fake.n_replies = 1;
	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_DONE);
	ck_assert_int_eq(fake.n_submits, 2);
	ck_assert_int_eq(fake.n_executed, 1);
}
END_TEST

START_TEST(a_job_that_a_restarted_agent_may_have_begun_is_lost_and_not_run_again)
{
	struct fake_agent fake = {
		.n_events = 9, .per_reply = 1, .cut_every = 1, .restart_on_cut = true};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_LOST);
	ck_assert_int_eq(fake.n_executed, 1);
	ck_assert_int_eq(fake.n_submits, 1);
	ck_assert_ptr_nonnull(strstr(why, "restarted"));
}
END_TEST

START_TEST(a_job_that_ran_when_the_agent_restarted_is_lost_too)
{
	struct fake_agent fake = {
		.n_events = 9, .per_reply = 1, .cut_every = 3, .restart_on_cut = true};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_LOST);
	ck_assert_uint_eq(n_events, 2);
	ck_assert_int_eq(fake.n_submits, 1);
}
END_TEST

START_TEST(an_agent_that_stays_away_leaves_an_unknown_result)
{
	struct fake_agent fake = {
		.n_events = 9, .per_reply = 1, .cut_every = 3, .leave_on_cut = true};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(why, "web-01 at ipc://"));
	ck_assert_ptr_nonnull(strstr(why, "refused"));
}
END_TEST

START_TEST(nobody_there_is_unreachable_at_once)
{
	struct fake_agent fake = {.n_events = 1};
	int64_t began = sl_clock_monotonic_ms();
	struct sl_error err;

	ck_assert_int_eq(sl_loop_new(&sl_remote_endpoint_ops, &loop, &err), 0);
	fake_agent_start(&fake, loop);
	run_at(&fake, "ipc:///nowhere/at/all");
	ck_assert_int_eq(verdict, SL_VERDICT_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(why, "can't reach web-01 at ipc:///nowhere/at/all"));
	ck_assert_int_lt(sl_clock_monotonic_ms() - began, 900);
}
END_TEST

START_TEST(an_agent_that_wont_have_us_refuses)
{
	struct fake_agent fake = {.n_events = 1, .deny = true};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_REFUSED);
	ck_assert_ptr_nonnull(strstr(why, "who are you?"));
}
END_TEST

START_TEST(a_cancel_goes_to_the_agent_and_its_word_counts)
{
	struct fake_agent fake = {.n_events = 3, .per_reply = 9, .wait_for_cancel = true};

	cancel_at_first_event = true;
	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_CANCELLED);
	ck_assert_int_eq(fake.n_cancels, 1);
	ck_assert_uint_eq(n_events, 3);
}
END_TEST

START_TEST(events_that_make_no_sense_leave_an_unknown_result)
{
	struct fake_agent fake = {.n_events = 9, .per_reply = 3, .garbage = true};

	run(&fake);
	ck_assert_int_eq(verdict, SL_VERDICT_UNKNOWN);
}
END_TEST

SL_CHECK_MAIN("dispatch", events_come_in_order_each_once_whatever_happens_to_the_connection,
	the_end_is_acknowledged_before_it_is_told,
	an_agent_that_hangs_up_after_the_end_is_not_missed, a_busy_agent_is_asked_again,
	a_submit_whose_reply_was_lost_is_submitted_again_under_the_same_id,
	a_job_that_a_restarted_agent_may_have_begun_is_lost_and_not_run_again,
	a_job_that_ran_when_the_agent_restarted_is_lost_too,
	an_agent_that_stays_away_leaves_an_unknown_result, nobody_there_is_unreachable_at_once,
	an_agent_that_wont_have_us_refuses, a_cancel_goes_to_the_agent_and_its_word_counts,
	events_that_make_no_sense_leave_an_unknown_result)
