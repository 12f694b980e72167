/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Future: what a goroutine will come to, for one that waits for it: the handle
 * of async(), and how timeout() waits for its body.
 *
 * Threads: any, unless a function takes a lua_State.
 */

#include <lua.h>

#include "lua/schedule/goroutine.h"
#include "lua/state/handle.h"

#define SL_FUTURE_KIND "async handle"

struct sl_future;

/* NULL when memory ran out; one reference is the caller's, dropped by sl_handle_unref(). */
struct sl_future *sl_future_new(void) sl_must_check;
struct sl_handle *sl_future_handle(struct sl_future *future);

/* The outcome is there; it is taken. Once. */
void sl_future_complete(struct sl_future *future, struct sl_outcome *outcome);

bool sl_future_is_done(struct sl_future *future);

/* Whether it is done, and the outcome is a failure; while nobody has taken it. */
bool sl_future_has_failed(struct sl_future *future);

/* For a wait on a future. */
extern const struct sl_wait_kind sl_future_wait_kind;

/* Claims the outcome for the caller, who alone may use it from now on; it stays in the future.
 * NULL: it isn't there, or somebody had it (see *awaited). */
struct sl_outcome *sl_future_take(struct sl_future *future, bool *awaited);
