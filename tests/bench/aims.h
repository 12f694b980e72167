/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Aims: what each figure should come to, and which of ours stands beside which
 * of others. Absolute ones are for two processors that are not busy with anything
 * else; ratios hold anywhere.
 */

#include "common/base.h"

struct aim {
	const char *name;
	bool at_least; /* else at most */
	double value;
	bool of_p99; /* not of the median */
};

struct ratio {
	const char *name;
	const char *ours, *theirs;
};

/* NULL: there is none for @name. */
const struct aim *aim_of(const char *name);

/* Ends with a row without a name. Those of which a side is missing are left out. */
extern const struct ratio all_ratios[];
