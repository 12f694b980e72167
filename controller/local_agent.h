/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Local agent: the agent of one run on this machine, for tasks without a
 * target. It listens on a socket in a private directory, ends with the run, and
 * dies with this process whatever it dies of.
 *
 * Threads: the loop's.
 */

#include "common/base.h"

struct sl_error;
struct sl_local_agent;
struct sl_loop;

struct sl_local_agent_ops {
	/* It takes tasks at @address, borrowed while the agent lives. */
	void (*ready)(void *ctx, const char *address);
	/* It ended by itself; nothing follows. */
	void (*died)(void *ctx, const char *why);
};

/* Starts it. @log_level is what it says on stderr. Calls back from the loop only. */
int sl_local_agent_new(struct sl_loop *loop, const char *log_level,
	const struct sl_local_agent_ops *ops, void *ctx, struct sl_local_agent **out,
	struct sl_error *err) sl_must_check;

/* Ends it with all it runs and removes its directory. Blocks until it is gone, at most some
 * seconds. NULL is fine. */
void sl_local_agent_free(struct sl_local_agent *agent);

/* The agent's program: SLOTH_AGENT_PROGRAM, beside this program, in the build tree, where it
 * was installed, in PATH. SL_ENOT_FOUND says where it was looked for. */
int sl_local_agent_program(char *out, size_t size, struct sl_error *err) sl_must_check;
