/* SPDX-License-Identifier: MIT */
#include "controller/outcome.h"

#include "tests/support/check_main.h"

START_TEST(each_verdict_has_its_exit_status)
{
	static const struct {
		enum sl_verdict verdict;
		int status;
	} rows[SL_N_VERDICTS] = {
		{SL_VERDICT_DONE, 0},
		{SL_VERDICT_FAILED, 1},
		{SL_VERDICT_CRASHED, 1},
		{SL_VERDICT_TIMEOUT, 4},
		{SL_VERDICT_CANCELLED, 130},
		{SL_VERDICT_DETACHED, 130},
		{SL_VERDICT_LOST, 3},
		{SL_VERDICT_UNKNOWN, 3},
		{SL_VERDICT_UNREACHABLE, 3},
		{SL_VERDICT_REFUSED, 5},
		{SL_VERDICT_SKIPPED, 0},
	};

	for (size_t i = 0; i < SL_N_VERDICTS; i++) {
		struct sl_outcome outcome = {0};

		sl_outcome_add(&outcome, rows[i].verdict);
		ck_assert_msg(sl_outcome_exit(&outcome) == (enum sl_exit)rows[i].status, "%s",
			sl_verdict_name(rows[i].verdict));
	}
}
END_TEST

START_TEST(the_worst_counts_in_the_order_of_the_manual)
{
	static const enum sl_verdict falling[] = {SL_VERDICT_CANCELLED, SL_VERDICT_LOST,
		SL_VERDICT_REFUSED, SL_VERDICT_TIMEOUT, SL_VERDICT_FAILED, SL_VERDICT_DONE};
	static const int status[] = {130, 3, 5, 4, 1, 0};
	struct sl_outcome outcome = {0};
	char text[200];

	for (int i = 5; i >= 0; i--) {
		sl_outcome_add(&outcome, falling[i]);
		ck_assert_int_eq((int)sl_outcome_exit(&outcome), status[i]);
	}
	ck_assert_str_eq(sl_outcome_format(&outcome, text, sizeof(text)),
		"1 done, 1 failed, 1 timeout, 1 cancelled, 1 lost, 1 refused");
}
END_TEST

SL_CHECK_MAIN("outcome", each_verdict_has_its_exit_status,
	the_worst_counts_in_the_order_of_the_manual)
