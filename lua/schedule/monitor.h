/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Monitor: looks after goroutines that stay too long: those that compute while
 * others wait are preempted, those that sit in C lose their thread's queue to
 * another thread, those that don't stop are pressed, and in the end given up.
 *
 * It ticks on the reactor, and only while there is something to look after.
 *
 * Threads: any.
 */

#include "common/base.h"

struct sl_error;
struct sl_monitor;
struct sl_runtime;

/* What has been stopped is given up after @stop_ms; 0: 250. */
int sl_monitor_new(struct sl_runtime *runtime, unsigned stop_ms, struct sl_monitor **out,
	struct sl_error *err) sl_must_check;
void sl_monitor_free(struct sl_monitor *monitor);

/* There is something to look after. Cheap when it knows already. */
void sl_monitor_rouse(struct sl_monitor *monitor);
