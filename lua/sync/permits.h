/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Permits: a number of them, taken and given back, and the line of those who wait
 * for some. First come, first served: who wants many isn't passed by who wants
 * few. A mutex is one permit; a writer takes all of them, a reader one.
 *
 * Who gives permits back hands them to the next in line, so nobody can snatch
 * them away; should that one be stopped before it goes on, they travel further.
 *
 * Threads: any, unless a function takes a lua_State.
 */

#include <lua.h>
#include <pthread.h>

#include "lua/schedule/goroutine.h"

struct sl_permits {
	uint64_t capacity; /* immutable after init */
	pthread_mutex_t lock;
	uint64_t available;        /* guarded by: lock */
	uint64_t holder;           /* guarded by: lock; the goroutine that took last */
	struct sl_waiters waiters; /* guarded by: lock */
};

void sl_permits_init(struct sl_permits *permits, uint64_t capacity);
void sl_permits_deinit(struct sl_permits *permits);

/* False: there are not so many, or others are first. */
bool sl_permits_try(
	struct sl_permits *permits, uint64_t amount, const struct sl_goroutine *self);

enum sl_permits_give {
	SL_PERMITS_ANY,
	SL_PERMITS_SHARED, /* not if all are taken: then it is a writer who has them */
};

/* False, and nothing happened: so many aren't taken. */
bool sl_permits_give(struct sl_permits *permits, uint64_t amount, enum sl_permits_give how);

uint64_t sl_permits_available(struct sl_permits *permits);

/* Takes @amount, at most the capacity; waits for them as @kind says. To be returned by a
 * function in C. */
int sl_permits_take(lua_State *L, struct sl_permits *permits, uint64_t amount,
	const struct sl_wait_kind *kind);

/* Takes @amount if that is possible at once, and pushes whether it was. Returns 1. [-0, +1, -]
 */
int sl_permits_push_try(lua_State *L, struct sl_permits *permits, uint64_t amount);

/* For the wait kinds of what is made of permits; object: the permits, token: the amount. */
bool sl_permits_enter(struct sl_goroutine *goroutine, struct sl_wait *wait);
void sl_permits_leave(struct sl_goroutine *goroutine, struct sl_wait *wait);
void sl_permits_abandon(struct sl_goroutine *goroutine, struct sl_wait *wait);
void sl_permits_describe(const struct sl_wait *wait, char *text, size_t size);

#define SL_PERMITS_WAIT_KIND(kind_name)                                                        \
	{                                                                                      \
		.name = (kind_name), .enter = sl_permits_enter, .leave = sl_permits_leave,     \
		.abandon = sl_permits_abandon, .describe = sl_permits_describe,                \
	}
