/* SPDX-License-Identifier: MIT */
#include "controller/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/options.h"
#include "tests/support/check_main.h"

static const char *const keys[] = {"target", "rss_bytes", "note", "error", NULL};

/* What the report prints in @output. */
static const char *printed(struct sl_report *report, enum sl_output output)
{
	static char text[1000];
	struct sl_options options = {.output = output};
	int saved = dup(STDOUT_FILENO);
	FILE *file = tmpfile();
	size_t n;

	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	sl_report_print(report, &options);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static struct sl_report *two_rows(void)
{
	struct sl_report *report = sl_report_new("agents", keys);

	sl_report_row(report, 1);
	sl_report_text(report, "target", sl_bytes_of("web-02"));
	sl_report_text(report, "note", sl_bytes_of("a\033[1m"));
	sl_report_row(report, 0);
	sl_report_text(report, "target", sl_bytes_of("w"));
	sl_report_int(report, "rss_bytes", 2097152, "2.0M");
	return report;
}

START_TEST(rows_stand_by_rank_in_columns)
{
	struct sl_report *report = two_rows();

	ck_assert_str_eq(printed(report, SL_OUTPUT_PLAIN), "TARGET  RSS   NOTE\n"
							   "w       2.0M\n"
							   "web-02        a\\x1b[1m\n");
	sl_report_free(report);
}
END_TEST

START_TEST(json_has_what_a_row_has)
{
	struct sl_report *report = two_rows();

	ck_assert_str_eq(printed(report, SL_OUTPUT_JSON),
		"{\"agents\":[{\"target\":\"w\",\"rss_bytes\":2097152},"
		"{\"target\":\"web-02\",\"note\":\"a\\u001b[1m\"}]}\n");
	ck_assert_str_eq(printed(report, SL_OUTPUT_JSONL),
		"{\"target\":\"w\",\"rss_bytes\":2097152}\n"
		"{\"target\":\"web-02\",\"note\":\"a\\u001b[1m\"}\n");
	sl_report_free(report);
}
END_TEST

SL_CHECK_MAIN("report", rows_stand_by_rank_in_columns, json_has_what_a_row_has)
