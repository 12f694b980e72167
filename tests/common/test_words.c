/* SPDX-License-Identifier: MIT */
/* The names that go over the wire: each one reads back as what it stands for. */
#include "common/error.h"
#include "common/event.h"
#include "common/state.h"
#include "tests/support/check_main.h"

START_TEST(each_state_reads_back)
{
	for (int i = 0; i < SL_N_STATES; i++) {
		enum sl_state state = SL_N_STATES;

		ck_assert(sl_state_from_name(sl_state_name((enum sl_state)i), &state));
		ck_assert_int_eq(state, i);
		ck_assert_int_eq(sl_state_is_terminal(state), i > SL_STATE_RUNNING);
	}
}
END_TEST

START_TEST(each_event_kind_reads_back)
{
	for (int i = 0; i < SL_N_EVENT_KINDS; i++) {
		enum sl_event_kind kind = SL_N_EVENT_KINDS;
		const char *name = sl_event_kind_name((enum sl_event_kind)i);

		ck_assert(sl_event_kind_from_name(sl_bytes_of(name), &kind));
		ck_assert_int_eq(kind, i);
	}
}
END_TEST

START_TEST(each_code_reads_back)
{
	for (int code = SL_ECANCELLED; code <= SL_OK; code++)
		ck_assert_int_eq(sl_code_from_name(sl_code_name((enum sl_code)code)), code);
}
END_TEST

START_TEST(an_unknown_name_is_nothing)
{
	enum sl_state state = SL_STATE_LOST;

	ck_assert(!sl_state_from_name("doing", &state));
	ck_assert_int_eq(state, SL_STATE_LOST);
	ck_assert_int_eq(sl_code_from_name("no such code"), SL_EINVALID);
}
END_TEST

START_TEST(an_error_can_be_wrapped_in_itself)
{
	struct sl_error err;

	sl_fail_errno(&err, 2, "open %s", "x");
	ck_assert_str_eq(err.text, "open x: No such file or directory");
	sl_fail(&err, err.code, "agent: %s", err.text);
	ck_assert_str_eq(err.text, "agent: open x: No such file or directory");
}
END_TEST

SL_CHECK_MAIN("words", each_state_reads_back, each_event_kind_reads_back, each_code_reads_back,
	an_unknown_name_is_nothing, an_error_can_be_wrapped_in_itself)
