/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sweep: ending the processes that fell to us when their parents died. A
 * process that is a child subreaper gets whatever its dead workers left behind,
 * setsid'd and double-forked or not; nothing else tells them from our own.
 *
 * Threads: one at a time.
 */

#include <sys/types.h>

#include "common/base.h"

struct sl_error;

/* Makes this process the one that orphans below it fall to. */
int sl_sweep_become_reaper(struct sl_error *err) sl_must_check;

/* Sends SIGKILL to each child of this process for which keep(ctx, pid) is false. Returns how
 * many those were, the dead but unreaped included. Their own children come to us when they have
 * been reaped, and not before: so reap, sweep, and go on while it finds any. SL_ESYSTEM when
 * /proc doesn't say who the children are. */
int sl_sweep(bool (*keep)(void *ctx, pid_t pid), void *ctx, struct sl_error *err) sl_must_check;

/* Kills and reaps all that descends from this process, which is such a reaper, and doesn't go
 * on before it is gone. Blocks, at most about @ms: what can't be killed in that time (a process
 * in an uninterruptible sleep) is left. Costs next to nothing where there is nobody. */
int sl_sweep_out(int ms, struct sl_error *err) sl_must_check;
