/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Job list: the jobs that agents have, page by page.
 *
 * Threads: one.
 */

#include "controller/survey.h"

#define SL_JOB_NAME_SIZE 260

struct sl_job_list {
	const struct sl_target_list *targets;
	const struct sl_options *options;
	/* Target @i has this job; borrowed for the call. */
	void (*row)(void *ctx, size_t i, const struct sl_job_row *row);
	void (*failed)(void *ctx, size_t i, const struct sl_error *why);
	void *ctx;
};

/* The questions to run; they borrow @list. */
struct sl_survey sl_job_list_survey(struct sl_job_list *list);

struct sl_job_found {
	struct sl_job_id id;
	char name[SL_JOB_NAME_SIZE]; /* of its task; "" when the agent didn't say */
};

/* Finds the one job of @targets (one target) whose id begins with @prefix. Returns 0;
 * SL_ENOT_FOUND, also for several; or why the agent can't be asked, with the exit status for
 * that in *out_status. */
int sl_job_list_find(const struct sl_target_list *targets, const struct sl_options *options,
	const char *prefix, struct sl_job_found *out, enum sl_exit *out_status,
	struct sl_error *err) sl_must_check;
