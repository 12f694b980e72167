/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/agent_cases.h"
#include "tests/bench/figures.h"
#include "tests/support/agent_client.h"

struct usage {
	double rss_kib;
	uint64_t wakeups; /* of all its threads */
};

static uint64_t wakeups_of(pid_t pid, const char *thread)
{
	unsigned long long n, sum = 0;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", pid, thread);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
			sum += n;
	if (file)
		fclose(file);
	return sum;
}

static struct usage usage_of(pid_t pid)
{
	struct usage usage = {.rss_kib = (double)test_process_rss(pid) / 1024};
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) != NULL)
		usage.wakeups += wakeups_of(pid, entry->d_name);
	if (dir)
		closedir(dir);
	return usage;
}

/* The first child of @pid, 0 for none. */
static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

void agent_measure_idle(const struct test_agent *agent, unsigned seconds)
{
	pid_t pids[3] = {agent->pid, child_of(agent->pid), 0};
	struct usage before[3], after[3];
	uint64_t wakeups = 0;

	sleep(1); /* what is measured is doing nothing: let the last workers go */
	pids[2] = child_of(pids[1]);
	for (int i = 0; i < 3; i++)
		before[i] = usage_of(pids[i]);
	sleep(seconds);
	for (int i = 0; i < 3; i++) {
		after[i] = usage_of(pids[i]);
		wakeups += after[i].wakeups - before[i].wakeups;
	}
	figures_add("idle_main_rss_kib", after[0].rss_kib, NAN);
	figures_add("idle_spawner_rss_kib", after[1].rss_kib, NAN);
	figures_add("idle_agent_rss_kib", after[0].rss_kib + after[1].rss_kib, NAN);
	figures_add("idle_worker_rss_kib", after[2].rss_kib, NAN);
	figures_add("idle_wakeups_per_s", (double)wakeups / seconds, NAN);
}
