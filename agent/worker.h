/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Worker: the process that runs one task. The spawner forks it; it makes itself
 * ready, waits at its socket for the task, runs it and exits.
 */

struct sl_tally;

/* Is the worker at the socket @fd, whose doings are counted in @tally; ends the process. */
_Noreturn void sl_worker_run(int fd, struct sl_tally *tally);
