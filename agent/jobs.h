/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Jobs: all that the agent was asked to run: who is admitted, who waits for a
 * worker, whose worker is gone.
 *
 * Threads: the loop's.
 */

#include "agent/crew.h"
#include "agent/job.h"

struct sl_error;
struct sl_jobs;
struct sl_loop;
struct sl_request;
struct sl_stat;

struct sl_jobs_config {
	size_t max_tasks, max_queued;
	size_t prefork;
};

struct sl_jobs_ops {
	/* As in sl_job_home. */
	void (*changed)(void *ctx, struct sl_job *job);
	/* The stock of workers is full, for the first time; not called for a stock of none. */
	void (*ready)(void *ctx);
	/* The last live job is gone. */
	void (*idle)(void *ctx);
	/* As in sl_crew_ops: nothing can run any more. */
	void (*lost)(void *ctx);
};

enum {
	SL_JOBS_KNOWN = 1, /* the job was submitted before */
};

/* Starts the spawner: call it before other threads start. @ops and @ctx are borrowed. */
int sl_jobs_new(struct sl_loop *loop, const struct sl_jobs_config *config,
	const struct sl_jobs_ops *ops, void *ctx, struct sl_jobs **out,
	struct sl_error *err) sl_must_check;

/* As sl_crew_keep_spawner(). */
void sl_jobs_keep_spawner(struct sl_jobs *jobs);

/* Ends what still runs, without callbacks. Blocks until it is gone. NULL is fine. */
void sl_jobs_free(struct sl_jobs *jobs);

/* Takes a task in, from the controller called @who. A job that is known is SL_JOBS_KNOWN and
 * left as it is. SL_EBAD_TASK, SL_EBUSY with *out_retry_ms, SL_EDRAINING, SL_EDENIED. */
int sl_jobs_submit(struct sl_jobs *jobs, const struct sl_request *request, struct sl_bytes who,
	struct sl_record **out, uint64_t *out_retry_ms, struct sl_error *err) sl_must_check;

/* NULL for a job that nobody knows; the record is valid until the loop goes on. */
struct sl_record *sl_jobs_find(struct sl_jobs *jobs, const struct sl_job_id *id);

/* Has a job stop; one that has ended stays as it is. */
void sl_jobs_cancel(
	struct sl_jobs *jobs, struct sl_record *record, const char *why, struct sl_bytes by);

/* Events up to @upto need not be kept. */
void sl_jobs_acknowledge(struct sl_jobs *jobs, struct sl_record *record, uint64_t upto);

/* Drops a record. SL_EINVALID while the job lives. */
int sl_jobs_forget(
	struct sl_jobs *jobs, struct sl_record *record, struct sl_error *err) sl_must_check;

/* The records, for reading. */
struct sl_store *sl_jobs_store(struct sl_jobs *jobs);

/* Takes no more; what waits is refused. */
void sl_jobs_drain(struct sl_jobs *jobs);

/* Stops all that runs, for @why. */
void sl_jobs_stop_all(struct sl_jobs *jobs, const char *why);

/* Jobs that still have something to do. */
size_t sl_jobs_n_live(const struct sl_jobs *jobs);

enum sl_refusal {
	SL_REFUSAL_BUSY,
	SL_REFUSAL_DRAINING,
	SL_REFUSAL_BAD_TASK,
	SL_REFUSAL_DENIED,
	SL_REFUSAL_OTHER, /* no memory */
};

#define SL_N_REFUSALS (SL_REFUSAL_OTHER + 1)

/* What there is to count of jobs. Histograms are borrowed: read them at once. */
struct sl_jobs_numbers {
	uint64_t by_state[SL_N_STATES]; /* records that are there */
	uint64_t accepted, refused[SL_N_REFUSALS], ended[SL_N_STATES];
	size_t running, queued, queued_bytes;
	uint64_t event_bytes;
	size_t ring_bytes;
	const struct sl_histogram *dispatch, *first_event, *run; /* as in sl_job_home */
	struct sl_crew_numbers crew;
	struct sl_tally_sum tally;
	bool draining;
};

void sl_jobs_count(const struct sl_jobs *jobs, struct sl_jobs_numbers *out);

/* As sl_crew_ping(). */
void sl_jobs_ping(struct sl_jobs *jobs, void (*fn)(void *ctx), void *ctx);

/* As sl_crew_pids(). */
size_t sl_jobs_workers(const struct sl_jobs *jobs, pid_t *out, size_t max);

/* Fills in what it knows of *out. */
void sl_jobs_stat(struct sl_jobs *jobs, struct sl_stat *out);
