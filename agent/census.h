/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Census: how much memory all workers have. Each has to be looked up in /proc,
 * so it is done a few at a time, and not again at once.
 *
 * Threads: the loop's.
 */

#include "common/base.h"

struct sl_census;
struct sl_error;
struct sl_jobs;
struct sl_loop;

/* A result is good for so long. */
#define SL_CENSUS_FRESH_MS 1000

/* All are borrowed until free. done(ctx, bytes) is called for sl_census_take(). */
int sl_census_new(struct sl_loop *loop, const struct sl_jobs *jobs,
	void (*done)(void *ctx, uint64_t bytes), void *ctx, struct sl_census **out,
	struct sl_error *err) sl_must_check;

/* NULL is fine. */
void sl_census_free(struct sl_census *census);

/* Has done() called once for all who asked meanwhile, never from within. */
void sl_census_take(struct sl_census *census);
