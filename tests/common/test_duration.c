/* SPDX-License-Identifier: MIT */
#include "common/duration.h"

#include "common/error.h"
#include "tests/support/check_main.h"

START_TEST(what_people_write_is_understood)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{"500ms", 500},
		{"30s", 30000},
		{"5m", 300000},
		{"2h", 7200000},
		{"1h30m", 5400000},
		{"1d", 86400000},
		{"1m30s", 90000},
		{"0", 0},
		{"90", 90000},
		{"0.5", 500},
		{"1.5s", 1500},
		{"0s", 0},
		{"1h1ms", 3600001},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = -1;

		ck_assert_int_eq(sl_duration_parse(rows[i].text, &ms, NULL), 0);
		ck_assert_msg(ms == rows[i].ms, "%s gave %ld", rows[i].text, (long)ms);
	}
}
END_TEST

START_TEST(anything_else_is_refused_with_a_sentence)
{
	static const char *const rows[] = {"", " 5s", "5 s", "-5s", "5x", "s", "1e3", "inf",
		"nan", "0x10", "30m1h", "5s5s", "1.2.3s", "10001d", "999999999999999999999h",
		"5S", "."};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sl_error err;
		int64_t ms = -1;

		ck_assert_msg(sl_duration_parse(rows[i], &ms, &err) == SL_EINVALID,
			"'%s' was taken", rows[i]);
		ck_assert_int_eq(ms, -1);
		ck_assert_ptr_nonnull(strstr(err.text, "bad duration"));
	}
}
END_TEST

START_TEST(a_duration_is_written_as_a_person_reads_it)
{
	char text[32];

	ck_assert_str_eq(sl_duration_format(850, text, sizeof(text)), "850ms");
	ck_assert_str_eq(sl_duration_format(2100, text, sizeof(text)), "2.1s");
	ck_assert_str_eq(sl_duration_format(185000, text, sizeof(text)), "3m05s");
	ck_assert_str_eq(sl_duration_format(7800000, text, sizeof(text)), "2h10m");
}
END_TEST

SL_CHECK_MAIN("duration", what_people_write_is_understood,
	anything_else_is_refused_with_a_sentence, a_duration_is_written_as_a_person_reads_it)
