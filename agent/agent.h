/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Agent: the daemon's main process, from its start to its end.
 */

struct sl_options;

/* Runs until SIGTERM or SIGINT and returns the process's exit status: 0, or 1 after a failure,
 * which was logged. */
int sl_agent_run(const struct sl_options *options);
