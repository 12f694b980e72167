/* SPDX-License-Identifier: MIT */
#include "lua/goroutine.h"

#include <assert.h>
#include <lauxlib.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/body.h"
#include "lua/deadlock.h"
#include "lua/light_call.h"
#include "lua/outcome.h"
#include "lua/preempt.h"
#include "lua/runtime_inside.h"
#include "lua/scheduler.h"
#include "lua/scope.h"
#include "lua/seat.h"
#include "lua/share.h"
#include "lua/transfer.h"
#include "lua/wait_group.h"

#define TOO_MANY_BLOCKED                                                                       \
	"too many goroutines wait inside of calls that can't be left, such as a comparison "   \
	"function of table.sort"

enum {
	SPAWNS_PER_TURN = 32
};

/* How long a stopped goroutine may take to close its variables. */
#define CLOSING_NS (SL_SLOWNESS * INT64_C(100000000))

/* Why a goroutine's body yielded. */
enum request {
	REQUEST_NONE, /* not through us: a script's own coroutine.yield */
	REQUEST_YIELD,
	REQUEST_WAIT,
	REQUEST_STOP,
};

/* From parking on, the first to claim a goroutine decides why it goes on. */
enum phase {
	PHASE_RUNNING,
	PHASE_PARKING, /* on its way into a wait; its thread looks before it lets go */
	PHASE_PARKED,
	PHASE_CLAIMED, /* + enum sl_wake */
};

struct sl_goroutine *sl_goroutine_of(lua_State *L)
{
	return sl_home_of(L)->goroutine;
}

/* ---- beginning ---- */

void sl_start_deinit(struct sl_start *start)
{
	struct sl_body *body = sl_steal(start->body);

	sl_parcel_free(sl_steal(start->parcel));
	sl_share_free(sl_steal(start->share));
	if (body)
		sl_handle_unref(&body->handle);
	start->values = NULL;
	start->n_values = 0;
}

static int start_failed(struct sl_start *start, int code)
{
	sl_start_deinit(start);
	return code;
}

int sl_goroutine_start(
	struct sl_runtime *runtime, const struct sl_start *given, struct sl_error *err)
{
	struct sl_start start = *given;
	size_t charged =
		sizeof(struct sl_goroutine) + (start.parcel ? sl_parcel_size(start.parcel) : 0);
	struct sl_goroutine *goroutine;

	if (!sl_account_charge(&runtime->account, charged))
		return start_failed(&start, sl_fail(err, SL_ENOMEM, "not enough memory"));
	goroutine = calloc(1, sizeof(*goroutine));
	if (!goroutine) {
		sl_account_release(&runtime->account, charged);
		return start_failed(&start, sl_fail(err, SL_ENOMEM, "not enough memory"));
	}
	goroutine->runtime = runtime;
	goroutine->id = sl_tally_next(runtime->tally, SL_TALLY_GOROUTINES_STARTED);
	goroutine->charged = charged;
	goroutine->start = start;
	goroutine->share = sl_steal(goroutine->start.share);
	goroutine->started_ns = sl_clock_monotonic_ns();
	if (!sl_scope_join(start.scope, goroutine)) {
		sl_goroutine_drop(goroutine);
		return sl_fail(err, SL_ECANCELLED, "stopped");
	}
	sl_scheduler_ready(runtime->scheduler, goroutine);
	return 0;
}

/* The parcel has been unpacked: it weighs nothing any more. */
static void discharge(struct sl_goroutine *goroutine)
{
	size_t excess = goroutine->charged - sizeof(*goroutine);

	goroutine->charged -= excess;
	sl_account_release(&goroutine->runtime->account, excess);
}

/* Takes a state that is ready for its code, or makes one. */
static int find_home(struct sl_goroutine *goroutine, struct sl_error *err)
{
	struct sl_start *start = &goroutine->start;
	struct sl_home *home = &goroutine->home;
	int code;

	if (start->body && start->seats)
		goroutine->seat = sl_seats_take(start->seats, start->body, home);
	if (goroutine->seat) {
		home->goroutine = goroutine;
		return 0;
	}
	code = sl_home_init(home, &goroutine->runtime->model, goroutine, err);
	if (code == 0 && start->body && start->seats)
		goroutine->seat = sl_seats_add(start->seats, start->body, home);
	return code;
}

static int push_function(struct sl_goroutine *goroutine, struct sl_error *err)
{
	const struct sl_start *start = &goroutine->start;

	if (start->begin)
		return start->begin(start->ctx, goroutine->co, err);
	if (start->body)
		return sl_light_call_push(
			goroutine->co, goroutine->seat ? goroutine->home.L : NULL, start, err);
	return sl_transfer_in_new(goroutine->co, start->values, start->n_values, err);
}

static int begin(struct sl_goroutine *goroutine, struct sl_error *err)
{
	int code;

	goroutine->begun = true;
	goroutine->begun_ns = sl_clock_monotonic_ns();
	code = find_home(goroutine, err);
	if (code != 0)
		return code;
	goroutine->co = goroutine->home.co;
	code = push_function(goroutine, err);
	sl_start_deinit(&goroutine->start);
	discharge(goroutine);
	if (code == 0)
		goroutine->n_args = lua_gettop(goroutine->co) - 1;
	return code;
}

/* ---- ending ---- */

/* @again: others may use its state, if it is of a seat. */
static void leave_home(struct sl_goroutine *goroutine, bool again)
{
	struct sl_seat *seat = sl_steal(goroutine->seat);

	if (seat)
		sl_seat_leave(seat, &goroutine->home, again);
	else
		sl_home_deinit(&goroutine->home);
}

void sl_goroutine_drop(struct sl_goroutine *goroutine)
{
	sl_start_deinit(&goroutine->start);
	leave_home(goroutine, false);
	sl_share_free(goroutine->share);
	sl_account_release(&goroutine->runtime->account, goroutine->charged);
	free(goroutine->passed);
	free(goroutine);
}

static void end(struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct sl_runtime *runtime = goroutine->runtime;
	struct sl_start start = goroutine->start;
	int64_t now = sl_clock_monotonic_ns();

	if (!outcome->ok && atomic_load(&runtime->account.refused))
		sl_runtime_note_memory(runtime, outcome);
	if (goroutine->home.L)
		sl_handle_list_each_idle(
			&goroutine->home.handles, sl_wait_group_missed, goroutine);
	if (goroutine->begun) {
		outcome->wait_ms = (double)(goroutine->begun_ns - goroutine->started_ns) / 1e6;
		outcome->run_ms = (double)(now - goroutine->begun_ns) / 1e6;
	}
	leave_home(goroutine, !outcome->stopped); /* finalizers can still be stopped */
	atomic_store(&goroutine->worker, NULL);
	if (start.ended)
		start.ended(start.ctx, goroutine, outcome);
	else
		sl_outcome_deinit(outcome);
	if (sl_scope_leave(goroutine))
		sl_scheduler_stop(runtime->scheduler);
	sl_goroutine_drop(goroutine);
}

static void end_with_error(struct sl_goroutine *goroutine, const struct sl_error *err)
{
	struct sl_outcome outcome = {0};

	sl_outcome_fail(&outcome, err->text);
	end(goroutine, &outcome);
}

/* Its body returned or raised: @status with @n values on top. */
static void end_of_body(struct sl_goroutine *goroutine, int status, int n)
{
	struct sl_outcome outcome = {0};

	if (status == LUA_OK) {
		sl_share_release(goroutine->co);
		sl_outcome_take_values(&outcome, goroutine->co, n, &goroutine->start);
	} else {
		sl_outcome_take_error(&outcome, goroutine->home.L, goroutine->co);
	}
	end(goroutine, &outcome);
}

static void close_variables(struct sl_worker *worker, lua_State *co)
{
	worker->current = co;
	lua_resetthread(co);
	worker->current = NULL;
}

/* What a stopped goroutine was handed while it waited goes back. */
static void abandon_wait(struct sl_goroutine *goroutine)
{
	struct sl_wait *wait = &goroutine->wait;

	if (!wait->pending)
		return;
	wait->pending = false;
	if (wait->kind->abandon)
		wait->kind->abandon(goroutine, wait);
}

/* It has been stopped: what it holds open is closed, from the inside out, then it is gone. */
static void end_stopped(struct sl_goroutine *goroutine, struct sl_worker *worker)
{
	struct sl_outcome outcome = {.stopped = true};

	abandon_wait(goroutine);
	goroutine->closing_until_ns = sl_clock_monotonic_ns() + CLOSING_NS;
	for (size_t i = 0; i < goroutine->n_passed; i++)
		close_variables(worker, goroutine->passed[i]);
	if (goroutine->co)
		close_variables(worker, goroutine->co);
	sl_outcome_fail(&outcome, "stopped");
	end(goroutine, &outcome);
}

/* ---- waiting ---- */

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

		if (phase != PHASE_PARKING && phase != PHASE_PARKED)
			return false;
		blocking = phase == PHASE_PARKED && goroutine->blocking;
		if (!atomic_compare_exchange_weak(
			    &goroutine->phase, &phase, PHASE_CLAIMED + (unsigned)why))
			continue;
		if (phase == PHASE_PARKING)
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

/* Wherever it is woken from, first of all it leaves the lines it stands in. */
static void leave_wait(struct sl_goroutine *goroutine)
{
	struct sl_wait *wait = &goroutine->wait;
	unsigned phase;

	linger();
	phase = atomic_exchange(&goroutine->phase, PHASE_RUNNING);
	wait->woken =
		phase >= PHASE_CLAIMED ? (enum sl_wake)(phase - PHASE_CLAIMED) : SL_WAKE_READY;
	if (wait->deadline_ns && wait->woken != SL_WAKE_DEADLINE)
		sl_deadlines_remove(goroutine->runtime->deadlines, &goroutine->deadline);
	wait->pending = true;
	if (wait->kind->leave)
		wait->kind->leave(goroutine, wait);
}

/* Lets go of a goroutine that waits. True: it is others' from now on. False: it goes on, and
 * has left its wait. */
static bool park(struct sl_goroutine *goroutine)
{
	struct sl_wait *wait = &goroutine->wait;
	struct sl_deadlines *deadlines = goroutine->runtime->deadlines;
	unsigned parking = PHASE_PARKING;

	atomic_store(&goroutine->phase, PHASE_PARKING);
	atomic_store(&goroutine->hopeless, !wait->deadline_ns && !wait->kind->external);
	goroutine->deadline = (struct sl_deadline){.at_ns = wait->deadline_ns};
	linger();
	if (atomic_load(&goroutine->stopping))
		sl_goroutine_wake(goroutine, SL_WAKE_STOP);
	if (wait->kind->enter && !wait->kind->enter(goroutine, wait)) {
		leave_wait(goroutine);
		return false;
	}
	if (wait->deadline_ns && !sl_deadlines_add(deadlines, &goroutine->deadline))
		sl_goroutine_wake(goroutine, SL_WAKE_DEADLINE);
	atomic_store(&goroutine->worker, NULL);
	linger();
	if (atomic_compare_exchange_strong(&goroutine->phase, &parking, PHASE_PARKED))
		return true;
	leave_wait(goroutine);
	return false;
}

/* Waits on this thread, whose queue goes to another one. */
static bool block(struct sl_goroutine *goroutine)
{
	struct sl_worker *worker = sl_worker_self();
	lua_State *current = worker->current;

	if (!sl_worker_block(worker))
		return false;
	worker->current = NULL;
	goroutine->blocking = true;
	if (park(goroutine)) {
		sl_deadlock_check(goroutine->runtime);
		while (atomic_load(&goroutine->phase) == PHASE_PARKED)
			syscall(SYS_futex, &goroutine->phase, FUTEX_WAIT_PRIVATE, PHASE_PARKED,
				NULL);
		leave_wait(goroutine);
	}
	goroutine->blocking = false;
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
	if (wait->woken == SL_WAKE_DEADLOCK)
		return sl_deadlock_raise(L);
	return wait->k(L, status, wait->ctx);
}

int sl_goroutine_wait(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	goroutine->wait.k = k;
	goroutine->wait.ctx = ctx;
	if (lua_isyieldable(L)) {
		goroutine->request = REQUEST_WAIT;
		return lua_yieldk(L, 0, 0, wait_over);
	}
	if (!block(goroutine))
		return luaL_error(L, TOO_MANY_BLOCKED);
	if (atomic_load(&goroutine->stopping)) {
		abandon_wait(goroutine);
		return sl_goroutine_stop_self(L);
	}
	return wait_over(L, LUA_YIELD, 0);
}

/* The function returns what it left on the top. */
static int go_on(lua_State *L, int status, lua_KContext n_results)
{
	(void)L;
	(void)status;
	return (int)n_results;
}

int sl_goroutine_yield_to(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
	sl_goroutine_of(L)->request = REQUEST_YIELD;
	return lua_yieldk(L, 0, ctx, k);
}

int sl_goroutine_yield(lua_State *L, int n_results)
{
	if (!lua_isyieldable(L))
		return n_results;
	return sl_goroutine_yield_to(L, n_results, go_on);
}

int sl_goroutine_pace(lua_State *L, int n_results)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	if (++goroutine->n_spawned % SPAWNS_PER_TURN != 0)
		return n_results;
	return sl_goroutine_yield(L, n_results);
}

int sl_goroutine_stop_self(lua_State *L)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	atomic_store(&goroutine->stopping, true);
	if (!lua_isyieldable(L))
		return sl_preempt_raise(L);
	goroutine->request = REQUEST_STOP;
	return lua_yieldk(L, 0, 0, go_on);
}

void sl_goroutine_doom(struct sl_goroutine *goroutine)
{
	atomic_store(&goroutine->stopping, true);
}

void sl_goroutine_stop(struct sl_goroutine *goroutine)
{
	struct sl_worker *worker;

	sl_goroutine_doom(goroutine);
	if (sl_goroutine_wake(goroutine, SL_WAKE_STOP))
		return;
	worker = atomic_load(&goroutine->worker);
	if (worker)
		sl_preempt(worker);
}

void sl_goroutine_yield_in_hook(lua_State *L)
{
	sl_goroutine_of(L)->request = REQUEST_YIELD;
	lua_yield(L, 0);
}

void sl_goroutine_stop_in_hook(lua_State *L)
{
	sl_goroutine_of(L)->request = REQUEST_STOP;
	lua_yield(L, 0);
}

bool sl_goroutine_requests(lua_State *L)
{
	return sl_goroutine_of(L)->request != REQUEST_NONE;
}

void sl_goroutine_pass(lua_State *L, lua_State *co)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	if (goroutine->n_passed == goroutine->room_passed) {
		size_t room = goroutine->room_passed ? goroutine->room_passed * 2 : 8;
		lua_State **passed = realloc(goroutine->passed, room * sizeof(*passed));

		if (!passed)
			return; /* its variables aren't closed if it is stopped here */
		goroutine->passed = passed;
		goroutine->room_passed = room;
	}
	goroutine->passed[goroutine->n_passed++] = co;
}

void sl_goroutine_forget_request(lua_State *L)
{
	sl_goroutine_of(L)->request = REQUEST_NONE;
}

bool sl_goroutine_serve(lua_State *L)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	if (goroutine->request == REQUEST_WAIT && !block(goroutine))
		luaL_error(L, TOO_MANY_BLOCKED);
	if (!atomic_load(&goroutine->stopping))
		return true;
	abandon_wait(goroutine);
	return false;
}

bool sl_goroutine_is_stuck(struct sl_goroutine *goroutine)
{
	return atomic_load(&goroutine->phase) == PHASE_PARKED &&
	       atomic_load(&goroutine->hopeless);
}

uint64_t sl_goroutine_turns(struct sl_goroutine *goroutine)
{
	return atomic_load(&goroutine->n_turns);
}

/* ---- a turn ---- */

/* Runs the body until it returns, raises or yields. */
static int resume(struct sl_goroutine *goroutine, struct sl_worker *worker, int *n)
{
	int n_args = goroutine->n_args;
	int status;

	atomic_fetch_add_explicit(&goroutine->n_turns, 1, memory_order_relaxed);
	goroutine->n_args = 0;
	goroutine->n_passed = 0;
	goroutine->request = REQUEST_NONE;
	if (sl_chance_is(&worker->chance))
		sl_preempt_after(goroutine->co, (int)sl_chance_instructions(&worker->chance));
	worker->current = goroutine->co;
	status = lua_resume(goroutine->co, NULL, n_args, n);
	worker->current = NULL;
	return status;
}

/* What the body's yield asks for. True: it goes on at once. */
static bool grant(struct sl_goroutine *goroutine)
{
	struct sl_error err;

	switch ((enum request)goroutine->request) {
	case REQUEST_WAIT:
		return !park(goroutine);
	case REQUEST_YIELD:
		atomic_store(&goroutine->worker, NULL);
		sl_scheduler_ready(goroutine->runtime->scheduler, goroutine);
		return false;
	case REQUEST_STOP:
		return true;
	case REQUEST_NONE:
		break;
	}
	sl_fail(&err, SL_EINVALID, "attempt to yield from outside a coroutine");
	end_with_error(goroutine, &err);
	return false;
}

static bool turn(struct sl_goroutine *goroutine, struct sl_worker *worker)
{
	int status, n;

	atomic_store(&goroutine->worker, worker);
	if (atomic_load(&goroutine->stopping)) {
		end_stopped(goroutine, worker);
		return false;
	}
	status = resume(goroutine, worker, &n);
	if (status == LUA_YIELD) {
		lua_pop(goroutine->co, n);
		return grant(goroutine);
	}
	if (atomic_load(&goroutine->stopping))
		end_stopped(goroutine, worker);
	else
		end_of_body(goroutine, status, n);
	return false;
}

void sl_goroutine_run(struct sl_goroutine *goroutine, struct sl_worker *worker)
{
	struct sl_error err;

	atomic_store(&worker->running, goroutine);
	atomic_fetch_add_explicit(&worker->n_runs, 1, memory_order_relaxed);
	if (atomic_load(&goroutine->phase) != PHASE_RUNNING)
		leave_wait(goroutine);
	if (!goroutine->begun && !atomic_load(&goroutine->stopping) &&
		begin(goroutine, &err) != 0)
		end_with_error(goroutine, &err);
	else
		while (turn(goroutine, worker))
			;
	atomic_store(&worker->running, NULL);
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
