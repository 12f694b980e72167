/* SPDX-License-Identifier: MIT */
#include "controller/agents_file.h"

#include <string.h>

#include "common/error.h"
#include "controller/targets.h"
#include "tests/support/check_main.h"
#include "tests/support/text_file.h"

static struct sl_error err;

static int read_text(const char *text, struct sl_targets *targets)
{
	char path[64];
	int rc = sl_agents_file_read(sl_text_file(text, path), targets, &err);

	unlink(path);
	return rc;
}

START_TEST(agents_and_groups_are_read)
{
	struct sl_targets *targets = sl_targets_new();
	struct sl_target_list list = {0};
	char groups[64];

	ck_assert_int_eq(
		read_text("agents:\n"
			  "  web-01: { address: \"tcp://127.0.0.1:1\", groups: [web] }\n"
			  "  db-01: ipc:///run/x.sock\n"
			  "groups: { db: [db-01], all-of-it: [db-01, web-01] }\n",
			targets),
		0);
	ck_assert_int_eq(sl_targets_resolve(targets, "@web,@db", &list, &err), 0);
	ck_assert_uint_eq(list.n, 2);
	ck_assert_str_eq(list.items[1].address, "ipc:///run/x.sock");
	ck_assert_str_eq(
		sl_targets_groups_of(targets, "db-01", groups, sizeof(groups)), "db,all-of-it");
	sl_target_list_deinit(&list);
	ck_assert_int_eq(read_text("", targets), 0);
	sl_targets_free(targets);
}
END_TEST

START_TEST(mistakes_are_named_with_their_line)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"agents:\n  a: { address: 'tcp://h:1', gruops: [x] }\n",
			":2: unknown key 'gruops'"},
		{"agent: {}\n", ":1: unknown key 'agent'"},
		{"agents:\n  a:\n    groups: [x]\n", ":2: agent 'a' has no address"},
		{"agents:\n  a: nowhere\n", ":2: 'nowhere' is no address"},
		{"agents:\n  'a b': tcp://h:1\n", ":2: 'a b' can't be"},
		{"agents: [a]\n", ":1: agents must be a map"},
		{"groups:\n  g: a\n", ":2: a group must be a list"},
		{"agents:\n  a: {\n", ":3: "},
		{"agents: {}\n---\nagents: {}\n", ":3: a second document"},
		{"- a\n", "must be a map"},
	};
	struct sl_targets *targets = sl_targets_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(
			read_text(rows[i].text, targets) == SL_EINVALID, "%s", rows[i].text);
		ck_assert_msg(strstr(err.text, rows[i].says), "%s: %s", rows[i].text, err.text);
	}
	ck_assert_int_eq(sl_agents_file_read("/nowhere/x", targets, &err), SL_ENOT_FOUND);
	ck_assert_int_eq(sl_agents_file_read("/", targets, &err), SL_EINVALID);
	sl_targets_free(targets);
}
END_TEST

SL_CHECK_MAIN("agents_file", agents_and_groups_are_read, mistakes_are_named_with_their_line)
