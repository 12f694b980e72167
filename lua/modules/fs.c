/* SPDX-License-Identifier: MIT */
#include "lua/modules/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

enum {
	MAX_DEPTH = 512, /* of directories that are removed */
	PIECE = 64 * 1024,
};

/* ---- whole files ---- */

static int read_all(int fd, const char *path, struct sl_buffer *out, struct sl_error *err)
{
	for (;;) {
		char *at = sl_buffer_reserve(out, PIECE);
		ssize_t n;

		if (!at)
			return sl_fail(err, SL_ENOMEM, "%s: not enough memory", path);
		n = read(fd, at, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sl_fail_errno(err, errno, "%s", path);
		if (n == 0)
			return 0;
		out->size += (size_t)n;
		if (out->size > SL_FS_MAX_BYTES)
			return sl_fail(err, SL_ETOO_LARGE, "%s: larger than %zu bytes", path,
				SL_FS_MAX_BYTES);
	}
}

static const char *kind_of(mode_t mode)
{
	if (S_ISFIFO(mode))
		return "a pipe";
	return S_ISSOCK(mode) ? "a socket" : "a device";
}

/* What isn't a file has no content to be read whole: it may have no end, or wait for somebody.
 */
static int check_file(const struct stat *there, const char *path, struct sl_error *err)
{
	if (S_ISREG(there->st_mode) || S_ISDIR(there->st_mode))
		return 0;
	return sl_fail(err, SL_EINVALID, "%s: it is %s, not a file: io.open() is for that",
		path, kind_of(there->st_mode));
}

int sl_fs_read(const char *path, struct sl_buffer *out, struct sl_error *err)
{
	struct stat there;
	int fd, code;

	if (stat(path, &there) < 0)
		return sl_fail_errno(err, errno, "%s", path);
	code = check_file(&there, path, err);
	if (code != 0)
		return code;
	/* Even if something else has come to its place it doesn't block. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return sl_fail_errno(err, errno, "%s", path);
	code = read_all(fd, path, out, err);
	close(fd);
	return code;
}

static int write_all(int fd, struct sl_bytes content)
{
	while (content.size > 0) {
		ssize_t n = write(fd, content.data, content.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		content.data += n;
		content.size -= (size_t)n;
	}
	return 0;
}

/* Writes a new file beside @path and puts it into its place. */
static int replace(const char *path, struct sl_bytes content, const struct stat *like,
	struct sl_error *err)
{
	char *beside;
	int fd, errnum;

	if (asprintf(&beside, "%s.XXXXXX", path) < 0)
		return sl_fail(err, SL_ENOMEM, "%s: not enough memory", path);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0) {
		errnum = errno;
		free(beside);
		return sl_fail_errno(err, errnum, "%s", path);
	}
	/* Only root can give it to whom it belonged; else it is ours, as a new one would be. */
	if (fchown(fd, like->st_uid, like->st_gid) < 0 && errno != EPERM)
		errnum = errno;
	else if (write_all(fd, content) < 0 || fchmod(fd, like->st_mode & 07777) < 0 ||
		 fsync(fd) < 0 || rename(beside, path) < 0)
		errnum = errno;
	else
		errnum = 0;
	close(fd);
	if (errnum != 0)
		unlink(beside);
	free(beside);
	return errnum == 0 ? 0 : sl_fail_errno(err, errnum, "%s", path);
}

/* A device: what is written to it goes through it. Nothing waits here: of a pipe that nobody
 * reads, or of what can take no more, it is an error. */
static int write_through(
	const char *path, int flags, struct sl_bytes content, struct sl_error *err)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags, 0666);
	int errnum = 0;

	if (fd < 0 && errno == ENXIO)
		return sl_fail(err, SL_ESYSTEM, "%s: nobody reads from this pipe", path);
	if (fd < 0)
		return sl_fail_errno(err, errno, "%s", path);
	if (write_all(fd, content) < 0)
		errnum = errno;
	if (close(fd) < 0 && errnum == 0)
		errnum = errno;
	return errnum == 0 ? 0 : sl_fail_errno(err, errnum, "%s", path);
}

/* What a new file is made like. The mask can only be read by changing it, for all threads. */
static struct stat new_file(void)
{
	struct stat like = {
		.st_mode = S_IFREG | 0644, .st_uid = geteuid(), .st_gid = getegid()};
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	unsigned mask;

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "Umask: %o", &mask) == 1)
			like.st_mode = S_IFREG | (0666 & ~mask);
	if (status)
		fclose(status);
	return like;
}

static int write_like(const char *path, struct sl_bytes content, const struct stat *like,
	struct sl_error *err)
{
	char *real;
	struct stat there;
	int code;

	if (stat(path, &there) < 0) {
		if (errno != ENOENT)
			return sl_fail_errno(err, errno, "%s", path);
		there = like ? *like : new_file();
	} else if (S_ISDIR(there.st_mode)) {
		return sl_fail_errno(err, EISDIR, "%s", path);
	} else if (!S_ISREG(there.st_mode)) {
		return write_through(path, 0, content, err);
	}
	if (like)
		there.st_mode = like->st_mode;
	real = realpath(path, NULL);
	code = replace(real ? real : path, content, &there, err);
	free(real);
	return code;
}

int sl_fs_write(const char *path, struct sl_bytes content, struct sl_error *err)
{
	return write_like(path, content, NULL, err);
}

int sl_fs_append(const char *path, struct sl_bytes content, struct sl_error *err)
{
	return write_through(path, O_CREAT | O_APPEND, content, err);
}

int sl_fs_copy(const char *from, const char *to, struct sl_error *err)
{
	struct sl_buffer content = SL_BUFFER_INIT;
	struct stat like;
	int code = sl_fs_stat(from, false, &like, err);

	if (code == 0)
		code = sl_fs_read(from, &content, err);
	if (code == 0)
		code = write_like(to, sl_buffer_bytes(&content), &like, err);
	sl_buffer_deinit(&content);
	return code;
}

int sl_fs_rename(const char *from, const char *to, struct sl_error *err)
{
	if (rename(from, to) == 0)
		return 0;
	return sl_fail_errno(err, errno, "%s to %s", from, to);
}

int sl_fs_stat(const char *path, bool of_link, struct stat *out, struct sl_error *err)
{
	struct stat found;

	if ((of_link ? lstat(path, &found) : stat(path, &found)) < 0)
		return sl_fail_errno(err, errno, "%s", path);
	*out = found;
	return 0;
}

/* ---- directories ---- */

static int make_one(const char *path, struct sl_error *err)
{
	struct stat there;
	int errnum;

	if (mkdir(path, 0777) == 0)
		return 0;
	errnum = errno;
	if (stat(path, &there) == 0) {
		if (S_ISDIR(there.st_mode))
			return 0;
		errnum = ENOTDIR;
	}
	return sl_fail_errno(err, errnum, "%s", path);
}

int sl_fs_mkdir(const char *path, struct sl_error *err)
{
	char *part = strdup(path);
	int code = 0;

	if (!part)
		return sl_fail(err, SL_ENOMEM, "%s: not enough memory", path);
	for (char *at = part + 1; path[0] != '\0' && *at != '\0' && code == 0; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		code = make_one(part, err);
		*at = '/';
	}
	free(part);
	return code == 0 ? make_one(path, err) : code;
}

static int remove_at(int dir, const char *name, int depth);

/* Takes @fd. Returns 0 or an errno. */
static int empty(int fd, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int errnum = 0;

	if (!dir) {
		errnum = errno;
		close(fd);
		return errnum;
	}
	while (errnum == 0 && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			errnum = remove_at(fd, entry->d_name, depth);
	if (errnum == 0)
		errnum = errno;
	closedir(dir);
	return errnum;
}

/* Removes @name, whatever it is. Returns 0 or an errno. */
static int remove_at(int dir, const char *name, int depth)
{
	int fd, errnum;

	if (unlinkat(dir, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return errno;
	errnum = errno;
	if (depth == MAX_DEPTH)
		return ELOOP;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR ? errnum : errno;
	errnum = empty(fd, depth + 1);
	if (errnum == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		errnum = errno;
	return errnum;
}

int sl_fs_remove(const char *path, bool recursive, struct sl_error *err)
{
	int errnum = 0;

	if (recursive)
		errnum = remove_at(AT_FDCWD, path, 0);
	else if (remove(path) < 0)
		errnum = errno;
	return errnum == 0 ? 0 : sl_fail_errno(err, errnum, "%s", path);
}

static int is_entry(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int sl_fs_list(const char *path, void (*fn)(void *ctx, const char *name), void *ctx,
	struct sl_error *err)
{
	struct dirent **entries;
	int n = scandir(path, &entries, is_entry, by_name);

	if (n < 0)
		return sl_fail_errno(err, errno, "%s", path);
	for (int i = 0; i < n; i++) {
		fn(ctx, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

int sl_fs_glob(const char *pattern, void (*fn)(void *ctx, const char *path), void *ctx,
	struct sl_error *err)
{
	glob_t found = {0};
	int result = glob(pattern, GLOB_BRACE | GLOB_TILDE, NULL, &found);

	if (result == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			fn(ctx, found.gl_pathv[i]);
	globfree(&found);
	if (result == 0 || result == GLOB_NOMATCH)
		return 0;
	return sl_fail(err, result == GLOB_NOSPACE ? SL_ENOMEM : SL_ESYSTEM,
		"%s: cannot look for it", pattern);
}

int sl_fs_tmp(const char *place, char *path, size_t size, struct sl_error *err)
{
	if (snprintf(path, size, "%s/sloth.XXXXXX", place) >= (int)size)
		return sl_fail(err, SL_ETOO_LARGE, "TMPDIR is too long");
	if (!mkdtemp(path))
		return sl_fail_errno(err, errno, "%s", path);
	return 0;
}
