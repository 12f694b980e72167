/* SPDX-License-Identifier: MIT */
#include "lua/schedule/monitor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/glance.h"
#include "lua/schedule/preempt.h"
#include "lua/schedule/reactor.h"
#include "lua/schedule/scheduler.h"
#include "lua/schedule/scope.h"

enum {
	TICK_NS = 5000000,
	RETAKE_TICKS = 2, /* after it was asked to let go: it sits in C */
	GLANCE_TICKS = 2, /* most that counts between two glances */
	LAST_FACTOR = 10, /* the bound whatever it was kept from by others */
};

/* How long what has been stopped may take: closing its variables is part of it. */
#define GIVE_UP_MS (SL_SLOWNESS * 250)

struct sl_monitor {
	struct sl_runtime *runtime; /* immutable after new, and the next two */
	int64_t give_up_ns;
	void (*glance)(pthread_t thread, pid_t tid, struct sl_glance *out);
	uint64_t n_looks; /* owner: the reactor */
	_Atomic bool awake;
	pthread_mutex_t lock;
	struct sl_alarm *alarm; /* guarded by: lock; made at first need */
};

struct look {
	struct sl_monitor *monitor;
	size_t queued;
	/* Of those that were stopped, the one that has been running longest. */
	uint64_t goroutine;
	int64_t held_ns;
};

/* For how long it has been running what was stopped. */
static void measure(struct look *look, struct sl_worker *worker)
{
	struct sl_holdup *holdup = &worker->holdup;
	struct sl_glance last = holdup->glance;
	int64_t pressed = atomic_load(&worker->pressed_ns);

	if (holdup->look != look->monitor->n_looks)
		return;
	look->monitor->glance(worker->thread, worker->tid, &holdup->glance);
	if (holdup->goes_on)
		pressed += sl_glance_between(
			&last, &holdup->glance, (int64_t)GLANCE_TICKS * TICK_NS);
	else
		holdup->from_ns = pressed;
	atomic_store(&worker->pressed_ns, pressed);
	if (pressed - holdup->from_ns > look->held_ns) {
		look->held_ns = pressed - holdup->from_ns;
		look->goroutine = holdup->goroutine;
	}
}

/* Has one that stays let others run. */
static void hurry(struct look *look, struct sl_worker *worker)
{
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
		sl_scheduler_retake_locked(worker->scheduler, worker);
}

static void look_at(void *ctx, struct sl_worker *worker)
{
	measure(ctx, worker);
	hurry(ctx, worker);
}

static void give_up(const struct look *look, const struct sl_pressed *pressed)
{
	struct sl_monitor *monitor = look->monitor;
	int64_t last_ns = LAST_FACTOR * monitor->give_up_ns;

	if (look->held_ns > monitor->give_up_ns)
		sl_runtime_give_up(
			monitor->runtime, look->goroutine, true, monitor->give_up_ns);
	else if (sl_clock_monotonic_ns() - pressed->since_ns <= last_ns)
		return;
	else if (look->held_ns > 0)
		sl_runtime_give_up(monitor->runtime, look->goroutine, true, last_ns);
	else
		sl_runtime_give_up(monitor->runtime, pressed->goroutine, false, last_ns);
}

/* Returns whether there is more to look after. */
static bool tick(struct sl_monitor *monitor)
{
	struct sl_runtime *runtime = monitor->runtime;
	struct look look = {monitor, sl_scheduler_queued(runtime->scheduler), 0, 0};
	struct sl_pressed pressed = sl_scope_press(runtime->scope, ++monitor->n_looks);

	sl_scheduler_each_worker(runtime->scheduler, look_at, &look);
	if (pressed.n > 0)
		give_up(&look, &pressed);
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
		sl_scope_press(monitor->runtime->scope, 0).n > 0)
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

int sl_monitor_new(struct sl_runtime *runtime, const struct sl_runtime_config *config,
	struct sl_monitor **out, struct sl_error *err)
{
	struct sl_monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return sl_fail(err, SL_ENOMEM, "not enough memory for a monitor");
	monitor->runtime = runtime;
	monitor->give_up_ns =
		(int64_t)(config->stop_ms ? config->stop_ms : GIVE_UP_MS) * 1000000;
	monitor->glance = config->glance ? config->glance : sl_glance_take;
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
