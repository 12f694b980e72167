/* SPDX-License-Identifier: MIT */
#include "controller/private_dir.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/support/check_main.h"

static char base[40];
static struct sl_error err;

static void prepare(void)
{
	strcpy(base, "/tmp/sloth-base-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	setenv("XDG_RUNTIME_DIR", base, 1);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

START_TEST(a_directory_goes_with_all_that_is_in_it)
{
	struct sl_private_dir dir = {0};
	char path[200], inner[220];
	struct stat st;

	prepare();
	ck_assert_int_eq(sl_private_dir_init(&dir, &err), 0);
	ck_assert_int_eq(strncmp(dir.path, base, strlen(base)), 0);
	ck_assert_int_eq(stat(dir.path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s", dir.path);
	snprintf(inner, sizeof(inner), "%s/state", path);
	ck_assert_int_eq(mkdir(inner, 0700), 0);
	sl_private_dir_deinit(&dir);
	ck_assert(!exists(path));
	ck_assert_int_eq(rmdir(base), 0);
}
END_TEST

START_TEST(what_a_killed_run_left_the_next_one_removes_and_no_more)
{
	struct sl_private_dir mine = {0}, other = {0};
	char left[100];
	int ends[2], status;
	pid_t child;

	prepare();
	ck_assert_int_eq(sl_private_dir_init(&mine, &err), 0);
	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		struct sl_private_dir dir = {0};

		if (sl_private_dir_init(&dir, NULL) == 0 &&
			write(ends[1], dir.path, sizeof(dir.path)) == sizeof(dir.path))
			raise(SIGKILL);
		_exit(1);
	}
	ck_assert_int_eq(read(ends[0], left, sizeof(left)), (ssize_t)sizeof(left));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(exists(left));
	ck_assert_int_eq(sl_private_dir_init(&other, &err), 0);
	ck_assert(!exists(left));
	ck_assert(exists(mine.path));
	sl_private_dir_deinit(&mine);
	sl_private_dir_deinit(&other);
	ck_assert_int_eq(rmdir(base), 0);
}
END_TEST

SL_CHECK_MAIN("private_dir", a_directory_goes_with_all_that_is_in_it,
	what_a_killed_run_left_the_next_one_removes_and_no_more)
