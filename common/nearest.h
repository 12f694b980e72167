/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Nearest: what somebody most likely meant to write.
 *
 * Threads: any.
 */

#include "common/base.h"

/* The name in @names (ends with NULL) that @word was most likely meant to be; NULL when none is
 * near. */
const char *sl_nearest(const char *word, const char *const *names);
