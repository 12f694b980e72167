/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Worker: the process that runs one task. The spawner forks it; it makes itself
 * ready, waits at its socket for the task, runs it and exits.
 */

/* Is the worker at the socket @fd; ends the process. */
_Noreturn void sl_worker_run(int fd);
