/* SPDX-License-Identifier: MIT */
#include "lua/schedule/glance.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

static int64_t cpu_time_of(pthread_t thread)
{
	clockid_t clock;
	struct timespec time;

	if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) < 0)
		return -1;
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* The letter behind "TID (name)"; a name may have anything in it. */
static enum sl_glance_state state_of(pid_t tid)
{
	char path[64], text[128];
	const char *name_end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return SL_GLANCE_UNKNOWN;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return SL_GLANCE_UNKNOWN;
	text[n] = '\0';
	name_end = strrchr(text, ')');
	if (!name_end || name_end[1] != ' ')
		return SL_GLANCE_UNKNOWN;
	/* Sleeping, on a disk or otherwise. One that somebody has stopped would run if it
	 * could. */
	return name_end[2] == 'S' || name_end[2] == 'D' ? SL_GLANCE_BLOCKED
	                                                : SL_GLANCE_WANTS_CPU;
}

void sl_glance_take(pthread_t thread, pid_t tid, struct sl_glance *out)
{
	out->at_ns = sl_clock_monotonic_ns();
	out->cpu_ns = cpu_time_of(thread);
	out->state = state_of(tid);
}

int64_t sl_glance_between(
	const struct sl_glance *before, const struct sl_glance *after, int64_t most_ns)
{
	bool is_known = before->cpu_ns >= 0 && after->cpu_ns >= 0;
	int64_t passed = after->at_ns - before->at_ns;
	int64_t ran = is_known ? after->cpu_ns - before->cpu_ns : 0;

	if (passed > most_ns)
		passed = most_ns;
	if (is_known && (after->state == SL_GLANCE_WANTS_CPU || ran > passed))
		return ran;
	return passed;
}
