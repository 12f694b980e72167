/* SPDX-License-Identifier: MIT */
#include "agent/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "proto/identity.h"
#include "tests/support/check_main.h"

static char dir[64], state_dir[128], keys_path[128];
static const uint32_t uids[] = {4711, 4712};
static struct sl_trust_config config = {state_dir, keys_path, "mariguica", uids, 2};
static struct sl_trust *trust;

static void set_up(void)
{
	strcpy(dir, "/tmp/sloth-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	snprintf(keys_path, sizeof(keys_path), "%s/authorized_keys", dir);
}

static void tear_down(void)
{
	char command[128];

	sl_trust_free(trust);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static void start(void)
{
	struct sl_error err;

	ck_assert_msg(sl_trust_new(&config, &trust, &err) == 0, "%s", err.text);
}

static void write_keys(const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s.new", keys_path);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	ck_assert_int_eq(rename(path, keys_path), 0);
}

static void new_key(struct sl_identity *out, char *line, size_t size, const char *comment)
{
	char text[80];

	ck_assert_int_eq(sl_identity_generate(out, NULL), 0);
	sl_public_key_format(out->public_key, text, sizeof(text));
	snprintf(line, size, "%s %s\n", text, comment);
}

static bool knows(const struct sl_identity *identity, char who[64])
{
	return sl_trust_knows_key(trust, identity->public_key, who, 64);
}

START_TEST(the_first_start_makes_a_private_directory_and_a_key_that_stays)
{
	struct sl_identity first, second;
	char path[160], who[64];
	struct stat stat_;

	start();
	ck_assert_int_eq(stat(state_dir, &stat_), 0);
	ck_assert_int_eq(stat_.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/local.key", state_dir);
	ck_assert_int_eq(sl_identity_load(path, &first, NULL), 0);
	ck_assert(knows(&first, who));
	ck_assert_str_eq(who, "local");
	sl_trust_free(trust);
	start();
	ck_assert_int_eq(sl_identity_load(path, &second, NULL), 0);
	ck_assert_mem_eq(first.public_key, second.public_key, sizeof(first.public_key));
}
END_TEST

START_TEST(an_open_state_directory_is_made_private)
{
	struct stat stat_;

	ck_assert_int_eq(mkdir(state_dir, 0755), 0);
	start();
	ck_assert_int_eq(stat(state_dir, &stat_), 0);
	ck_assert_int_eq(stat_.st_mode & 0777, 0700);
}
END_TEST

START_TEST(a_state_directory_that_is_none_is_refused)
{
	struct sl_error err;
	FILE *file = fopen(state_dir, "we");

	fclose(file);
	ck_assert_int_eq(sl_trust_new(&config, &trust, &err), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, state_dir));
	trust = NULL;
}
END_TEST

START_TEST(lines_of_authorized_keys_are_known_and_broken_ones_skipped)
{
	struct sl_identity a, b, stranger;
	char line_a[128], line_b[128], text[600], who[64];

	new_key(&a, line_a, sizeof(line_a), "ana at work");
	new_key(&b, line_b, sizeof(line_b), "");
	new_key(&stranger, text, sizeof(text), "");
	snprintf(text, sizeof(text), "# people\n\n%sssh-rsa AAAA nobody\n  %s", line_a, line_b);
	write_keys(text);
	start();
	ck_assert(knows(&a, who));
	ck_assert_str_eq(who, "ana at work");
	ck_assert(knows(&b, who));
	ck_assert(!knows(&stranger, who));
}
END_TEST

START_TEST(a_changed_file_counts_at_once)
{
	struct sl_identity a, b;
	char line_a[128], line_b[128], who[64];

	new_key(&a, line_a, sizeof(line_a), "a");
	new_key(&b, line_b, sizeof(line_b), "b");
	start();
	ck_assert(!knows(&a, who));
	write_keys(line_a);
	ck_assert(knows(&a, who));
	write_keys(line_b);
	ck_assert(!knows(&a, who));
	ck_assert(knows(&b, who));
	unlink(keys_path);
	ck_assert(!knows(&b, who));
}
END_TEST

START_TEST(root_the_own_user_and_named_uids_are_trusted)
{
	start();
	ck_assert(sl_trust_knows_uid(trust, 0));
	ck_assert(sl_trust_knows_uid(trust, geteuid()));
	ck_assert(sl_trust_knows_uid(trust, 4712));
	ck_assert(!sl_trust_knows_uid(trust, 4713));
}
END_TEST

SL_CHECK_MAIN_WITH("trust", set_up, tear_down,
	the_first_start_makes_a_private_directory_and_a_key_that_stays,
	an_open_state_directory_is_made_private, a_state_directory_that_is_none_is_refused,
	lines_of_authorized_keys_are_known_and_broken_ones_skipped,
	a_changed_file_counts_at_once, root_the_own_user_and_named_uids_are_trusted)
