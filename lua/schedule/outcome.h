/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Outcome: what a goroutine returned or raised, taken out of its state. The
 * struct is in goroutine.h.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "lua/schedule/goroutine.h"

/* It failed with @text, which is copied. */
void sl_outcome_fail(struct sl_outcome *outcome, const char *text);

/* Takes the @n values on the top of @L, as far as @start wants them. */
void sl_outcome_take_values(
	struct sl_outcome *outcome, lua_State *L, int n, const struct sl_start *start);

/* Takes the error on the top of @co, a coroutine of @L that raised it, and closes it. */
void sl_outcome_take_error(struct sl_outcome *outcome, lua_State *L, lua_State *co);

/* From here on what it holds is memory of @account's. What is too much for that is dropped:
 * then it failed. */
void sl_outcome_charge(struct sl_outcome *outcome, struct sl_account *account);

/* The error as words; borrowed from the outcome, or static. */
struct sl_bytes sl_outcome_message(const struct sl_outcome *outcome);
