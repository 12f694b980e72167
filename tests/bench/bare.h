/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bare: what the transport alone costs, measured in the same run as ours: round
 * trips of 64 bytes with a process that only echoes.
 *
 * Threads: one.
 */

#include <sys/types.h>

#include "common/base.h"

struct bare {
	const char *url; /* borrowed */
	bool sockets;    /* NNG's req0 and rep0; else an nng_stream */
	pid_t pid;
};

/* Forks the process that echoes on @url and waits until it listens. Call it before this process
 * has used NNG, which doesn't survive a fork. False when something failed. */
bool bare_start(struct bare *bare, const char *url, bool sockets);

/* Fills @out_us with @n round trips. */
bool bare_measure(const struct bare *bare, double *out_us, size_t n);

void bare_stop(struct bare *bare);
