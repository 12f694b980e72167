/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * OOM score: whom the kernel ends first when memory runs out. A task is what
 * should die of it, not who forks its worker; but a process inherits the score
 * that its parent had, and to be given it costs less than to ask for it: so who
 * forks takes it on for as long as that lasts.
 *
 * Threads: one.
 */

#include "common/base.h"

struct sl_oom_score {
	int fd;         /* -1: it can't be changed; then all processes are equal */
	char usual[16]; /* this process's own */
};

/* Not being allowed to is fine. */
void sl_oom_score_init(struct sl_oom_score *out);
void sl_oom_score_deinit(struct sl_oom_score *score);

/* From here on who is forked is among the first to be ended, until sl_oom_score_recover(). */
void sl_oom_score_volunteer(struct sl_oom_score *score);
void sl_oom_score_recover(struct sl_oom_score *score);
