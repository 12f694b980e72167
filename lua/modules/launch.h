/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Launch: starts a program from a process with many threads.
 *
 * The child shares our memory until it is another program, so that it costs the
 * same however much we hold; it calls nothing that is not safe after a signal.
 * It begins a session and a process group of its own, with default signals and
 * no descriptors but the three that it is given.
 *
 * Threads: any. Blocks until the child is the other program, or has failed.
 */

#include <sys/types.h>

#include "common/base.h"

struct sl_error;

struct sl_launch_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[64];
	size_t n_groups;
};

struct sl_launch {
	const char *const *argv;
	char *const *env;                  /* the program is looked for along the PATH in it */
	const char *workdir;               /* NULL: ours */
	const struct sl_launch_user *user; /* NULL: ours */
	int fds[3];                        /* what it has as 0, 1 and 2 */
};

/* *out is a child of ours, to be reaped. SL_ENOT_FOUND: there is no such program; SL_EDENIED:
 * there is, but it can't be executed; SL_ESYSTEM: anything else. */
int sl_launch(const struct sl_launch *launch, pid_t *out, struct sl_error *err) sl_must_check;

/* Looks up a user of this machine and the groups it is in. SL_ENOT_FOUND, SL_ESYSTEM. */
int sl_launch_find_user(
	const char *name, struct sl_launch_user *out, struct sl_error *err) sl_must_check;
