/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part: one task of a run on one of its targets: its attempts, the job that the
 * last of them is, what is shown of it, and what came of it.
 *
 * Threads: the loop's.
 */

#include "controller/job.h"
#include "controller/loop.h"
#include "controller/plan.h"

struct sl_fleet;
struct sl_part;
struct sl_render;

/* What the parts of a run share. The run owns it. */
struct sl_part_env {
	struct sl_loop *loop;
	struct sl_fleet *fleet;
	struct sl_render *render;
	const struct sl_plan *plan;
	char run_id[17];
	/* Set while the run is being stopped: nothing is tried again, and what ends cancelled
	 * is this, for this reason. */
	bool stopping;
	enum sl_verdict stop_verdict;
	char stop_why[320];
	struct sl_outcome outcome; /* of the parts that are over */
	/* Nobody reads stdout any more. */
	void (*unread)(void *ctx);
	/* Part @part is over: called once, not from within a call to the part. */
	void (*over)(void *ctx, struct sl_part *part);
	void *ctx;
};

/* @target and @deps (the deps of its task; a table or nil) must outlive it. @owner is for
 * sl_part_owner(). NULL when memory ran out. */
struct sl_part *sl_part_new(struct sl_part_env *env, const struct sl_step *step,
	const struct sl_target *target, const struct sl_value *deps, void *owner) sl_must_check;

/* Forgets its job, which goes on where it is. NULL is fine. */
void sl_part_free(struct sl_part *part);

void *sl_part_owner(const struct sl_part *part);
const struct sl_job *sl_part_job(const struct sl_part *part);

/* Whether it runs on this machine's private agent. */
bool sl_part_is_local(const struct sl_part *part);

/* Whether an agent may have its job. */
bool sl_part_was_sent(const struct sl_part *part);

/* Whether its agent can be asked something now. */
bool sl_part_is_up(const struct sl_part *part);

/* Begins it. What waits for the private agent goes on with sl_part_local_ready(). */
void sl_part_begin(struct sl_part *part);
void sl_part_local_ready(struct sl_part *part);

/* Asks the agent to stop it; over() follows. */
void sl_part_cancel(struct sl_part *part, const char *reason);

/* Ends it here and now, without a call to over(). Nothing happens to one that is over. */
void sl_part_end(struct sl_part *part, enum sl_verdict verdict, const char *why);

/* It failed, and that is allowed. */
void sl_part_allow(struct sl_part *part);
