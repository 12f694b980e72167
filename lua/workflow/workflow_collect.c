/* SPDX-License-Identifier: MIT */

/*
 * After the file has run: which of the tasks that it built are to be run, and
 * what was said of them, as plain data.
 */

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "common/nearest.h"
#include "lua/workflow/dsl.h"
#include "lua/workflow/workflow_parts.h"

/* Stack slots. */
enum {
	SLOT_TASKS = 2, /* all of them, in the order made; 1 is the caller's */
	SLOT_WORKFLOWS,
	SLOT_CHOSEN, /* the tasks to run, in order */
	SLOT_TOP = SLOT_CHOSEN,
};

static size_t length(lua_State *L, int index)
{
	return (size_t)lua_rawlen(L, index);
}

/* A task that is neither built nor in a workflow was hardly meant to do nothing. */
static void check_tasks(lua_State *L)
{
	for (size_t i = 1; i <= length(L, SLOT_TASKS); i++) {
		struct sl_dsl_object *task;
		bool has_command;

		lua_rawgeti(L, SLOT_TASKS, (lua_Integer)i);
		task = lua_touserdata(L, -1);
		has_command = sl_dsl_push_field(L, -1, "command") != LUA_TNIL;
		lua_pop(L, 1);
		if (!has_command)
			sl_dsl_complain(L, -1,
				"it has no command: say :command(function(this, params) … "
				"end)");
		if (task->order == 0 && !task->listed)
			sl_dsl_complain(L, -1,
				"it is never built: end it with :build(), or put it into a "
				"workflow's tasks");
		lua_pop(L, 1);
	}
}

/* Pushes "a, b, c": the names of the workflows. */
static const char *push_names(lua_State *L)
{
	luaL_Buffer buffer;
	size_t n = length(L, SLOT_WORKFLOWS);

	luaL_buffinit(L, &buffer);
	for (size_t i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addstring(&buffer, ", ");
		lua_rawgeti(L, SLOT_WORKFLOWS, (lua_Integer)i);
		sl_dsl_push_field(L, -1, "name");
		lua_remove(L, -2);
		luaL_addvalue(&buffer);
	}
	luaL_pushresult(&buffer);
	return lua_tostring(L, -1);
}

/* Pushes the workflow called @name, or raises. */
static void push_workflow(lua_State *L, const char *path, const char *name)
{
	size_t n = length(L, SLOT_WORKFLOWS);

	for (size_t i = 1; i <= n; i++) {
		lua_rawgeti(L, SLOT_WORKFLOWS, (lua_Integer)i);
		if (strcmp(sl_dsl_string(L, -1, "name"), name) == 0)
			return;
		lua_pop(L, 1);
	}
	if (n == 0)
		luaL_error(L, "%s: there is no workflow '%s' in it: it has tasks only", path,
			name);
	luaL_error(
		L, "%s: there is no workflow '%s' in it: it has %s", path, name, push_names(L));
}

/* Pushes the chosen workflow; nil when the file has tasks only. */
static void choose_workflow(lua_State *L, const char *path, const char *select)
{
	size_t n = length(L, SLOT_WORKFLOWS);

	if (select)
		push_workflow(L, path, select);
	else if (n == 1)
		lua_rawgeti(L, SLOT_WORKFLOWS, 1);
	else if (n == 0)
		lua_pushnil(L);
	else
		luaL_error(L, "%s: it defines %d workflows (%s): choose one with -w", path,
			(int)n, push_names(L));
}

static void take_workflow(struct sl_workflow *workflow, int index)
{
	lua_State *L = workflow->L;
	struct sl_dsl_object *object = lua_touserdata(L, index);

	workflow->name = sl_dsl_string(L, index, "name");
	workflow->description = sl_dsl_string(L, index, "description");
	workflow->version = sl_dsl_string(L, index, "version");
	workflow->config = object->config;
	lua_pushvalue(L, index);
	workflow->object_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Pushes the list of all tasks in the order in which they were built. */
static void push_built_tasks(lua_State *L)
{
	size_t n = length(L, SLOT_TASKS);

	lua_newtable(L);
	for (size_t i = 1; i <= n; i++) {
		lua_rawgeti(L, SLOT_TASKS, (lua_Integer)i);
		lua_rawseti(L, -2, ((struct sl_dsl_object *)lua_touserdata(L, -1))->order);
	}
}

/* Puts the tasks to run in SLOT_CHOSEN. */
static void choose_tasks(struct sl_workflow *workflow, const char *select)
{
	lua_State *L = workflow->L;

	if (length(L, SLOT_TASKS) == 0)
		luaL_error(L, "%s: it defines no task: begin one with task(\"name\")",
			workflow->path);
	choose_workflow(L, workflow->path, select);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		push_built_tasks(L);
		return;
	}
	take_workflow(workflow, -1);
	if (sl_dsl_push_field(L, -1, "tasks") == LUA_TNIL)
		sl_dsl_complain(L, -2, "it has no tasks: say :tasks({ a_task, … })");
	lua_remove(L, -2);
}

const char **sl_workflow_strings(lua_State *L, int index, size_t *out_n)
{
	size_t n = lua_istable(L, index) ? length(L, index) : 0;
	const char **strings = calloc(n + 1, sizeof(*strings));

	if (!strings)
		luaL_error(L, "out of memory");
	index = lua_absindex(L, index);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, index, (lua_Integer)i + 1);
		strings[i] = lua_tostring(L, -1);
		lua_pop(L, 1);
	}
	*out_n = n;
	return strings;
}

/* Pushes the list of targets of the task at @index, nil for this machine. */
static void push_targets(lua_State *L, int index)
{
	if (sl_dsl_push_field(L, index, "targets") != LUA_TFUNCTION)
		return;
	lua_call(L, 0, 1);
	sl_dsl_make_targets(L, index);
	/* The strings stay as long as the object has them. */
	lua_getiuservalue(L, index, 1);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, "targets");
	lua_pop(L, 1);
}

/* The task on the top, which is popped, becomes @entry. */
static void take_task(lua_State *L, struct sl_workflow_entry *entry, unsigned words)
{
	int index = lua_gettop(L);
	struct sl_dsl_object *object = lua_touserdata(L, index);
	struct sl_workflow_task *task = &entry->task;

	*task = (struct sl_workflow_task){
		.name = sl_dsl_string(L, index, "name"),
		.description = sl_dsl_string(L, index, "description"),
		.timeout_ms = object->timeout_ms,
		.file = sl_dsl_string(L, index, "file"),
		.line = object->line,
		.retries = object->retries,
	};
	if (words & SL_WORD_LATE_TARGETS) {
		task->late_targets = sl_dsl_push_field(L, index, "targets") == LUA_TFUNCTION;
		lua_pop(L, 1);
	}
	if (task->late_targets)
		lua_pushnil(L);
	else
		push_targets(L, index);
	entry->targets = sl_workflow_strings(L, -1, &task->n_targets);
	task->targets = entry->targets;
	lua_settop(L, index);
	entry->ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void sl_workflow_collect(struct sl_workflow *workflow, const struct sl_workflow_args *args)
{
	lua_State *L = workflow->L;
	size_t n;

	luaL_checkstack(L, 20, "workflow");
	lua_settop(L, 1);
	sl_dsl_push_all(L, SL_DSL_TASK);
	sl_dsl_push_all(L, SL_DSL_WORKFLOW);
	workflow->name = workflow->description = workflow->version = "";
	check_tasks(L);
	choose_tasks(workflow, args->select);

	n = length(L, SLOT_CHOSEN);
	workflow->entries = calloc(n, sizeof(*workflow->entries));
	if (!workflow->entries)
		luaL_error(L, "out of memory");
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, SLOT_CHOSEN, (lua_Integer)i + 1);
		workflow->n_entries = i + 1;
		take_task(L, &workflow->entries[i], args->words);
	}
	lua_settop(L, 1);
	sl_workflow_order(workflow);
}
