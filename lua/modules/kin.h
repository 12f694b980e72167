/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Kin: the processes that came of one command: its group, its session, whoever
 * descends from it, and those that left all that and fell to us, known by a mark
 * in their environment. To be found, those need us to be a child subreaper.
 *
 * Threads: any.
 */

#include <sys/types.h>

#include "common/base.h"

struct sl_deaths;

struct sl_kin {
	pid_t root;    /* not reaped: its number is nobody else's */
	char mark[48]; /* "NAME=value", for the environment of the root */
	struct sl_kin *prev, *next;
};

/* Makes the mark for a command that is about to be started. */
void sl_kin_mark(struct sl_kin *kin);

/* It has been started as @root. @kin must stay where it is until sl_kin_leave(). */
void sl_kin_join(struct sl_kin *kin, pid_t root);

/* Kills them all; what is killed can't have children any more. They die a little later, of
 * which
 * @deaths tells. */
void sl_kin_kill(struct sl_kin *kin, struct sl_deaths *deaths);

/* The root is about to be reaped. */
void sl_kin_leave(struct sl_kin *kin);

/* The root runs on without anybody waiting for it: it is reaped later, by: */
void sl_kin_abandon(struct sl_kin *kin);

/* Reaps the roots that were abandoned and have ended since; each command that begins does, too.
 */
void sl_kin_reap(void);
