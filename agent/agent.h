/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Agent: the daemon's main process, from its start to its end.
 */

struct sl_options;

/* Runs until SIGTERM or SIGINT and returns the process's exit status: 0, or 1 after a failure,
 * which was logged. SIGHUP has it read its options again, from the same @argv. */
int sl_agent_run(int argc, char **argv, struct sl_options *options);
