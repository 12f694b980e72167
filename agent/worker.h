/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Worker: the process that runs one task. The spawner forks it; it makes itself
 * ready, waits at its socket for the task, runs it and exits.
 */

#include "common/base.h"

struct sl_error;
struct sl_tally;

/* Makes in advance what each worker begins with: for the process that forks them, while it has
 * but one thread. */
int sl_worker_rehearse(struct sl_error *err) sl_must_check;

/* Is the worker at the socket @fd, whose doings are counted in @tally; ends the process. */
_Noreturn void sl_worker_run(int fd, struct sl_tally *tally);
