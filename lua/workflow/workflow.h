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

/* Words of a workflow file that somebody must act on while it is run. A file that says one of
 * which the caller knows nothing is refused, with the line. */
enum sl_workflow_word {
	SL_WORD_DEPENDS_ON = 1 << 0,
	SL_WORD_RETRIES = 1 << 1,
	SL_WORD_CONDITIONS = 1 << 2,   /* run_if, abort_if */
	SL_WORD_HOOKS = 1 << 3,        /* on_success, on_failure, on_timeout, on_complete */
	SL_WORD_LATE_TARGETS = 1 << 4, /* delegate_to(function): ask when the task starts;
	                                * else it is asked once, when the file has run */
	SL_WORD_MAX_PARALLEL = 1 << 5, /* config{…} */
	SL_WORD_MAX_FAIL = 1 << 6,
	SL_WORD_FAIL_FAST = 1 << 7,
};

/* What the command line brings along. */
struct sl_workflow_args {
	const char *select;           /* -w: which workflow; NULL: the only one, or all tasks */
	const struct sl_pair *params; /* -p k=v: strings */
	size_t n_params;
	struct sl_value values; /* -v: a table, or nil */
	unsigned words;         /* enum sl_workflow_word: what the caller acts on */
};

/* More attempts after one that failed: the first after backoff_ms, each further one after the
 * wait before it times factor, never longer than max_ms. */
struct sl_workflow_retries {
	unsigned n; /* 0: one attempt only */
	int64_t backoff_ms, max_ms;
	double factor;
};

struct sl_workflow_task {
	const char *name;
	const char *description; /* may be "" */
	const char *const
		*targets; /* as written: names, @groups, addresses; n = 0: this machine */
	size_t n_targets;
	bool late_targets;  /* sl_workflow_ask_targets() has them when the task starts */
	int64_t timeout_ms; /* 0: none */
	const char *file;   /* where task("…") stands: the workflow file or one it required */
	int line;
	const size_t *depends_on; /* numbers of the tasks that must succeed before, all smaller
	                           * than its own */
	size_t n_depends_on;
	struct sl_workflow_retries retries;
};

/* config{…} of the workflow. */
struct sl_workflow_config {
	int64_t timeout_ms;    /* 0: none */
	uint64_t max_parallel; /* jobs at once; 0: as many as there are */
	uint64_t max_fail;     /* targets of a task that may fail, and the task succeeds */
	bool fail_fast;        /* the first task that fails ends the run */
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
struct sl_workflow_config sl_workflow_config(const struct sl_workflow *workflow);

/* The tasks to run, in order: each behind those that it depends on; borrowed. */
size_t sl_workflow_n_tasks(const struct sl_workflow *workflow);
const struct sl_workflow_task *sl_workflow_task(const struct sl_workflow *workflow, size_t i);

/* Fills all of @out but its deps and meta, in @parcel. SL_EINVALID names what can't be
 * shipped and the way to it. */
int sl_workflow_pack(struct sl_workflow *workflow, size_t i, struct sl_parcel *parcel,
	struct sl_task *out, struct sl_error *err) sl_must_check;

/* The same for a bare chunk of Lua (sloth exec): a task called @name. @file is what messages
 * call the chunk; if there is such a file, modules beside it that the chunk requires go along.
 * One that doesn't parse is SL_EINVALID with FILE:LINE. Blocks while files are read. */
int sl_workflow_pack_chunk(const char *chunk, const char *file, const char *name,
	struct sl_parcel *parcel, struct sl_task *out, struct sl_error *err) sl_must_check;

/* ---- what only the file can say, asked while it is run ---- */

/* What its functions are told: they get (this, params, …). */
struct sl_workflow_context {
	const char *agent;      /* this.agent; NULL: none yet */
	uint64_t attempt;       /* this.attempt; 0: none yet */
	const char *job;        /* this.job; NULL: none yet */
	struct sl_value params; /* as packed */
	struct sl_value deps;   /* a table: outputs by the name of the task; or nil */
};

/* Each runs a function of the file, here: it blocks as long as that does, or until SIGINT or
 * SIGTERM is pending. What it raises is SL_EINVALID, "run_if: FILE:LINE: …". */

/* Where task @i is to run: what delegate_to(function) returns for (this, params, deps). *out is
 * borrowed until the next question. */
int sl_workflow_ask_targets(struct sl_workflow *workflow, size_t i,
	const struct sl_workflow_context *context, const char *const **out, size_t *out_n,
	struct sl_error *err) sl_must_check;

/* Whether task @i shall run, by its run_if(this, params, deps): true where it has none. */
int sl_workflow_ask_run_if(struct sl_workflow *workflow, size_t i,
	const struct sl_workflow_context *context, bool *out,
	struct sl_error *err) sl_must_check;

/* Whether the run shall stop before task @i, by its abort_if: false where it has none. */
int sl_workflow_ask_abort_if(struct sl_workflow *workflow, size_t i,
	const struct sl_workflow_context *context, bool *out,
	struct sl_error *err) sl_must_check;

enum sl_workflow_end {
	SL_WORKFLOW_SUCCEEDED, /* on_success(this, params, outputs) */
	SL_WORKFLOW_FAILED,    /* on_failure(this, params, { error =, task = }) */
	SL_WORKFLOW_TIMED_OUT, /* on_timeout, the same; on_failure where there is none */
};

/* Tells task @i how it ended. @outputs goes with success, @why with the others. Nothing happens
 * where the task has no such function. */
int sl_workflow_tell(struct sl_workflow *workflow, size_t i, enum sl_workflow_end end,
	const struct sl_workflow_context *context, const struct sl_value *outputs,
	const char *why, struct sl_error *err) sl_must_check;

/* Tells the workflow's on_complete(succeeded, results) that all is over; @results is a table.
 * Nothing happens where the file has no such function. */
int sl_workflow_tell_complete(struct sl_workflow *workflow, bool succeeded,
	const struct sl_value *results, struct sl_error *err) sl_must_check;
