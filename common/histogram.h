/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Histogram: how long things took: how many were at most as long as each of
 * some bounds, and all of them together.
 *
 * Threads: the owner's.
 */

#include "common/base.h"

#define SL_HISTOGRAM_MAX_BOUNDS 20

struct sl_histogram {
	const int64_t *bounds_ns; /* ascending; immutable after init */
	size_t n_bounds;
	uint64_t counts[SL_HISTOGRAM_MAX_BOUNDS + 1]; /* each its own; the last: longer */
	uint64_t sum_ns;
};

/* @bounds_ns are borrowed for ever. */
void sl_histogram_init(struct sl_histogram *out, const int64_t *bounds_ns, size_t n_bounds);

/* Less than nothing is nothing. */
void sl_histogram_observe(struct sl_histogram *histogram, int64_t ns);

uint64_t sl_histogram_count(const struct sl_histogram *histogram);
