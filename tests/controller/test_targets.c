/* SPDX-License-Identifier: MIT */
#include "controller/targets.h"

#include <string.h>

#include "common/error.h"
#include "tests/support/check_main.h"

static struct sl_error err;

static struct sl_targets *inventory(void)
{
	struct sl_targets *targets = sl_targets_new();

	ck_assert_int_eq(sl_targets_add_list(targets,
				 "web-01=tcp://127.0.0.1:1, web-02=tcp://127.0.0.1:2,"
				 "db=ipc:///run/db.sock",
				 "test", &err),
		0);
	ck_assert_int_eq(sl_targets_add_member(targets, "web", "web-01", "test", &err), 0);
	ck_assert_int_eq(sl_targets_add_member(targets, "web", "web-02", "test", &err), 0);
	ck_assert_int_eq(sl_targets_add_member(targets, "lost", "nobody", "test", &err), 0);
	return targets;
}

START_TEST(names_groups_and_addresses_resolve_to_each_agent_once)
{
	struct sl_targets *targets = inventory();
	struct sl_target_list list = {0};

	ck_assert_int_eq(sl_targets_resolve(
				 targets, "web-02, @web,tcp://127.0.0.1:9,local", &list, &err),
		0);
	ck_assert_uint_eq(list.n, 4);
	ck_assert_str_eq(list.items[0].name, "web-02");
	ck_assert_str_eq(list.items[0].address, "tcp://127.0.0.1:2");
	ck_assert_str_eq(list.items[1].name, "web-01");
	ck_assert_str_eq(list.items[2].name, "tcp://127.0.0.1:9");
	ck_assert_str_eq(list.items[2].address, "tcp://127.0.0.1:9");
	ck_assert_str_eq(list.items[3].name, "local");
	ck_assert_ptr_null(list.items[3].address);
	sl_target_list_deinit(&list);

	ck_assert_int_eq(sl_targets_resolve(targets, "@all", &list, &err), 0);
	ck_assert_uint_eq(list.n, 3);
	sl_target_list_deinit(&list);
	sl_targets_free(targets);
}
END_TEST

START_TEST(the_last_word_on_an_address_counts)
{
	struct sl_targets *targets = inventory();
	struct sl_target_list list = {0};

	ck_assert_int_eq(sl_targets_add_pair(targets, "db=tcp://[::1]:5", "--agent", &err), 0);
	ck_assert_int_eq(sl_targets_resolve(targets, "db", &list, &err), 0);
	ck_assert_str_eq(list.items[0].address, "tcp://[::1]:5");
	ck_assert_uint_eq(sl_targets_n(targets), 3);
	sl_target_list_deinit(&list);
	sl_targets_free(targets);
}
END_TEST

START_TEST(what_is_unknown_says_where_it_was_looked_up)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"mariguica", "add it with -a mariguica=ADDRESS"},
		{"web-1", "did you mean 'web-01'?"},
		{"@nope", "groups: [nope]"},
		{"@lost", "agent 'nobody', which has no address"},
		{"", "names no target"},
		{" , ", "names no target"},
		{"http://x", "is no address"},
		{"tcp://x", "is no address"},
	};
	struct sl_targets *targets = inventory();
	struct sl_target_list list = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_lt(sl_targets_resolve(targets, rows[i].text, &list, &err), 0);
		ck_assert_msg(strstr(err.text, rows[i].says), "%s: %s", rows[i].text, err.text);
	}
	sl_target_list_deinit(&list);
	sl_targets_free(targets);

	targets = sl_targets_new();
	ck_assert_int_eq(sl_targets_resolve(targets, "@all", &list, &err), SL_ENOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "no agents are known"));
	sl_targets_free(targets);
}
END_TEST

START_TEST(bad_names_and_addresses_are_refused)
{
	static const char *const rows[] = {"a", "=tcp://x:1", "a=", "a b=tcp://x:1",
		"-a=tcp://x:1", "a=ipc://", "a=x:1", "@a=tcp://x:1"};
	struct sl_targets *targets = sl_targets_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(sl_targets_add_pair(targets, rows[i], "-a", &err) == SL_EINVALID,
			"%s was taken", rows[i]);
	sl_targets_free(targets);
}
END_TEST

SL_CHECK_MAIN("targets", names_groups_and_addresses_resolve_to_each_agent_once,
	the_last_word_on_an_address_counts, what_is_unknown_says_where_it_was_looked_up,
	bad_names_and_addresses_are_refused)
