/* SPDX-License-Identifier: MIT */
#include "lua/workflow/stand_in.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "lua/modules/json.h"
#include "lua/modules/log_fields.h"
#include "lua/modules/modules.h"
#include "lua/modules/result.h"

/* Any function that only a task has: f(…) */
static int l_only_in_a_task(lua_State *L)
{
	return luaL_error(
		L, "%s can only be called inside a task", lua_tostring(L, lua_upvalueindex(1)));
}

/* os.exit(…): it would end sloth with that status, whatever is under way. */
static int l_exit(lua_State *L)
{
	return luaL_error(L, "os.exit can only be called inside a task: error(\"why\") ends "
			     "the file, or the function that is asked");
}

/* Sets field @function of the module at the top to what stands in. [-0, +0, m] */
static void stand_in(lua_State *L, const char *module, const char *function)
{
	lua_pushfstring(L, "%s.%s", module, function);
	lua_pushcclosure(L, l_only_in_a_task, 1);
	lua_setfield(L, -2, function);
}

/* The value on the top becomes its JSON, or what tostring() says. [-1, +1, e] */
static void make_json(lua_State *L)
{
	struct sl_buffer text = SL_BUFFER_INIT;
	struct sl_error err;

	if (sl_json_encode(L, -1, false, &text, &err) == 0) {
		sl_result_take(L, &text);
	} else {
		sl_buffer_deinit(&text);
		luaL_tolstring(L, -1, NULL);
	}
	lua_replace(L, -2);
}

/* Adds " key=value" for each of the fields on the top, which are popped, to the text below.
 * [-2, +1, e] */
static void add_fields(lua_State *L)
{
	int fields = lua_gettop(L), text = fields - 1;

	if (lua_istable(L, fields)) {
		for (lua_pushnil(L); lua_next(L, fields); lua_settop(L, fields + 1)) {
			make_json(L);
			luaL_tolstring(L, fields + 1, NULL);
			lua_pushfstring(L, "%s %s=%s", lua_tostring(L, text),
				lua_tostring(L, -1), lua_tostring(L, -2));
			lua_replace(L, text);
		}
	}
	lua_settop(L, text);
}

/* As many lines of the log as it takes: nothing of what somebody wrote is cut. */
static void log_whole(enum sl_log_level level, const char *line, size_t size)
{
	while (size > SL_LOG_MAX_TEXT) {
		size_t n = SL_LOG_MAX_TEXT;

		for (int i = 0; i < 3 && (line[n] & 0xC0) == 0x80; i++)
			n--;
		sl_log(level, "%.*s", (int)n, line);
		line += n;
		size -= n;
	}
	sl_log(level, "%.*s", (int)size, line);
}

/* One line of the log for each line of the text. */
static int log_lines(lua_State *L, enum sl_log_level level)
{
	int n_arguments = lua_gettop(L);
	bool has_fields = sl_log_fields_are(L, n_arguments);
	const char *at;

	sl_log_fields_push_text(L, n_arguments - has_fields);
	if (has_fields) {
		sl_log_fields_push(L, n_arguments);
		add_fields(L);
	}
	at = lua_tostring(L, -1);

	for (;;) {
		size_t n = strcspn(at, "\n");

		log_whole(level, at, n);
		if (at[n] == '\0')
			return 0;
		at += n + 1;
	}
}

/* log.info(...) and its like */
static int l_log_error(lua_State *L)
{
	return log_lines(L, SL_LOG_ERROR);
}

static int l_log_warn(lua_State *L)
{
	return log_lines(L, SL_LOG_WARNING);
}

static int l_log_info(lua_State *L)
{
	return log_lines(L, SL_LOG_INFO);
}

static int l_log_debug(lua_State *L)
{
	return log_lines(L, SL_LOG_DEBUG);
}

/* log.print(...) */
static int l_log_print(lua_State *L)
{
	return log_lines(L, SL_LOG_INFO);
}

int sl_stand_in_print(lua_State *L)
{
	fprintf(stderr, "%s\n", sl_log_fields_push_text(L, lua_gettop(L)).data);
	return 0;
}

static const luaL_Reg log_functions[] = {
	{"error", l_log_error},
	{"warn", l_log_warn},
	{"info", l_log_info},
	{"debug", l_log_debug},
	{"print", l_log_print},
	{NULL, NULL},
};

/* What in os is a task's alone. [-0, +0, m] */
static void change_os(lua_State *L)
{
	lua_getglobal(L, "os");
	stand_in(L, "os", "setenv");
	lua_pushcfunction(L, l_exit);
	lua_setfield(L, -2, "exit");
	lua_pop(L, 1);
}

/* io.write(…) goes where print(…) does. [-0, +0, e] */
static void write_to_stderr(lua_State *L)
{
	lua_getglobal(L, "io");
	lua_getfield(L, -1, "output");
	lua_getfield(L, -2, "stderr");
	lua_call(L, 1, 0);
	lua_pop(L, 1);
}

/* Makes the module at the top, which is popped, known as @name. [-1, +0, m] */
static void publish(lua_State *L, const char *name)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
	lua_setglobal(L, name);
}

/* Replaces each function of the module at the top. */
static void replace_functions(lua_State *L, const char *name)
{
	for (lua_pushnil(L); lua_next(L, -2);) {
		bool is_function = lua_isfunction(L, -1) && lua_type(L, -2) == LUA_TSTRING;

		lua_pop(L, 1);
		if (!is_function)
			continue;
		lua_pushvalue(L, -2);
		stand_in(L, name, lua_tostring(L, -2));
		lua_pop(L, 1);
	}
}

void sl_stand_in_open(lua_State *L)
{
	const char *name;

	change_os(L);
	write_to_stderr(L);
	for (size_t i = 0; (name = sl_modules_push(L, i)) != NULL; i++) {
		replace_functions(L, name);
		if (strcmp(name, "log") == 0)
			luaL_setfuncs(L, log_functions, 0);
		publish(L, name);
	}
}
