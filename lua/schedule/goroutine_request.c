/* SPDX-License-Identifier: MIT */

/*
 * What a goroutine's body asks its scheduler for when it yields, or serves where
 * it can't; and how it is made to stop.
 */

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lua/schedule/goroutine_parts.h"
#include "lua/schedule/preempt.h"
#include "lua/schedule/scheduler.h"

enum {
	SPAWNS_PER_TURN = 32
};

/* The function returns what it left on the top. */
static int go_on(lua_State *L, int status, lua_KContext n_results)
{
	(void)L;
	(void)status;
	return (int)n_results;
}

int sl_goroutine_yield_to(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
	sl_goroutine_of(L)->request = SL_REQUEST_YIELD;
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
	goroutine->request = SL_REQUEST_STOP;
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

void sl_goroutine_tell(lua_State *L)
{
	sl_goroutine_of(L)->told = true;
}

void sl_goroutine_yield_in_hook(lua_State *L)
{
	sl_goroutine_of(L)->request = SL_REQUEST_YIELD;
	lua_yield(L, 0);
}

void sl_goroutine_stop_in_hook(lua_State *L)
{
	sl_goroutine_of(L)->request = SL_REQUEST_STOP;
	lua_yield(L, 0);
}

bool sl_goroutine_requests(lua_State *L)
{
	return sl_goroutine_of(L)->request != SL_REQUEST_NONE;
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
	sl_goroutine_of(L)->request = SL_REQUEST_NONE;
}

bool sl_goroutine_serve(lua_State *L)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	if (goroutine->request == SL_REQUEST_WAIT && !sl_goroutine_block(goroutine))
		luaL_error(L, SL_TOO_MANY_BLOCKED);
	if (!atomic_load(&goroutine->stopping))
		return true;
	goroutine->told = true;
	sl_goroutine_abandon_wait(goroutine);
	return false;
}
