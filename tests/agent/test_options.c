/* SPDX-License-Identifier: MIT */
#include "agent/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/support/check_main.h"

static struct sl_options options;
static struct sl_error err;
static char config_path[] = "/tmp/sloth-test-XXXXXX";

/* argv[0] and up to seven words. */
static int parse(const char *words[8])
{
	char *argv[9] = {(char[]){"sloth-agent"}};
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	return sl_options_parse(argc, argv, &options, &err);
}

#define PARSE(...) parse((const char *[8]){__VA_ARGS__})

static const char *write_config(const char *text)
{
	int fd = mkstemp(config_path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	return config_path;
}

START_TEST(without_flags_the_defaults_hold)
{
	ck_assert_int_eq(PARSE(NULL), 0);
	ck_assert_uint_eq(options.n_listen, 1);
	ck_assert_str_eq(options.listen[0], "ipc:///run/sloth-agent/agent.sock");
	ck_assert_str_eq(options.state_dir, "/var/lib/sloth-agent");
	ck_assert_str_eq(options.authorized_keys, "/etc/sloth/authorized_keys");
	ck_assert_uint_eq(options.max_tasks, 256);
	ck_assert_uint_eq(options.max_queued, 1024);
	ck_assert_uint_eq(options.prefork, 4);
	ck_assert_int_eq(options.drain_ms, 30000);
	ck_assert_int_eq(options.ready_fd, -1);
	ck_assert_int_eq(options.log_level, SL_LOG_INFO);
	ck_assert_uint_gt(strlen(options.name), 0);
	sl_options_deinit(&options);
}
END_TEST

START_TEST(flags_are_taken_in_both_spellings)
{
	ck_assert_int_eq(PARSE("--max-tasks=3", "--name", "mariguica", "--drain", "1m30s",
				 "--ready-fd=1"),
		0);
	ck_assert_uint_eq(options.max_tasks, 3);
	ck_assert_str_eq(options.name, "mariguica");
	ck_assert_int_eq(options.drain_ms, 90000);
	ck_assert_int_eq(options.ready_fd, 1);
	sl_options_deinit(&options);
}
END_TEST

START_TEST(addresses_and_uids_add_up)
{
	ck_assert_int_eq(PARSE("--listen", "ipc:///a", "--listen=tcp://127.0.0.1:0",
				 "--allow-uids=7", "--allow-uids", "8"),
		0);
	ck_assert_uint_eq(options.n_listen, 2);
	ck_assert_str_eq(options.listen[1], "tcp://127.0.0.1:0");
	ck_assert_uint_eq(options.n_allow_uids, 2);
	ck_assert_uint_eq(options.allow_uids[1], 8);
	sl_options_deinit(&options);
}
END_TEST

START_TEST(help_and_version_are_answers)
{
	ck_assert_int_eq(PARSE("--help"), SL_OPTIONS_HELP);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--version"), SL_OPTIONS_VERSION);
	sl_options_deinit(&options);
	ck_assert_ptr_nonnull(strstr(sl_options_help(), "Example"));
}
END_TEST

START_TEST(an_unknown_flag_names_the_one_that_was_meant)
{
	ck_assert_int_eq(PARSE("--max-taks", "3"), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "--max-taks"));
	ck_assert_ptr_nonnull(strstr(err.text, "did you mean --max-tasks?"));
	sl_options_deinit(&options);
}
END_TEST

START_TEST(what_is_no_flag_is_refused)
{
	static const char *const wrong[] = {"start", "-v", "--", "--listen"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(PARSE(wrong[i]), SL_EINVALID);
		sl_options_deinit(&options);
	}
}
END_TEST

START_TEST(a_bad_value_is_refused_with_its_name)
{
	static const char *const wrong[][2] = {{"--max-tasks", "0"}, {"--max-tasks", "x"},
		{"--max-tasks", "-1"}, {"--prefork", "1000"}, {"--drain", "soon"},
		{"--log-level", "loud"}, {"--allow-uids", "root"}, {"--name", ""}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(
			PARSE(wrong[i][0], wrong[i][1]) == SL_EINVALID, "%s", wrong[i][0]);
		ck_assert_msg(strstr(err.text, ": ") != NULL, "%s", err.text);
		sl_options_deinit(&options);
	}
}
END_TEST

START_TEST(flags_override_the_file)
{
	const char *path = write_config("max_tasks: 5\n"
					"max_queued: 6\n"
					"listen: [ipc:///a, ipc:///b]\n"
					"allow_uids:\n  - 1\n  - 2\n");

	ck_assert_int_eq(
		PARSE("--max-tasks", "9", "--config", path, "--listen", "ipc:///c"), 0);
	ck_assert_uint_eq(options.max_tasks, 9);
	ck_assert_uint_eq(options.max_queued, 6);
	ck_assert_uint_eq(options.n_listen, 1);
	ck_assert_str_eq(options.listen[0], "ipc:///c");
	ck_assert_uint_eq(options.n_allow_uids, 2);
	sl_options_deinit(&options);
	unlink(path);
}
END_TEST

START_TEST(what_is_wrong_in_the_file_is_named_with_its_line)
{
	static const char *const wrong[][2] = {
		{"max_tasks: 5\nmax_taks: 6\n", ":2: 'max_taks' is no option of the agent; did "
						"you mean 'max_tasks'?"},
		{"\n\nmax_tasks: many\n", ":3: max_tasks: "},
		{"name: [a, b]\n", ":1: plain text is wanted"},
		{"- a\n", ":1: lines like"},
		{"name: a\nname: b\n", ":2: this stands twice: name"},
		{"name: \"a\n", ": not YAML: "},
		{"config: x\n", ":1: 'config' is no option"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		strcpy(config_path, "/tmp/sloth-test-XXXXXX");
		ck_assert_int_eq(PARSE("--config", write_config(wrong[i][0])), SL_EINVALID);
		ck_assert_msg(strstr(err.text, wrong[i][1]) != NULL, "%s", err.text);
		ck_assert_ptr_nonnull(strstr(err.text, config_path));
		sl_options_deinit(&options);
		unlink(config_path);
	}
}
END_TEST

START_TEST(an_empty_file_is_fine_and_a_missing_one_is_not)
{
	const char *path = write_config("# nothing yet\n");

	ck_assert_int_eq(PARSE("--config", path), 0);
	sl_options_deinit(&options);
	unlink(path);
	ck_assert_int_eq(PARSE("--config", path), SL_ESYSTEM);
	sl_options_deinit(&options);
}
END_TEST

SL_CHECK_MAIN("options", without_flags_the_defaults_hold, flags_are_taken_in_both_spellings,
	addresses_and_uids_add_up, help_and_version_are_answers,
	an_unknown_flag_names_the_one_that_was_meant, what_is_no_flag_is_refused,
	a_bad_value_is_refused_with_its_name, flags_override_the_file,
	what_is_wrong_in_the_file_is_named_with_its_line,
	an_empty_file_is_fine_and_a_missing_one_is_not)
