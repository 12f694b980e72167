/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Metrics: which numbers of the agent others are shown, under which names. Each
 * is read where it is counted, at the moment when it is asked for. How many
 * there are does not depend on what tasks do: no label is a name of theirs.
 *
 * Threads: the loop's.
 */

#include "common/base.h"

struct sl_buffer;
struct sl_jobs;
struct sl_loop;
struct sl_service;

/* Where the numbers are; borrowed. */
struct sl_metrics {
	const struct sl_loop *loop;
	const struct sl_jobs *jobs;
	const struct sl_service *service;
	size_t max_tasks, max_queued;
};

/* Appends them all. @worker_bytes is what the memory of workers was when it was last asked for,
 * which takes longer than the rest. */
void sl_metrics_write(const struct sl_metrics *metrics, uint64_t worker_bytes, bool openmetrics,
	struct sl_buffer *out);
