/* SPDX-License-Identifier: MIT */
#include "lua/sync/async.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/call.h"
#include "lua/schedule/scope.h"
#include "lua/share/share.h"
#include "lua/sync/future.h"

#define EXCEEDED "timeout exceeded"
#define AWAITED "async handle already awaited"
#define SCOPE_KIND "timeout"

static int fail(lua_State *L, const char *why)
{
	lua_pushboolean(L, false);
	lua_pushstring(L, why);
	return 2;
}

/* ---- async ---- */

/* Of the goroutine that async() or timeout() began; @ctx is its future, with a reference. */
static void ended(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct sl_future *future = ctx;

	if (!outcome->ok && !outcome->stopped && goroutine->start.kind == SL_GOROUTINE_ASYNC)
		sl_call_report(goroutine, outcome, "async", SL_LOG_WARNING);
	sl_future_complete(future, outcome);
	sl_handle_unref(sl_future_handle(future));
}

/* Begins a goroutine for the function at @first, and pushes the handle of its future. */
static struct sl_future *begin(
	lua_State *L, int first, enum sl_goroutine_kind kind, struct sl_scope *scope)
{
	struct sl_future *future = sl_future_new();
	struct sl_start start = {
		.kind = kind,
		.scope = scope,
		.wants_values = true,
		.nil_is_failure = true,
		.ended = ended,
		.ctx = future,
	};
	struct sl_error err;

	if (!future)
		luaL_error(L, "not enough memory");
	sl_handle_push_new(L, sl_future_handle(future));
	lua_insert(L, first);
	sl_call_pack(L, first + 1, &start);
	sl_handle_ref(sl_future_handle(future));
	if (sl_goroutine_start(sl_runtime_of(L), &start, &err) != 0) {
		sl_handle_unref(sl_future_handle(future));
		luaL_error(L, "%s", err.text);
	}
	lua_settop(L, first);
	return future;
}

int sl_async(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	begin(L, 1, SL_GOROUTINE_ASYNC, sl_goroutine_of(L)->start.scope);
	return sl_goroutine_pace(L, 1);
}

/* ---- await ---- */

static struct sl_future *check_future(lua_State *L, int arg)
{
	return (struct sl_future *)sl_handle_check(L, arg, SL_FUTURE_KIND);
}

/* Pushes what @outcome, in a future, has to say, and forgets it. */
static int deliver(lua_State *L, struct sl_outcome *outcome)
{
	int n;

	sl_share_acquire(L);
	n = sl_call_push_outcome(L, outcome);

	sl_outcome_deinit(outcome);
	return n;
}

/* Slots: handle, time. The deadline is the context. */
static int await(lua_State *L, int status, lua_KContext deadline_ns)
{
	struct sl_future *future = check_future(L, 1);
	bool awaited;
	struct sl_outcome *outcome = sl_future_take(future, &awaited);

	if (outcome)
		return deliver(L, outcome);
	if (awaited)
		return fail(L, AWAITED);
	if (status == LUA_YIELD && sl_goroutine_woken(L) == SL_WAKE_DEADLINE)
		return fail(L, EXCEEDED);
	sl_goroutine_prepare(L, &sl_future_wait_kind, future, deadline_ns);
	return sl_goroutine_wait(L, deadline_ns, await);
}

int sl_await(lua_State *L)
{
	check_future(L, 1);
	return await(L, LUA_OK, sl_call_deadline(L, 2));
}

/* ---- await_all ---- */

/* Stack slots of await_all. */
enum {
	SLOT_HANDLES = 1,
	SLOT_DEADLINE, /* integer, ns */
	SLOT_COUNT,    /* integer */
	SLOT_RESULTS,
};

/* The largest positive integer key: handles may have holes. */
static lua_Integer count_handles(lua_State *L)
{
	lua_Integer n = 0;

	for (lua_pushnil(L); lua_next(L, SLOT_HANDLES); lua_pop(L, 1))
		if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > n)
			n = lua_tointeger(L, -2);
	return n;
}

static void push_failure(lua_State *L, const char *why)
{
	lua_createtable(L, 0, 2);
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "success");
	lua_pushstring(L, why);
	lua_setfield(L, -2, "error");
}

/* Pushes the record of the future on the top; false: it isn't done, and has to be waited for.
 */
static bool push_result(lua_State *L, struct sl_future *future, bool late)
{
	bool awaited;
	struct sl_outcome *outcome = sl_future_take(future, &awaited);

	if (outcome) {
		sl_share_acquire(L);
		sl_call_push_record(L, outcome);
		sl_outcome_deinit(outcome);
		return true;
	}
	if (!awaited && !late)
		return false;
	push_failure(L, awaited ? AWAITED : EXCEEDED);
	return true;
}

/* The i-th handle's turn; @ctx is i. */
static int await_next(lua_State *L, int status, lua_KContext i)
{
	lua_Integer n = lua_tointeger(L, SLOT_COUNT);
	int64_t deadline_ns = lua_tointeger(L, SLOT_DEADLINE);
	bool late = status == LUA_YIELD && sl_goroutine_woken(L) == SL_WAKE_DEADLINE;

	for (; i <= n; i++) {
		struct sl_handle *handle;

		lua_settop(L, SLOT_RESULTS);
		lua_geti(L, SLOT_HANDLES, i);
		handle = luaL_testudata(L, -1, SL_FUTURE_KIND) ? sl_handle_at(L, -1) : NULL;
		if (!handle) {
			push_failure(L, "not an async handle");
		} else if (!push_result(L, (struct sl_future *)handle, late)) {
			sl_goroutine_prepare(L, &sl_future_wait_kind, handle, deadline_ns);
			return sl_goroutine_wait(L, i, await_next);
		}
		lua_rawseti(L, SLOT_RESULTS, i);
	}
	lua_settop(L, SLOT_RESULTS);
	return 1;
}

int sl_await_all(lua_State *L)
{
	int64_t deadline_ns;
	lua_Integer n;

	luaL_checktype(L, 1, LUA_TTABLE);
	deadline_ns = sl_call_deadline(L, 2);
	lua_settop(L, SLOT_HANDLES);
	n = count_handles(L);
	lua_pushinteger(L, deadline_ns);
	lua_pushinteger(L, n);
	lua_createtable(L, n < 1000000 ? (int)n : 1000000, 0);
	return await_next(L, LUA_OK, 1);
}

/* ---- timeout ---- */

/* A reference to a scope, for the Lua stack. */
struct scope_handle {
	struct sl_handle handle; /* first */
	struct sl_scope *scope;
};

static void free_scope_handle(struct sl_handle *handle)
{
	sl_scope_unref(((struct scope_handle *)handle)->scope);
	free(handle);
}

/* Pushes a handle of a new scope inside the caller's. */
static struct sl_scope *push_scope(lua_State *L)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	struct scope_handle *holder = calloc(1, sizeof(*holder));
	struct sl_scope *scope =
		sl_scope_new(sl_goroutine_of(L)->start.scope, &runtime->scopes_lock);

	if (!holder || !scope) {
		free(holder);
		sl_scope_unref(scope);
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	holder->handle =
		(struct sl_handle){.refs = 1, .kind = SCOPE_KIND, .free = free_scope_handle};
	holder->scope = scope;
	sl_handle_push_new(L, &holder->handle);
	return scope;
}

/* Slots: scope, future. The body has ended; @late: it was stopped, unless it came to its end
 * just before. */
static int body_over(lua_State *L, int status, lua_KContext late)
{
	bool awaited;
	struct sl_outcome *outcome = sl_future_take(check_future(L, 2), &awaited);

	(void)status;
	if (!late || outcome->ok)
		return deliver(L, outcome);
	sl_share_acquire(L);
	return fail(L, EXCEEDED); /* the future keeps it */
}

/* Slots: scope, future. The body has ended, or its time is over. What it began goes on if it
 * succeeded: it may have returned the way to it. */
static int body_ended(lua_State *L, int status, lua_KContext ctx)
{
	struct sl_scope *scope =
		((struct scope_handle *)sl_handle_check(L, 1, SCOPE_KIND))->scope;
	struct sl_future *future = check_future(L, 2);
	bool late = !sl_future_is_done(future);

	(void)status;
	(void)ctx;
	if (!late && !sl_future_has_failed(future))
		return body_over(L, LUA_OK, false);
	sl_runtime_stop_scope(sl_runtime_of(L), scope);
	sl_goroutine_prepare(L, &sl_scope_wait_kind, scope, 0);
	return sl_goroutine_wait(L, late, body_over);
}

int sl_timeout(lua_State *L)
{
	int64_t deadline_ns;
	struct sl_future *future;
	struct sl_scope *scope;

	luaL_checknumber(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	deadline_ns = sl_call_deadline(L, 1);
	if (deadline_ns == 1)
		return fail(L, EXCEEDED);
	scope = push_scope(L);
	lua_replace(L, 1);
	future = begin(L, 2, SL_GOROUTINE_TIMEOUT, scope);
	sl_goroutine_prepare(L, &sl_future_wait_kind, future, deadline_ns);
	return sl_goroutine_wait(L, 0, body_ended);
}
