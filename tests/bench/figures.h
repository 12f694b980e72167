/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Figures: what was measured, by name, in the order in which it came. A name ends
 * in its unit (_us, _ms, _kib, _bytes, _per_s), or says a ratio.
 *
 * Threads: one.
 */

#include <stdio.h>

#include "common/base.h"

/* Adds one. p99 is NAN where there is but one value. */
void figures_add(const char *name, double value, double p99);

/* Adds the median and the 99th percentile of @samples, which it sorts. */
void figures_add_samples(const char *name, double *samples, size_t n);

/* Adds what @text says: lines "NAME VALUE [P99]". Other lines are passed over. */
void figures_add_lines(const char *text);

/* NAN when it was not measured. */
double figures_get(const char *name);

/* One JSON object: {"name": 1.5, "spread": {"p50_us": 1.0, "p99_us": 2.0}}. */
void figures_print_json(FILE *to);

/* For people: each with what is aimed at, then ours beside others. */
void figures_print_table(FILE *to);
