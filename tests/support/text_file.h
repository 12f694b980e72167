/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A text in a file of its own, for what is read from files.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writes @text to a new file and its path to @out (at least 64 bytes); unlink() it. */
static inline const char *sl_text_file(const char *text, char *out)
{
	size_t n = strlen(text);
	int fd;

	strcpy(out, "/tmp/sloth-test-XXXXXX");
	fd = mkstemp(out);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
	close(fd);
	return out;
}
