/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Job: one task on one target in a run, as people see it: its name, where it
 * runs, what came of it. Plain data.
 *
 * Threads: the loop's.
 */

#include "common/event.h"
#include "common/task.h"
#include "controller/outcome.h"

struct sl_error;

struct sl_job {
	const char *task;   /* borrowed */
	const char *target; /* borrowed */
	struct sl_job_id id;
	char id_text[SL_JOB_ID_TEXT];
	uint64_t attempt;     /* from 1 */
	bool allowed_to_fail; /* it failed, and max_fail allows it */
	bool begun;           /* it was handed to an agent, or tried to be */
	bool over;
	enum sl_verdict verdict;
	char why[320];          /* what the verdict needs for a reason; may be "" */
	char hint[320];         /* what to do next; may be "" */
	int64_t begun_ms;       /* monotonic */
	int64_t duration_ms;    /* begun to over, as seen from here */
	struct sl_parcel *kept; /* owns what @result points to */
	bool has_result;
	struct sl_event_result result;
};

/* A new job id, at random. */
void sl_job_id_make(struct sl_job_id *out);

/* Reads @text as the beginning of an id, 1 to 32 hex digits of either case, into 32 lower case
 * ones at most. SL_EINVALID for anything else. */
int sl_job_id_prefix(
	const char *text, char out[SL_JOB_ID_TEXT], struct sl_error *err) sl_must_check;

/* 32 hex digits; false for anything else. */
bool sl_job_id_parse(const char *text, struct sl_job_id *out);

/* Copies @result to the job. False when memory ran out. */
bool sl_job_keep_result(struct sl_job *job, const struct sl_event_result *result);

void sl_job_deinit(struct sl_job *job);

/* The sentence for a person: the task's own message, or why it ended so. Never NULL. */
struct sl_bytes sl_job_message(const struct sl_job *job);
