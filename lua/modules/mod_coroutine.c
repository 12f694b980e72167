/* SPDX-License-Identifier: MIT */

/*
 * coroutine: as in standard Lua, but a goroutine that has to wait or to stop
 * does so from inside of coroutines too: what the scheduler is asked for passes
 * through them, up to it and back.
 */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lua/modules/modules.h"
#include "lua/schedule/goroutine.h"
#include "lua/schedule/preempt.h"
#include "lua/schedule/scheduler.h"

static int drive(lua_State *L, lua_State *co, int n_args, bool wrap);

/* A coroutine's address is even: the lowest bit says whether it is wrapped. */
static int drive_on(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	return drive(L, (lua_State *)((uintptr_t)ctx & ~(uintptr_t)1), 0, ctx & 1);
}

/* The error of @co as wrap() raises it. */
static int raise_wrapped(lua_State *L, lua_State *co)
{
	int status = lua_status(co);

	if (status != LUA_OK && status != LUA_YIELD) {
		status = lua_resetthread(co);
		lua_xmove(co, L, 1);
	}
	if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int give_results(lua_State *L, lua_State *co, int n, bool wrap)
{
	if (!lua_checkstack(L, n + 1)) {
		lua_pop(co, n);
		lua_pushliteral(L, "too many results to resume");
		if (wrap)
			return raise_wrapped(L, co);
		lua_pushboolean(L, false);
		lua_insert(L, -2);
		return 2;
	}
	if (!wrap)
		lua_pushboolean(L, true);
	lua_xmove(co, L, n);
	return n + !wrap;
}

static int give_error(lua_State *L, lua_State *co, bool wrap)
{
	lua_xmove(co, L, 1);
	if (wrap) {
		lua_pushvalue(L, -1);
		lua_xmove(L, co, 1); /* closing a coroutine that failed wants its error */
		lua_pop(L, 1);
		return raise_wrapped(L, co);
	}
	lua_pushboolean(L, false);
	lua_insert(L, -2);
	return 2;
}

/* The goroutine has to stop: closes what @co has open and lets an error do the rest. */
static int stop_here(lua_State *L, lua_State *co)
{
	struct sl_worker *worker = sl_worker_self();

	worker->current = co;
	lua_resetthread(co);
	worker->current = L;
	return sl_preempt_raise(L);
}

/* Runs @co to its end on this thread, whatever it asks for. */
static void drive_here(lua_State *L, lua_State *co, int n_args)
{
	struct sl_worker *worker = sl_worker_self();
	int status, n;

	for (;;) {
		sl_goroutine_forget_request(L);
		worker->current = co;
		status = lua_resume(co, L, n_args, &n);
		worker->current = L;
		if (status != LUA_YIELD)
			break;
		lua_pop(co, n);
		n_args = 0;
		if (!sl_goroutine_requests(L) || !sl_goroutine_serve(L))
			stop_here(L, co);
	}
	if (status != LUA_OK)
		give_error(L, co, true);
}

/* Runs @co until it yields on its own account, returns or raises. */
static int drive(lua_State *L, lua_State *co, int n_args, bool wrap)
{
	struct sl_worker *worker = sl_worker_self();
	int status, n;

	for (;;) {
		sl_goroutine_forget_request(L);
		worker->current = co;
		status = lua_resume(co, L, n_args, &n);
		worker->current = L;
		if (status != LUA_YIELD || !sl_goroutine_requests(L))
			break;
		lua_pop(co, n);
		n_args = 0;
		if (lua_isyieldable(L)) {
			sl_goroutine_pass(L, co);
			return lua_yieldk(L, 0, (lua_KContext)((uintptr_t)co | wrap), drive_on);
		}
		if (!sl_goroutine_serve(L))
			return stop_here(L, co);
	}
	if (status == LUA_OK || status == LUA_YIELD)
		return give_results(L, co, n, wrap);
	return give_error(L, co, wrap);
}

int sl_coroutine_call(lua_State *L, int n_args)
{
	struct sl_worker *worker = sl_worker_self();
	lua_State *current = worker ? worker->current : NULL;
	lua_State *co = lua_newthread(L);

	lua_insert(L, 1);
	lua_xmove(L, co, n_args + 1);
	if (!worker) /* a state that is closed when all is over */
		return lua_pcall(co, n_args, 0, 0) == LUA_OK ? 0 : give_error(L, co, true);
	drive_here(L, co, n_args);
	worker->current = current;
	return 0;
}

static lua_State *get_coroutine(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);

	luaL_argexpected(L, co, 1, "coroutine");
	return co;
}

/* Pushes why @co can't be resumed with the arguments on the top. */
static bool refuse(lua_State *L, lua_State *co, int n_args)
{
	if (!lua_checkstack(co, n_args))
		lua_pushliteral(L, "too many arguments to resume");
	else if (lua_status(co) == LUA_OK && lua_gettop(co) == 0)
		lua_pushliteral(L, "cannot resume dead coroutine");
	else
		return false;
	return true;
}

/* coroutine.resume(co, ...) */
static int l_resume(lua_State *L)
{
	lua_State *co = get_coroutine(L);
	int n_args = lua_gettop(L) - 1;

	if (refuse(L, co, n_args)) {
		lua_pushboolean(L, false);
		lua_insert(L, -2);
		return 2;
	}
	lua_xmove(L, co, n_args);
	return drive(L, co, n_args, false);
}

/* what coroutine.wrap() returns */
static int l_wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int n_args = lua_gettop(L);

	if (refuse(L, co, n_args))
		return raise_wrapped(L, co);
	lua_xmove(L, co, n_args);
	return drive(L, co, n_args, true);
}

/* coroutine.wrap(fn) */
static int l_wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, l_wrapped, 1);
	return 1;
}

static bool has_frames(lua_State *co)
{
	lua_Debug info;

	return lua_getstack(co, 0, &info) != 0;
}

/* coroutine.close(co) */
static int l_close(lua_State *L)
{
	lua_State *co = get_coroutine(L);
	int status;

	if (co == L)
		return luaL_error(L, "cannot close a running coroutine");
	if (lua_status(co) == LUA_OK && has_frames(co))
		return luaL_error(L, "cannot close a normal coroutine");
	sl_worker_self()->current = co;
	status = lua_resetthread(co);
	sl_worker_self()->current = L;
	lua_pushboolean(L, status == LUA_OK);
	if (status == LUA_OK)
		return 1;
	lua_xmove(co, L, 1);
	return 2;
}

/* A goroutine's body looks like the main program does elsewhere. */
static bool is_body(lua_State *L)
{
	return L == sl_goroutine_of(L)->co;
}

/* coroutine.yield(...) */
static int l_yield(lua_State *L)
{
	if (is_body(L))
		return luaL_error(L, "attempt to yield from outside a coroutine");
	return lua_yield(L, lua_gettop(L));
}

/* coroutine.isyieldable([co]) */
static int l_isyieldable(lua_State *L)
{
	lua_State *co = lua_isnone(L, 1) ? L : get_coroutine(L);

	lua_pushboolean(L, !is_body(co) && lua_isyieldable(co));
	return 1;
}

/* coroutine.running() */
static int l_running(lua_State *L)
{
	lua_pushthread(L);
	lua_pushboolean(L, is_body(L));
	return 2;
}

int sl_open_coroutine(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"close", l_close},
		{"isyieldable", l_isyieldable},
		{"resume", l_resume},
		{"running", l_running},
		{"wrap", l_wrap},
		{"yield", l_yield},
		{NULL, NULL},
	};

	luaopen_coroutine(L);
	luaL_setfuncs(L, functions, 0);
	return 1;
}
