/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Event: something that happened in a job, in the order of happening. Plain
 * data; what it points to is borrowed from whoever made or decoded it.
 */

#include "common/base.h"
#include "common/log.h"
#include "common/parcel.h"
#include "common/state.h"

enum sl_event_kind {
	SL_EVENT_STATE,   /* the job is in another state; a terminal one is the last event */
	SL_EVENT_LOG,     /* log.info() and its like */
	SL_EVENT_OUT,     /* print, or bytes on stdout or stderr */
	SL_EVENT_TASK,    /* a pool task ended; an async or spawned function failed */
	SL_EVENT_POOL,    /* a pool's counters */
	SL_EVENT_RESULT,  /* what the task's function came to */
	SL_EVENT_DROPPED, /* output beyond the job's cap was left out */
};

#define SL_N_EVENT_KINDS (SL_EVENT_DROPPED + 1)

struct sl_event_state {
	enum sl_state state;
	struct sl_bytes why; /* "signal 9 (Killed)", "deadline of 30s"; may be empty */
	struct sl_bytes by;  /* who decided: "agent", "worker", a controller's name */
};

struct sl_event_log {
	enum sl_log_level level;
	uint64_t goroutine;
	struct sl_bytes message;
	struct sl_value fields; /* table or nil */
	bool continued;         /* the next event of this goroutine goes on with this line */
};

struct sl_event_out {
	int stream;         /* 1 stdout, 2 stderr */
	uint64_t goroutine; /* 0: not known, from a process or C library */
	struct sl_bytes bytes;
	bool continued;
};

struct sl_event_task {
	struct sl_bytes id;   /* "NAME-1" for a pool's, "async-7", "spawn-7" else */
	struct sl_bytes pool; /* empty: not of a pool */
	uint64_t goroutine;
	bool success;
	const struct sl_value *values; /* success: what it returned */
	size_t n_values;
	struct sl_value error; /* failure: what was raised, usually a string */
	struct sl_bytes traceback;
	double wait_ms, run_ms;
};

struct sl_pool_stats {
	struct sl_bytes name;
	uint64_t workers, active, completed, failed, queued;
	uint64_t submitted, rejected, capacity, peak_active;
	double wait_ms_avg, run_ms_avg;
	bool closed; /* the last one of this pool */
};

struct sl_event_result {
	bool ok;
	struct sl_bytes message;
	struct sl_value outputs;   /* nil where there are none */
	struct sl_value error;     /* nil unless the function raised */
	struct sl_bytes traceback; /* goes with error */
	double duration_ms, cpu_ms;
	uint64_t peak_memory_bytes;
	uint64_t goroutines, failed_goroutines;
};

struct sl_event_dropped {
	uint64_t bytes, lines;
};

struct sl_event {
	enum sl_event_kind kind;
	int64_t time_us; /* since the Unix epoch */
	union {
		struct sl_event_state state;
		struct sl_event_log log;
		struct sl_event_out out;
		struct sl_event_task task;
		struct sl_pool_stats pool;
		struct sl_event_result result;
		struct sl_event_dropped dropped;
	};
};

/* "state", "log", …: the name on the wire and in JSON. Static memory. */
const char *sl_event_kind_name(enum sl_event_kind kind);

/* False, and *out left alone, for a name that is no kind's. */
bool sl_event_kind_from_name(struct sl_bytes name, enum sl_event_kind *out);
