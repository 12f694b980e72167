/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How a task's function is called, and what is made of its returned values.
 *
 * Threads: any.
 */

#include <lua.h>

#include "common/event.h"
#include "lua/schedule/goroutine.h"

struct sl_error;

/* Pushes the function of the task, this, params and deps. A begin of struct sl_start; @ctx is
 * the runtime. */
int sl_task_begin(void *ctx, lua_State *L, struct sl_error *err);

/* Fills ok, message, outputs, error and traceback; they are borrowed from @outcome, or, for
 * what os.execute() says of a command, from @text of @size bytes. */
void sl_task_judge(const struct sl_outcome *outcome, struct sl_event_result *result, char *text,
	size_t size);
