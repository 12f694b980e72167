/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Job: a task while the agent has something to do for it: from its acceptance
 * until its worker is gone. What is known of it afterwards is its record.
 *
 * A job ends once. A task that said success ends it at once, so that nobody
 * waits for the worker to be gone; any other outcome is told when the process
 * and all that it started are gone.
 *
 * Threads: the loop's.
 */

#include <sys/queue.h>

#include "agent/admission.h"
#include "agent/store.h"
#include "common/buffer.h"
#include "common/histogram.h"

struct sl_error;
struct sl_hand;
struct sl_hand_end;
struct sl_job;
struct sl_link_frame;
struct sl_loop;
struct sl_waiter;

TAILQ_HEAD(sl_waiter_list, sl_waiter);

/* What all jobs share; borrowed by each. */
struct sl_job_home {
	struct sl_loop *loop;
	struct sl_store *store;
	void *ctx;
	/* There are new events, or it has ended: the record says. Called while the job still
	 * has its record, for the last time when that is in a terminal state. */
	void (*changed)(void *ctx, struct sl_job *job);
	/* Of all jobs so far. */
	uint64_t event_bytes; /* relayed */
	uint64_t ended[SL_N_STATES];
	struct sl_histogram dispatch;    /* from acceptance until a worker has it */
	struct sl_histogram first_event; /* from acceptance until the worker is heard of */
	struct sl_histogram run;         /* from a worker's having it to the end */
};

struct sl_job {
	struct sl_job_home *home;
	struct sl_record *record;      /* NULL after the end */
	struct sl_ticket ticket;       /* the registry's */
	TAILQ_ENTRY(sl_job) live;      /* sl_jobs.live */
	TAILQ_ENTRY(sl_job) unmanned;  /* sl_jobs.unmanned */
	bool is_unmanned;              /* it is in that list */
	struct sl_waiter_list waiters; /* the service's */

	/* The job's own. */
	struct sl_buffer task; /* until a worker has it */
	uint64_t timeout_ms;
	struct sl_hand *hand;
	struct sl_loop_timer *timer; /* the deadline; then the patience with its worker */
	bool stopping;
	enum sl_state stop_state;
	struct sl_buffer stop_why, stop_by;
	bool finished; /* the worker said how it ended */
	enum sl_state finished_state;
	bool has_news;        /* since changed() was called */
	uint64_t credit_left; /* what the worker may still send */
	uint64_t credit_due;  /* what it may be granted */
	/* Monotonic. */
	int64_t accepted_ns;
	int64_t started_ns; /* 0: no worker has had it */
	bool heard;         /* its worker was */
};

/* With no store yet. */
void sl_job_home_init(struct sl_job_home *out, struct sl_loop *loop,
	void (*changed)(void *ctx, struct sl_job *job), void *ctx);

/* Makes the job of @record and its first event. Copies @task. */
int sl_job_new(struct sl_job_home *home, struct sl_record *record, struct sl_bytes task,
	uint64_t timeout_ms, struct sl_job **out, struct sl_error *err) sl_must_check;

/* It must have ended. NULL is fine. */
void sl_job_free(struct sl_job *job);

/* Gives it to @hand, which runs it. */
void sl_job_start(struct sl_job *job, struct sl_hand *hand);

/* What its hand says; as in sl_crew_ops. */
void sl_job_take_frame(struct sl_job *job, const struct sl_link_frame *frame);
void sl_job_take_pause(struct sl_job *job);

/* Its hand is gone: ends it if it hasn't yet. */
void sl_job_take_end(struct sl_job *job, const struct sl_hand_end *end);

/* Has it end in @state (timeout, cancelled, refused) for @why, as @by decided: at once if no
 * worker has it, otherwise as soon as that is gone. A job that ends already goes on with that.
 */
void sl_job_stop(struct sl_job *job, enum sl_state state, const char *why, struct sl_bytes by);

/* Ends it without mercy: sl_job_take_end() follows. Only while a hand has it. */
void sl_job_kill(struct sl_job *job);

/* Its worker may send @freed bytes more. */
void sl_job_credit(struct sl_job *job, uint64_t freed);
