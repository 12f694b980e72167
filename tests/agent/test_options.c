/* SPDX-License-Identifier: MIT */
#include "agent/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/sources.h"
#include "common/buffer.h"
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
	return sl_sources_read(argc, argv, &options, &err);
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
	ck_assert_int_eq(PARSE("--help"), SL_SOURCES_HELP);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--version"), SL_SOURCES_VERSION);
	sl_options_deinit(&options);
	ck_assert_ptr_nonnull(strstr(sl_sources_help(), "Example"));
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
		{"name: a\n---\nname: b\n", ":3: a second document; one is wanted"},
		{"name: a\n---\nname: \"b\n", ": not YAML: "},
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

/* A directory of its own with agent.yaml, and agent.d/NAME for each further pair. */
static char tree[64], tree_config[80];

static void write_tree_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", tree, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void make_tree(const char *config)
{
	char path[128];

	strcpy(tree, "/tmp/sloth-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tree));
	snprintf(path, sizeof(path), "%s/agent.d", tree);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(tree_config, sizeof(tree_config), "%s/agent.yaml", tree);
	write_tree_file("agent.yaml", config);
}

static void remove_tree(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", tree);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(files_beside_the_file_come_after_it_in_order)
{
	make_tree("max_tasks: 1\nmax_queued: 1\nlisten: [ipc:///a, ipc:///b]\n");
	write_tree_file("agent.d/20-b.yaml", "max_tasks: 3\n");
	write_tree_file("agent.d/10-a.yaml", "max_tasks: 2\nlisten: ipc:///c\n");
	write_tree_file("agent.d/README", "not: one of them\n");
	write_tree_file("agent.d/.30-hidden.yaml", "max_tasks: 4\n");
	ck_assert_msg(PARSE("--config", tree_config) == 0, "%s", err.text);
	ck_assert_uint_eq(options.max_tasks, 3);
	ck_assert_uint_eq(options.max_queued, 1);
	ck_assert_uint_eq(options.n_listen, 1);
	ck_assert_str_eq(options.listen[0], "ipc:///c");
	sl_options_deinit(&options);

	write_tree_file("agent.d/20-b.yaml", "\nmax_taks: 3\n");
	ck_assert_int_eq(PARSE("--config", tree_config), SL_EINVALID);
	ck_assert_msg(strstr(err.text, "agent.d/20-b.yaml:2: 'max_taks'"), "%s", err.text);
	sl_options_deinit(&options);
	remove_tree();
}
END_TEST

START_TEST(the_environment_stands_between_file_and_flags)
{
	const char *path = write_config("max_tasks: 5\nmax_queued: 6\nprefork: 7\n");

	setenv("SLOTH_AGENT_MAX_QUEUED", "60", 1);
	setenv("SLOTH_AGENT_PREFORK", "70", 1);
	setenv("SLOTH_AGENT_ALLOW_UIDS", "1,2,3", 1);
	setenv("SLOTH_AGENT_PROGRAM", "/not/ours", 1);
	ck_assert_msg(PARSE("--config", path, "--prefork=8") == 0, "%s", err.text);
	ck_assert_uint_eq(options.max_tasks, 5);
	ck_assert_uint_eq(options.max_queued, 60);
	ck_assert_uint_eq(options.prefork, 8);
	ck_assert_uint_eq(options.n_allow_uids, 3);
	sl_options_deinit(&options);
	unlink(path);
}
END_TEST

START_TEST(what_is_wrong_in_the_environment_is_named)
{
	setenv("SLOTH_AGENT_MAX_TAKS", "60", 1);
	ck_assert_int_eq(PARSE(NULL), SL_EINVALID);
	ck_assert_msg(strstr(err.text, "SLOTH_AGENT_MAX_TAKS in the environment: ") &&
			      strstr(err.text, "did you mean 'max_tasks'?"),
		"%s", err.text);
	sl_options_deinit(&options);
}
END_TEST

START_TEST(check_and_dump_read_everything_first)
{
	ck_assert_int_eq(PARSE("--check-config", "--max-tasks", "3"), SL_SOURCES_CHECK);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--dump-config", "--max-tasks", "3"), SL_SOURCES_DUMP);
	ck_assert_uint_eq(options.max_tasks, 3);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--check-config", "--max-tasks", "x"), SL_EINVALID);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--check-config=yes"), SL_EINVALID);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--check-config", "--listen", "tcp://0.0.0.0:1"), SL_EDENIED);
	sl_options_deinit(&options);
}
END_TEST

static void dump_to(struct sl_buffer *out)
{
	sl_options_dump(&options, out);
	ck_assert(sl_buffer_append(out, "", 1));
}

START_TEST(a_dump_says_where_each_value_is_from)
{
	const char *path = write_config("\nmax_queued: 6\n");
	struct sl_buffer text = SL_BUFFER_INIT;
	char line[128];

	setenv("SLOTH_AGENT_DRAIN", "1m", 1);
	ck_assert_int_eq(PARSE("--config", path, "--max-tasks", "3"), 0);
	dump_to(&text);
	snprintf(line, sizeof(line), "max_queued: 6  # %s:2\n", path);
	ck_assert_ptr_nonnull(strstr(text.data, line));
	ck_assert_ptr_nonnull(strstr(text.data, "max_tasks: 3  # --max-tasks\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "drain: 60000ms  # SLOTH_AGENT_DRAIN\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "prefork: 4  # default\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "allow_uids: []  # default\n"));
	sl_buffer_deinit(&text);
	sl_options_deinit(&options);
	unlink(path);
}
END_TEST

START_TEST(metrics_are_shown_nowhere_unless_it_is_said_where)
{
	const char *path = write_config("\nmetrics: tcp://127.0.0.1:9117\n");

	ck_assert_int_eq(PARSE("--name", "here"), 0);
	ck_assert_ptr_null(options.metrics);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--config", path), 0);
	ck_assert_str_eq(options.metrics, "tcp://127.0.0.1:9117");
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--config", path, "--metrics", "off"), 0);
	ck_assert_ptr_null(options.metrics);
	sl_options_deinit(&options);
	ck_assert_int_eq(PARSE("--metrics", "tcp://192.0.2.1:9117"), SL_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "metrics: "));
	sl_options_deinit(&options);
	unlink(path);
}
END_TEST

START_TEST(a_dump_can_be_read_again)
{
	struct sl_buffer text = SL_BUFFER_INIT;
	const char *path;

	ck_assert_int_eq(PARSE("--name", "odd \"name\" \\ # here\t:", "--listen=ipc:///x y",
				 "--listen=ipc:///z", "--allow-uids=7", "--allow-uids=8",
				 "--ready-fd=5"),
		0);
	dump_to(&text);
	sl_options_deinit(&options);
	path = write_config(text.data);
	ck_assert_msg(PARSE("--config", path) == 0, "%s", err.text);
	ck_assert_str_eq(options.name, "odd \"name\" \\ # here\t:");
	ck_assert_uint_eq(options.n_listen, 2);
	ck_assert_str_eq(options.listen[0], "ipc:///x y");
	ck_assert_uint_eq(options.n_allow_uids, 2);
	ck_assert_int_eq(options.ready_fd, 5);
	sl_buffer_deinit(&text);
	sl_options_deinit(&options);
	unlink(path);
}
END_TEST

static int n_stays;

static void count_stays(const char *key)
{
	ck_assert_msg(strcmp(key, "max_tasks") == 0 || strcmp(key, "listen") == 0, "%s", key);
	n_stays++;
}

START_TEST(what_can_change_is_adopted_and_the_rest_is_named)
{
	struct sl_options running;

	ck_assert_int_eq(PARSE("--max-tasks=3"), 0);
	running = options;
	ck_assert_int_eq(PARSE("--max-tasks=4", "--listen=ipc:///x", "--drain=5m",
				 "--log-level=debug", "--allow-uids=7", "--authorized-keys=/x"),
		0);
	sl_options_adopt(&running, &options, count_stays);
	ck_assert_int_eq(n_stays, 2);
	ck_assert_uint_eq(running.max_tasks, 3);
	ck_assert_int_eq(running.drain_ms, 300000);
	ck_assert_int_eq(running.log_level, SL_LOG_DEBUG);
	ck_assert_uint_eq(running.n_allow_uids, 1);
	ck_assert_str_eq(running.authorized_keys, "/x");
	sl_options_deinit(&options);
	sl_options_deinit(&running);
}
END_TEST

SL_CHECK_MAIN("options", without_flags_the_defaults_hold, flags_are_taken_in_both_spellings,
	addresses_and_uids_add_up, help_and_version_are_answers,
	an_unknown_flag_names_the_one_that_was_meant, what_is_no_flag_is_refused,
	a_bad_value_is_refused_with_its_name, flags_override_the_file,
	what_is_wrong_in_the_file_is_named_with_its_line,
	an_empty_file_is_fine_and_a_missing_one_is_not,
	files_beside_the_file_come_after_it_in_order,
	the_environment_stands_between_file_and_flags,
	what_is_wrong_in_the_environment_is_named, check_and_dump_read_everything_first,
	a_dump_says_where_each_value_is_from, metrics_are_shown_nowhere_unless_it_is_said_where,
	a_dump_can_be_read_again, what_can_change_is_adopted_and_the_rest_is_named)
