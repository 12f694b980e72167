/* SPDX-License-Identifier: MIT */
#include "agent/vitals.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/message.h"

static uint64_t rss_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long total, resident = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void sl_vitals_take(struct sl_stat *out)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	out->pid = (uint64_t)getpid();
	out->rss_bytes = rss_bytes();
	out->cpus = cpus > 0 ? (uint64_t)cpus : 0;
	if (getloadavg(&out->load1, 1) != 1)
		out->load1 = 0;
}
