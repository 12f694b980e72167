/* SPDX-License-Identifier: MIT */
#include "lua/state/compiled.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/support/check_main.h"

static struct sl_compiled_id id(const char *file, uint64_t number)
{
	return (struct sl_compiled_id){.file = file, .number = number};
}

static void keep(
	struct sl_compiled *compiled, lua_State *L, struct sl_compiled_id id, const char *text)
{
	if (luaL_loadstring(L, text) != LUA_OK)
		abort();
	sl_compiled_keep(compiled, L, &id);
	lua_pop(L, 1);
}

/* What the module gives; -1: it isn't kept. */
static int get(struct sl_compiled *compiled, lua_State *L, struct sl_compiled_id id)
{
	int result;

	if (!sl_compiled_load(compiled, L, &id))
		return -1;
	lua_call(L, 0, 1);
	result = (int)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return result;
}

START_TEST(what_is_kept_runs_in_any_state)
{
	struct sl_compiled *compiled = sl_compiled_new(100000);
	lua_State *one = luaL_newstate(), *two = luaL_newstate();

	keep(compiled, one, id("a", 1), "n = (n or 0) + 1 return n");
	ck_assert_int_eq(get(compiled, one, id("a", 1)), 1);
	ck_assert_int_eq(get(compiled, one, id("a", 1)), 2);
	ck_assert_int_eq(get(compiled, two, id("a", 1)), 1);
	lua_close(one);
	ck_assert_int_eq(get(compiled, two, id("a", 1)), 2);
	sl_compiled_free(compiled);
	lua_close(two);
}
END_TEST

START_TEST(another_text_is_another_module)
{
	struct sl_compiled_id ids[] = {
		{.file = "a", .device = 1},
		{.file = "a", .number = 1},
		{.file = "a", .size = 1},
		{.file = "a", .written_ns = 1},
		{.file = "a", .changed_ns = 1},
	};
	struct sl_compiled *compiled = sl_compiled_new(100000);
	lua_State *L = luaL_newstate();

	for (int i = 0; i < 5; i++) {
		keep(compiled, L, id("b", 0), "return 7");
		keep(compiled, L, id("a", 0), "return 1");
		ck_assert_int_eq(get(compiled, L, ids[i]), -1);
		keep(compiled, L, ids[i], "return 2");
		ck_assert_int_eq(get(compiled, L, ids[i]), 2);
		ck_assert_int_eq(get(compiled, L, id("a", 0)), -1);
		ck_assert_int_eq(get(compiled, L, id("b", 0)), 7);
	}
	sl_compiled_free(compiled);
	lua_close(L);
}
END_TEST

START_TEST(what_was_not_used_for_longest_makes_room)
{
	struct sl_compiled *compiled = sl_compiled_new(4000);
	lua_State *L = luaL_newstate();
	char file[8];
	int n_kept = 0;

	for (int i = 0; i < 100; i++) {
		snprintf(file, sizeof(file), "%d", i);
		keep(compiled, L, id(file, 0), "return 1");
		ck_assert_int_eq(get(compiled, L, id("0", 0)), 1);
	}
	for (int i = 0; i < 100; i++) {
		snprintf(file, sizeof(file), "%d", i);
		if (get(compiled, L, id(file, 0)) == 1)
			n_kept++;
	}
	ck_assert_int_gt(n_kept, 4);
	ck_assert_int_lt(n_kept, 40);
	ck_assert_int_eq(get(compiled, L, id("99", 0)), 1);
	sl_compiled_free(compiled);

	compiled = sl_compiled_new(10);
	keep(compiled, L, id("a", 0), "return 1");
	ck_assert_int_eq(get(compiled, L, id("a", 0)), -1);
	sl_compiled_free(compiled);
	lua_close(L);
}
END_TEST

static struct sl_compiled *shared;

/* The result of the id is its number, whoever put it there. Returns how often it was not. */
static void *use(void *seed)
{
	lua_State *L = luaL_newstate();
	unsigned random = (unsigned)(uintptr_t)seed;
	char file[8], text[32];
	uintptr_t n_wrong = 0;

	for (int i = 0; i < 3000; i++) {
		struct sl_compiled_id what;
		int got;

		random = random * 1103515245 + 12345;
		snprintf(file, sizeof(file), "%u", random / 65536 % 20);
		what = id(file, random / 7 % 3 + 1);
		got = get(shared, L, what);
		n_wrong += got != -1 && got != (int)what.number;
		snprintf(text, sizeof(text), "return %d", (int)what.number);
		if (got == -1)
			keep(shared, L, what, text);
	}
	lua_close(L);
	return (void *)n_wrong;
}

START_TEST(any_thread_may_use_it)
{
	pthread_t threads[4];

	shared = sl_compiled_new(6000);
	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use, (void *)i), 0);
	for (int i = 0; i < 4; i++) {
		void *n_wrong;

		pthread_join(threads[i], &n_wrong);
		ck_assert_ptr_null(n_wrong);
	}
	sl_compiled_free(shared);
}
END_TEST

SL_CHECK_MAIN("compiled", what_is_kept_runs_in_any_state, another_text_is_another_module,
	what_was_not_used_for_longest_makes_room, any_thread_may_use_it)
