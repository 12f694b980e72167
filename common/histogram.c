/* SPDX-License-Identifier: MIT */
#include "common/histogram.h"

#include <assert.h>

void sl_histogram_init(struct sl_histogram *out, const int64_t *bounds_ns, size_t n_bounds)
{
	assert(n_bounds <= SL_HISTOGRAM_MAX_BOUNDS);
	*out = (struct sl_histogram){.bounds_ns = bounds_ns, .n_bounds = n_bounds};
}

void sl_histogram_observe(struct sl_histogram *histogram, int64_t ns)
{
	size_t i = 0;

	while (i < histogram->n_bounds && ns > histogram->bounds_ns[i])
		i++;
	histogram->counts[i]++;
	if (ns > 0)
		histogram->sum_ns += (uint64_t)ns;
}

uint64_t sl_histogram_count(const struct sl_histogram *histogram)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= histogram->n_bounds; i++)
		n += histogram->counts[i];
	return n;
}
