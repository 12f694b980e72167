/* SPDX-License-Identifier: MIT */

/*
 * The functions of a task that run here, beside the controller: where to run,
 * whether to, and what to do afterwards.
 */

#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>

#include "common/error.h"
#include "lua/transfer/transfer.h"
#include "lua/workflow/dsl.h"
#include "lua/workflow/workflow_parts.h"

#define HOOK_INSTRUCTIONS 100000

struct question {
	struct sl_workflow *workflow;
	const struct sl_workflow_entry *entry;
	const struct sl_workflow_context *context;
	const char *function; /* the field it is in */
	bool answer;
	size_t n_targets;
	/* tell */
	bool good;
	const struct sl_value *outputs;
	const char *why;
};

static void push_value(lua_State *L, const struct sl_value *value)
{
	struct sl_error err;

	if (sl_transfer_in(L, value, 1, &err) < 0)
		luaL_error(L, "%s", err.text);
}

/* A table, an empty one for nil: so that deps.x can be asked for. */
static void push_table(lua_State *L, const struct sl_value *value)
{
	if (value->kind == SL_VALUE_NIL)
		lua_newtable(L);
	else
		push_value(L, value);
}

static void push_this(lua_State *L, const struct question *q)
{
	lua_newtable(L);
	lua_pushstring(L, q->entry->task.name);
	lua_setfield(L, -2, "name");
	if (q->context->agent) {
		lua_pushstring(L, q->context->agent);
		lua_setfield(L, -2, "agent");
	}
	if (q->context->job) {
		lua_pushstring(L, q->context->job);
		lua_setfield(L, -2, "job");
	}
	if (q->context->attempt > 0) {
		lua_pushinteger(L, (lua_Integer)q->context->attempt);
		lua_setfield(L, -2, "attempt");
	}
}

/* Pushes the function with (this, params); pushes nothing and returns false where the task has
 * none. The task object is left under it. */
static bool push_call(lua_State *L, const struct question *q)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, q->entry->ref);
	if (sl_dsl_push_field(L, -1, q->function) != LUA_TFUNCTION) {
		lua_pop(L, 2);
		return false;
	}
	push_this(L, q);
	push_table(L, &q->context->params);
	return true;
}

/* f(question): a condition */
static int l_ask(lua_State *L)
{
	struct question *q = lua_touserdata(L, 1);

	if (!push_call(L, q))
		return 0;
	push_table(L, &q->context->deps);
	lua_call(L, 3, 1);
	q->answer = lua_toboolean(L, -1);
	return 0;
}

/* f(question): where to run */
static int l_ask_targets(lua_State *L)
{
	struct question *q = lua_touserdata(L, 1);
	struct sl_workflow *workflow = q->workflow;

	luaL_unref(L, LUA_REGISTRYINDEX, workflow->asked_ref);
	workflow->asked_ref = LUA_NOREF;
	free(workflow->asked);
	workflow->asked = NULL;
	if (!push_call(L, q))
		return 0;
	push_table(L, &q->context->deps);
	lua_call(L, 3, 1);
	sl_dsl_make_targets(L, -2);
	workflow->asked = sl_workflow_strings(L, -1, &q->n_targets);
	workflow->asked_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

/* f(question): after the end */
static int l_tell(lua_State *L)
{
	struct question *q = lua_touserdata(L, 1);

	if (!push_call(L, q))
		return 0;
	if (q->good) {
		if (q->outputs)
			push_value(L, q->outputs);
		else
			lua_pushnil(L);
	} else {
		lua_newtable(L);
		lua_pushstring(L, q->why ? q->why : "");
		lua_setfield(L, -2, "error");
		lua_pushstring(L, q->entry->task.name);
		lua_setfield(L, -2, "task");
	}
	lua_call(L, 3, 0);
	return 0;
}

/* f(question): after the end of all */
static int l_tell_complete(lua_State *L)
{
	struct question *q = lua_touserdata(L, 1);

	lua_rawgeti(L, LUA_REGISTRYINDEX, q->workflow->object_ref);
	if (lua_isnil(L, -1) || sl_dsl_push_field(L, -1, q->function) != LUA_TFUNCTION)
		return 0;
	lua_pushboolean(L, q->good);
	push_table(L, q->outputs);
	lua_call(L, 2, 0);
	return 0;
}

/* Whoever waits for signals by descriptor has them blocked: then Ctrl-C would not reach a
 * function that never ends. */
static void stop_if_interrupted(lua_State *L, lua_Debug *info)
{
	sigset_t pending;

	(void)info;
	if (sigpending(&pending) != 0 ||
		(sigismember(&pending, SIGINT) != 1 && sigismember(&pending, SIGTERM) != 1))
		return;
	luaL_where(L, 0);
	lua_pushliteral(L, "interrupted");
	lua_concat(L, 2);
	lua_error(L);
}

static int run(struct question *q, lua_CFunction function, struct sl_error *err)
{
	lua_State *L = q->workflow->L;
	const char *text;
	int status;

	lua_pushcfunction(L, function);
	lua_pushlightuserdata(L, q);
	lua_sethook(L, stop_if_interrupted, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
	status = lua_pcall(L, 1, 0, 0);
	lua_sethook(L, NULL, 0, 0);
	if (status == LUA_OK)
		return 0;
	text = lua_tostring(L, -1);
	sl_fail(err, status == LUA_ERRMEM ? SL_ENOMEM : SL_EINVALID, "%s: %s",
		function == l_ask_targets ? "delegate_to" : q->function,
		text ? text : "an error without a message");
	lua_pop(L, 1);
	return status == LUA_ERRMEM ? SL_ENOMEM : SL_EINVALID;
}

static struct question question_of(struct sl_workflow *workflow, size_t i,
	const struct sl_workflow_context *context, const char *function)
{
	return (struct question){.workflow = workflow,
		.entry = &workflow->entries[i],
		.context = context,
		.function = function};
}

int sl_workflow_ask_targets(struct sl_workflow *workflow, size_t i,
	const struct sl_workflow_context *context, const char *const **out, size_t *out_n,
	struct sl_error *err)
{
	struct question q = question_of(workflow, i, context, "targets");
	int rc = run(&q, l_ask_targets, err);

	if (rc < 0)
		return rc;
	*out = workflow->asked ? workflow->asked : workflow->entries[i].task.targets;
	*out_n = workflow->asked ? q.n_targets : workflow->entries[i].task.n_targets;
	return 0;
}

int sl_workflow_ask_run_if(struct sl_workflow *workflow, size_t i,
	const struct sl_workflow_context *context, bool *out, struct sl_error *err)
{
	struct question q = question_of(workflow, i, context, "run_if");
	int rc;

	q.answer = true;
	rc = run(&q, l_ask, err);
	if (rc == 0)
		*out = q.answer;
	return rc;
}

int sl_workflow_ask_abort_if(struct sl_workflow *workflow, size_t i,
	const struct sl_workflow_context *context, bool *out, struct sl_error *err)
{
	struct question q = question_of(workflow, i, context, "abort_if");
	int rc = run(&q, l_ask, err);

	if (rc == 0)
		*out = q.answer;
	return rc;
}

static bool has(struct sl_workflow *workflow, size_t i, const char *function)
{
	lua_State *L = workflow->L;
	bool found;

	lua_rawgeti(L, LUA_REGISTRYINDEX, workflow->entries[i].ref);
	found = sl_dsl_push_field(L, -1, function) == LUA_TFUNCTION;
	lua_pop(L, 2);
	return found;
}

int sl_workflow_tell(struct sl_workflow *workflow, size_t i, enum sl_workflow_end end,
	const struct sl_workflow_context *context, const struct sl_value *outputs,
	const char *why, struct sl_error *err)
{
	struct question q = question_of(workflow, i, context, "on_failure");

	q.good = end == SL_WORKFLOW_SUCCEEDED;
	q.outputs = outputs;
	q.why = why;
	if (q.good)
		q.function = "on_success";
	else if (end == SL_WORKFLOW_TIMED_OUT && has(workflow, i, "on_timeout"))
		q.function = "on_timeout";
	return run(&q, l_tell, err);
}

int sl_workflow_tell_complete(struct sl_workflow *workflow, bool succeeded,
	const struct sl_value *results, struct sl_error *err)
{
	struct question q = {.workflow = workflow,
		.function = "on_complete",
		.good = succeeded,
		.outputs = results};

	return run(&q, l_tell_complete, err);
}
