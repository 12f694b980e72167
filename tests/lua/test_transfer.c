/* SPDX-License-Identifier: MIT */
#include "lua/transfer/transfer.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <string.h>

#include "common/error.h"
#include "lua/state/handle.h"
#include "tests/support/check_main.h"

static const struct sl_transfer binary = {.to = "to a goroutine", .handles = true};

static lua_State *from, *into;
static struct sl_parcel *parcel;
static struct sl_error error;

static lua_State *new_state(void)
{
	lua_State *L = luaL_newstate();

	luaL_openlibs(L);
	sl_transfer_learn_names(L);
	return L;
}

static void open_states(void)
{
	from = new_state();
	into = new_state();
	parcel = sl_parcel_new(64 << 20);
}

static void close_states(void)
{
	lua_close(from);
	lua_close(into);
	sl_parcel_free(parcel);
}

static void run(lua_State *L, const char *code)
{
	if (luaL_dostring(L, code) != LUA_OK)
		ck_abort_msg("%s", lua_tostring(L, -1));
}

/* Sends what @make returns and calls @check with it on the other side. */
static void cross(const char *make, const struct sl_transfer *how, const char *check)
{
	struct sl_value values[16];
	int n;

	open_states();
	run(from, make);
	n = lua_gettop(from);
	if (sl_transfer_out_many(from, 1, n, "argument", how, parcel, values, &error) != 0)
		ck_abort_msg("%s", error.text);
	ck_assert_int_eq(lua_gettop(from), n);
	lua_close(from);
	from = luaL_newstate();

	if (luaL_loadstring(into, check) != LUA_OK)
		ck_abort_msg("%s", lua_tostring(into, -1));
	if (sl_transfer_in(into, values, n, &error) != 0)
		ck_abort_msg("%s", error.text);
	ck_assert_int_eq(lua_gettop(into), n + 1);
	if (lua_pcall(into, n, 0, 0) != LUA_OK)
		ck_abort_msg("%s", lua_tostring(into, -1));
	close_states();
}

static void refuse(const char *make, const char *text)
{
	struct sl_value values[16];
	int n;

	open_states();
	run(from, make);
	n = lua_gettop(from);
	ck_assert_msg(sl_transfer_out_many(from, 1, n, "argument", &binary, parcel, values,
			      &error) == SL_EINVALID,
		"not refused: %s", make);
	ck_assert_str_eq(error.text, text);
	ck_assert_int_eq(lua_gettop(from), n);
	close_states();
}

START_TEST(plain_values_arrive_as_they_were)
{
	cross("return nil, true, false, 42, math.mininteger, 2.0, -0.0, 1/0, 'a\\0b', ''",
		&binary,
		"local n, t, f, i, m, d, z, inf, s, e = ...\n"
		"assert(n == nil and t == true and f == false and i == 42)\n"
		"assert(math.type(i) == 'integer' and math.type(d) == 'float')\n"
		"assert(m == math.mininteger and d == 2.0 and 1 / z == -1 / 0 and inf == 1 / "
		"0)\n"
		"assert(s == 'a\\0b' and e == '')");
}
END_TEST

START_TEST(tables_keep_cycles_sharing_holes_and_metatables)
{
	cross("local t = {1, 2, nil, 4, x = {y = 'z'}, [2.5] = 'f', [true] = 'b'}\n"
	      "t.self, t.again = t, t.x  t[t.x] = 'table key'\n"
	      "local mt = {__index = function(_, k) return k .. '!' end}  mt.__metatable = "
	      "'no'\n"
	      "t.a, t.b = setmetatable({}, mt), setmetatable({}, mt)  t.mt = mt\n"
	      "return t, t.x",
		&binary,
		"local t, x = ...\n"
		"assert(t[1] == 1 and t[2] == 2 and t[3] == nil and t[4] == 4)\n"
		"assert(t.self == t and t.again == t.x and x == t.x and x.y == 'z')\n"
		"assert(t[2.5] == 'f' and t[true] == 'b' and t[x] == 'table key')\n"
		"assert(t.a.k == 'k!' and getmetatable(t.a) == 'no')\n"
		"assert(debug.getmetatable(t.a) == t.mt and debug.getmetatable(t.b) == t.mt)");
}
END_TEST

START_TEST(a_list_of_a_hundred_thousand_links_goes_through)
{
	cross("local head for i = 1, 100000 do head = {next = head, i = i} end return head",
		&binary,
		"local n, t = 0, ... while t do n, t = n + 1, t.next end assert(n == 100000)");
}
END_TEST

START_TEST(closures_share_what_they_shared)
{
	cross("local n = 0\n"
	      "local function inc() n = n + 1 return n end\n"
	      "local function get() return n end\n"
	      "local function rec(k) if k == 0 then return 0 end return 1 + rec(k - 1) end\n"
	      "return inc, get, rec, {inc = inc}",
		&binary,
		"local inc, get, rec, t = ...\n"
		"inc() inc() assert(get() == 2 and rec(10) == 10 and t.inc == inc)");
}
END_TEST

START_TEST(standard_things_go_by_name)
{
	cross("local s, f, p, g, r = string, string.format, print, _G, require\n"
	      "return function() return s, f, p, g, r end",
		&binary,
		"local s, f, p, g, r = (...)()\n"
		"assert(s == string and f == string.format and p == print and g == _G)\n"
		"assert(r == require)");
}
END_TEST

START_TEST(own_globals_travel_when_the_code_names_them)
{
	cross("function helper(x) return other(x) + 1 end\n"
	      "function other(x) return x * base.n end\n"
	      "base = {n = 10}  unrelated = io.tmpfile()\n"
	      "return function(x) return helper(x) end",
		&binary, "assert((...)(2) == 21) assert(unrelated == nil and base.n == 10)");
}
END_TEST

START_TEST(a_function_keeps_its_file_and_lines)
{
	cross("return load('\\n\\nreturn function() error(\"boom\") end', '@dir/x.sloth')()",
		&binary, "local ok, e = pcall(...) assert(e == 'dir/x.sloth:3: boom', e)");
}
END_TEST

START_TEST(what_cannot_go_is_named_by_its_way)
{
	refuse("local conf = {file = io.tmpfile()} return function() return conf end",
		"cannot send upvalue 'conf.file' to a goroutine: open file");
	refuse("return 1, {list = {1, {[\"odd key\"] = coroutine.create(print)}}}",
		"cannot send argument #2 'list[2][\"odd key\"]' to a goroutine: coroutine");
	refuse("return io.tmpfile()", "cannot send argument #1 to a goroutine: open file");
	refuse("local f = io.tmpfile() f:close() return {f}",
		"cannot send argument #1 '[1]' to a goroutine: closed file");
	refuse("out = io.tmpfile() return function() return out end",
		"cannot send global 'out' to a goroutine: open file");
	refuse("local g = ('x'):gmatch('x') return function() return g end",
		"cannot send upvalue 'g' to a goroutine: function in C that no module exports");
	refuse("return setmetatable({}, {__index = {io.tmpfile()}})",
		"cannot send argument #1 '<metatable>.__index[1]' to a goroutine: open file");
	refuse("local t = {} local x = io.tmpfile() function t.f() return x end return t",
		"cannot send argument #1 'f.x' to a goroutine: open file");
	refuse("return {[io.tmpfile()] = 1}",
		"cannot send argument #1 '<key>' to a goroutine: open file");
}
END_TEST

START_TEST(a_module_in_c_that_came_later_goes_by_name_too)
{
	struct sl_value value;

	open_states();
	run(from, "package.loaded.later = {f = ('x'):gmatch('x'), n = 1}\n"
		  "local m = require('later') local f = m.f return function() return m, f end");
	run(into, "package.loaded.later = {f = next, n = 2}");
	ck_assert_int_eq(sl_transfer_out(from, 1, "x", &binary, parcel, &value, &error), 0);
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), 0);
	lua_setglobal(into, "f");
	run(into, "local m, f = f() assert(m == require('later') and m.n == 2 and f == next)");
	close_states();
}
END_TEST

START_TEST(the_standard_files_go_by_name)
{
	cross("local o = io.stdout return function() return o end", &binary,
		"assert((...)() == io.stdout)");
}
END_TEST

START_TEST(a_parcel_that_is_full_is_an_error)
{
	struct sl_value value;

	open_states();
	sl_parcel_free(parcel);
	parcel = sl_parcel_new(4096);
	run(from, "return ('x'):rep(10000)");
	ck_assert_int_eq(sl_transfer_out(from, 1, "result", &binary, parcel, &value, &error),
		SL_ETOO_LARGE);
	close_states();
}
END_TEST

/* ---- functions as text ---- */

/* Cuts from a made-up source: what the test says the function's text is. */
static const char *cut_text;
static int64_t cut_line;

static int cut(void *ctx, lua_State *L, int index, struct sl_parcel *p, struct sl_function *out,
	struct sl_error *err)
{
	(void)ctx;
	(void)L;
	(void)index;
	if (!cut_text)
		return sl_fail(err, SL_EINVALID, "made by load()");
	ck_assert(sl_parcel_copy(p, sl_bytes_of(cut_text), &out->text));
	ck_assert(sl_parcel_copy(p, sl_bytes_of("dir/a.sloth"), &out->file));
	out->line = cut_line;
	return 0;
}

static const struct sl_transfer text = {.to = "to an agent", .cut = cut};

START_TEST(a_text_function_finds_its_variables_by_name)
{
	cut_text = "function(x)\n  return b.n + a + x, error, debug.getinfo(1, "
		   "'l').currentline end";
	cut_line = 41;
	cross("local a, b = 1, {n = 10}\n"
	      "return function(x) return b.n + a + x, error end, {b}",
		&text,
		"local f, t = ...  local sum, e, line = f(100)\n"
		"assert(sum == 111 and e == error and line == 42)\n"
		"t[1].n = 20 assert(f(0) == 21)\n"
		"assert(debug.getinfo(f, 'S').source == '@dir/a.sloth')");
}
END_TEST

START_TEST(text_functions_share_variables)
{
	cut_text = "function(step) n = n + step return n end";
	cut_line = 7;
	cross("local n = 0\n"
	      "return function(s) n = n + s return n end, function() n = n + 1 return n end",
		&text, "local f, g = ... f(1) g(2) assert(f(10) == 13)");
}
END_TEST

START_TEST(a_text_that_cannot_be_cut_says_why)
{
	struct sl_value value;

	cut_text = NULL;
	open_states();
	run(from, "local help = function() end return function() return help() end");
	ck_assert_int_eq(sl_transfer_out(from, 1, "command", &text, parcel, &value, &error),
		SL_EINVALID);
	ck_assert_str_eq(error.text, "cannot send command to an agent: made by load()");
	close_states();
}
END_TEST

/* Builds a text function from outside and expects it to be refused. */
static void refuse_text(const char *code, int64_t line)
{
	struct sl_function function = {
		.text = sl_bytes_of(code), .file = sl_bytes_of("f"), .line = line};
	struct sl_value value = {.kind = SL_VALUE_FUNCTION, .function = &function};

	open_states();
	run(into, "touched = false");
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), SL_EINVALID);
	ck_assert_int_eq(lua_gettop(into), 0);
	ck_assert_uint_eq(function.mark, 0);
	run(into, "assert(touched == false)");
	close_states();
}

START_TEST(a_text_that_is_more_than_a_function_is_refused)
{
	refuse_text("(function() touched = true end)()", 1);
	refuse_text("(function() while true do end end)()", 1);
	refuse_text("42", 1);
	refuse_text("function( end", 1);
	refuse_text("\x1bLua", 1);
	refuse_text("function() end", 0);
	refuse_text("function() end", INT64_MAX);
}
END_TEST

START_TEST(a_syntax_error_names_file_and_line)
{
	struct sl_function function = {.text = sl_bytes_of("function()\n x = = 1 end"),
		.file = sl_bytes_of("a.sloth"),
		.line = 30};
	struct sl_value value = {.kind = SL_VALUE_FUNCTION, .function = &function};

	open_states();
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), SL_EINVALID);
	ck_assert_str_eq(error.text, "a.sloth:31: unexpected symbol near '='");
	close_states();
}
END_TEST

START_TEST(a_module_that_is_not_here_is_an_error)
{
	struct sl_value value = {
		.kind = SL_VALUE_NAMED, .string = sl_bytes_of("surely.not.here")};

	open_states();
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), SL_EINVALID);
	ck_assert_str_eq(error.text, "module 'surely.not' is not installed here");
	ck_assert_int_eq(lua_gettop(into), 0);
	value.string = sl_bytes_of("string.nothing");
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(error.text, "'string.nothing' is not here"));
	close_states();
}
END_TEST

START_TEST(what_needs_a_module_that_is_not_here_is_named)
{
	struct sl_pair field = {.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("json")},
		.value = {.kind = SL_VALUE_NAMED, .string = sl_bytes_of("nowhere.encode")}};
	struct sl_table inner = {.pairs = &field, .n_pairs = 1};
	struct sl_pair deep = {
		.key = field.key, .value = {.kind = SL_VALUE_TABLE, .table = &inner}};
	struct sl_table conf = {.pairs = &deep, .n_pairs = 1};
	struct sl_cell cell = {.value = {.kind = SL_VALUE_TABLE, .table = &conf}};
	struct sl_upvalue upvalue = {sl_bytes_of("conf"), &cell};
	struct sl_function function = {.text = sl_bytes_of("function() return conf end"),
		.file = sl_bytes_of("a.sloth"),
		.line = 1,
		.upvalues = &upvalue,
		.n_upvalues = 1};
	struct sl_value value = {.kind = SL_VALUE_FUNCTION, .function = &function};

	open_states();
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), SL_EINVALID);
	ck_assert_str_eq(error.text,
		"module 'nowhere' is not installed here (needed by upvalue 'conf')");
	close_states();
}
END_TEST

/* ---- handles ---- */

static int n_freed;

static void count_free(struct sl_handle *handle)
{
	(void)handle;
	n_freed++;
}

START_TEST(a_handle_crosses_by_reference_and_is_freed_once)
{
	struct sl_handle handle = {.refs = 1, .kind = "thing", .free = count_free};
	struct sl_handle_list list = {0};
	struct sl_value value;

	n_freed = 0;
	open_states();
	sl_handle_define(from, "thing", NULL);
	sl_handle_define(into, "thing", NULL);
	sl_handle_list_attach(into, &list);
	sl_handle_push(from, &handle);
	sl_handle_unref(&handle);
	ck_assert_int_eq(sl_transfer_out(from, 1, "x", &binary, parcel, &value, &error), 0);
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), 0);
	ck_assert_int_eq(sl_transfer_in(into, &value, 1, &error), 0);
	ck_assert_ptr_eq(sl_handle_at(into, 1), &handle);
	ck_assert(lua_compare(into, 1, 2, LUA_OPEQ));

	ck_assert_int_eq(
		sl_transfer_out(from, 1, "x", &text, parcel, &value, &error), SL_EINVALID);
	ck_assert_str_eq(
		error.text, "cannot send x to an agent: a thing lives inside its task");
	sl_parcel_free(parcel);
	parcel = NULL;
	lua_settop(from, 0);
	lua_gc(from, LUA_GCCOLLECT);
	ck_assert_int_eq(n_freed, 0);
	sl_handle_list_drop(&list);
	ck_assert_int_eq(n_freed, 1);
	close_states();
	ck_assert_int_eq(n_freed, 1);
}
END_TEST

SL_CHECK_MAIN("transfer", plain_values_arrive_as_they_were,
	tables_keep_cycles_sharing_holes_and_metatables,
	a_list_of_a_hundred_thousand_links_goes_through, closures_share_what_they_shared,
	standard_things_go_by_name, own_globals_travel_when_the_code_names_them,
	a_function_keeps_its_file_and_lines, what_cannot_go_is_named_by_its_way,
	a_module_in_c_that_came_later_goes_by_name_too, the_standard_files_go_by_name,
	a_parcel_that_is_full_is_an_error, a_text_function_finds_its_variables_by_name,
	text_functions_share_variables, a_text_that_cannot_be_cut_says_why,
	a_text_that_is_more_than_a_function_is_refused, a_syntax_error_names_file_and_line,
	a_module_that_is_not_here_is_an_error, what_needs_a_module_that_is_not_here_is_named,
	a_handle_crosses_by_reference_and_is_freed_once)
