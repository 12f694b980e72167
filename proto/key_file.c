/* SPDX-License-Identifier: MIT */
#include "proto/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

/* The permissions of what was opened, not of what the path leads to a moment later. */
static int check_open(int fd, const char *path, struct sl_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return sl_fail_errno(err, errno, "cannot look at key file '%s'", path);
	if (!S_ISREG(st.st_mode))
		return sl_fail(err, SL_EINVALID, "key file '%s' is no plain file", path);
	if (st.st_mode & 077)
		return sl_fail(err, SL_EDENIED,
			"key file '%s' is open to others (mode %04o): run chmod 600 on it, and "
			"make a new key if somebody may have read it",
			path, st.st_mode & 07777);
	return 0;
}

static int read_text(
	int fd, const char *path, char out[SL_MAX_KEY_FILE_BYTES], struct sl_error *err)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, out + n, SL_MAX_KEY_FILE_BYTES - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return sl_fail_errno(err, errno, "cannot read key file '%s'", path);
		if (got == 0)
			break;
		n += (size_t)got;
		if (n == SL_MAX_KEY_FILE_BYTES)
			return sl_fail(
				err, SL_EINVALID, "'%s' is too long to be a key file", path);
	}
	out[n] = '\0';
	return 0;
}

int sl_key_file_read_secret(
	const char *path, char out[SL_MAX_KEY_FILE_BYTES], struct sl_error *err)
{
	/* Not to wait for the other end of what may be a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;

	if (fd < 0 && errno == ENOENT)
		return sl_fail(err, SL_ENOT_FOUND, "there is no key file '%s'", path);
	if (fd < 0)
		return sl_fail_errno(err, errno, "cannot open key file '%s'", path);
	rc = check_open(fd, path, err);
	if (rc == 0)
		rc = read_text(fd, path, out, err);
	close(fd);
	return rc;
}

static int write_text(int fd, const char *text)
{
	size_t n = strlen(text);

	while (n > 0) {
		ssize_t put = write(fd, text, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		text += put;
		n -= (size_t)put;
	}
	return fsync(fd);
}

/* Gives the file at @temporary its name, unless that is taken. */
static int publish(const char *temporary, const char *path, struct sl_error *err)
{
	if (link(temporary, path) == 0)
		return 0;
	if (errno == EEXIST)
		return sl_fail(err, SL_EINVALID,
			"'%s' exists already: it is not written over, move it away first",
			path);
	return sl_fail_errno(err, errno, "cannot make '%s'", path);
}

int sl_key_file_create(const char *path, const char *text, mode_t mode, struct sl_error *err)
{
	char temporary[PATH_MAX];
	int fd, rc;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return sl_fail(err, SL_EINVALID, "the path '%.80s...' is too long", path);
	fd = mkostemp(temporary, O_CLOEXEC); /* 0600 and new */
	if (fd < 0)
		return sl_fail_errno(err, errno, "cannot make a file beside '%s'", path);
	if (write_text(fd, text) || fchmod(fd, mode))
		rc = sl_fail_errno(err, errno, "cannot write '%s'", path);
	else
		rc = publish(temporary, path, err);
	close(fd);
	unlink(temporary);
	return rc;
}
