/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Region: 64 KiB of address space, aligned to its size. The first touch of a
 * page is dear, so regions that were used are kept, the last one first: some in
 * each thread, more for all threads, the rest without their pages.
 *
 * Threads: any.
 */

#include "common/base.h"

/* NULL when memory ran out. Its bytes may be anything. */
void *sl_region_get(void) sl_must_check;
void sl_region_put(void *region);

/* The calling thread keeps none any more. */
void sl_region_flush(void);
