/* SPDX-License-Identifier: MIT */

/*
 * libcurl comes into the process when it is asked for, and says why when it can't.
 */

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/error.h"
#include "lua/modules/curl_library.h"
#include "tests/support/check_main.h"

static bool is_in_the_process(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false;
	char line[512];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, "/libcurl") != NULL;
	fclose(maps);
	return found;
}

START_TEST(a_program_does_without_it_until_it_is_asked_for)
{
	struct sl_error err;

	ck_assert(!is_in_the_process());
	ck_assert_int_eq(sl_curl_library_load(&err), 0);
	ck_assert(is_in_the_process());
	ck_assert_str_eq(sl_curl.easy_strerror(CURLE_OK), "No error");
}
END_TEST

START_TEST(what_can_not_be_loaded_is_said_and_tried_again)
{
	struct rlimit files, none;
	struct sl_error err;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = (struct rlimit){0, files.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(sl_curl_library_load(&err), SL_ESYSTEM);
	ck_assert_ptr_nonnull(strstr(err.text, "http can't load libcurl; is it installed?"));
	ck_assert_ptr_nonnull(strstr(err.text, "libcurl.so"));

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_int_eq(sl_curl_library_load(&err), 0);
	ck_assert_str_eq(sl_curl.easy_strerror(CURLE_OK), "No error");
}
END_TEST

SL_CHECK_MAIN("curl_library", a_program_does_without_it_until_it_is_asked_for,
	what_can_not_be_loaded_is_said_and_tried_again)
