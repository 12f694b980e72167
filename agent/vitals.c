/* SPDX-License-Identifier: MIT */
#include "agent/vitals.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "proto/message.h"

/* Pages, in total and resident. */
static void read_statm(pid_t pid, uint64_t *out_total, uint64_t *out_resident)
{
	unsigned long total = 0, resident = 0;
	char path[40];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%lu %lu", &total, &resident) != 2)
		total = resident = 0;
	if (file)
		fclose(file);
	*out_total = total;
	*out_resident = resident;
}

uint64_t sl_vitals_resident_bytes(pid_t pid)
{
	uint64_t total, resident;

	read_statm(pid, &total, &resident);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void sl_vitals_take(struct sl_stat *out)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	out->pid = (uint64_t)getpid();
	out->rss_bytes = sl_vitals_resident_bytes(getpid());
	out->cpus = cpus > 0 ? (uint64_t)cpus : 0;
	if (getloadavg(&out->load1, 1) != 1)
		out->load1 = 0;
}

/* Ticks since the machine was started: field 22 of /proc/self/stat, behind a name in brackets
 * that may have anything in it. */
static long long start_ticks(void)
{
	char text[1024], *at;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[n] = 0;
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoll(at, NULL, 10) : 0;
}

/* Found out once: it would not come out the same to the microsecond. */
static int64_t start_ns(void)
{
	static int64_t known;
	struct timespec up;
	long long ticks;

	if (known)
		return known;
	ticks = start_ticks();
	if (ticks == 0 || clock_gettime(CLOCK_BOOTTIME, &up) < 0)
		return 0;
	known = sl_clock_wall_us() * 1000 - (int64_t)up.tv_sec * 1000000000 - up.tv_nsec +
	        ticks * (1000000000 / sysconf(_SC_CLK_TCK));
	return known;
}

static uint64_t count_fds(void)
{
	uint64_t n = 0;
	struct stat st;
	DIR *dir;

	/* Linux 6.2 says it without having them listed. */
	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and the directory itself */
}

void sl_vitals_of_process(struct sl_vitals *out)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct timespec cpu = {0};
	struct rlimit limit;

	*out = (struct sl_vitals){.start_ns = start_ns(), .open_fds = count_fds()};
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	out->cpu_ns = (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec;
	read_statm(getpid(), &out->virtual_bytes, &out->resident_bytes);
	out->virtual_bytes *= page;
	out->resident_bytes *= page;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		out->max_fds = limit.rlim_cur;
}
