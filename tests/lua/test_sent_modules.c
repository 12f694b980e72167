/* SPDX-License-Identifier: MIT */
#include "lua/modules/sent_modules.h"

#include <lauxlib.h>
#include <lualib.h>

#include "lua/state/compiled.h"
#include "tests/support/check_main.h"

static struct sl_value string(const char *text)
{
	return (struct sl_value){.kind = SL_VALUE_STRING, .string = sl_bytes_of(text)};
}

static struct sl_pair one[2], two[2], modules_pairs[2];
static struct sl_table one_table = {.pairs = one, .n_pairs = 2};
static struct sl_table two_table = {.pairs = two, .n_pairs = 2};
static struct sl_table table = {.pairs = modules_pairs, .n_pairs = 2};
static struct sl_value modules = {.kind = SL_VALUE_TABLE, .table = &table};

static const struct sl_value *modules_of(lua_State *L)
{
	(void)L;
	return &modules;
}

static const struct sl_value *no_modules_of(lua_State *L)
{
	(void)L;
	return NULL;
}

static const struct sl_sent_modules sent = {modules_of}, none_sent = {no_modules_of};

static lua_State *open_state(const struct sl_sent_modules *with)
{
	lua_State *L = luaL_newstate();

	luaL_openlibs(L);
	lua_getglobal(L, "package");
	sl_sent_modules_open(L, with);
	lua_pop(L, 1);
	return L;
}

static lua_State *open_sent(void)
{
	one[0] = (struct sl_pair){string("file"), string("./one.lua")};
	one[1] = (struct sl_pair){
		string("text"), string("local name, file = ...\nlocal M = {}\n"
				       "function M.fail() error('no') end\n"
				       "return { name = name, file = file, two = "
				       "require('a.two'), fail = M.fail }")};
	two[0] = (struct sl_pair){string("file"), string("./a/two.lua")};
	two[1] = (struct sl_pair){string("text"), string("\x1bLua")};
	modules_pairs[0] =
		(struct sl_pair){string("one"), {.kind = SL_VALUE_TABLE, .table = &one_table}};
	modules_pairs[1] = (struct sl_pair){
		string("a.two"), {.kind = SL_VALUE_TABLE, .table = &two_table}};
	return open_state(&sent);
}

static void check_lua(lua_State *L, const char *text)
{
	if (luaL_dostring(L, text) != LUA_OK)
		ck_abort_msg("%s", lua_tostring(L, -1));
}

START_TEST(a_module_that_was_sent_is_found_and_loaded_once)
{
	lua_State *L = open_sent();

	two[1].value = string("loaded = (loaded or 0) + 1 return 'two'");
	check_lua(L, "local m = require('one')\n"
		     "assert(m == require('one') and m.two == 'two' and loaded == 1)\n"
		     "assert(m.name == 'one' and m.file == './one.lua')\n"
		     "local ok, why = pcall(m.fail)\n"
		     "assert(why == './one.lua:3: no', why)\n"
		     "assert(require('string') == string)");
	lua_close(L);
}
END_TEST

START_TEST(what_was_not_sent_is_looked_for_elsewhere)
{
	lua_State *L = open_sent();

	check_lua(L,
		"package.preload.given = function() return 'given' end\n"
		"assert(require('given') == 'given')\n"
		"local ok, why = pcall(require, 'nowhere')\n"
		"assert(why:find(\"no module 'nowhere' was sent with the task\", 1, true))\n"
		"assert(why:find('no file', 1, true))");
	lua_close(L);
}
END_TEST

START_TEST(bytecode_is_no_module)
{
	lua_State *L = open_sent();

	check_lua(L, "local ok, why = pcall(require, 'a.two')\n"
		     "assert(not ok and why:find('binary chunk', 1, true), why)");
	lua_close(L);
}
END_TEST

START_TEST(a_module_that_was_sent_is_compiled_once)
{
	struct sl_compiled *compiled = sl_compiled_new(100000);
	char text[] = "return 1";
	lua_State *L;

	for (int i = 0; i < 3; i++) {
		L = open_sent();
		two[1].value = string(text);
		sl_compiled_attach(L, compiled);
		check_lua(L, "assert(require('a.two') == 1)");
		lua_close(L);
		text[sizeof(text) - 2] = '2'; /* nobody reads it any more */
	}
	sl_compiled_free(compiled);
}
END_TEST

START_TEST(a_task_without_modules_finds_what_is_installed)
{
	lua_State *L = open_state(&none_sent);

	check_lua(L, "assert(not pcall(require, 'one') and require('string') == string)");
	lua_close(L);
}
END_TEST

SL_CHECK_MAIN("sent_modules", a_module_that_was_sent_is_found_and_loaded_once,
	what_was_not_sent_is_looked_for_elsewhere, bytecode_is_no_module,
	a_module_that_was_sent_is_compiled_once, a_task_without_modules_finds_what_is_installed)
