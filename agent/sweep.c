/* SPDX-License-Identifier: MIT */
#include "agent/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "common/error.h"

int sl_sweep_become_reaper(struct sl_error *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return sl_fail_errno(err, errno, "cannot become a child subreaper");
	return 0;
}

static int sweep_file(FILE *children, bool (*keep)(void *ctx, pid_t pid), void *ctx)
{
	int n = 0;
	long pid;

	while (fscanf(children, "%ld", &pid) == 1) {
		if (keep(ctx, (pid_t)pid))
			continue;
		/* A child that is not reaped can't have given its number to another. */
		kill((pid_t)pid, SIGKILL);
		n++;
	}
	return n;
}

int sl_sweep(bool (*keep)(void *ctx, pid_t pid), void *ctx, struct sl_error *err)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *thread;
	int n = 0, n_files = 0;

	if (!threads)
		return sl_fail_errno(err, errno, "cannot read /proc/self/task");
	while ((thread = readdir(threads))) {
		char path[300];
		FILE *children;

		if (thread->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/children", thread->d_name);
		children = fopen(path, "re");
		if (!children)
			continue;
		n_files++;
		n += sweep_file(children, keep, ctx);
		fclose(children);
	}
	closedir(threads);
	if (n_files == 0)
		return sl_fail(err, SL_ESYSTEM,
			"/proc/self/task/*/children cannot be read: the kernel was built "
			"without CONFIG_PROC_CHILDREN, or /proc is restricted");
	return n;
}
