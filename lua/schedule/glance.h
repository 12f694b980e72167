/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Glance: what one sees of a thread at a moment. Two of them tell for how long it
 * was at something in between: while it ran, and while it was blocked in the
 * kernel, but not while it waited for a CPU that others had. How long it is kept
 * waiting says something about the machine, and nothing about the thread.
 *
 * Threads: any.
 */

#include <pthread.h>
#include <sys/types.h>

#include "common/base.h"

enum sl_glance_state {
	SL_GLANCE_WANTS_CPU, /* runs, or would if it could */
	SL_GLANCE_BLOCKED,
	SL_GLANCE_UNKNOWN, /* no /proc here */
};

struct sl_glance {
	int64_t at_ns;  /* monotonic */
	int64_t cpu_ns; /* how long the thread has run, ever; negative: unknown */
	enum sl_glance_state state;
};

/* Looks at a thread of this process, which must not be joined meanwhile. Doesn't block. */
void sl_glance_take(pthread_t thread, pid_t tid, struct sl_glance *out);

/* For how many ns the thread was at it from @before to @after. What can't be known counts as
 * time. Of a long while between them, blocked or unknown, @most_ns count: whoever looks was
 * kept from it, too. */
int64_t sl_glance_between(
	const struct sl_glance *before, const struct sl_glance *after, int64_t most_ns);
