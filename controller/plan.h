/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plan: which tasks run on which targets, in which order. Complete before
 * anything runs: every target has an address, every task can be shipped.
 *
 * Threads: one.
 */

#include "common/task.h"
#include "controller/flags.h"
#include "controller/targets.h"
#include "lua/workflow/workflow.h"

/* The words of a workflow file that a run of a plan acts on: all of them. */
#define SL_PLAN_WORDS                                                                          \
	(SL_WORD_DEPENDS_ON | SL_WORD_RETRIES | SL_WORD_CONDITIONS | SL_WORD_HOOKS |           \
		SL_WORD_LATE_TARGETS | SL_WORD_MAX_PARALLEL | SL_WORD_MAX_FAIL |               \
		SL_WORD_FAIL_FAST)

struct sl_error;
struct sl_options;

struct sl_step {
	const char *name; /* borrowed from whoever the plan was made of */
	struct sl_target_list targets;
	struct sl_parcel *parcel; /* owns what @task points to */
	struct sl_task task;
	/* Of a workflow's task: what the file says of it, and its number there. */
	const struct sl_workflow_task *of; /* NULL: none */
	size_t number;
	size_t *depends_on; /* steps, all before this one */
	size_t n_depends_on;
	/* Instead of a task: a job that an agent has, and where to begin with its events. */
	bool attach;
	struct sl_job_id job;
	uint64_t after;
};

/* A zeroed plan is an empty one. Steps run in parallel but for those that they depend on, each
 * on all its targets. */
struct sl_plan {
	struct sl_workflow *workflow; /* borrowed; NULL: none */
	const char *name;             /* the workflow's, "" for none; borrowed */
	struct sl_targets *inventory; /* for targets that are known late; borrowed */
	struct sl_workflow_config config;
	struct sl_step *steps;
	size_t n_steps;
};

void sl_plan_deinit(struct sl_plan *plan);

/* Appends a step; NULL when memory ran out. Valid until the next one is added. */
struct sl_step *sl_plan_add(struct sl_plan *plan, const char *name) sl_must_check;

/* Columns of the longest target's name. */
size_t sl_plan_host_width(const struct sl_plan *plan);

/* What the command line changes in a workflow. */
struct sl_plan_choice {
	const struct sl_texts *tasks;   /* -t: these and what they depend on; empty: all */
	const struct sl_texts *targets; /* -d: there, instead of where the tasks say */
};

/* Fills @plan from @workflow and @targets, which must outlive it. An unknown task or target and
 * what can't be shipped is an error that says so. */
int sl_plan_workflow(struct sl_plan *plan, struct sl_workflow *workflow,
	const struct sl_plan_choice *choice, struct sl_targets *targets,
	struct sl_error *err) sl_must_check;

/* Shows @plan on stdout as @options say; runs nothing. */
void sl_plan_show(const struct sl_plan *plan, const struct sl_options *options);
