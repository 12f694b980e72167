/* SPDX-License-Identifier: MIT */
#include "lua/schedule/goroutine.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/goroutine_parts.h"
#include "lua/schedule/outcome.h"
#include "lua/schedule/preempt.h"
#include "lua/schedule/scheduler.h"
#include "lua/schedule/scope.h"
#include "lua/schedule/seat.h"
#include "lua/share/share.h"
#include "lua/sync/wait_group.h"
#include "lua/transfer/body.h"
#include "lua/transfer/light_call.h"
#include "lua/transfer/transfer.h"

/* How long a stopped goroutine may take to close its variables; waiting for a CPU isn't it. */
#define CLOSING_NS (SL_SLOWNESS * INT64_C(100000000))

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
	sl_handle_unref(goroutine->let_go);
	sl_account_release(&goroutine->runtime->account, goroutine->charged);
	free(goroutine->passed);
	free(goroutine);
}

static void end(struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct sl_runtime *runtime = goroutine->runtime;
	struct sl_start start = goroutine->start;
	int64_t now = sl_clock_monotonic_ns();

	if (goroutine->home.L)
		sl_handle_list_each_idle(
			&goroutine->home.handles, sl_wait_group_missed, goroutine);
	if (goroutine->begun) {
		outcome->wait_ms = (double)(goroutine->begun_ns - goroutine->started_ns) / 1e6;
		outcome->run_ms = (double)(now - goroutine->begun_ns) / 1e6;
	}
	leave_home(goroutine, !outcome->stopped); /* finalizers can still be stopped */
	sl_outcome_charge(outcome, &runtime->account);
	if (!outcome->ok && atomic_load(&runtime->account.refused))
		sl_runtime_note_memory(runtime, outcome);
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

/* It has been stopped: what it holds open is closed, from the inside out, then it is gone. */
static void end_stopped(struct sl_goroutine *goroutine, struct sl_worker *worker)
{
	struct sl_outcome outcome = {.stopped = true};

	sl_goroutine_abandon_wait(goroutine);
	goroutine->closing_until_ns = atomic_load(&worker->pressed_ns) + CLOSING_NS;
	for (size_t i = 0; i < goroutine->n_passed; i++)
		close_variables(worker, goroutine->passed[i]);
	if (goroutine->co)
		close_variables(worker, goroutine->co);
	sl_outcome_fail(&outcome, "stopped");
	end(goroutine, &outcome);
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
	goroutine->request = SL_REQUEST_NONE;
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

	switch ((enum sl_request)goroutine->request) {
	case SL_REQUEST_WAIT:
		return !sl_goroutine_park(goroutine);
	case SL_REQUEST_YIELD:
		atomic_store(&goroutine->worker, NULL);
		sl_scheduler_ready(goroutine->runtime->scheduler, goroutine);
		return false;
	case SL_REQUEST_STOP:
		return true;
	case SL_REQUEST_NONE:
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
	/* Stopped when it had returned: what it took, a lock say, is told to who waits for it.
	 */
	if (atomic_load(&goroutine->stopping) && (status != LUA_OK || goroutine->told))
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
	if (atomic_load(&goroutine->phase) != SL_PHASE_RUNNING)
		sl_goroutine_leave_wait(goroutine);
	if (!goroutine->begun && !atomic_load(&goroutine->stopping) &&
		begin(goroutine, &err) != 0)
		end_with_error(goroutine, &err);
	else
		while (turn(goroutine, worker))
			;
	atomic_store(&worker->running, NULL);
}
