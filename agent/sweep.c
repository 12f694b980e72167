/* SPDX-License-Identifier: MIT */
#include "agent/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
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

/* Takes note of the first one, and keeps none. */
static bool note(void *ctx, pid_t pid)
{
	pid_t *first = ctx;

	if (*first == 0)
		*first = pid;
	return false;
}

static bool is_alone(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* Waits until @pid, a child, has died or it is @until_ms. */
static int await_death(pid_t pid, int64_t until_ms, struct sl_error *err)
{
	int64_t left_ms = until_ms - sl_clock_monotonic_ms();
	struct pollfd death = {.events = POLLIN};

	death.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (death.fd < 0)
		return sl_fail_errno(err, errno, "cannot wait for process %d", (int)pid);
	poll(&death, 1, left_ms > 0 ? (int)left_ms : 0);
	close(death.fd);
	return 0;
}

int sl_sweep_out(int ms, struct sl_error *err)
{
	int64_t until_ms = sl_clock_monotonic_ms() + ms;
	int code = 0;

	while (code >= 0 && !is_alone()) {
		pid_t first = 0;

		if (sl_clock_monotonic_ms() >= until_ms)
			return sl_fail(err, SL_ESYSTEM,
				"some of its processes have been killed and do not die");
		code = sl_sweep(note, &first, err);
		if (code > 0)
			code = await_death(first, until_ms, err);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return code;
}
