/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers: what each request of a peer that is welcome gets.
 *
 * Threads: the loop's.
 */

#include "common/base.h"
#include "proto/message.h"

struct sl_job;
struct sl_jobs;
struct sl_loop;
struct sl_peer;

/* What answers are made of; borrowed. */
struct sl_answers {
	struct sl_loop *loop;
	struct sl_jobs *jobs;
	const char *agent_name;
	void *ctx;
	/* Fills in what stat says of the agent as a whole and its connections. */
	void (*fill_stat)(void *ctx, struct sl_stat *out);
	/* Events were sent to somebody. */
	void (*told)(void *ctx);
};

/* Answers request @id, now or when there is something to say. Not a hello. */
void sl_answers_request(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request);

/* Answers those that wait at @job, if its news are worth it. */
void sl_answers_job_changed(struct sl_answers *answers, struct sl_job *job);

/* Whether somebody was sent the last event of each job. */
bool sl_answers_all_told(struct sl_answers *answers);
