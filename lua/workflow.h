/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Workflow: a .sloth file, loaded: which tasks it has, and each of them as
 * something that can be sent away.
 *
 * The file runs once, here, in a Lua state of its own; its top level never runs
 * on an agent. What is sent of it is text: the functions that a task needs, cut
 * from the file, with the values that they captured.
 *
 * Threads: one.
 */

#include "common/parcel.h"
#include "common/task.h"

struct sl_error;
struct sl_workflow;

/* What the command line brings along. */
struct sl_workflow_args {
	const char *select;           /* -w: which workflow; NULL: the only one, or all tasks */
	const struct sl_pair *params; /* -p k=v: strings */
	size_t n_params;
	struct sl_value values; /* -v: a table, or nil */
};

struct sl_workflow_task {
	const char *name;
	const char *description; /* may be "" */
	const char *const
		*targets; /* as written: names, @groups, addresses; n = 0: this machine */
	size_t n_targets;
	int64_t timeout_ms; /* 0: none */
	const char *file;   /* where task("…") stands: the workflow file or one it required */
	int line;
};

/* Runs the file and collects what it defined. A file that doesn't parse, an unknown method, a
 * bad duration, a task without a command: SL_EINVALID with FILE:LINE and a hint. */
int sl_workflow_load(const char *path, const struct sl_workflow_args *args,
	struct sl_workflow **out, struct sl_error *err) sl_must_check;

/* NULL is fine. */
void sl_workflow_free(struct sl_workflow *workflow);
SL_DEFINE_CLEANUP(struct sl_workflow *, sl_workflow_free);

/* "" for a file that has tasks only, and for what was not said. */
const char *sl_workflow_name(const struct sl_workflow *workflow);
const char *sl_workflow_description(const struct sl_workflow *workflow);
const char *sl_workflow_version(const struct sl_workflow *workflow);
int64_t sl_workflow_timeout_ms(const struct sl_workflow *workflow); /* 0: none */

/* The tasks to run, in order; borrowed. */
size_t sl_workflow_n_tasks(const struct sl_workflow *workflow);
const struct sl_workflow_task *sl_workflow_task(const struct sl_workflow *workflow, size_t i);

/* Fills all of @out but its deps, limits and meta, in @parcel. SL_EINVALID names what can't be
 * shipped and the way to it. */
int sl_workflow_pack(struct sl_workflow *workflow, size_t i, struct sl_parcel *parcel,
	struct sl_task *out, struct sl_error *err) sl_must_check;

/* The same for a bare chunk of Lua (sloth exec -e): a task called @name. @file is what messages
 * call the chunk. One that doesn't parse is SL_EINVALID with FILE:LINE. */
int sl_workflow_pack_chunk(const char *chunk, const char *file, const char *name,
	struct sl_parcel *parcel, struct sl_task *out, struct sl_error *err) sl_must_check;
