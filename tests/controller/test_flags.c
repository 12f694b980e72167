/* SPDX-License-Identifier: MIT */
#include "controller/flags.h"

#include <string.h>

#include "common/error.h"
#include "tests/support/check_main.h"

static bool quiet;
static const char *file;
static struct sl_texts targets, operands;
static int64_t timeout_ms;
static uint64_t after;
static int output;
static struct sl_error err;

static const char *const outputs[] = {"plain", "json", NULL};

static const struct sl_flag own[] = {
	{"file", 'f', "FILE", "", SL_FLAG_TEXT, &file, NULL},
	{"target", 't', "TARGET", "", SL_FLAG_LIST, &targets, NULL},
	{"after", 0, "N", "", SL_FLAG_NUMBER, &after, NULL},
	{0},
};

static const struct sl_flag common[] = {
	{"quiet", 'q', NULL, "", SL_FLAG_SWITCH, &quiet, NULL},
	{"timeout", 0, "TIME", "", SL_FLAG_DURATION, &timeout_ms, NULL},
	{"output", 'o', "FORMAT", "", SL_FLAG_CHOICE, &output, outputs},
	{0},
};

/* Splits @line at blanks and parses it. */
static int parse(const char *line)
{
	static char copy[200]; /* what was parsed points here */
	char *args[20], *word, *rest = copy;
	int n = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")) != NULL)
		args[n++] = word;
	return sl_flags_parse(own, common, n, args, &operands, &err);
}

START_TEST(every_way_to_write_a_flag_is_understood)
{
	ck_assert_int_eq(
		parse("a -f x --target=t1 -tt2 -q --timeout 1m30s b -ojson --after 7"), 0);
	ck_assert_str_eq(file, "x");
	ck_assert_uint_eq(targets.n, 2);
	ck_assert_str_eq(targets.items[0], "t1");
	ck_assert_str_eq(targets.items[1], "t2");
	ck_assert(quiet);
	ck_assert_int_eq(timeout_ms, 90000);
	ck_assert_int_eq(output, 1);
	ck_assert_uint_eq(after, 7);
	ck_assert_uint_eq(operands.n, 2);
	ck_assert_str_eq(operands.items[1], "b");
}
END_TEST

START_TEST(after_two_dashes_everything_is_an_operand)
{
	ck_assert_int_eq(parse("-- -q --file -"), 0);
	ck_assert(!quiet);
	ck_assert_uint_eq(operands.n, 3);
	ck_assert_str_eq(operands.items[1], "--file");
}
END_TEST

START_TEST(a_misspelt_flag_is_refused_with_the_nearest_one)
{
	ck_assert_int_eq(parse("--qiuet"), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "did you mean --quiet?"));
	ck_assert_int_eq(parse("--tiemout=3"), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "did you mean --timeout?"));
	ck_assert_int_eq(parse("--zzzzzz"), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "--help"));
	ck_assert_int_eq(parse("-x"), SL_EINVALID);
}
END_TEST

START_TEST(bad_values_are_refused_by_name)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{"--file", "--file needs a value"},
		{"-q --quiet=1", "takes no value"},
		{"--timeout soon", "bad duration"},
		{"--after -1", "whole number"},
		{"--after 99999999999999999999", "whole number"},
		{"-o xml", "plain, json"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(parse(rows[i].line) == SL_EINVALID, "%s", rows[i].line);
		ck_assert_msg(strstr(err.text, rows[i].says), "%s: %s", rows[i].line, err.text);
	}
}
END_TEST

SL_CHECK_MAIN("flags", every_way_to_write_a_flag_is_understood,
	after_two_dashes_everything_is_an_operand,
	a_misspelt_flag_is_refused_with_the_nearest_one, bad_values_are_refused_by_name)
