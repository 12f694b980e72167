/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Monitor: looks after goroutines that stay too long: those that compute while
 * others wait are preempted, those that sit in C lose their thread's queue to
 * another thread, those that don't stop are pressed, and in the end given up:
 * when they have been at it for too long, not counting the time in which they
 * waited for a CPU, or after ten times as long in any case.
 *
 * It ticks on the reactor, and only while there is something to look after.
 *
 * Threads: any.
 */

#include "common/base.h"

struct sl_error;
struct sl_monitor;
struct sl_runtime;
struct sl_runtime_config;

/* What has been stopped is given up after config.stop_ms; threads are looked at by
 * config.glance. */
int sl_monitor_new(struct sl_runtime *runtime, const struct sl_runtime_config *config,
	struct sl_monitor **out, struct sl_error *err) sl_must_check;
void sl_monitor_free(struct sl_monitor *monitor);

/* There is something to look after. Cheap when it knows already. */
void sl_monitor_rouse(struct sl_monitor *monitor);
