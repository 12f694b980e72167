/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Scheduler: many goroutines on a few threads.
 *
 * As many processors as may run Lua at once; each has a queue of goroutines
 * that are ready. A thread that runs Lua has a processor; one whose queue is
 * empty looks into the common queue, where wake-ups from outside come in, and
 * then takes half of another's. Threads are started when there is work for them.
 * A thread that must block gives its processor to another one meanwhile.
 *
 * Threads: any, unless a function says otherwise.
 */

#include <lua.h>
#include <pthread.h>

#include "common/base.h"
#include "lua/schedule/chance.h"
#include "lua/schedule/glance.h"

struct processor;
struct sl_error;
struct sl_goroutine;
struct sl_scheduler;

/* A goroutine that has been stopped and that a worker still runs. */
struct sl_holdup {
	uint64_t look;           /* the monitor's last that saw it; 0: none did */
	uint64_t goroutine;      /* which one it is */
	bool goes_on;            /* the look before saw it too */
	int64_t from_ns;         /* sl_worker.pressed_ns when it began */
	struct sl_glance glance; /* the last at the thread */
};

/* A thread that runs goroutines. */
struct sl_worker {
	struct sl_scheduler *scheduler;
	pthread_t thread;
	pid_t tid;                            /* owner: the thread, until it runs one */
	struct processor *_Atomic processor;  /* atomic: the monitor may take it away */
	struct sl_goroutine *_Atomic running; /* atomic: others compare, never follow it */
	lua_State *volatile current;          /* what its signal handler may touch */
	_Atomic unsigned n_runs;              /* a goroutine that stays shows by it */
	unsigned seen_runs, asked_ticks;      /* owner: the monitor */
	struct sl_holdup holdup;              /* owner: the monitor */
	_Atomic int64_t pressed_ns;           /* how long it ran what was stopped, ever */
	bool over;                            /* guarded by: the scheduler's lock */
	struct sl_chance chance;              /* owner: the thread */
	struct sl_worker *next;               /* sl_scheduler.workers */
};

/* Up to @n_threads run Lua at once; 0: as many as there are CPUs. Starts none. busy(ctx) is
 * called when something is ready and all threads have something to do already; idle(ctx) when
 * a thread has nothing to do, and maybe none has. */
int sl_scheduler_new(unsigned n_threads, void (*busy)(void *ctx), void (*idle)(void *ctx),
	void *ctx, struct sl_scheduler **out, struct sl_error *err) sl_must_check;

/* Lets a chance drawn from @seed decide what the moment does otherwise; 0: doesn't. For tests,
 * before it runs. */
void sl_scheduler_seed(struct sl_scheduler *scheduler, uint64_t seed);

/* Nobody may be in it. */
void sl_scheduler_free(struct sl_scheduler *scheduler);

/* Runs goroutines on this thread too, until sl_scheduler_stop(); then waits for the other
 * threads to end. Blocks. */
void sl_scheduler_run(struct sl_scheduler *scheduler);

/* Goroutines that still are in a queue stay there. */
void sl_scheduler_stop(struct sl_scheduler *scheduler);

/* Queues @goroutine, which nobody else has, to be run. */
void sl_scheduler_ready(struct sl_scheduler *scheduler, struct sl_goroutine *goroutine);

/* The worker that this thread is; NULL elsewhere. */
struct sl_worker *sl_worker_self(void);

/* This worker is about to block: its queue goes to another thread. Returns false, and nothing
 * has happened, when there are too many blocked ones already. */
bool sl_worker_block(struct sl_worker *worker) sl_must_check;

/* It is back. It may have to finish its goroutine's turn without a processor. */
void sl_worker_unblock(struct sl_worker *worker);

/* Gives the processor of @worker, which sits in one function too long, to another thread. In
 * sl_scheduler_each_worker() only. */
void sl_scheduler_retake_locked(struct sl_scheduler *scheduler, struct sl_worker *worker);

/* The monitor, in its @look, saw that @worker runs @goroutine, which has been stopped. */
void sl_worker_note_holdup(struct sl_worker *worker, uint64_t look, uint64_t goroutine);

/* Goroutines that wait in queues, about. */
size_t sl_scheduler_queued(struct sl_scheduler *scheduler);

/* Calls fn(ctx, worker) for each worker whose thread lives, under the scheduler's lock. */
void sl_scheduler_each_worker(struct sl_scheduler *scheduler,
	void (*fn)(void *ctx, struct sl_worker *worker), void *ctx);
