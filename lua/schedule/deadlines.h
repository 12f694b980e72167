/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Deadlines: at which times waiting goroutines have to be woken: a heap, and one
 * alarm on the reactor for the earliest.
 *
 * Threads: any.
 */

#include "common/base.h"

struct sl_deadlines;
struct sl_error;
struct sl_reactor;

struct sl_deadline {
	int64_t at_ns;
	size_t place; /* in the heap, from 1; 0: not in it */
};

/* When a deadline has come fire(deadline) is called, on the reactor, under the lock: it may
 * not call back. */
int sl_deadlines_new(struct sl_reactor *reactor, void (*fire)(struct sl_deadline *deadline),
	struct sl_deadlines **out, struct sl_error *err) sl_must_check;
void sl_deadlines_free(struct sl_deadlines *deadlines);

/* Puts it in; it is the caller's memory and stays there until it has fired or been removed.
 * False when memory ran out. */
bool sl_deadlines_add(struct sl_deadlines *deadlines, struct sl_deadline *deadline);

/* Once it returned, it won't fire and isn't firing. */
void sl_deadlines_remove(struct sl_deadlines *deadlines, struct sl_deadline *deadline);
