/* SPDX-License-Identifier: MIT */
#include "lua/schedule/monitor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/preempt.h"
#include "lua/schedule/reactor.h"
#include "lua/schedule/scheduler.h"
#include "lua/schedule/scope.h"

enum {
	TICK_NS = 5000000,
	RETAKE_TICKS = 2, /* after it was asked to let go: it sits in C */
};

/* How long what has been stopped may take: closing its variables is part of it. */
#define GIVE_UP_MS (SL_SLOWNESS * 250)

struct sl_monitor {
	struct sl_runtime *runtime; /* immutable after new, and the next one */
	int64_t give_up_ns;
	_Atomic bool awake;
	pthread_mutex_t lock;
	struct sl_alarm *alarm; /* guarded by: lock; made at first need */
};

struct look {
	struct sl_scheduler *scheduler;
	size_t queued;
};

static void look_at(void *ctx, struct sl_worker *worker)
{
	struct look *look = ctx;
	unsigned n_runs = atomic_load_explicit(&worker->n_runs, memory_order_relaxed);

	if (!atomic_load(&worker->running) || n_runs != worker->seen_runs) {
		worker->seen_runs = n_runs;
		worker->asked_ticks = 0;
		return;
	}
	if (look->queued == 0)
		return;
	if (worker->asked_ticks++ == 0)
		sl_preempt(worker);
	else if (worker->asked_ticks > RETAKE_TICKS)
		sl_scheduler_retake_locked(look->scheduler, worker);
}

/* Returns whether there is more to look after. */
static bool tick(struct sl_monitor *monitor)
{
	struct sl_runtime *runtime = monitor->runtime;
	struct look look = {runtime->scheduler, sl_scheduler_queued(runtime->scheduler)};
	struct sl_pressed pressed;

	sl_scheduler_each_worker(runtime->scheduler, look_at, &look);
	pressed = sl_scope_press(runtime->scope);
	if (pressed.n > 0 && sl_clock_monotonic_ns() - pressed.since_ns > monitor->give_up_ns)
		sl_runtime_give_up(runtime, pressed.goroutine, monitor->give_up_ns);
	return look.queued > 0 || pressed.n > 0;
}

static void again(struct sl_monitor *monitor)
{
	sl_alarm_set(monitor->alarm, sl_clock_monotonic_ns() + TICK_NS);
}

static void on_alarm(void *ctx)
{
	struct sl_monitor *monitor = ctx;

	if (tick(monitor)) {
		again(monitor);
		return;
	}
	atomic_store(&monitor->awake, false);
	/* What came meanwhile found it awake. */
	if (sl_scheduler_queued(monitor->runtime->scheduler) > 0 ||
		sl_scope_press(monitor->runtime->scope).n > 0)
		sl_monitor_rouse(monitor);
}

void sl_monitor_rouse(struct sl_monitor *monitor)
{
	if (atomic_load(&monitor->awake) || atomic_exchange(&monitor->awake, true))
		return;
	pthread_mutex_lock(&monitor->lock);
	if (!monitor->alarm && sl_alarm_new(monitor->runtime->reactor, on_alarm, monitor,
				       &monitor->alarm, NULL) != 0)
		atomic_store(&monitor->awake, false);
	else
		again(monitor);
	pthread_mutex_unlock(&monitor->lock);
}

int sl_monitor_new(struct sl_runtime *runtime, unsigned stop_ms, struct sl_monitor **out,
	struct sl_error *err)
{
	struct sl_monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return sl_fail(err, SL_ENOMEM, "not enough memory for a monitor");
	monitor->runtime = runtime;
	monitor->give_up_ns = (int64_t)(stop_ms ? stop_ms : GIVE_UP_MS) * 1000000;
	pthread_mutex_init(&monitor->lock, NULL);
	*out = monitor;
	return 0;
}

void sl_monitor_free(struct sl_monitor *monitor)
{
	struct sl_alarm *alarm;

	if (!monitor)
		return;
	/* Any thread may have made it. It is not taken out: the reactor may still be reading
	 * it. */
	pthread_mutex_lock(&monitor->lock);
	alarm = monitor->alarm;
	pthread_mutex_unlock(&monitor->lock);
	sl_alarm_free(alarm);
	pthread_mutex_destroy(&monitor->lock);
	free(monitor);
}
