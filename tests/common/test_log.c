/* SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check_main.h"

static char written[4096];

static const char *stderr_of(enum sl_log_level level, const char *text)
{
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	sl_log(level, "%s", text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], written, sizeof(written) - 1);
	close(fds[0]);
	written[n > 0 ? n : 0] = '\0';
	return written;
}

START_TEST(a_line_names_program_level_and_event)
{
	sl_log_setup("prog", SL_LOG_INFO);
	ck_assert_str_eq(
		stderr_of(SL_LOG_INFO, "task ran task=1"), "prog: info: task ran task=1\n");
	ck_assert_uint_eq(sl_log_count(SL_LOG_INFO), 1);
}
END_TEST

START_TEST(what_is_below_the_threshold_is_left_out)
{
	sl_log_setup("prog", SL_LOG_NOTICE);
	ck_assert_str_eq(stderr_of(SL_LOG_INFO, "quiet"), "");
	ck_assert_uint_eq(sl_log_count(SL_LOG_INFO), 0);
	ck_assert(!sl_log_on(SL_LOG_DEBUG));
}
END_TEST

START_TEST(a_peer_can_not_forge_a_second_line)
{
	sl_log_setup("prog", SL_LOG_INFO);
	ck_assert_str_eq(stderr_of(SL_LOG_ERROR, "a\nprog:\terror: \033[2J"),
		"prog: error: a?prog:\terror: ?[2J\n");
}
END_TEST

START_TEST(an_endless_line_is_cut_and_says_so)
{
	static const char end[] = "xxx…\n";
	char text[3000];
	size_t n;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sl_log_setup("prog", SL_LOG_INFO);
	n = strlen(stderr_of(SL_LOG_INFO, text));
	ck_assert_uint_le(n, 1024);
	ck_assert_str_eq(written + n - strlen(end), end);
}
END_TEST

START_TEST(a_line_as_long_as_may_be_is_whole)
{
	char text[SL_LOG_MAX_TEXT + 1], *line = NULL;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sl_log_setup("prog", SL_LOG_INFO);
	ck_assert_int_gt(asprintf(&line, "prog: info: %s\n", text), 0);
	ck_assert_str_eq(stderr_of(SL_LOG_INFO, text), line);
	free(line);
}
END_TEST

START_TEST(no_character_is_cut_through)
{
	static const char end[] = "xx…\n";
	char text[SL_LOG_MAX_TEXT + 20];
	size_t n;

	memset(text, 'x', sizeof(text));
	strcpy(text + SL_LOG_MAX_TEXT - 2, "€ and more");
	sl_log_setup("prog", SL_LOG_INFO);
	n = strlen(stderr_of(SL_LOG_INFO, text));
	ck_assert_str_eq(written + n - strlen(end), end);
}
END_TEST

START_TEST(the_journal_gets_the_priority_instead)
{
	struct stat here;
	char stream[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &here), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)here.st_dev,
		(unsigned long long)here.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	sl_log_setup("prog", SL_LOG_INFO);
	ck_assert_str_eq(stderr_of(SL_LOG_ERROR, "a\n<0>b"), "<3>a?<0>b\n");
	ck_assert_str_eq(stderr_of(SL_LOG_INFO, "c"), "<6>c\n");
}
END_TEST

START_TEST(a_stderr_that_is_not_the_journals_is_written_to_as_ever)
{
	setenv("JOURNAL_STREAM", "1:2", 1);
	sl_log_setup("prog", SL_LOG_INFO);
	ck_assert_str_eq(stderr_of(SL_LOG_ERROR, "a"), "prog: error: a\n");
}
END_TEST

SL_CHECK_MAIN("log", a_line_names_program_level_and_event,
	what_is_below_the_threshold_is_left_out, a_peer_can_not_forge_a_second_line,
	an_endless_line_is_cut_and_says_so, a_line_as_long_as_may_be_is_whole,
	no_character_is_cut_through, the_journal_gets_the_priority_instead,
	a_stderr_that_is_not_the_journals_is_written_to_as_ever)
