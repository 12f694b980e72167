/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Environment: the variables of a task. It begins as the process's own; what
 * os.setenv() changes is kept beside them. The process's are never written to:
 * other threads read them, in libraries too, and none of them takes a lock.
 *
 * Threads: any.
 */

#include "common/buffer.h"

struct sl_account;
struct sl_environment;
struct sl_error;

/* Most that one task may set, and the longest that exec lets through as one text. */
#define SL_ENVIRONMENT_MAX_SET 4096
#define SL_ENVIRONMENT_MAX_BYTES ((size_t)128 << 10)

/* Nothing is set yet. What will be is charged to @account. NULL when memory ran out. */
struct sl_environment *sl_environment_new(struct sl_account *account) sl_must_check;
void sl_environment_free(struct sl_environment *environment);

/* Appends the value of the variable to @out. False: there is none of that name. */
bool sl_environment_get(
	struct sl_environment *environment, const char *name, struct sl_buffer *out);

/* Sets the variable, or, with NULL, removes it. Returns 0, SL_ETOO_LARGE over the limits above,
 * SL_ENOMEM. */
int sl_environment_set(struct sl_environment *environment, const char *name, const char *value,
	struct sl_error *err) sl_must_check;

/* What a process is started with: @first, then the variables as @changes have them: texts
 * "NAME=value", or "NAME" for one that it doesn't get; NULL for no changes. One piece of
 * memory, for free(); NULL when memory ran out. */
char **sl_environment_list(struct sl_environment *environment, const char *first,
	const char *const *changes) sl_must_check;
