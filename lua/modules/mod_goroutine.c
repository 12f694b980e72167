/* SPDX-License-Identifier: MIT */

/*
 * The module goroutine: begins goroutines and sleeps; the rest is in the files
 * of the things that it is about.
 */

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "lua/modules/modules.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/call.h"
#include "lua/state/handle.h"
#include "lua/sync/async.h"
#include "lua/sync/pool.h"
#include "lua/sync/primitives.h"
#include "lua/sync/wait_group.h"

/* What a spawned goroutine returned is ignored; what it raised is not. */
static void spawn_ended(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	(void)ctx;
	if (!outcome->ok && !outcome->stopped) {
		sl_tally_add(goroutine->runtime->tally, SL_TALLY_GOROUTINES_FAILED, 1);
		sl_call_report(goroutine, outcome, "spawn", SL_LOG_ERROR);
	}
	sl_outcome_deinit(outcome);
}

static void spawn(lua_State *L, int first)
{
	struct sl_start start = {
		.kind = SL_GOROUTINE_SPAWN,
		.scope = sl_goroutine_of(L)->start.scope,
		.ended = spawn_ended,
	};

	sl_call_pack(L, first, &start);
	sl_call_start(L, &start);
}

/* goroutine.spawn(fn, ...) */
static int l_spawn(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	spawn(L, 1);
	return sl_goroutine_pace(L, 0);
}

/* Slots: n, fn. Begins the goroutines from the i-th on, some each turn. */
static int spawn_from(lua_State *L, int status, lua_KContext i)
{
	enum {
		A_TURN = 32
	};
	lua_Integer n = lua_tointeger(L, 1);

	(void)status;
	for (lua_KContext last = i + A_TURN; i <= n; i++) {
		if (i == last && lua_isyieldable(L))
			return sl_goroutine_yield_to(L, i, spawn_from);
		lua_pushvalue(L, 2);
		lua_pushinteger(L, i);
		spawn(L, 3);
		lua_settop(L, 2);
	}
	return 0;
}

/* goroutine.spawn_many(n, fn) */
static int l_spawn_many(lua_State *L)
{
	luaL_checkinteger(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	return spawn_from(L, LUA_OK, 1);
}

static const struct sl_wait_kind sleep_kind = {.name = "sleep", .external = true};

static int slept(lua_State *L, int status, lua_KContext ctx)
{
	(void)L;
	(void)status;
	(void)ctx;
	return 0;
}

/* goroutine.sleep(ms) */
static int l_sleep(lua_State *L)
{
	int64_t deadline_ns;

	luaL_checknumber(L, 1);
	deadline_ns = sl_call_deadline(L, 1);
	if (deadline_ns == 1)
		return sl_goroutine_yield(L, 0);
	sl_goroutine_prepare(L, &sleep_kind, NULL, deadline_ns);
	return sl_goroutine_wait(L, 0, slept);
}

static const luaL_Reg first_functions[] = {
	{"async", sl_async},
	{"await", sl_await},
	{"await_all", sl_await_all},
	{"sleep", l_sleep},
	{"spawn", l_spawn},
	{"spawn_many", l_spawn_many},
	{"timeout", sl_timeout},
	{"wait_group", sl_wait_group_create},
	{NULL, NULL},
};

int sl_open_goroutine_first(lua_State *L)
{
	sl_handle_define(L, SL_WAIT_GROUP_KIND, sl_wait_group_methods);
	luaL_newlib(L, first_functions);
	return 1;
}

int sl_open_goroutine(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"pool_close", sl_pool_close},
		{"pool_create", sl_pool_create},
		{"pool_stats", sl_pool_stats},
		{"pool_submit", sl_pool_submit},
		{"pool_wait", sl_pool_wait},
		{NULL, NULL},
	};

	sl_pool_define(L);
	luaL_newlib(L, first_functions);
	luaL_setfuncs(L, functions, 0);
	sl_primitives_open(L);
	return 1;
}
