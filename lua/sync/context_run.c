/* SPDX-License-Identifier: MIT */
#include "lua/sync/context_run.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/call.h"
#include "lua/schedule/scope.h"
#include "lua/share/share.h"
#include "lua/sync/channel.h"
#include "lua/sync/channel_calls.h"
#include "lua/sync/future.h"

/* Stack slots. */
enum {
	SLOT_CONTEXT = 1,
	SLOT_RUN,
	SLOT_CHOICE, /* while it runs; before, its function */
};

struct run {
	struct sl_handle handle;  /* first */
	struct sl_scope *scope;   /* shares */
	struct sl_future *future; /* shares */
	struct sl_channel *over;  /* shares; closed when the function has ended */
	const char *(*reason)(lua_State *L);
};

static void free_run(struct sl_handle *handle)
{
	struct run *run = (struct run *)handle;

	sl_scope_unref(run->scope);
	if (run->future)
		sl_handle_unref(sl_future_handle(run->future));
	if (run->over)
		sl_handle_unref(sl_channel_handle(run->over));
	free(run);
}

static struct run *push_run(lua_State *L)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	struct run *run = calloc(1, sizeof(*run));

	if (!run) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	run->handle = (struct sl_handle){.refs = 1, .kind = "context run", .free = free_run};
	sl_handle_push_new(L, &run->handle);
	run->scope = sl_scope_new(sl_goroutine_of(L)->start.scope, &runtime->scopes_lock);
	run->future = sl_future_new();
	run->over = sl_channel_new(runtime, 0, SL_CHANNEL_BOTH, 0);
	if (!run->scope || !run->future || !run->over)
		luaL_error(L, "not enough memory");
	return run;
}

/* Of the function's goroutine; @ctx is the run, with a reference. */
static void ended(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct run *run = ctx;

	(void)goroutine;
	sl_future_complete(run->future, outcome);
	sl_channel_close(run->over);
	sl_handle_unref(&run->handle);
}

/* Begins the function at SLOT_CHOICE, with what is behind it. */
static void begin(lua_State *L, struct run *run)
{
	struct sl_start start = {
		.kind = SL_GOROUTINE_TIMEOUT,
		.scope = run->scope,
		.wants_values = true,
		.nil_is_failure = true,
		.ended = ended,
		.ctx = run,
	};
	struct sl_error err;

	sl_call_pack(L, SLOT_CHOICE, &start);
	sl_handle_ref(&run->handle);
	if (sl_goroutine_start(sl_runtime_of(L), &start, &err) != 0) {
		sl_handle_unref(&run->handle);
		luaL_error(L, "%s", err.text);
	}
	lua_settop(L, SLOT_RUN);
}

static int fail(lua_State *L, const char *why)
{
	lua_pushboolean(L, false);
	lua_pushstring(L, why);
	return 2;
}

/* The function has ended; @over: it was stopped, as the context is over, unless it came to its
 * end just before. */
static int ended_or_stopped(lua_State *L, int status, lua_KContext over)
{
	struct run *run = (struct run *)sl_handle_at(L, SLOT_RUN);
	bool awaited;
	struct sl_outcome *outcome = sl_future_take(run->future, &awaited); /* which keeps it */

	(void)status;
	sl_share_acquire(L);
	if (over && !outcome->ok)
		return fail(L, run->reason(L));
	return sl_call_push_outcome(L, outcome);
}

/* The function has ended, or the context is over. What it began goes on if it succeeded. */
static int finish(lua_State *L, struct sl_choice *choice)
{
	struct run *run = (struct run *)sl_handle_at(L, SLOT_RUN);
	bool over = !sl_future_is_done(run->future);

	(void)choice;
	if (!over && !sl_future_has_failed(run->future))
		return ended_or_stopped(L, LUA_OK, false);
	sl_runtime_stop_scope(sl_runtime_of(L), run->scope);
	sl_goroutine_prepare(L, &sl_scope_wait_kind, run->scope, 0);
	return sl_goroutine_wait(L, over, ended_or_stopped);
}

int sl_context_run(lua_State *L, struct sl_channel *done, const char *(*reason)(lua_State *L))
{
	struct sl_choice *choice;
	struct run *run;

	if (reason(L))
		return fail(L, reason(L));
	run = push_run(L);
	run->reason = reason;
	lua_insert(L, SLOT_RUN);
	begin(L, run);
	choice = sl_choice_push(L, 2);
	sl_choice_set(choice, 0, run->over, false, NULL);
	sl_choice_set(choice, 1, done, false, NULL);
	choice->finish = finish;
	return sl_choice_wait(L, SLOT_CHOICE);
}
