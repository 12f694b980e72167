/* SPDX-License-Identifier: MIT */
#include "controller/private_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"

#define PREFIX "sloth-run-"
#define MAX_PLACE 70

static const char *place(void)
{
	const char *names[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR")};

	for (size_t i = 0; i < 2; i++)
		if (names[i] && names[i][0] == '/' && strlen(names[i]) <= MAX_PLACE &&
			access(names[i], W_OK) == 0)
			return names[i];
	return "/tmp";
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	/* What can't be removed stays; there is nobody to act on it. */
	if (remove(path) != 0)
		sl_log(SL_LOG_DEBUG, "can't remove path=%s", path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Removes @path when it is ours and its run is gone. One without a lock is being made. */
static void remove_if_stale(const char *path)
{
	char name[MAX_PLACE + 300];
	struct stat st;
	int fd;

	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return;
	snprintf(name, sizeof(name), "%s/lock", path);
	fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		remove_tree(path);
	close(fd);
}

static void remove_stale(const char *in)
{
	DIR *dir = opendir(in);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		char path[MAX_PLACE + 280];

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", in, entry->d_name);
		remove_if_stale(path);
	}
	if (dir)
		closedir(dir);
}

/* The lock appears under its name when it is held: nobody finds it free before. */
static int take_lock(const char *path, struct sl_error *err)
{
	char making[140], name[140];
	int fd;

	snprintf(making, sizeof(making), "%s/lock.new", path);
	snprintf(name, sizeof(name), "%s/lock", path);
	fd = open(making, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return sl_fail_errno(err, errno, "can't make %s", making);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || rename(making, name) != 0) {
		int errnum = errno;

		close(fd);
		return sl_fail_errno(err, errnum, "can't lock %s", making);
	}
	return fd;
}

int sl_private_dir_init(struct sl_private_dir *dir, struct sl_error *err)
{
	const char *in = place();
	char path[sizeof(dir->path)];
	int lock;

	remove_stale(in);
	snprintf(path, sizeof(path), "%.*s/" PREFIX "XXXXXX", MAX_PLACE, in);
	if (!mkdtemp(path))
		return sl_fail_errno(err, errno, "can't make a directory in %s", in);
	lock = take_lock(path, err);
	if (lock < 0) {
		remove_tree(path);
		return lock;
	}
	memcpy(dir->path, path, sizeof(path));
	dir->lock = lock;
	return 0;
}

void sl_private_dir_deinit(struct sl_private_dir *dir)
{
	if (!dir->path[0])
		return;
	remove_tree(dir->path);
	close(dir->lock);
	*dir = (struct sl_private_dir){0};
}
