/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Clock: the two times of the house. Deadlines and durations are monotonic;
 * what a person reads is wall-clock time.
 *
 * Threads: any.
 */

#include "common/base.h"

/* Nanoseconds on CLOCK_MONOTONIC. */
int64_t sl_clock_monotonic_ns(void);

/* Milliseconds on CLOCK_MONOTONIC: what deadlines are kept in. */
int64_t sl_clock_monotonic_ms(void);

/* Microseconds since the Unix epoch: what events are stamped with. */
int64_t sl_clock_wall_us(void);
