/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Scope: goroutines that are stopped together: a task is one, and the body of a
 * timeout with everything it starts is one inside it. A goroutine is in the
 * scope of the one that began it. A scope is over when nobody is in it and
 * nothing holds it: what they did may take a moment longer to be gone.
 *
 * Threads: any. One lock guards all scopes of a runtime.
 */

#include <pthread.h>

#include "common/base.h"
#include "lua/schedule/goroutine.h"

struct sl_scope {
	_Atomic size_t refs;
	struct sl_scope *parent; /* shares; NULL: the task's */
	pthread_mutex_t *lock;

	struct sl_goroutine *goroutines;         /* guarded by: lock */
	struct sl_scope *children, *prev, *next; /* guarded by: lock */
	size_t n_live;                           /* guarded by: lock; here and below */
	size_t n_held;                           /* guarded by: lock; here and below */
	bool stopping;                           /* guarded by: lock */
	int64_t stopped_ns;                      /* guarded by: lock; when that began */
	struct sl_waiters empty;                 /* guarded by: lock */
};

/* NULL when memory ran out; one reference is the caller's. */
struct sl_scope *sl_scope_new(struct sl_scope *parent, pthread_mutex_t *lock) sl_must_check;
struct sl_scope *sl_scope_ref(struct sl_scope *scope);
void sl_scope_unref(struct sl_scope *scope);

/* Puts @goroutine in. False when the scope is being stopped: it must not begin. */
bool sl_scope_join(struct sl_scope *scope, struct sl_goroutine *goroutine) sl_must_check;

/* Takes it out; returns true when that was the end of the whole task: no goroutine is left, and
 * nothing holds it. */
bool sl_scope_leave(struct sl_goroutine *goroutine);

/* Holds it, for something other than a goroutine, until the release, which returns the same as
 * sl_scope_leave(). Somebody is in it, or holds it already. */
void sl_scope_hold(struct sl_scope *scope);
bool sl_scope_release(struct sl_scope *scope);

/* Stops every goroutine in it and below, now and later; returns at once. */
void sl_scope_stop(struct sl_scope *scope);

/* What has been stopped and is still there. */
struct sl_pressed {
	size_t n;
	int64_t since_ns;   /* when the first of them was stopped */
	uint64_t goroutine; /* which one that is */
};

/* Stops once more those in it and below that go on running, and notes with the workers that run
 * them that the monitor saw it in its @look; 0: doesn't note. */
struct sl_pressed sl_scope_press(struct sl_scope *scope, uint64_t look);

/* Calls fn(goroutine, ctx) for each in it and below, as long as it returns true. Under the
 * scopes' lock. */
bool sl_scope_each_locked(struct sl_scope *scope,
	bool (*fn)(struct sl_goroutine *goroutine, void *ctx), void *ctx);

/* For a wait on a scope: until nobody is in it and nothing holds it. */
extern const struct sl_wait_kind sl_scope_wait_kind;
