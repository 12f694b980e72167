/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What workflow.c, workflow_collect.c and workflow_pack.c share: a loaded file.
 */

#include <lua.h>

#include "lua/workflow/workflow.h"

struct sl_cutter;

struct sl_workflow_entry {
	struct sl_workflow_task task;
	const char **targets; /* owned; the strings are Lua's */
	size_t *depends_on;   /* owned */
	int ref;              /* of the task object in the registry */
};

struct sl_workflow {
	lua_State *L; /* all strings here are in it, and held by its objects */
	struct sl_cutter *cutter;
	char *path;
	int params_ref; /* -p, a table in the registry */
	int object_ref; /* of the chosen workflow's object there; LUA_NOREF: tasks only */

	const char *name, *description, *version;
	struct sl_workflow_config config;
	struct sl_workflow_entry *entries;
	size_t n_entries;

	const char **asked; /* what sl_workflow_ask_targets() gave last; owned */
	int asked_ref;      /* the list that holds its strings, in the registry */
};

/* Fills what comes behind params_ref from what the file built. Raises a message with FILE:LINE.
 * [-0, +0, e] */
void sl_workflow_collect(struct sl_workflow *workflow, const struct sl_workflow_args *args);

/* Fills depends_on of all entries and puts each behind those that it depends on. Raises a
 * message with FILE:LINE for a name that is none of them, and for a circle. [-0, +0, e] */
void sl_workflow_order(struct sl_workflow *workflow);

/* The strings of the list at @index, in an array that is the caller's to free. [-0, +0, e] */
const char **sl_workflow_strings(lua_State *L, int index, size_t *out_n);
