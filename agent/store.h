/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Store: the record of each job that the agent knows, and its events until they
 * are acknowledged. What a job does while it lives is job.h's; what must still
 * be known of it afterwards is here.
 *
 * Finished records stay until they are forgotten, have grown old, or crowd the
 * store; then those that were acknowledged go first, the oldest of them before
 * the others.
 *
 * Threads: the loop's.
 */

#include "agent/ring.h"
#include "common/buffer.h"
#include "common/state.h"
#include "common/task.h"

struct sl_error;
struct sl_store;

struct sl_store_limits {
	int64_t keep_finished_ms;
	size_t max_finished;       /* records */
	size_t max_finished_bytes; /* of their events */
};

/* What is known of a job when it is accepted; the strings are copied. */
struct sl_store_head {
	struct sl_job_id id;
	struct sl_bytes name, workflow, run, controller;
	int64_t accepted_us;
};

/* Read it as you like; changes go through the functions below. */
struct sl_record {
	struct sl_job_id id;
	enum sl_state state;
	struct sl_bytes name, workflow, run, controller;
	int64_t accepted_us, started_us, ended_us;
	struct sl_ring ring; /* its numbers are always right; read events with
	                        sl_store_read() */
	void *live;          /* the owner's: the job, while it lives */
	uint64_t delivered;  /* the owner's: the last event that somebody was sent */

	/* The store's own. */
	struct sl_record *next_in_bucket;
	TAILQ_ENTRY(sl_record) all;      /* sl_store.all, in order of acceptance */
	TAILQ_ENTRY(sl_record) finished; /* sl_store.finished or .acknowledged */
	int64_t forget_ms;               /* monotonic; finished ones only */
};

int sl_store_new(const struct sl_store_limits *limits, struct sl_store **out,
	struct sl_error *err) sl_must_check;

/* Frees all records. NULL is fine. */
void sl_store_free(struct sl_store *store);
SL_DEFINE_CLEANUP(struct sl_store *, sl_store_free);

/* Puts a job into the store, in state accepted. Its id must be new. */
int sl_store_add(struct sl_store *store, const struct sl_store_head *head,
	struct sl_record **out, struct sl_error *err) sl_must_check;

/* NULL when there is no such job. */
struct sl_record *sl_store_find(struct sl_store *store, const struct sl_job_id *id);

/* The job runs since @now_us. */
void sl_store_start(struct sl_store *store, struct sl_record *record, int64_t now_us);

/* The job came to @state, a terminal one. The record may be gone after the next call that
 * changes the store: it is finished now. */
void sl_store_finish(struct sl_store *store, struct sl_record *record, enum sl_state state,
	int64_t now_us, int64_t now_ms);

/* Appends events to a job that has not finished. */
int sl_store_append(struct sl_store *store, struct sl_record *record, uint64_t count,
	struct sl_bytes bytes, struct sl_error *err) sl_must_check;

/* As sl_ring_acknowledge(). */
uint64_t sl_store_acknowledge(struct sl_store *store, struct sl_record *record, uint64_t upto);

/* As sl_ring_read(). */
size_t sl_store_read(struct sl_store *store, const struct sl_record *record, uint64_t after,
	uint64_t max_bytes, struct sl_batch *out, size_t max_batches, bool *out_more);

/* Drops a record whose job doesn't live. */
void sl_store_forget(struct sl_store *store, struct sl_record *record);

/* Drops what has been kept long enough. Returns in how many milliseconds there is more to do,
 * -1 for when a job has finished. */
int64_t sl_store_expire(struct sl_store *store, int64_t now_ms);

/* Walks the records, the last accepted first: NULL begins, NULL ends. */
struct sl_record *sl_store_next(struct sl_store *store, struct sl_record *record);

/* The memory that all events take. */
size_t sl_store_bytes(const struct sl_store *store);

/* How many records are in @state. */
uint64_t sl_store_count(const struct sl_store *store, enum sl_state state);
