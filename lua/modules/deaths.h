/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Deaths: of processes that have been killed, to be waited for one after the
 * other, parents before children: then it takes a single descriptor, and each
 * has fallen to us by the time it is looked at, and is reaped. To fall to us, they
 * need us to be a child subreaper; others are waited for, and reaped elsewhere.
 *
 * Threads: one at a time.
 */

#include <sys/types.h>

#include "common/base.h"

/* How long what has been killed is waited for: in an uninterruptible sleep it doesn't die. */
#define SL_DEATHS_NS (SL_SLOWNESS * INT64_C(1000000000))

struct sl_deaths {
	pid_t root;   /* reaped by somebody else; 0: none such */
	pid_t spared; /* the first of those that we may not kill; 0: none */
	pid_t *pids;
	size_t n, room, at; /* those before at are gone */
	int fd;             /* of the one at at; -1: not looked at yet */
};

#define SL_DEATHS_INIT                                                                         \
	{                                                                                      \
		.fd = -1                                                                       \
	}

/* Frees what it has; it is empty then. */
void sl_deaths_deinit(struct sl_deaths *deaths);

/* Kills @pid, unless that has been done. Returns whether it was new. */
bool sl_deaths_kill(struct sl_deaths *deaths, pid_t pid);

/* Returns a descriptor, its own, that is readable when it is worth calling again; -1 when all
 * are gone. One for which no descriptor is to be had isn't waited for. */
int sl_deaths_next(struct sl_deaths *deaths);

/* Whether some of them are still there: then *text says who, and why. */
bool sl_deaths_describe(const struct sl_deaths *deaths, char *text, size_t size);
