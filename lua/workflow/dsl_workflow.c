/* SPDX-License-Identifier: MIT */

/*
 * What can be said of a workflow.
 */

#include <lauxlib.h>
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

static void set_version(lua_State *L)
{
	sl_dsl_check_text(L, 2, "version");
	lua_settop(L, 2);
	sl_dsl_set_field(L, "version");
}

/* The value at the top is number @i of the list: a task that is not in it yet. */
static void check_task(lua_State *L, lua_Integer i)
{
	struct sl_dsl_object *task = sl_dsl_object(L, -1, SL_DSL_TASK);

	if (!task)
		sl_dsl_complain(L, 1, "tasks: number %d is a %s, not a task%s", (int)i,
			luaL_typename(L, -1),
			lua_type(L, -1) == LUA_TSTRING
				? ": write the task's variable, without quotes"
				: "");
	for (lua_Integer j = 1; j < i; j++) {
		if (lua_rawgeti(L, 2, j) == LUA_TUSERDATA && lua_rawequal(L, -1, -2))
			sl_dsl_complain(L, 1, "tasks: '%.80s' is in the list twice",
				sl_dsl_string(L, -1, "name"));
		lua_pop(L, 1);
	}
	task->listed = true;
}

static void set_tasks(lua_State *L)
{
	lua_Integer n = 0;

	if (!lua_istable(L, 2))
		sl_dsl_complain(L, 1,
			"tasks: expected a list of tasks, got %s: write :tasks({ a_task, … })",
			luaL_typename(L, 2));
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
		n++;
	if (n == 0)
		sl_dsl_complain(L, 1, "tasks: the list is empty");
	if ((lua_Integer)lua_rawlen(L, 2) != n)
		sl_dsl_complain(L, 1,
			"tasks: expected a list without holes: is one of the variables nil?");
	lua_newtable(L);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, 2, i);
		check_task(L, i);
		lua_rawseti(L, -2, i);
	}
	sl_dsl_set_field(L, "tasks");
}

/* The value of a key of config is at the top. */
static void set_config_timeout(lua_State *L, struct sl_workflow_config *config)
{
	config->timeout_ms = sl_dsl_duration(L, lua_gettop(L), "config: timeout");
}

static void set_max_parallel(lua_State *L, struct sl_workflow_config *config)
{
	sl_dsl_need(L, SL_WORD_MAX_PARALLEL, "config: max_parallel");
	config->max_parallel = sl_dsl_count(L, "config: max_parallel", 1, 1000000);
}

static void set_max_fail(lua_State *L, struct sl_workflow_config *config)
{
	sl_dsl_need(L, SL_WORD_MAX_FAIL, "config: max_fail");
	config->max_fail = sl_dsl_count(L, "config: max_fail", 0, 1000000);
}

static void set_fail_fast(lua_State *L, struct sl_workflow_config *config)
{
	sl_dsl_need(L, SL_WORD_FAIL_FAST, "config: fail_fast");
	if (!lua_isboolean(L, -1))
		sl_dsl_complain(L, 1, "config: fail_fast: expected true or false, got %s",
			luaL_typename(L, -1));
	config->fail_fast = lua_toboolean(L, -1);
}

static const char *const config_keys[] = {
	"timeout", "max_parallel", "max_fail", "fail_fast", NULL};
static void (*const config_setters[])(lua_State *L, struct sl_workflow_config *config) = {
	set_config_timeout, set_max_parallel, set_max_fail, set_fail_fast};

static void set_config_key(lua_State *L, const char *key)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);

	for (size_t i = 0; config_keys[i]; i++)
		if (strcmp(key, config_keys[i]) == 0) {
			config_setters[i](L, &object->config);
			return;
		}
	sl_dsl_unknown_key(L, "config", key, config_keys);
}

static void set_config(lua_State *L)
{
	sl_dsl_check_keys(L, 2, "config", "config({ timeout = \"5m\" })");
	lua_settop(L, 2);
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
		set_config_key(L, lua_tostring(L, -2));
	lua_pushboolean(L, 1);
	sl_dsl_set_field(L, "config");
}

static void set_on_complete(lua_State *L)
{
	if (!lua_isfunction(L, 2))
		sl_dsl_complain(
			L, 1, "on_complete: expected a function, got %s", luaL_typename(L, 2));
	lua_settop(L, 2);
	sl_dsl_set_field(L, "on_complete");
}

/* It is complete as it is; who is used to build() may say it. */
static void build(lua_State *L)
{
	(void)L;
}

const struct sl_dsl_method sl_dsl_workflow_methods[] = {
	{"description", set_description, 1, 0},
	{"version", set_version, 1, 0},
	{"tasks", set_tasks, 1, 0},
	{"config", set_config, 1, 0},
	{"build", build, 0, 0},
	{"on_complete", set_on_complete, 1, SL_WORD_HOOKS},
	{NULL, NULL, 0, 0},
};

int sl_dsl_l_define(lua_State *L)
{
	int n = lua_gettop(L);

	lua_settop(L, 2);
	sl_dsl_new(L, SL_DSL_WORKFLOW);
	if (n < 2)
		return 1;
	if (!lua_istable(L, 2))
		sl_dsl_complain(L, 3,
			"expected a table, got %s: write workflow.define(\"name\", { tasks = { "
			"a_task } })",
			luaL_typename(L, 2));
	for (lua_pushnil(L); lua_next(L, 2);) {
		if (lua_type(L, -2) != LUA_TSTRING)
			sl_dsl_complain(L, 3,
				"expected names as keys, found a %s: say tasks = "
				"{ … }",
				luaL_typename(L, -2));
		sl_dsl_call(L, 3, lua_tostring(L, -2));
	}
	lua_settop(L, 3);
	return 1;
}
