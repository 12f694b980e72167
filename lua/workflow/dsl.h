/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * DSL: the words of a workflow file, task("…"):command(…)…:build() and
 * workflow.define("…"). Each makes an object: a userdata, with what was said in
 * a table of fields. What a word means is in dsl_task.c and dsl_workflow.c.
 *
 * A chain of calls over several lines has, for Lua, the line on which it begins.
 * So an object notes on which line a method was looked up, which is where the
 * method's name stands, and complaints about a call name that line.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "lua/workflow/workflow.h"

#define SL_DSL_TASK "task"
#define SL_DSL_WORKFLOW "workflow"

struct sl_dsl_object {
	const char *kind;   /* SL_DSL_TASK or SL_DSL_WORKFLOW */
	int line;           /* on which it was made, in the file that is its field "file" */
	int at_line;        /* on which the method that is running was looked up */
	unsigned order;     /* task: the how many-th build(), from 1; 0: not built */
	bool listed;        /* task: a workflow has it */
	int64_t timeout_ms; /* task: 0: none */
	struct sl_workflow_retries retries;      /* task */
	uint64_t memory_bytes, processes, files; /* task: limits; 0: the agent's default */
	struct sl_workflow_config config;        /* workflow */
};

/* Fields of both: file, name, description. Of a task: command (a function), targets (a list of
 * strings, or a function), params, env (tables), workdir, user, depends_on (a list of names),
 * and the functions run_if, abort_if, on_success, on_failure, on_timeout. Of a workflow:
 * version, tasks (a list). What was not said is nil. */

/* Defines the globals task and workflow. @words as in struct sl_workflow_args. [-0, +0, m] */
void sl_dsl_open(lua_State *L, unsigned words);

/* Why the value at @index is of no use anywhere but in the file that is being loaded: it is one
 * of the words, or what they make. NULL for any other value. [-0, +0, -] */
const char *sl_dsl_refuse(lua_State *L, int index);

/* Pushes the list of all objects of @kind, in the order made; it has them by name, too.
 * [-0, +1, m] */
void sl_dsl_push_all(lua_State *L, const char *kind);

/* The object at @index, NULL where there is none of @kind. [-0, +0, -] */
struct sl_dsl_object *sl_dsl_object(lua_State *L, int index, const char *kind);

/* Pushes a field of the object at @index and returns its type. [-0, +1, -] */
int sl_dsl_push_field(lua_State *L, int index, const char *name);

/* A field that is a string, "" when it was not said; borrowed while the object lives.
 * [-0, +0, -] */
const char *sl_dsl_string(lua_State *L, int index, const char *name);

/* Makes a list of strings of what delegate_to() may be given, at the top, for the task at
 * @index. [-1, +1, e] */
void sl_dsl_make_targets(lua_State *L, int index);

/* Raises "FILE:LINE: task 'x': …" about the object at @index: the line of the method that is
 * running, or where the object was made when the file is not running any more. [-0, +0, v] */
_Noreturn void sl_dsl_complain(lua_State *L, int index, const char *fmt, ...) sl_printf(3, 4);

/* ---- between dsl.c and the kinds ---- */

struct sl_dsl_method {
	const char *name;
	/* The object is at 1, the arguments are at 2 and 3 (nil where not given). NULL: a word
	 * about which this version does nothing. [-0, +0, e] */
	void (*set)(lua_State *L);
	int n_arguments; /* at most */
	unsigned word;   /* enum sl_workflow_word: refused unless the caller acts on it */
};

/* Complains unless the caller of load acts on @word. [-0, +0, v] */
void sl_dsl_need(lua_State *L, unsigned word, const char *name);

/* What the kinds define: their methods, ending with an empty one, and the function that makes
 * an object. */
extern const struct sl_dsl_method sl_dsl_task_methods[];
extern const struct sl_dsl_method sl_dsl_workflow_methods[];
int sl_dsl_l_task(lua_State *L);   /* task(name) */
int sl_dsl_l_define(lua_State *L); /* workflow.define(name[, table]) */

/* Pushes a new object called by the string at 1, which is checked, and appends it to the list
 * of its kind. [-0, +1, e] */
struct sl_dsl_object *sl_dsl_new(lua_State *L, const char *kind);

/* Calls method @name of the object at @index with the value at the top. [-1, +0, e] */
void sl_dsl_call(lua_State *L, int index, const char *name);

/* Complains about @key, which is none of @keys (ends with NULL). */
_Noreturn void sl_dsl_unknown_key(
	lua_State *L, const char *what, const char *key, const char *const *keys);

/* The whole number at the top, from @least to @most. [-0, +0, e] */
uint64_t sl_dsl_count(lua_State *L, const char *what, uint64_t least, uint64_t most);

/* Sets a field of the object at 1, once, to the value at the top. [-1, +0, e] */
void sl_dsl_set_field(lua_State *L, const char *name);

/* The value at @index must be text that names something: not empty, on one line. [-0, +0, e] */
void sl_dsl_check_text(lua_State *L, int index, const char *what);

/* The duration at @index: text, or a number of seconds; more than nothing. [-0, +0, e] */
int64_t sl_dsl_duration(lua_State *L, int index, const char *what);

/* The table at @index must have keys of type string only. [-0, +0, e] */
void sl_dsl_check_keys(lua_State *L, int index, const char *what, const char *example);
