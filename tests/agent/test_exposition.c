/* SPDX-License-Identifier: MIT */
#include "agent/exposition.h"

#include <string.h>

#include "common/histogram.h"
#include "tests/support/check_main.h"

static struct sl_buffer text;
static struct sl_exposition exposition;

static void begin(bool openmetrics)
{
	sl_buffer_deinit(&text);
	text = SL_BUFFER_INIT;
	exposition = (struct sl_exposition){.out = &text, .openmetrics = openmetrics};
}

static void tear_down(void)
{
	sl_buffer_deinit(&text);
}

static void assert_text(const char *expected)
{
	sl_exposition_end(&exposition);
	sl_buffer_append(&text, "", 1);
	ck_assert_str_eq(text.data, expected);
}

START_TEST(a_counter_is_named_as_the_format_wants_it)
{
	for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
		begin(openmetrics);
		sl_exposition_family(
			&exposition, "event_bytes", SL_EXPOSITION_COUNTER, "Bytes.");
		sl_exposition_labelled(&exposition, "way", "in", 12345678901234567890u);
		assert_text(openmetrics ? "# HELP event_bytes Bytes.\n"
					  "# TYPE event_bytes counter\n"
					  "# UNIT event_bytes bytes\n"
					  "event_bytes_total{way=\"in\"} 12345678901234567890\n"
					  "# EOF\n"
					: "# HELP event_bytes_total Bytes.\n"
					  "# TYPE event_bytes_total counter\n"
					  "event_bytes_total{way=\"in\"} "
					  "12345678901234567890\n");
	}
}
END_TEST

START_TEST(an_info_is_a_gauge_to_who_knows_none)
{
	const struct sl_label labels[] = {{"a", "1"}, {"b", "2"}};

	for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
		begin(openmetrics);
		sl_exposition_family(&exposition, "build", SL_EXPOSITION_INFO, "It.");
		sl_exposition_info(&exposition, labels, 2);
		assert_text(openmetrics ? "# HELP build It.\n# TYPE build info\n"
					  "build_info{a=\"1\",b=\"2\"} 1\n# EOF\n"
					: "# HELP build_info It.\n"
					  "# TYPE build_info gauge\n"
					  "build_info{a=\"1\",b=\"2\"} 1\n");
	}
}
END_TEST

START_TEST(what_is_not_for_labels_is_escaped)
{
	begin(true);
	sl_exposition_family(&exposition, "x", SL_EXPOSITION_GAUGE, "X.");
	sl_exposition_labelled(&exposition, "l", "a\"b\\c\nd", 0);
	assert_text("# HELP x X.\n# TYPE x gauge\nx{l=\"a\\\"b\\\\c\\nd\"} 0\n# EOF\n");
}
END_TEST

START_TEST(seconds_have_as_many_digits_as_they_need)
{
	begin(false);
	sl_exposition_family(&exposition, "a_seconds", SL_EXPOSITION_GAUGE, "A.");
	sl_exposition_seconds(&exposition, 1);
	sl_exposition_seconds(&exposition, 2500000000);
	sl_exposition_seconds(&exposition, 60000000000);
	sl_exposition_seconds(&exposition, -1);
	assert_text("# HELP a_seconds A.\n# TYPE a_seconds gauge\na_seconds 0.000000001\n"
		    "a_seconds 2.5\na_seconds 60.0\na_seconds 0.0\n");
}
END_TEST

START_TEST(the_buckets_of_a_histogram_add_up)
{
	static const int64_t bounds[] = {250000, 1000000000};
	struct sl_histogram histogram;

	sl_histogram_init(&histogram, bounds, 2);
	sl_histogram_observe(&histogram, 100000);
	sl_histogram_observe(&histogram, 250000);
	sl_histogram_observe(&histogram, 500000000);
	sl_histogram_observe(&histogram, 3000000000);
	begin(true);
	sl_exposition_family(&exposition, "t_seconds", SL_EXPOSITION_HISTOGRAM, "T.");
	sl_exposition_histogram(&exposition, &histogram);
	assert_text(
		"# HELP t_seconds T.\n# TYPE t_seconds histogram\n# UNIT t_seconds seconds\n"
		"t_seconds_bucket{le=\"0.00025\"} 2\n"
		"t_seconds_bucket{le=\"1.0\"} 3\n"
		"t_seconds_bucket{le=\"+Inf\"} 4\n"
		"t_seconds_sum 3.50035\nt_seconds_count 4\n# EOF\n");
}
END_TEST

START_TEST(openmetrics_is_for_who_accepts_it)
{
	static const struct {
		const char *accept;
		bool openmetrics;
	} cases[] = {
		{NULL, false},
		{"", false},
		{"*/*", false},
		{"text/plain", false},
		{"text/html, application/xhtml+xml, */*;q=0.8", false},
		{"application/openmetrics-text", true},
		{" Application/OpenMetrics-Text ; Version=1.0.0", true},
		{"application/openmetrics-text;version=1.0.0,"
		 "application/openmetrics-text;version=0.0.1;q=0.75,"
		 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
			true},
		{"application/openmetrics-text;q=0.4, text/plain;q=0.5", false},
		{"application/openmetrics-text;q=0", false},
		{"application/openmetrics-text;version=2.0.0, text/plain;q=0.1", false},
		{"application/openmetrics-texts", false},
		{",;,=;q=,;;", false},
		{"application/openmetrics-text;q=1e999999999999999999999", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(sl_exposition_is_openmetrics_wanted(
				      sl_bytes_of(cases[i].accept)) == cases[i].openmetrics,
			"%s", cases[i].accept);
}
END_TEST

SL_CHECK_MAIN_WITH("exposition", NULL, tear_down, a_counter_is_named_as_the_format_wants_it,
	an_info_is_a_gauge_to_who_knows_none, what_is_not_for_labels_is_escaped,
	seconds_have_as_many_digits_as_they_need, the_buckets_of_a_histogram_add_up,
	openmetrics_is_for_who_accepts_it)
