/* SPDX-License-Identifier: MIT */

/*
 * How a goroutine waits: parked, or on its thread where Lua can't yield; who
 * wakes it; and the lines it stands in meanwhile.
 */

#include <assert.h>
#include <lauxlib.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lua/runtime_inside.h"
#include "lua/schedule/deadlock.h"
#include "lua/schedule/goroutine_parts.h"
#include "lua/schedule/scheduler.h"

struct sl_wait *sl_goroutine_prepare(
	lua_State *L, const struct sl_wait_kind *kind, void *object, int64_t deadline_ns)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	goroutine->wait = (struct sl_wait){.kind = kind,
		.object = object,
		.deadline_ns = deadline_ns,
		.waiter = {.goroutine = goroutine}};
	return &goroutine->wait;
}

enum sl_wake sl_goroutine_woken(lua_State *L)
{
	return sl_goroutine_of(L)->wait.woken;
}

/* On a schedule at random: others may come between. */
static void linger(void)
{
	struct sl_worker *worker = sl_worker_self();

	if (worker && sl_chance_is(&worker->chance))
		sl_chance_linger(&worker->chance);
}

bool sl_goroutine_wake(struct sl_goroutine *goroutine, enum sl_wake why)
{
	unsigned phase = atomic_load(&goroutine->phase);

	for (;;) {
		bool blocking;

		if (phase != SL_PHASE_PARKING && phase != SL_PHASE_PARKED)
			return false;
		blocking = phase == SL_PHASE_PARKED && atomic_load(&goroutine->blocking);
		if (!atomic_compare_exchange_weak(
			    &goroutine->phase, &phase, SL_PHASE_CLAIMED + (unsigned)why))
			continue;
		if (phase == SL_PHASE_PARKING)
			return true; /* its thread sees it before it lets go */
		linger();
		/* From here it may be gone; a futex's address need not be anything. */
		if (blocking)
			syscall(SYS_futex, &goroutine->phase, FUTEX_WAKE_PRIVATE, 1);
		else
			sl_scheduler_ready(goroutine->runtime->scheduler, goroutine);
		return true;
	}
}

void sl_goroutine_deadline(struct sl_deadline *deadline)
{
	struct sl_goroutine *goroutine =
		(struct sl_goroutine *)((char *)deadline -
					offsetof(struct sl_goroutine, deadline));

	sl_goroutine_wake(goroutine, SL_WAKE_DEADLINE);
}

void sl_goroutine_leave_wait(struct sl_goroutine *goroutine)
{
	struct sl_wait *wait = &goroutine->wait;
	unsigned phase;

	linger();
	phase = atomic_exchange(&goroutine->phase, SL_PHASE_RUNNING);
	wait->woken = phase >= SL_PHASE_CLAIMED ? (enum sl_wake)(phase - SL_PHASE_CLAIMED)
	                                        : SL_WAKE_READY;
	if (wait->deadline_ns && wait->woken != SL_WAKE_DEADLINE)
		sl_deadlines_remove(goroutine->runtime->deadlines, &goroutine->deadline);
	wait->pending = true;
	if (wait->kind->leave)
		wait->kind->leave(goroutine, wait);
}

bool sl_goroutine_park(struct sl_goroutine *goroutine)
{
	struct sl_wait *wait = &goroutine->wait;
	struct sl_deadlines *deadlines = goroutine->runtime->deadlines;
	unsigned parking = SL_PHASE_PARKING;

	atomic_store(&goroutine->phase, SL_PHASE_PARKING);
	atomic_store(&goroutine->hopeless, !wait->deadline_ns && !wait->kind->external);
	goroutine->deadline = (struct sl_deadline){.at_ns = wait->deadline_ns};
	linger();
	if (atomic_load(&goroutine->stopping))
		sl_goroutine_wake(goroutine, SL_WAKE_STOP);
	if (wait->kind->enter && !wait->kind->enter(goroutine, wait)) {
		sl_goroutine_leave_wait(goroutine);
		return false;
	}
	if (wait->deadline_ns && !sl_deadlines_add(deadlines, &goroutine->deadline))
		sl_goroutine_wake(goroutine, SL_WAKE_DEADLINE);
	atomic_store(&goroutine->worker, NULL);
	linger();
	if (atomic_compare_exchange_strong(&goroutine->phase, &parking, SL_PHASE_PARKED))
		return true;
	sl_goroutine_leave_wait(goroutine);
	return false;
}

bool sl_goroutine_block(struct sl_goroutine *goroutine)
{
	struct sl_worker *worker = sl_worker_self();
	lua_State *current = worker->current;

	if (!sl_worker_block(worker))
		return false;
	worker->current = NULL;
	atomic_store(&goroutine->blocking, true);
	if (sl_goroutine_park(goroutine)) {
		sl_deadlock_check(goroutine->runtime);
		while (atomic_load(&goroutine->phase) == SL_PHASE_PARKED)
			syscall(SYS_futex, &goroutine->phase, FUTEX_WAIT_PRIVATE,
				SL_PHASE_PARKED, NULL);
		sl_goroutine_leave_wait(goroutine);
	}
	atomic_store(&goroutine->blocking, false);
	atomic_fetch_add_explicit(&goroutine->n_turns, 1, memory_order_relaxed);
	sl_worker_unblock(worker);
	atomic_store(&goroutine->worker, worker);
	worker->current = current;
	return true;
}

static int wait_over(lua_State *L, int status, lua_KContext ctx)
{
	struct sl_wait *wait = &sl_goroutine_of(L)->wait;

	(void)ctx;
	wait->pending = false;
	if (wait->woken == SL_WAKE_DEADLOCK && !wait->kind->hears_deadlock)
		return sl_deadlock_raise(L);
	return wait->k(L, status, wait->ctx);
}

int sl_goroutine_wait(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	goroutine->wait.k = k;
	goroutine->wait.ctx = ctx;
	if (lua_isyieldable(L)) {
		goroutine->request = SL_REQUEST_WAIT;
		return lua_yieldk(L, 0, 0, wait_over);
	}
	if (!sl_goroutine_block(goroutine))
		return luaL_error(L, SL_TOO_MANY_BLOCKED);
	if (atomic_load(&goroutine->stopping)) {
		sl_goroutine_abandon_wait(goroutine);
		return sl_goroutine_stop_self(L);
	}
	return wait_over(L, LUA_YIELD, 0);
}

void sl_goroutine_abandon_wait(struct sl_goroutine *goroutine)
{
	struct sl_wait *wait = &goroutine->wait;

	if (!wait->pending)
		return;
	wait->pending = false;
	if (wait->kind->abandon)
		wait->kind->abandon(goroutine, wait);
}

bool sl_goroutine_is_stuck(struct sl_goroutine *goroutine)
{
	return atomic_load(&goroutine->phase) == SL_PHASE_PARKED &&
	       atomic_load(&goroutine->hopeless);
}

uint64_t sl_goroutine_turns(struct sl_goroutine *goroutine)
{
	return atomic_load(&goroutine->n_turns);
}

/* ---- lines of waiters ---- */

void sl_waiters_add(struct sl_waiters *waiters, struct sl_waiter *waiter)
{
	assert(!waiter->linked);
	waiter->linked = true;
	waiter->next = NULL;
	waiter->prev = waiters->last;
	if (waiters->last)
		waiters->last->next = waiter;
	else
		waiters->first = waiter;
	waiters->last = waiter;
}

void sl_waiters_remove(struct sl_waiters *waiters, struct sl_waiter *waiter)
{
	if (!waiter->linked)
		return;
	waiter->linked = false;
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		waiters->first = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		waiters->last = waiter->prev;
}

bool sl_waiters_wake_one(struct sl_waiters *waiters)
{
	while (waiters->first) {
		struct sl_waiter *waiter = waiters->first;

		sl_waiters_remove(waiters, waiter);
		if (sl_goroutine_wake(waiter->goroutine, SL_WAKE_READY))
			return true;
	}
	return false;
}

void sl_waiters_wake_all(struct sl_waiters *waiters)
{
	while (sl_waiters_wake_one(waiters))
		;
}
