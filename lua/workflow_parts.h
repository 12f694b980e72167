/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What workflow.c, workflow_collect.c and workflow_pack.c share: a loaded file.
 */

#include <lua.h>

#include "lua/workflow.h"

struct sl_cutter;

struct sl_workflow_entry {
	struct sl_workflow_task task;
	const char **targets; /* owned; the strings are Lua's */
	int ref;              /* of the task object in the registry */
};

struct sl_workflow {
	lua_State *L; /* all strings here are in it, and held by its objects */
	struct sl_cutter *cutter;
	char *path;
	int params_ref; /* -p, a table in the registry */

	const char *name, *description, *version;
	int64_t timeout_ms;
	struct sl_workflow_entry *entries;
	size_t n_entries;
};

/* Fills what comes behind params_ref from what the file built. @select as in the arguments of
 * load. Raises a message with FILE:LINE. [-0, +0, e] */
void sl_workflow_collect(struct sl_workflow *workflow, const char *select);
