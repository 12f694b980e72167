/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Chance: decides for one thread of a scheduler what the moment decides
 * otherwise: which queue comes first, after which instruction a goroutine is
 * interrupted, whether others are let in between two steps. It is drawn from a
 * seed, for tests; with one thread, the same seed is the same schedule.
 *
 * Threads: the one whose it is.
 */

#include "common/base.h"

struct sl_chance {
	uint64_t state; /* 0: none, all is as it comes */
};

/* The chance of the scheduler's thread @number; @seed 0: none. */
void sl_chance_init(struct sl_chance *chance, uint64_t seed, unsigned number);

/* Whether there is one. */
static inline bool sl_chance_is(const struct sl_chance *chance)
{
	return __builtin_expect(chance->state != 0, 0);
}

/* One of 0 … @n - 1, where there is one. */
unsigned sl_chance_draw(struct sl_chance *chance, unsigned n);

/* After how many instructions to interrupt, at least 1. */
unsigned sl_chance_instructions(struct sl_chance *chance);

/* Between two steps which others may come between: lets them, sometimes. */
void sl_chance_linger(struct sl_chance *chance);
