/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Rehearsal: a task that does next to nothing, run in the process that forks
 * the workers. It is thrown away; what stays is that the dynamic linker has
 * found what tasks call in shared libraries, and that the libraries have set
 * themselves up: each worker inherits it, and would else do it again.
 */

#include "common/base.h"

struct sl_error;

/* Blocks until it is over. For a process with one thread, which it has again afterwards. */
int sl_rehearsal_run(struct sl_error *err) sl_must_check;
