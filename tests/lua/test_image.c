/* SPDX-License-Identifier: MIT */
#include "lua/state/image.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdatomic.h>

#include "common/error.h"
#include "lua/state/arena.h"
#include "lua/state/home.h"
#include "tests/support/check_main.h"

enum {
	N_HOMES = 20,
	MANY = 1 << 26
};

static struct sl_account account;
static struct sl_home_model model;
static struct sl_home homes[N_HOMES];

static void make_homes(void)
{
	account.limit = 0;
	ck_assert_int_eq(sl_home_model_init(&model, &account, MANY, NULL), 0);
	for (int i = 0; i < N_HOMES; i++)
		ck_assert_int_eq(sl_home_init(&homes[i], &model, NULL, NULL), 0);
	ck_assert_ptr_nonnull(atomic_load(&model.image));
}

static void drop_homes(void)
{
	for (int i = 0; i < N_HOMES; i++)
		sl_home_deinit(&homes[i]);
	sl_home_model_deinit(&model);
	ck_assert_uint_eq(atomic_load(&account.used), 0);
}

static void run(lua_State *L, const char *lua)
{
	if (luaL_dostring(L, lua) != LUA_OK)
		ck_abort_msg("%s", lua_tostring(L, -1));
}

/* Each table must find each of its keys: one hashed by an address would be lost. */
static const char find_all[] =
	"local seen, n = {}, 0\n"
	"local function look(t)\n"
	"  if seen[t] then return end\n"
	"  seen[t] = true\n"
	"  for k, v in next, t do\n"
	"    n = n + 1\n"
	"    assert(rawequal(rawget(t, k), v), 'lost key ' .. tostring(k))\n"
	"    if type(v) == 'table' then look(v) end\n"
	"    local m = debug.getmetatable(v)\n"
	"    if m then look(m) end\n"
	"  end\n"
	"end\n"
	"look(_G) look(debug.getregistry())\n"
	"assert(n > 150, n)\n";

static const char use_much[] =
	"assert(('x'):rep(3):upper() == 'XXX' and math.type(1) == 'integer')\n"
	"assert(select('#', table.unpack({1, 2, 3})) == 3 and utf8.char(233) == 'é')\n"
	"assert(not pcall(error, {}) and tostring(io.stdout):find('file'))\n"
	"local t = {}\n"
	"for i = 1, 20000 do t[i] = { i, tostring(i) } end\n"
	"for i = 1, 20000 do assert(t[i][2] == tostring(i)) end\n"
	"t = nil collectgarbage() collectgarbage('generational') collectgarbage()\n"
	"collectgarbage('incremental')\n"
	"local n = 0 for name, f in pairs(fs) do n = n + 1 assert(fs[name] == f) end\n"
	"assert(n > 10 and type(exec.run) == 'function' and not getmetatable(exec))\n"
	"json.mine = 1 assert(json.mine == 1 and json.encode({ 1 }) == '[1]')\n"
	"assert(require('fs') == fs and exec.nothing == nil)\n"
	"assert(require('goroutine') == goroutine and require('string') == string)\n";

START_TEST(a_thawed_state_finds_everything_and_works)
{
	make_homes();
	for (int i = 0; i < N_HOMES; i++) {
		run(homes[i].L, find_all);
		run(homes[i].L, use_much);
		run(homes[i].L, find_all);
	}
	drop_homes();
}
END_TEST

START_TEST(what_one_changes_no_other_sees)
{
	make_homes();
	for (int i = 0; i < N_HOMES; i++) {
		lua_pushinteger(homes[i].L, i);
		lua_setglobal(homes[i].L, "mine");
		run(homes[i].L, "string.mine = mine getmetatable('').__index.also = mine");
	}
	for (int i = 0; i < N_HOMES; i++) {
		run(homes[i].L, "assert(string.mine == mine and ('').also == mine)");
		lua_getglobal(homes[i].L, "mine");
		ck_assert_int_eq(lua_tointeger(homes[i].L, -1), i);
	}
	drop_homes();
}
END_TEST

START_TEST(the_states_lead_to_their_own_homes)
{
	make_homes();
	for (int i = 0; i < N_HOMES; i++) {
		ck_assert_ptr_eq(sl_home_of(homes[i].L), &homes[i]);
		ck_assert_ptr_eq(sl_home_of(homes[i].co), &homes[i]);
		sl_home_note_finalizer(homes[i].co);
		ck_assert(homes[i].has_finalizers);
		for (int k = i + 1; k < N_HOMES; k++)
			ck_assert(!homes[k].has_finalizers);
	}
	drop_homes();
}
END_TEST

static lua_State *state_after(struct sl_arena *arena, const char *lua)
{
	lua_State *L = lua_newstate(sl_arena_alloc, arena);

	luaL_openlibs(L);
	run(L, lua);
	return L;
}

static bool suits_after(const char *lua)
{
	struct sl_arena *arena = sl_arena_new(&account, MANY);
	bool suits = sl_image_suits(state_after(arena, lua));

	sl_arena_free(arena);
	return suits;
}

START_TEST(a_state_with_a_key_that_is_hashed_by_its_address_is_not_frozen)
{
	static const char *const rows[] = {"x = { [{}] = 1 }",
		"x = { [function() return x end] = 1 }", "x = { [io.stdout] = 1 }",
		"x = setmetatable({}, { [{}] = 1 })",
		"local t = { [{}] = 1 } function x() return t end",
		"x = { y = { z = { [coroutine.create(print)] = 1 } } }"};

	ck_assert(suits_after(""));
	ck_assert(suits_after("x = { a = 1, [2] = 2, [0.5] = 3, [true] = {} }"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(!suits_after(rows[i]), "frozen after: %s", rows[i]);
}
END_TEST

START_TEST(a_state_that_outgrew_its_region_is_not_frozen)
{
	static const char *const rows[] = {
		"x = {} for i = 1, 10000 do x[i] = { i } end", "x = ('x'):rep(100000)"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sl_arena *arena = sl_arena_new(&account, MANY);
		lua_State *L = state_after(arena, rows[i]);

		ck_assert_ptr_null(sl_image_new(L, lua_newthread(L), arena));
		sl_arena_free(arena);
	}
}
END_TEST

START_TEST(a_thawed_state_is_charged_like_any_other)
{
	size_t before;
	struct sl_home home;

	make_homes();
	before = atomic_load(&account.used);
	account.limit = before + 60000;
	ck_assert_int_eq(sl_home_init(&home, &model, NULL, NULL), 0);
	ck_assert_uint_gt(atomic_load(&account.used), before + 12000);
	ck_assert_int_eq(luaL_loadstring(home.L, "x = ('x'):rep(100000)"), LUA_OK);
	ck_assert_int_eq(lua_pcall(home.L, 0, 0, 0), LUA_ERRMEM);
	sl_home_deinit(&home);
	ck_assert_uint_eq(atomic_load(&account.used), before);
	account.limit = before + 1000;
	ck_assert_int_eq(sl_home_init(&home, &model, NULL, NULL), SL_ENOMEM);
	ck_assert_uint_eq(atomic_load(&account.used), before);
	drop_homes();
}
END_TEST

SL_CHECK_MAIN("image", a_thawed_state_finds_everything_and_works,
	what_one_changes_no_other_sees, the_states_lead_to_their_own_homes,
	a_state_with_a_key_that_is_hashed_by_its_address_is_not_frozen,
	a_state_that_outgrew_its_region_is_not_frozen, a_thawed_state_is_charged_like_any_other)
