/* SPDX-License-Identifier: MIT */

/*
 * What can be said of a task.
 */

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/workflow/dsl.h"

static void set_description(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING)
		sl_dsl_complain(
			L, 1, "description: expected a string, got %s", luaL_typename(L, 2));
	lua_settop(L, 2);
	sl_dsl_set_field(L, "description");
}

/* What a command line means, as the function that is sent. Its output goes where the task's
 * goes; its status decides. */
static const char shell_command[] = "local command = ...\n"
				    "return function()\n"
				    "  return os.execute(command)\n"
				    "end\n";

/* Replaces the command line at 2 by a function that runs it. */
static void make_shell_command(lua_State *L)
{
	const char *text = lua_tostring(L, 2);

	if (*text == '\0' || strlen(text) != lua_rawlen(L, 2))
		sl_dsl_complain(L, 1, "command: that is no command line");
	/* Called by its own text, as load() does it: so it can be cut from there. */
	if (luaL_loadbufferx(L, shell_command, sizeof(shell_command) - 1, shell_command, "t") !=
		LUA_OK)
		lua_error(L);
	lua_pushvalue(L, 2);
	lua_call(L, 1, 1);
	lua_replace(L, 2);
}

static void set_command(lua_State *L)
{
	lua_settop(L, 2);
	if (lua_type(L, 2) == LUA_TSTRING)
		make_shell_command(L);
	if (!lua_isfunction(L, 2))
		sl_dsl_complain(L, 1,
			"command: expected a function or a shell command line, got %s",
			luaL_typename(L, 2));
	if (lua_iscfunction(L, 2))
		sl_dsl_complain(L, 1, "command: expected a function written in Lua");
	sl_dsl_set_field(L, "command");
}

/* The target at the top, a string, into the list under it. [-1, +0, e] */
static void add_target(lua_State *L, int index, int list)
{
	const char *text;

	if (lua_type(L, -1) != LUA_TSTRING)
		sl_dsl_complain(L, index, "delegate_to: expected an agent's name, got %s%s",
			luaL_typename(L, -1),
			lua_isnil(L, -1) ? ": was the value it should come from set?" : "");
	text = lua_tostring(L, -1);
	if (*text == '\0' || strlen(text) != lua_rawlen(L, -1))
		sl_dsl_complain(L, index, "delegate_to: a target is a name, not '%.40s'", text);
	lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

void sl_dsl_make_targets(lua_State *L, int index)
{
	int value = lua_gettop(L), list = value + 1;
	lua_Integer n = 0;

	index = lua_absindex(L, index);
	lua_newtable(L);
	if (!lua_istable(L, value)) {
		lua_pushvalue(L, value);
		add_target(L, index, list);
		lua_replace(L, value);
		return;
	}
	for (lua_pushnil(L); lua_next(L, value); lua_pop(L, 1))
		n++;
	if (n == 0)
		sl_dsl_complain(L, index, "delegate_to: the list of targets is empty");
	if ((lua_Integer)lua_rawlen(L, value) != n)
		sl_dsl_complain(L, index,
			"delegate_to: expected a list of names without holes: {\"web-01\", "
			"\"web-02\"}");
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, value, i);
		add_target(L, index, list);
	}
	lua_replace(L, value);
}

static void set_targets(lua_State *L)
{
	lua_settop(L, 2);
	if (!lua_isfunction(L, 2))
		sl_dsl_make_targets(L, 1);
	sl_dsl_set_field(L, "targets");
}

static void set_timeout(lua_State *L)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);

	if (object->timeout_ms > 0)
		sl_dsl_complain(L, 1, "its timeout is set twice: leave one of them out");
	object->timeout_ms = sl_dsl_duration(L, 2, "timeout");
}

static void set_params(lua_State *L)
{
	sl_dsl_check_keys(L, 2, "params", "params({ version = \"1.2\" })");
	lua_settop(L, 2);
	sl_dsl_set_field(L, "params");
}

static void set_env(lua_State *L)
{
	sl_dsl_check_keys(L, 2, "env", "env({ LANG = \"C\" })");
	lua_settop(L, 2);
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, 2);) {
		const char *name = lua_tostring(L, -2);
		size_t size = 0;
		const char *text = lua_isstring(L, -1) ? lua_tolstring(L, -1, &size) : NULL;

		if (!text || strlen(text) != size)
			sl_dsl_complain(L, 1, "env: %.80s must be a string, it is a %s", name,
				luaL_typename(L, -1));
		if (*name == '\0' || strchr(name, '=') || strlen(name) != lua_rawlen(L, -2))
			sl_dsl_complain(L, 1, "env: '%.80s' can't be a variable's name", name);
		lua_setfield(L, 3, name);
	}
	sl_dsl_set_field(L, "env");
}

static void set_workdir(lua_State *L)
{
	sl_dsl_check_text(L, 2, "workdir");
	lua_settop(L, 2);
	sl_dsl_set_field(L, "workdir");
}

static void set_user(lua_State *L)
{
	sl_dsl_check_text(L, 2, "user");
	lua_settop(L, 2);
	sl_dsl_set_field(L, "user");
}

/* The number of bytes that @text says: "512M". */
static bool parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
	uint64_t n;

	if (digits == 0 || digits > 9 || (text[digits] && (!unit || text[digits + 1])))
		return false;
	n = strtoull(text, NULL, 10);
	*out = unit ? n << (10 * (unit - units + 1)) : n;
	return n > 0;
}

static uint64_t limit_memory(lua_State *L)
{
	uint64_t bytes = 0;

	if (lua_type(L, -1) == LUA_TNUMBER)
		return sl_dsl_count(L, "limits: memory", 1, UINT64_C(1) << 50);
	if (lua_type(L, -1) != LUA_TSTRING || !parse_size(lua_tostring(L, -1), &bytes))
		sl_dsl_complain(L, 1,
			"limits: memory: expected a size: write \"512M\", \"2G\" or a number "
			"of bytes");
	return bytes;
}

static void set_limits(lua_State *L)
{
	static const char *const keys[] = {"memory", "processes", "files", NULL};
	struct sl_dsl_object *object = lua_touserdata(L, 1);

	sl_dsl_check_keys(L, 2, "limits", "limits({ memory = \"512M\" })");
	lua_settop(L, 2);
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
		const char *key = lua_tostring(L, -2);

		if (strcmp(key, "memory") == 0)
			object->memory_bytes = limit_memory(L);
		else if (strcmp(key, "processes") == 0)
			object->processes = sl_dsl_count(L, "limits: processes", 1, 1000000);
		else if (strcmp(key, "files") == 0)
			object->files = sl_dsl_count(L, "limits: files", 1, 1000000);
		else
			sl_dsl_unknown_key(L, "limits", key, keys);
	}
	lua_pushboolean(L, 1);
	sl_dsl_set_field(L, "limits");
}

/* The name of the task that the value at the top is, or names, onto the list under it. */
static void add_dependency(lua_State *L, int list)
{
	if (sl_dsl_object(L, -1, SL_DSL_TASK)) {
		sl_dsl_push_field(L, -1, "name");
		lua_remove(L, -2);
	}
	if (lua_type(L, -1) != LUA_TSTRING)
		sl_dsl_complain(L, 1, "depends_on: expected a task or a task's name, got %s%s",
			luaL_typename(L, -1),
			lua_isnil(L, -1) ? ": is that variable set?" : "");
	lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

static void set_depends_on(lua_State *L)
{
	lua_Integer n = 0;

	lua_settop(L, 2);
	lua_newtable(L);
	if (!lua_istable(L, 2)) {
		lua_pushvalue(L, 2);
		add_dependency(L, 3);
		sl_dsl_set_field(L, "depends_on");
		return;
	}
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
		n++;
	if ((lua_Integer)lua_rawlen(L, 2) != n)
		sl_dsl_complain(L, 1,
			"depends_on: expected a list without holes: is one of the variables "
			"nil?");
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, 2, i);
		add_dependency(L, 3);
	}
	sl_dsl_set_field(L, "depends_on");
}

static void set_backoff_key(lua_State *L, struct sl_workflow_retries *retries)
{
	static const char *const keys[] = {"backoff", "factor", "max", NULL};
	const char *key = lua_tostring(L, -2);
	int value = lua_gettop(L);

	if (strcmp(key, "backoff") == 0)
		retries->backoff_ms = sl_dsl_duration(L, value, "retries: backoff");
	else if (strcmp(key, "max") == 0)
		retries->max_ms = sl_dsl_duration(L, value, "retries: max");
	else if (strcmp(key, "factor") != 0)
		sl_dsl_unknown_key(L, "retries", key, keys);
	else if (lua_type(L, -1) != LUA_TNUMBER || !(lua_tonumber(L, -1) >= 1) ||
		 lua_tonumber(L, -1) > 1000)
		sl_dsl_complain(L, 1, "retries: factor: expected a number from 1 to 1000");
	else
		retries->factor = lua_tonumber(L, -1);
}

static void set_retries(lua_State *L)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);
	struct sl_workflow_retries retries = {.backoff_ms = 1000, .max_ms = 30000, .factor = 2};

	if (!lua_isnil(L, 3))
		sl_dsl_check_keys(L, 3, "retries", "retries(3, { backoff = \"1s\" })");
	lua_pushvalue(L, 2);
	retries.n = (unsigned)sl_dsl_count(L, "retries", 0, 1000);
	lua_pop(L, 1);
	if (lua_istable(L, 3))
		for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1))
			set_backoff_key(L, &retries);
	if (retries.max_ms < retries.backoff_ms)
		retries.max_ms = retries.backoff_ms;
	object->retries = retries;
	lua_pushboolean(L, 1);
	sl_dsl_set_field(L, "retries");
}

/* One of the functions that run here, beside the controller. */
static void set_function(lua_State *L, const char *name)
{
	if (!lua_isfunction(L, 2))
		sl_dsl_complain(
			L, 1, "%s: expected a function, got %s", name, luaL_typename(L, 2));
	lua_settop(L, 2);
	sl_dsl_set_field(L, name);
}

static void set_run_if(lua_State *L)
{
	set_function(L, "run_if");
}

static void set_abort_if(lua_State *L)
{
	set_function(L, "abort_if");
}

static void set_on_success(lua_State *L)
{
	set_function(L, "on_success");
}

static void set_on_failure(lua_State *L)
{
	set_function(L, "on_failure");
}

static void set_on_timeout(lua_State *L)
{
	set_function(L, "on_timeout");
}

/* Tasks that are built are counted in the list of all tasks, at 0. */
static void build(lua_State *L)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);

	if (sl_dsl_push_field(L, 1, "command") == LUA_TNIL)
		sl_dsl_complain(
			L, 1, "it has no command: say :command(function(this, params) … end)");
	sl_dsl_push_all(L, SL_DSL_TASK);
	lua_rawgeti(L, -1, 0);
	object->order = (unsigned)lua_tointeger(L, -1) + 1;
	lua_pushinteger(L, object->order);
	lua_rawseti(L, -3, 0);
}

const struct sl_dsl_method sl_dsl_task_methods[] = {
	{"description", set_description, 1, 0},
	{"command", set_command, 1, 0},
	{"delegate_to", set_targets, 1, 0},
	{"timeout", set_timeout, 1, 0},
	{"params", set_params, 1, 0},
	{"env", set_env, 1, 0},
	{"workdir", set_workdir, 1, 0},
	{"user", set_user, 1, 0},
	{"limits", set_limits, 1, 0},
	{"depends_on", set_depends_on, 1, SL_WORD_DEPENDS_ON},
	{"retries", set_retries, 2, SL_WORD_RETRIES},
	{"run_if", set_run_if, 1, SL_WORD_CONDITIONS},
	{"abort_if", set_abort_if, 1, SL_WORD_CONDITIONS},
	{"on_success", set_on_success, 1, SL_WORD_HOOKS},
	{"on_failure", set_on_failure, 1, SL_WORD_HOOKS},
	{"on_timeout", set_on_timeout, 1, SL_WORD_HOOKS},
	{"build", build, 0, 0},
	{NULL, NULL, 0, 0},
};

int sl_dsl_l_task(lua_State *L)
{
	lua_settop(L, 1);
	sl_dsl_new(L, SL_DSL_TASK);
	return 1;
}
