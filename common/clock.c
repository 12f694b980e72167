/* SPDX-License-Identifier: MIT */
#include "common/clock.h"

#include <time.h>

int64_t sl_clock_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t sl_clock_monotonic_ms(void)
{
	return sl_clock_monotonic_ns() / 1000000;
}

int64_t sl_clock_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
