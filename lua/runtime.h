/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Runtime: everything that one task runs in: its goroutines, the threads they
 * run on, its timers and descriptors. One runtime, one task, one process.
 *
 * Threads: each function says.
 */

#include <pthread.h>
#include <sys/types.h>

#include "common/event.h"
#include "common/task.h"

struct sl_error;
struct sl_glance;
struct sl_reactor;
struct sl_runtime;
struct sl_tally;

/* What the process around the runtime does for it. Called on scheduler threads and the reactor,
 * several at once. */
struct sl_runtime_host {
	void *ctx;
	/* Takes one event, always. Returns true when what waits to be sent is over its bound:
	 * the caller then parks its goroutine until sl_runtime_drained(). */
	bool (*emit)(void *ctx, const struct sl_event *event);
	/* A thread sits in a function in C that can't be stopped, and run() won't return. The
	 * result has been emitted: sends what is left and ends the process; does not return.
	 * NULL: the process is ended at once. */
	void (*abandon)(void *ctx, enum sl_state state);
};

struct sl_runtime_config {
	unsigned threads;              /* scheduler threads at most; 0: as many as CPUs */
	size_t goroutine_memory_bytes; /* of one Lua state; 0: 256 MiB */
	size_t task_memory_bytes;      /* of all states together; 0: no limit of our own */
	unsigned stop_ms;              /* for what was stopped, until it is given up; 0: 250 */
	uint64_t seed;                 /* of a schedule at random, for tests; 0: as it comes */
	/* How threads are looked at, for tests; NULL: sl_glance_take(). */
	void (*glance)(pthread_t thread, pid_t tid, struct sl_glance *out);
};

/* Makes a runtime with its first Lua state ready, so that a task that comes starts at once.
 * Starts no thread and opens no descriptor: it survives a fork. @host is copied. */
int sl_runtime_new(const struct sl_runtime_config *config, const struct sl_runtime_host *host,
	struct sl_runtime **out, struct sl_error *err) sl_must_check;

/* Has it count in @tally what it does, from zero on; else it counts for itself. Before anything
 * else is done with it. Borrowed until free. */
void sl_runtime_set_tally(struct sl_runtime *runtime, struct sl_tally *tally);

/* For a runtime that was made before a fork: takes time now that a task would else take. */
void sl_runtime_warm(struct sl_runtime *runtime);

/* Only after run returned, or before it was called. */
void sl_runtime_free(struct sl_runtime *runtime);

/* Runs @task to its end on this thread and those it starts. The last event that it emits is the
 * result, which is also what it returns: SL_STATE_DONE or SL_STATE_FAILED; SL_STATE_CANCELLED
 * when sl_runtime_cancel() ended it. Blocks. Once per runtime. @task and its parcel stay the
 * caller's and must live until it returns. */
enum sl_state sl_runtime_run(struct sl_runtime *runtime, const struct sl_task *task);

/* Stops the task: nothing of it runs when run returns. @why is copied, goes into the result.
 * Any thread, more than once is fine. */
void sl_runtime_cancel(struct sl_runtime *runtime, const char *why);

/* Emitting may go on. Any thread. */
void sl_runtime_drained(struct sl_runtime *runtime);

/* The runtime's reactor, for the host's own descriptors and timers: started by the first use.
 */
struct sl_reactor *sl_runtime_reactor(struct sl_runtime *runtime);
