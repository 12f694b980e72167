/* SPDX-License-Identifier: MIT */
#include "controller/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "proto/identity.h"
#include "tests/support/check_main.h"

static char dir[40], path[100];
static struct sl_error err;
static struct sl_identity made, found;

/* A home of its own; a new key at @name in it. */
static void prepare(const char *name)
{
	char config[80];

	strcpy(dir, "/tmp/sloth-key-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(config, sizeof(config), "%s/sloth", dir);
	ck_assert_int_eq(mkdir(config, 0700), 0);
	setenv("XDG_CONFIG_HOME", dir, 1);
	unsetenv("SLOTH_KEY_FILE");
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(sl_identity_generate(&made, &err), 0);
	ck_assert_int_eq(sl_identity_save(&made, path, "test", &err), 0);
}

static void clean_up(void)
{
	char name[120];

	unlink(path);
	snprintf(name, sizeof(name), "%s.pub", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s/sloth", dir);
	rmdir(name);
	rmdir(dir);
}

static bool same(void)
{
	return memcmp(found.public_key, made.public_key, sizeof(made.public_key)) == 0;
}

START_TEST(the_key_of_the_configuration_is_found)
{
	prepare("sloth/id_ed25519");
	ck_assert_int_eq(sl_key_find(NULL, &found, &err), 0);
	ck_assert(same());
	clean_up();
}
END_TEST

START_TEST(a_named_key_comes_first_and_must_be_there)
{
	prepare("other");
	ck_assert_int_eq(sl_key_find(path, &found, &err), 0);
	ck_assert(same());
	setenv("SLOTH_KEY_FILE", path, 1);
	memset(&found, 0, sizeof(found));
	ck_assert_int_eq(sl_key_find(NULL, &found, &err), 0);
	ck_assert(same());
	setenv("SLOTH_KEY_FILE", "/nowhere/key", 1);
	ck_assert_int_eq(sl_key_find(NULL, &found, &err), SL_ENOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/key"));
	clean_up();
}
END_TEST

SL_CHECK_MAIN(
	"key", the_key_of_the_configuration_is_found, a_named_key_comes_first_and_must_be_there)
