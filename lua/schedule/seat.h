/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Seat: a Lua state that tasks with the same body use one after the other. Each
 * finds it as the first one did: between two tasks every byte of it is put back
 * to what it was before the first one began, so that nothing that a task did to
 * globals, modules or metatables, and none of its garbage, is there for the next
 * one. That is cheaper than to make a state and to load the body into it.
 *
 * A state that may run finalizers, or has been stopped, is not used again.
 *
 * Threads: seats from any; a seat that was taken belongs to its goroutine.
 */

#include <lua.h>

#include "common/base.h"

struct sl_body;
struct sl_goroutine;
struct sl_home;
struct sl_seat;
struct sl_seats;

/* A few seats; NULL when memory ran out. */
struct sl_seats *sl_seats_new(void) sl_must_check;

/* Frees those that nobody has. NULL is fine. */
void sl_seats_free(struct sl_seats *seats);

/* The same, now. */
void sl_seats_clear(struct sl_seats *seats);

/* A free one for @body, whose state lives in @home from now on; NULL: there is none. */
struct sl_seat *sl_seats_take(
	struct sl_seats *seats, const struct sl_body *body, struct sl_home *home) sl_must_check;

/* A seat made of the state in @home, which is new: the body is loaded into it. NULL: there are
 * enough already, or it can't be one; @home can be used all the same. */
struct sl_seat *sl_seats_add(
	struct sl_seats *seats, struct sl_body *body, struct sl_home *home) sl_must_check;

/* Takes the seat back, with its state out of @home, which is empty then. @again: it may be used
 * again. */
void sl_seat_leave(struct sl_seat *seat, struct sl_home *home, bool again);
