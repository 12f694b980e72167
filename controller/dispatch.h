/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Dispatch: one task on one agent, from submit to its last event. Events come
 * in order, each once, whatever happens to the connection meanwhile.
 *
 * Threads: the loop's.
 */

#include "common/buffer.h"
#include "common/event.h"
#include "common/task.h"
#include "controller/outcome.h"

struct sl_dispatch;
struct sl_error;
struct sl_loop;
struct sl_remote;

struct sl_dispatch_config {
	struct sl_remote *remote; /* borrowed */
	struct sl_job_id job;
	struct sl_bytes task; /* encoded; copied. Empty: the agent has the job already */
	uint64_t after;       /* events up to this one are not wanted */
	/* An event came. @number is its place in the job. All borrowed for the call. */
	void (*event)(void *ctx, uint64_t number, const struct sl_event *event);
	/* No more of them for the moment. */
	void (*caught_up)(void *ctx);
	/* The agent has no place for it yet. @text is for a person; comes once. */
	void (*waiting)(void *ctx, const char *text);
	/* It is over: the last call. @why is the reason where the verdict needs one, "" else.
	 */
	void (*ended)(void *ctx, enum sl_verdict verdict, const char *why);
	void *ctx;
};

/* Starts. Never calls back from within. */
int sl_dispatch_new(struct sl_loop *loop, const struct sl_dispatch_config *config,
	struct sl_dispatch **out, struct sl_error *err) sl_must_check;

/* Forgets the job, which goes on where it is; no further callbacks. NULL is fine. */
void sl_dispatch_free(struct sl_dispatch *dispatch);

/* Asks the agent to stop the job. ended() tells what came of it. */
void sl_dispatch_cancel(struct sl_dispatch *dispatch, const char *reason);

/* Whether the agent may have the job: somebody can ask for it later. */
bool sl_dispatch_was_sent(const struct sl_dispatch *dispatch);

/* Number of the last event that came. */
uint64_t sl_dispatch_last(const struct sl_dispatch *dispatch);
