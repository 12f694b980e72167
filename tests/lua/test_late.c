/* SPDX-License-Identifier: MIT */
#include "lua/state/late.h"

#include <lauxlib.h>
#include <stdatomic.h>

#include "lua/state/arena.h"
#include "lua/state/home.h"
#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

enum {
	MANY = 1 << 26
};

static struct sl_account account;
static struct sl_home_model model;
static struct sl_home home;

static void move_in(void)
{
	account = (struct sl_account){0};
	ck_assert_int_eq(sl_home_model_init(&model, &account, MANY, NULL), 0);
	ck_assert_int_eq(sl_home_init(&home, &model, NULL, NULL), 0);
}

static void move_out(void)
{
	sl_home_deinit(&home);
	sl_home_model_deinit(&model);
}

/* Whether the global table @name has nothing in it, as C sees it. */
static bool is_empty(const char *name)
{
	bool empty;

	lua_getglobal(home.L, name);
	lua_pushnil(home.L);
	empty = !lua_next(home.L, -2);
	lua_pop(home.L, empty ? 1 : 3);
	return empty;
}

static const char *const looks[] = {
	"assert(math.floor(1.5) == 1)",
	"assert(math.nothing == nil)",
	"math.mine = 1 assert(math.mine == 1)",
	"n = 0 for k, v in pairs(math) do n = n + 1 assert(math[k] == v) end assert(n > 20)",
	"local n = 0 for k, v in next, math do n = n + 1 end assert(n > 20)",
	"assert(next(math))",
	"assert(type(rawget(math, 'floor')) == 'function')",
	"assert(rawset(math, 'floor', 1) == math)",
	"assert(getmetatable(math) == nil)",
	"local m = {} assert(setmetatable(math, m) == math and getmetatable(math) == m)",
	"assert(debug.getmetatable(math) == nil)",
	"assert(debug.setmetatable(math, {}) == math)",
	"assert(require('math').pi > 3)",
	"local t = setmetatable({}, { __index = math }) assert(t.pi > 3)",
};

START_TEST(a_look_into_a_late_table_fills_it)
{
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		move_in();
		ck_assert(is_empty("math"));
		if (luaL_dostring(home.L, looks[i]) != LUA_OK)
			ck_abort_msg("%s: %s", looks[i], lua_tostring(home.L, -1));
		ck_assert_msg(!is_empty("math"), "empty after: %s", looks[i]);
		ck_assert_msg(is_empty("os"), "os is full after: %s", looks[i]);
		move_out();
	}
}
END_TEST

START_TEST(each_module_can_be_late)
{
	move_in();
	if (luaL_dostring(home.L,
		    "for _, name in ipairs{'coroutine', 'debug', 'exec', 'fs', 'goroutine', "
		    "'http', 'io', 'json', 'log', 'math', 'os', 'string', 'table', 'utf8'} do\n"
		    "  local m, n = _G[name], 0\n"
		    "  for key, value in next, m do n = n + 1 assert(m[key] == value) end\n"
		    "  assert(n > 0 and getmetatable(m) == nil and require(name) == m, name)\n"
		    "end\n"
		    "assert(debug.sethook == nil and io.stdout and goroutine.channel_send)") !=
		LUA_OK)
		ck_abort_msg("%s", lua_tostring(home.L, -1));
	move_out();
}
END_TEST

/* How many entries the global table @name has, as C sees it. */
static int count(const char *name)
{
	int n = 0;

	lua_getglobal(home.L, name);
	for (lua_pushnil(home.L); lua_next(home.L, -2); lua_pop(home.L, 1))
		n++;
	lua_pop(home.L, 1);
	return n;
}

START_TEST(a_look_for_one_entry_makes_that_one)
{
	move_in();
	if (luaL_dostring(home.L,
		    "assert(math.floor(1.5) == 1 and math.pi > 3)\n"
		    "assert(math.floor and math.maxinteger == -1 >> 1)\n"
		    "assert(('x'):rep(3) == 'xxx' and goroutine.mutex)") != LUA_OK)
		ck_abort_msg("%s", lua_tostring(home.L, -1));
	ck_assert_int_eq(count("math"), 3);
	ck_assert_int_eq(count("string"), 1);
	ck_assert_int_lt(count("goroutine"), 10);
	move_out();
}
END_TEST

static const char *const changes[] = {
	"goroutine.spawn = 1 assert(goroutine.mutex and goroutine.spawn == 1)",
	"goroutine.spawn = nil assert(goroutine.spawn == nil)",
	"goroutine.spawn = nil next(goroutine) assert(goroutine.spawn == nil)",
	"os.time() os.time = nil assert(os.time == nil and os.date)",
	"os.time() os.time = nil assert(next(os) and os.time == nil and os.date)",
	"os.time = nil assert(os.time == nil)",
	"os.time = 1 assert(os.time == 1 and next(os) and os.time == 1)",
	"os['time\\0'] = 1 assert(os['time\\0'] == 1 and os['date\\0'] == nil)",
	"string.rep = nil assert(not pcall(function() return ('x'):rep(2) end))",
	/* Parentheses: clang takes it for a comma that was forgotten. */
	("local m = getmetatable('') m.__index = function(s, k) return k end next(string)\n"
	 "assert(getmetatable('') == m and ('x').y == 'y')"),
};

START_TEST(what_a_script_does_to_a_late_table_stays)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		move_in();
		if (luaL_dostring(home.L, changes[i]) != LUA_OK)
			ck_abort_msg("%s: %s", changes[i], lua_tostring(home.L, -1));
		move_out();
	}
}
END_TEST

START_TEST(one_that_could_not_be_filled_is_late_still)
{
	move_in();
	account.limit = atomic_load(&account.used);
	ck_assert_int_eq(luaL_loadstring(home.L, "return select(2, next(goroutine))"), LUA_OK);
	lua_pushvalue(home.L, -1);
	ck_assert_int_eq(lua_pcall(home.L, 0, 1, 0), LUA_ERRMEM);
	lua_pop(home.L, 1);
	account.limit = 0;
	ck_assert_int_eq(lua_pcall(home.L, 0, 1, 0), LUA_OK);
	ck_assert(lua_isfunction(home.L, -1));
	move_out();
}
END_TEST

START_TEST(next_and_pairs_are_as_in_standard_lua)
{
	task_ok("assert(pairs({}) == next and next({}) == nil and next({5}) == 1)\n"
		"assert(not pcall(next, 1) and not pcall(next, {}, 'nothing'))\n"
		"local ok, why = pcall(function() for k in pairs(nil) do end end)\n"
		"assert(why:find(\"bad argument #1 to 'for iterator' (table expected\", 1, "
		"true))\n"
		"assert(not pcall(pairs))\n"
		"local t = setmetatable({}, { __pairs = function(t) goroutine.sleep(1)\n"
		"  return function(_, k) if not k then return 1, 2 end end, t end })\n"
		"for k, v in pairs(t) do assert(k == 1 and v == 2) end\n"
		"local step, of = pairs({ a = 1 })\n"
		"assert(select(2, goroutine.await(goroutine.async(function() return step(of) "
		"end))) == 'a')\n"
		"assert(getmetatable('').__index == string)\n"
		"assert(getmetatable(setmetatable({}, { __metatable = 7 })) == 7)\n"
		"assert(not pcall(getmetatable) and not pcall(rawget, {}) and not "
		"pcall(rawset, {}, "
		"1))\n"
		"assert(rawget(setmetatable({}, { __index = string }), 'rep') == nil)");
}
END_TEST

START_TEST(each_goroutine_has_random_numbers_of_its_own)
{
	struct task_run run;

	task_run_in_turn(&run, "local seen = {}\n"
			       "for i = 1, 50 do\n"
			       "  local ok, x = goroutine.await(goroutine.async(function()\n"
			       "    return math.random(0) end))\n"
			       "  assert(ok and not seen[x], i)\n"
			       "  seen[x] = true\n"
			       "end");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("late", a_look_into_a_late_table_fills_it, each_module_can_be_late,
	a_look_for_one_entry_makes_that_one, what_a_script_does_to_a_late_table_stays,
	one_that_could_not_be_filled_is_late_still, next_and_pairs_are_as_in_standard_lua,
	each_goroutine_has_random_numbers_of_its_own)
