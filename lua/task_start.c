/* SPDX-License-Identifier: MIT */
#include "lua/task_start.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/error.h"
#include "common/task.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/outcome.h"
#include "lua/transfer/transfer.h"

enum {
	SLOT_TASK = 1,
	SLOT_FUNCTION,
	SLOT_PARAMS,
	SLOT_DEPS,
	SLOT_VALUES,
};

static void set_text(lua_State *L, const char *key, struct sl_bytes text)
{
	lua_pushlstring(L, text.data, text.size);
	lua_setfield(L, -2, key);
}

static void set_workdir(lua_State *L, struct sl_bytes workdir)
{
	char *here = workdir.size > 0 ? NULL : getcwd(NULL, 0);

	if (here)
		workdir = sl_bytes_of(here);
	lua_pushlstring(L, workdir.data, workdir.size);
	free(here);
	lua_setfield(L, -2, "workdir");
}

static void push_this(lua_State *L, const struct sl_task *task)
{
	char job[SL_JOB_ID_TEXT];

	sl_job_id_format(&task->job, job);
	lua_createtable(L, 0, 5);
	set_text(L, "name", task->name);
	set_text(L, "job", sl_bytes_of(job));
	set_text(L, "agent", task->meta.agent);
	lua_pushinteger(L, task->meta.attempt > 0 ? (lua_Integer)task->meta.attempt : 1);
	lua_setfield(L, -2, "attempt");
	set_workdir(L, task->workdir);
}

static void make_table(lua_State *L, int slot)
{
	if (!lua_isnil(L, slot))
		return;
	lua_newtable(L);
	lua_replace(L, slot);
}

/* f(task, function, params, deps, values) → function, this, params, deps */
static int l_arrange(lua_State *L)
{
	const struct sl_task *task = lua_touserdata(L, SLOT_TASK);

	make_table(L, SLOT_PARAMS);
	make_table(L, SLOT_DEPS);
	make_table(L, SLOT_VALUES);
	lua_pushvalue(L, SLOT_VALUES);
	lua_setglobal(L, "values");
	lua_pushvalue(L, SLOT_VALUES);
	lua_setfield(L, SLOT_PARAMS, "values");

	lua_pushvalue(L, SLOT_FUNCTION);
	push_this(L, task);
	lua_pushvalue(L, SLOT_PARAMS);
	lua_pushvalue(L, SLOT_DEPS);
	return 4;
}

static bool is_table_or_nil(struct sl_value value)
{
	return value.kind == SL_VALUE_TABLE || value.kind == SL_VALUE_NIL;
}

static int check(const struct sl_task *task, struct sl_error *err)
{
	if (task->function.kind != SL_VALUE_FUNCTION)
		return sl_fail(err, SL_EBAD_TASK, "the task has no function");
	if (!is_table_or_nil(task->params) || !is_table_or_nil(task->deps) ||
		!is_table_or_nil(task->values))
		return sl_fail(
			err, SL_EBAD_TASK, "params, values and deps of a task are tables");
	return 0;
}

int sl_task_begin(void *ctx, lua_State *L, struct sl_error *err)
{
	struct sl_runtime *runtime = ctx;
	const struct sl_task *task = runtime->task;
	struct sl_value values[4] = {task->function, task->params, task->deps, task->values};
	int code = check(task, err);

	if (code != 0)
		return code;
	lua_pushcfunction(L, l_arrange);
	lua_pushlightuserdata(L, (void *)task);
	code = sl_transfer_in_task(L, values, 4, task, err);
	if (code != 0)
		return code;
	if (lua_pcall(L, 5, 4, 0) == LUA_OK)
		return 0;
	return sl_fail(err, SL_ENOMEM, "cannot begin the task: %s", lua_tostring(L, -1));
}

static const struct sl_value *field(const struct sl_value *value, const char *name)
{
	return value->kind == SL_VALUE_TABLE ? sl_table_get(value->table, name) : NULL;
}

static bool is_boolean(const struct sl_value *value, bool which)
{
	return value && value->kind == SL_VALUE_BOOLEAN && value->boolean == which;
}

/* Whether it is an answer of exec.run() or http.get() that says that it was none to wish for.
 */
static bool is_bad_answer(const struct sl_value *value)
{
	return is_boolean(field(value, "success"), false);
}

/* Why such an answer is bad; in @text, or the answer's own, and empty where it doesn't say. */
static struct sl_bytes why_bad(const struct sl_value *value, char *text, size_t size)
{
	const struct sl_value *status = field(value, "status"),
			      *exit_code = field(value, "exit_code"),
			      *ended_by = field(value, "signal");

	if (status && status->kind == SL_VALUE_STRING)
		return status->string;
	text[0] = '\0';
	if (is_boolean(field(value, "timed_out"), true))
		snprintf(text, size, "timed out");
	else if (ended_by && ended_by->kind == SL_VALUE_STRING)
		snprintf(text, size, "killed by %.*s", (int)ended_by->string.size,
			ended_by->string.data);
	else if (exit_code && exit_code->kind == SL_VALUE_INTEGER)
		snprintf(text, size, "exit status %lld", (long long)exit_code->integer);
	return sl_bytes_of(text);
}

/* false, nil and a message, or an answer that says so, or nothing that says failure */
static bool says_success(const struct sl_outcome *outcome)
{
	const struct sl_value *values = outcome->values;

	if (outcome->n_values == 0)
		return true;
	if (values[0].kind == SL_VALUE_BOOLEAN)
		return values[0].boolean;
	if (values[0].kind != SL_VALUE_NIL)
		return !is_bad_answer(&values[0]);
	return outcome->n_values == 1 || values[1].kind != SL_VALUE_STRING;
}

/* Whether it is what os.execute() returns, or a pipe's close(): true or nil, how, a number. */
static bool says_how_a_command_ended(const struct sl_outcome *outcome)
{
	const struct sl_value *values = outcome->values;

	return outcome->n_values == 3 && values[1].kind == SL_VALUE_STRING &&
	       values[2].kind == SL_VALUE_INTEGER &&
	       (sl_bytes_equal(values[1].string, sl_bytes_of("exit")) ||
		       sl_bytes_equal(values[1].string, sl_bytes_of("signal")));
}

void sl_task_judge(const struct sl_outcome *outcome, struct sl_event_result *result, char *text,
	size_t size)
{
	result->ok = outcome->ok && says_success(outcome);
	if (!outcome->ok) {
		result->error = outcome->error;
		if (outcome->error.kind != SL_VALUE_STRING)
			result->message = sl_outcome_message(outcome);
		result->traceback = outcome->traceback;
		return;
	}
	if (says_how_a_command_ended(outcome)) {
		bool exited = sl_bytes_equal(outcome->values[1].string, sl_bytes_of("exit"));

		snprintf(text, size, exited ? "exit status %lld" : "killed by signal %lld",
			(long long)outcome->values[2].integer);
		if (!result->ok)
			result->message = sl_bytes_of(text);
		return;
	}
	if (outcome->n_values > 1 && outcome->values[1].kind == SL_VALUE_STRING)
		result->message = outcome->values[1].string;
	else if (outcome->n_values > 0 && is_bad_answer(&outcome->values[0]))
		result->message = why_bad(&outcome->values[0], text, size);
	/* What io.open() and its like put third is no output. */
	if (outcome->n_values > 2 && !(outcome->values[0].kind == SL_VALUE_NIL &&
					     outcome->values[2].kind == SL_VALUE_INTEGER))
		result->outputs = outcome->values[2];
}
