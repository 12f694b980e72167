/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of this folder see of the runtime; everybody else has
 * runtime.h.
 *
 * Threads: any, unless a field says otherwise.
 */

#include <lua.h>
#include <pthread.h>

#include "common/error.h"
#include "common/tally.h"
#include "lua/runtime.h"
#include "lua/schedule/deadlines.h"
#include "lua/schedule/goroutine.h"
#include "lua/state/arena.h"
#include "lua/state/home.h"

struct sl_channel;
struct sl_commons;
struct sl_environment;
struct sl_http;
struct sl_monitor;
struct sl_pool;
struct sl_scheduler;
struct sl_scope;

struct sl_runtime {
	struct sl_runtime_host host;        /* immutable after new */
	struct sl_account account;          /* memory of the task */
	struct sl_home_model model;         /* immutable after new */
	struct sl_scheduler *scheduler;     /* immutable after new */
	struct sl_reactor *reactor;         /* immutable after new */
	struct sl_deadlines *deadlines;     /* immutable after new */
	struct sl_http *http;               /* immutable after new */
	struct sl_monitor *monitor;         /* immutable after new */
	struct sl_commons *commons;         /* immutable after new */
	struct sl_environment *environment; /* immutable after new */
	const struct sl_task *task;         /* immutable while it runs */
	int64_t started_ns;                 /* immutable while it runs */

	pthread_mutex_t scopes_lock;
	struct sl_scope *scope; /* the task's; immutable after new */
	char deadlock[480];     /* guarded by: scopes_lock; the last one in words */

	/* What it has done so far, goroutines begun among it: the next one's number. */
	struct sl_tally *tally;    /* immutable while it is used */
	struct sl_tally own_tally; /* where the host gave none */

	pthread_mutex_t lock;
	/* All there are; guarded by: lock. */
	struct sl_channel *channels;

	struct sl_waiters full; /* guarded by: lock; wait for sl_runtime_drained() */
	/* How often that was called; written under: lock, read by whoever is about to emit. */
	_Atomic uint64_t n_drained;
	struct sl_pool *pools;     /* guarded by: lock */
	bool cancelled;            /* guarded by: lock */
	char why[256];             /* guarded by: lock; of cancelled */
	bool exhausted;            /* guarded by: lock; the task's memory limit ended it */
	bool exited;               /* guarded by: lock; os.exit() */
	int exit_status;           /* guarded by: lock */
	bool ended;                /* guarded by: lock; the task's function */
	struct sl_outcome outcome; /* of the task's function; main's end, then run()'s */
};

struct sl_runtime *sl_runtime_of(lua_State *L);

/* Emits one event now; fills in its time. True: the host has too much already. */
bool sl_runtime_emit(struct sl_runtime *runtime, struct sl_event *event);

/* Emits text as log or output, in pieces if it is long; the fields, NULL for none, go with
 * the last one. */
bool sl_runtime_emit_log(struct sl_runtime *runtime, enum sl_log_level level,
	uint64_t goroutine, struct sl_bytes message, const struct sl_value *fields);
bool sl_runtime_emit_out(
	struct sl_runtime *runtime, int stream, uint64_t goroutine, struct sl_bytes bytes);

/* How often the host has drained. To be read before emitting, for: */
uint64_t sl_runtime_drain_mark(struct sl_runtime *runtime);

/* Waits until the host has drained since @mark. To be returned by a function in C, with the
 * @n_results that it has pushed. */
int sl_runtime_wait_drained(lua_State *L, uint64_t mark, int n_results);

/* The same, at most until @deadline_ns (0: for ever), to go on in @k(L, LUA_YIELD, ctx). */
int sl_runtime_wait_drained_to(
	lua_State *L, uint64_t mark, int64_t deadline_ns, lua_KContext ctx, lua_KFunction k);

/* A goroutine ended with @outcome for lack of memory: if it is the task's that is used up, the
 * task ends too. */
void sl_runtime_note_memory(struct sl_runtime *runtime, const struct sl_outcome *outcome);

/* Ends the task as os.exit() does. */
void sl_runtime_exit(struct sl_runtime *runtime, int status);

/* Stops a scope and sees to it that it ends. */
void sl_runtime_stop_scope(struct sl_runtime *runtime, struct sl_scope *scope);

/* @goroutine was stopped more than @after_ns ago and does not stop, because it @sits somewhere
 * or for another reason: says so in the task's result and has the process ended. Does not
 * return if the host does what it should. */
void sl_runtime_give_up(
	struct sl_runtime *runtime, uint64_t goroutine, bool sits, int64_t after_ns);
