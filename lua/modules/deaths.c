/* SPDX-License-Identifier: MIT */
#include "lua/modules/deaths.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_fd(struct sl_deaths *deaths)
{
	if (deaths->fd >= 0)
		close(deaths->fd);
	deaths->fd = -1;
}

void sl_deaths_deinit(struct sl_deaths *deaths)
{
	close_fd(deaths);
	free(deaths->pids);
	*deaths = (struct sl_deaths)SL_DEATHS_INIT;
}

static bool is_known(const struct sl_deaths *deaths, pid_t pid)
{
	if (pid == deaths->spared)
		return true;
	for (size_t i = 0; i < deaths->n; i++)
		if (deaths->pids[i] == pid)
			return true;
	return false;
}

static bool reserve(struct sl_deaths *deaths)
{
	size_t room = deaths->room ? deaths->room * 2 : 64;
	pid_t *pids;

	if (deaths->n < deaths->room)
		return true;
	pids = realloc(deaths->pids, room * sizeof(*pids));
	if (!pids)
		return false;
	deaths->pids = pids;
	deaths->room = room;
	return true;
}

bool sl_deaths_kill(struct sl_deaths *deaths, pid_t pid)
{
	if (is_known(deaths, pid))
		return false;
	if (kill(pid, SIGKILL) < 0 && errno == EPERM) {
		if (deaths->spared == 0)
			deaths->spared = pid;
		return false;
	}
	if (!reserve(deaths))
		return false;
	deaths->pids[deaths->n++] = pid;
	return true;
}

static bool is_dead(int pidfd)
{
	struct pollfd death = {.fd = pidfd, .events = POLLIN};

	return poll(&death, 1, 0) > 0;
}

int sl_deaths_next(struct sl_deaths *deaths)
{
	siginfo_t info;

	for (; deaths->at < deaths->n; deaths->at++) {
		pid_t pid = deaths->pids[deaths->at];

		if (deaths->fd < 0)
			deaths->fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (deaths->fd < 0)
			continue; /* it has been reaped */
		if (!is_dead(deaths->fd))
			return deaths->fd;
		/* If it is not our child, this does nothing. */
		if (pid != deaths->root)
			waitid(P_PIDFD, (id_t)deaths->fd, &info, WEXITED | WNOHANG);
		close_fd(deaths);
	}
	return -1;
}

bool sl_deaths_describe(const struct sl_deaths *deaths, char *text, size_t size)
{
	if (deaths->at < deaths->n)
		snprintf(text, size,
			"process %d has been killed and does not die: it may be in an "
			"uninterruptible sleep; nobody waits for it any longer",
			(int)deaths->pids[deaths->at]);
	else if (deaths->spared != 0)
		snprintf(text, size,
			"process %d can't be killed: it belongs to another user; it runs on",
			(int)deaths->spared);
	else
		return false;
	return true;
}
