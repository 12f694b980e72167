/* SPDX-License-Identifier: MIT */
#include "lua/modules/kin.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lua/modules/deaths.h"

#define MARK "SLOTH_EXEC_ID"
#define MAX_ENVIRON ((size_t)256 * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sl_kin *first; /* guarded by: lock; of all commands that run */
static pid_t *abandoned;     /* guarded by: lock */
static size_t n_abandoned;   /* guarded by: lock */

void sl_kin_mark(struct sl_kin *kin)
{
	static _Atomic unsigned long long n;

	*kin = (struct sl_kin){.root = 0};
	snprintf(kin->mark, sizeof(kin->mark), MARK "=%d.%llu", (int)getpid(),
		atomic_fetch_add(&n, 1));
}

static void reap_locked(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_abandoned; i++)
		if (waitpid(abandoned[i], NULL, WNOHANG) == 0)
			abandoned[kept++] = abandoned[i];
	n_abandoned = kept;
}

void sl_kin_join(struct sl_kin *kin, pid_t root)
{
	kin->root = root;
	kin->prev = NULL;
	pthread_mutex_lock(&lock);
	reap_locked();
	kin->next = first;
	if (first)
		first->prev = kin;
	first = kin;
	pthread_mutex_unlock(&lock);
}

void sl_kin_reap(void)
{
	pthread_mutex_lock(&lock);
	reap_locked();
	pthread_mutex_unlock(&lock);
}

static void leave_locked(struct sl_kin *kin)
{
	if (kin->prev)
		kin->prev->next = kin->next;
	else
		first = kin->next;
	if (kin->next)
		kin->next->prev = kin->prev;
	kin->root = 0;
}

void sl_kin_leave(struct sl_kin *kin)
{
	pthread_mutex_lock(&lock);
	leave_locked(kin);
	pthread_mutex_unlock(&lock);
}

void sl_kin_abandon(struct sl_kin *kin)
{
	pid_t *more;

	pthread_mutex_lock(&lock);
	more = realloc(abandoned, (n_abandoned + 1) * sizeof(*more));
	if (more) { /* else it stays unreaped until this process ends */
		abandoned = more;
		abandoned[n_abandoned++] = kin->root;
	}
	leave_locked(kin);
	pthread_mutex_unlock(&lock);
}

/* Whether it began another command: also one that has ended, or that nobody waits for. */
static bool is_root(pid_t pid)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (struct sl_kin *kin = first; kin && !found; kin = kin->next)
		found = kin->root == pid;
	for (size_t i = 0; i < n_abandoned && !found; i++)
		found = abandoned[i] == pid;
	pthread_mutex_unlock(&lock);
	return found;
}

/* ---- looking for them ---- */

struct found {
	pid_t pid;
	bool ours;
};

/* All that descend from this process, other commands left out, parents before children. */
struct family {
	const struct sl_kin *kin;
	struct found *list;
	size_t n, room;
};

static bool has_mark(const struct sl_kin *kin, pid_t pid)
{
	size_t size = strlen(kin->mark) + 1, n = 0;
	char path[64], *text;
	bool found = false;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	text = malloc(MAX_ENVIRON);
	while (text && n < MAX_ENVIRON && (got = read(fd, text + n, MAX_ENVIRON - n)) > 0)
		n += (size_t)got;
	for (size_t at = 0; at + size <= n && !found; at += strnlen(text + at, n - at) + 1)
		found = memcmp(text + at, kin->mark, size) == 0;
	free(text);
	close(fd);
	return found;
}

static void add(struct family *family, pid_t pid, bool parent_is_ours)
{
	const struct sl_kin *kin = family->kin;
	bool ours = parent_is_ours || pid == kin->root;

	for (size_t i = 0; i < family->n; i++)
		if (family->list[i].pid == pid)
			return;
	if (!ours && is_root(pid))
		return;
	if (family->n == family->room) {
		size_t room = family->room ? family->room * 2 : 64;
		struct found *list = realloc(family->list, room * sizeof(*list));

		if (!list)
			return;
		family->list = list;
		family->room = room;
	}
	ours = ours || getsid(pid) == kin->root || has_mark(kin, pid);
	family->list[family->n++] = (struct found){pid, ours};
}

static void add_children_of_thread(struct family *family, const char *path, bool ours)
{
	FILE *children = fopen(path, "re");
	long pid;

	if (!children)
		return;
	while (fscanf(children, "%ld", &pid) == 1)
		add(family, (pid_t)pid, ours);
	fclose(children);
}

static void add_children(struct family *family, pid_t parent, bool ours)
{
	char path[400];
	struct dirent *thread;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)parent);
	threads = opendir(path);
	if (!threads)
		return;
	while ((thread = readdir(threads))) {
		if (thread->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)parent,
			thread->d_name);
		add_children_of_thread(family, path, ours);
	}
	closedir(threads);
}

/* Whose parent dies meanwhile is our child by the time that we look at the parent's. So our own
 * come last, once more. */
static void look(struct family *family)
{
	size_t n_before, n_asked = 0;

	family->n = 0;
	do {
		n_before = family->n;
		add_children(family, getpid(), false);
		for (; n_asked < family->n; n_asked++)
			add_children(
				family, family->list[n_asked].pid, family->list[n_asked].ours);
	} while (family->n > n_before);
}

/* ---- ending them ---- */

void sl_kin_kill(struct sl_kin *kin, struct sl_deaths *deaths)
{
	struct family family = {.kin = kin};
	bool more;

	if (kin->root == 0)
		return;
	/* As long as it lives, its children are known by it, whatever else they hide. */
	kill(-kin->root, SIGSTOP);
	deaths->root = kin->root;
	/* A process that has been killed begins no other one: as long as a look finds any that
	 * was not there before, there may be more. */
	do {
		more = false;
		look(&family);
		for (size_t i = 0; i < family.n; i++)
			if (family.list[i].ours && sl_deaths_kill(deaths, family.list[i].pid))
				more = true;
	} while (more);
	free(family.list);
	kill(-kin->root, SIGKILL); /* where nothing could be seen */
	sl_deaths_kill(deaths, kin->root);
}
