/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Observer: what who looks at the agent over HTTP gets to see: the metrics at
 * /metrics, and whether it makes progress at /healthz. However often they ask,
 * the agent does the work for it so often and no more: requests that come
 * meanwhile wait for a moment and get the same answer.
 *
 * Threads: the loop's.
 */

#include "agent/metrics.h"

struct sl_error;
struct sl_loop;
struct sl_observer;
struct sl_pulse;

/* Between two answers' being made. */
#define SL_OBSERVER_EVERY_MS 20

/* Listens on @url; writes how it can be reached to @bound. All are borrowed until free. */
int sl_observer_new(struct sl_loop *loop, const char *url, const struct sl_metrics *metrics,
	struct sl_pulse *pulse, char *bound, size_t bound_size, struct sl_observer **out,
	struct sl_error *err) sl_must_check;

/* Before the pulse. NULL is fine. */
void sl_observer_free(struct sl_observer *observer);
