/* SPDX-License-Identifier: MIT */

/*
 * What can be said of a task.
 */

#include <lauxlib.h>
#include <string.h>

#include "lua/dsl.h"

static void set_description(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING)
		sl_dsl_complain(
			L, 1, "description: expected a string, got %s", luaL_typename(L, 2));
	lua_settop(L, 2);
	sl_dsl_set_field(L, "description");
}

static void set_command(lua_State *L)
{
	if (lua_type(L, 2) == LUA_TSTRING)
		sl_dsl_complain(L, 1,
			"command: shell command lines are not supported by this version; give "
			"it a function");
	if (!lua_isfunction(L, 2))
		sl_dsl_complain(
			L, 1, "command: expected a function, got %s", luaL_typename(L, 2));
	if (lua_iscfunction(L, 2))
		sl_dsl_complain(L, 1, "command: expected a function written in Lua");
	lua_settop(L, 2);
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

static void build(lua_State *L)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);
	unsigned order = 1;

	if (sl_dsl_push_field(L, 1, "command") == LUA_TNIL)
		sl_dsl_complain(
			L, 1, "it has no command: say :command(function(this, params) … end)");
	sl_dsl_push_all(L, SL_DSL_TASK);
	for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
		struct sl_dsl_object *other = lua_touserdata(L, -1);

		order += other->order > 0;
		lua_pop(L, 1);
	}
	object->order = order;
}

const struct sl_dsl_method sl_dsl_task_methods[] = {
	{"description", set_description, 1},
	{"command", set_command, 1},
	{"delegate_to", set_targets, 1},
	{"timeout", set_timeout, 1},
	{"params", set_params, 1},
	{"env", set_env, 1},
	{"workdir", set_workdir, 1},
	{"user", set_user, 1},
	{"build", build, 0},
	{"retries", NULL, 0},
	{"depends_on", NULL, 0},
	{"run_if", NULL, 0},
	{"abort_if", NULL, 0},
	{"on_success", NULL, 0},
	{"on_failure", NULL, 0},
	{"on_timeout", NULL, 0},
	{"limits", NULL, 0},
	{NULL, NULL, 0},
};

int sl_dsl_l_task(lua_State *L)
{
	lua_settop(L, 1);
	sl_dsl_new(L, SL_DSL_TASK);
	return 1;
}
