/* SPDX-License-Identifier: MIT */
#include "lua/code/cut.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/error.h"
#include "lua/code/proof.h"
#include "lua/code/source.h"
#include "lua/code/token.h"
#include "tests/support/check_main.h"

static struct sl_cutter *cutter;
static int n_cut;

/* Pushes what a receiver makes of @function: compiled with its names in front, on its line. */
static void receive(lua_State *L, const struct sl_function *function, int original)
{
	struct sl_buffer text = SL_BUFFER_INIT;
	const char *name, *separator = "local ";

	for (int64_t i = 1; i < function->line; i++)
		sl_buffer_append(&text, "\n", 1);
	for (int i = 1; (name = lua_getupvalue(L, original, i)) != NULL; i++) {
		lua_pop(L, 1);
		if (strcmp(name, "_ENV") == 0)
			continue;
		sl_buffer_printf(&text, "%s%s", separator, name);
		separator = ",";
	}
	sl_buffer_printf(&text, " return %.*s", (int)function->text.size, function->text.data);
	if (luaL_loadbufferx(L, text.data, text.size, "@received", "t") != LUA_OK)
		ck_abort_msg("%s\n%s", lua_tostring(L, -1), text.data);
	sl_buffer_deinit(&text);
	lua_call(L, 0, 1);
}

/* Gives the received function the captured variables of the original: by name, as a chunk's
 * text may name fewer than the chunk. */
static void join(lua_State *L, int received, int original)
{
	const char *name, *other;

	for (int i = 1; (name = lua_getupvalue(L, received, i)) != NULL; i++) {
		bool found = false;

		lua_pop(L, 1);
		for (int j = 1; (other = lua_getupvalue(L, original, j)) != NULL; j++) {
			lua_pop(L, 1);
			if (strcmp(name, other) == 0) {
				lua_upvaluejoin(L, received, i, original, j);
				found = true;
			}
		}
		ck_assert_msg(found, "'%s' is captured but was not", name);
	}
}

/* case(answer, f): cuts f, and the text must compile to a function that gives the answer. */
static int l_case(lua_State *L)
{
	struct sl_parcel *parcel;
	struct sl_function function = {0};
	struct sl_error err;
	lua_Debug info;
	int top;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_pushvalue(L, 2);
	lua_getinfo(L, ">S", &info);
	if (strcmp(info.source, "@received") == 0)
		return 0; /* of a text that was cut itself */
	parcel = sl_parcel_new(1 << 20);
	if (sl_cutter_cut(cutter, L, 2, parcel, &function, &err) < 0)
		ck_abort_msg("%s", err.text);
	ck_assert_int_eq(lua_gettop(L), 2);
	receive(L, &function, 2);
	join(L, 3, 2);
	top = lua_gettop(L);
	lua_call(L, 0, LUA_MULTRET);
	if (!lua_rawequal(L, 1, top) && !(lua_isnil(L, 1) && lua_gettop(L) < top))
		ck_abort_msg("wrong answer %s for %s, from: %.*s", luaL_tolstring(L, top, NULL),
			luaL_tolstring(L, 1, NULL), (int)function.text.size,
			function.text.data);
	sl_parcel_free(parcel);
	n_cut++;
	return 0;
}

static lua_State *open_state(void)
{
	lua_State *L = luaL_newstate();

	luaL_openlibs(L);
	lua_register(L, "case", l_case);
	cutter = sl_cutter_new();
	n_cut = 0;
	return L;
}

static void close_state(lua_State *L)
{
	lua_close(L);
	sl_cutter_free(cutter);
}

/* Runs @text as the file @name, whose text the cutter knows. */
static void run_text(lua_State *L, const char *name, struct sl_bytes text)
{
	struct sl_source *source;
	char chunk_name[256];

	ck_assert_int_eq(sl_source_new(text, &source, NULL), 0);
	ck_assert_int_eq(sl_cutter_add(cutter, name, source, NULL), 0);
	snprintf(chunk_name, sizeof(chunk_name), "@%s", name);
	if (luaL_loadbufferx(L, text.data, text.size, chunk_name, "t") != LUA_OK ||
		lua_pcall(L, 0, 0, 0) != LUA_OK)
		ck_abort_msg("%s", lua_tostring(L, -1));
}

static const char functions[] = SL_SOURCE_ROOT "/tests/lua/functions/";

START_TEST(functions_of_every_shape_are_cut_from_their_file)
{
	lua_State *L = open_state();
	char path[512];

	snprintf(path, sizeof(path), "%sshapes.lua", functions);
	/* As Lua loads a file itself: its text is read when the first one is cut. */
	if (luaL_dofile(L, path) != LUA_OK)
		ck_abort_msg("%s", lua_tostring(L, -1));
	ck_assert_int_ge(n_cut, 170);
	close_state(L);
}
END_TEST

START_TEST(line_breaks_may_be_those_of_other_systems)
{
	lua_State *L = open_state();
	struct sl_buffer text = SL_BUFFER_INIT;
	struct sl_source *source = NULL;
	struct sl_bytes bytes;
	char path[512];

	snprintf(path, sizeof(path), "%scrlf.lua", functions);
	ck_assert_int_eq(sl_source_read(path, &source, NULL), 0);
	bytes = sl_source_text(source);
	for (size_t i = 0; i < bytes.size; i++)
		sl_buffer_printf(
			&text, "%s%c", bytes.data[i] == '\n' ? "\r" : "", bytes.data[i]);
	run_text(L, "crlf.lua", sl_buffer_bytes(&text));
	ck_assert_int_eq(n_cut, 5);
	sl_buffer_deinit(&text);
	sl_source_free(source);
	close_state(L);
}
END_TEST

START_TEST(random_programs_are_cut_right)
{
	char path[512];
	int total = 0;

	snprintf(path, sizeof(path), "%srandom.lua", functions);
	for (int seed = 1; seed <= 200; seed++) {
		lua_State *L = open_state();

		if (luaL_loadfile(L, path) != LUA_OK)
			ck_abort_msg("%s", lua_tostring(L, -1));
		lua_pushinteger(L, seed);
		if (lua_pcall(L, 1, 0, 0) != LUA_OK)
			ck_abort_msg("seed %d: %s", seed, lua_tostring(L, -1));
		total += n_cut;
		close_state(L);
	}
	ck_assert_int_ge(total, 1000);
}
END_TEST

/* Cuts the function on the top of the stack, which must fail; returns the sentence. */
static const char *refusal(lua_State *L)
{
	static struct sl_error err;
	struct sl_parcel *parcel = sl_parcel_new(1 << 20);
	struct sl_function function = {0};

	ck_assert_msg(lua_isfunction(L, -1), "%s", lua_tostring(L, -1));
	ck_assert_int_eq(sl_cutter_cut(cutter, L, -1, parcel, &function, &err), SL_EINVALID);
	ck_assert_ptr_null(function.text.data);
	sl_parcel_free(parcel);
	return err.text;
}

START_TEST(a_text_that_nobody_kept_is_refused)
{
	lua_State *L = open_state();
	const char *sentence;

	luaL_loadbufferx(L, "\nreturn 1", 9, "=stdin", "t");
	sentence = refusal(L);
	ck_assert_ptr_nonnull(
		strstr(sentence, "stdin:1: the text of this function isn't known"));

	luaL_loadbufferx(L, "return function() end", 21, "@/nowhere/x.lua", "t");
	lua_call(L, 0, 1);
	sentence = refusal(L);
	ck_assert_ptr_nonnull(strstr(sentence, "/nowhere/x.lua:1: "));
	ck_assert_ptr_nonnull(strstr(sentence, "No such file"));

	luaL_loadbufferx(L, "return function() return 1 end", 30, "my chunk", "t");
	lua_call(L, 0, 1);
	sentence = refusal(L);
	ck_assert_ptr_nonnull(strstr(sentence, "isn't in its source as it was compiled"));
	close_state(L);
}
END_TEST

START_TEST(bytecode_is_refused)
{
	lua_State *L = open_state();

	ck_assert_int_eq(
		luaL_dostring(L, "local f = function() return 1 end "
				 "return load(string.dump(f, true)), load(string.dump(f))"),
		LUA_OK);
	lua_pop(L, 1);
	ck_assert_ptr_nonnull(strstr(refusal(L), "isn't known"));
	close_state(L);
}
END_TEST

/* The text that the cutter knows differs from the one that ran in one small thing. */
static void check_changed(const char *ran, const char *known)
{
	lua_State *L = open_state();
	struct sl_source *source;

	ck_assert_int_eq(sl_source_new(sl_bytes_of(known), &source, NULL), 0);
	ck_assert_int_eq(sl_cutter_add(cutter, "x.lua", source, NULL), 0);
	luaL_loadbufferx(L, ran, strlen(ran), "@x.lua", "t");
	ck_assert_int_eq(lua_pcall(L, 0, 1, 0), LUA_OK);
	ck_assert_msg(strstr(refusal(L), "x.lua:") != NULL, "%s", known);
	close_state(L);
}

START_TEST(a_text_that_differs_in_anything_is_refused)
{
	check_changed("return function() return 1 end", "return function() return 2 end");
	check_changed("return function() return 1 end", "return function() return 1.0 end");
	check_changed("return function() return 'a' end", "return function() return 'b' end");
	check_changed("return function() return a end", "return function() return b end");
	check_changed("local a return function() return a end",
		"local b return function() return b end");
	check_changed("local a, b return function() return a, b end",
		"local a, b return function() return b, a end");
	check_changed("local a, b return function() return function() return a + b end end",
		"local a, b return function() return function() return b + a end end");
	check_changed("return function(a) end", "return function(a, b) end");
	check_changed("return function(a) end", "return function(...) end");
	check_changed("return function() return 1 end", "\nreturn function() return 1 end");
	check_changed("return function()\nlocal function f() end end",
		"return function() local function f() end\nend");
	check_changed("local A <const> = 1 return function() return A end",
		"local A <const> = 2 return function() return A end");
	check_changed("return function() end", "");
	check_changed("return function() end", "end end ) function ( [[ \"");
	check_changed("return function() end", "return function( function( function");
}
END_TEST

/* Two functions of which one would be a wrong answer for the other, on one line. */
START_TEST(the_proof_tells_functions_apart_that_differ_in_one_byte)
{
	static const char *const pairs[] = {
		"return function() return 1 end, function() return 2 end",
		"return function() return 'a' end, function() return 'b' end",
		"return function() return 1 end, function() return 1.0 end",
		"return function() return x end, function() return y end",
		"local a, b return function() return a end, function() return b end",
		"local a, b, c, d return function() return a+b+c+d end, "
		"function() return a+b+d+c end",
		"local a, b return function() return function() return a, b end end, "
		"function() return function() return b, a end end",
		"return function(a) return a end, function(_, a) return a end",
		"return function() return true end, function() return false end",
		"return function() return 2^53 end, function() return 2^53|0 end",
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		lua_State *L = open_state();
		bool same;

		ck_assert_int_eq(luaL_dostring(L, pairs[i]), LUA_OK);
		ck_assert_int_eq(sl_proof_compare(L, 1, 2, &same, NULL), 0);
		ck_assert_msg(!same, "%s", pairs[i]);
		ck_assert_int_eq(sl_proof_compare(L, 1, 1, &same, NULL), 0);
		ck_assert(same);
		ck_assert_int_eq(lua_gettop(L), 2);
		close_state(L);
	}
}
END_TEST

START_TEST(no_text_upsets_the_search_for_functions)
{
	static const char alphabet[] =
		"function end local do if repeat until <const> = ([{\"'--[=]\\\n\r\0x1.e";
	static const char beginning[] = "local a <const>, b <const> = ";
	struct sl_buffer line = SL_BUFFER_INIT;
	size_t n_seen = 0;
	char text[200];

	srand(1);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % sizeof(text), n_spans, n_constants;
		struct sl_source *source;
		const struct sl_span *spans;
		const struct sl_constant *constants;

		for (size_t at = 0; at < n; at++)
			text[at] = alphabet[(size_t)rand() % sizeof(alphabet)];
		if (n > 20) /* a real word now and then */
			memcpy(text + (size_t)rand() % (n - 20), alphabet + rand() % 30, 18);
		if (n > sizeof(beginning) && i % 2 == 0)
			memcpy(text, beginning, sizeof(beginning) - 1);
		ck_assert_int_eq(sl_source_new((struct sl_bytes){text, n}, &source, NULL), 0);
		spans = sl_source_spans(source, &n_spans);
		for (size_t k = 0; k < n_spans; k++)
			ck_assert(spans[k].end <= n && spans[k].begin < spans[k].paren &&
				  spans[k].paren < spans[k].body);
		constants = sl_source_constants(source, &n_constants);
		for (size_t k = 0; k < n_constants; k++) {
			sl_buffer_clear(&line);
			sl_token_join_lines(constants[k].value, &line);
			ck_assert_ptr_null(
				line.size ? memchr(line.data, '\n', line.size) : NULL);
		}
		n_seen += n_constants;
		sl_source_free(source);
	}
	ck_assert_uint_ge(n_seen, 100);
	sl_buffer_deinit(&line);
}
END_TEST

START_TEST(a_cut_names_the_file_and_the_line_it_begins_on)
{
	lua_State *L = open_state();
	struct sl_parcel *parcel = sl_parcel_new(1 << 20);
	struct sl_function function = {0};

	run_text(L, "x.lua",
		sl_bytes_of("\n\nlocal t = {}\nfunction t:m()\n return 1\nend f = t.m"));
	lua_getglobal(L, "f");
	ck_assert_int_eq(sl_cutter_cut(cutter, L, -1, parcel, &function, NULL), 0);
	ck_assert_int_eq(function.line, 4);
	ck_assert(sl_bytes_equal(function.file, sl_bytes_of("x.lua")));
	ck_assert(sl_bytes_equal(function.text, sl_bytes_of("function(self)\n return 1\nend")));
	sl_parcel_free(parcel);
	close_state(L);
}
END_TEST

SL_CHECK_MAIN("cut", functions_of_every_shape_are_cut_from_their_file,
	line_breaks_may_be_those_of_other_systems, random_programs_are_cut_right,
	a_text_that_nobody_kept_is_refused, bytecode_is_refused,
	a_text_that_differs_in_anything_is_refused,
	the_proof_tells_functions_apart_that_differ_in_one_byte,
	no_text_upsets_the_search_for_functions, a_cut_names_the_file_and_the_line_it_begins_on)
