/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Standard files: stdin, stdout and stderr, open in any case.
 *
 * Threads: the first, before there is anything else.
 */

#include "common/base.h"

/* Opens /dev/null for those of the three that whoever started us has closed: else the next
 * thing that is opened, a socket, a key, would be the stdout. False when that can't be done. */
bool sl_standard_files_open(void) sl_must_check;
