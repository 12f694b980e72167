/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private directory: a directory for one run, nobody else's to read, gone when
 * the run is. What a run that was killed left behind the next one removes: a
 * lock, which the kernel lets go of with its process, tells the two apart.
 *
 * Threads: one.
 */

#include "common/base.h"

struct sl_error;

struct sl_private_dir {
	char path[100]; /* short enough for a socket in it */
	int lock;
};

/* Below XDG_RUNTIME_DIR, TMPDIR or /tmp, whichever can be written to first. */
int sl_private_dir_init(struct sl_private_dir *dir, struct sl_error *err) sl_must_check;

/* Removes it with all that is in it. A zeroed one is fine. */
void sl_private_dir_deinit(struct sl_private_dir *dir);
