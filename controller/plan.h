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

struct sl_error;
struct sl_workflow;

struct sl_step {
	const char *name; /* borrowed from whoever the plan was made of */
	struct sl_target_list targets;
	struct sl_parcel *parcel; /* owns what @task points to */
	struct sl_task task;
	/* Instead of a task: a job that an agent has, and where to begin with its events. */
	bool attach;
	struct sl_job_id job;
	uint64_t after;
};

/* A zeroed plan is an empty one. Steps run one after another, each on all its targets. */
struct sl_plan {
	const char *workflow; /* name, "" for none; borrowed */
	int64_t timeout_ms;   /* of the whole, 0: none */
	struct sl_step *steps;
	size_t n_steps;
};

void sl_plan_deinit(struct sl_plan *plan);

/* Appends a step; NULL when memory ran out. Valid until the next one is added. */
struct sl_step *sl_plan_add(struct sl_plan *plan, const char *name) sl_must_check;

/* How many jobs it makes: targets of all steps. */
size_t sl_plan_n_jobs(const struct sl_plan *plan);

/* Columns of the longest target's name. */
size_t sl_plan_host_width(const struct sl_plan *plan);

/* What the command line changes in a workflow. */
struct sl_plan_choice {
	const struct sl_texts *tasks;   /* -t: these only; empty: all */
	const struct sl_texts *targets; /* -d: there, instead of where the tasks say */
};

/* Fills @plan from @workflow, which must outlive it. An unknown task or target and what can't
 * be shipped is an error that says so. */
int sl_plan_workflow(struct sl_plan *plan, struct sl_workflow *workflow,
	const struct sl_plan_choice *choice, struct sl_targets *targets,
	struct sl_error *err) sl_must_check;
