/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Targets: the inventory of agents, by name and by group, and what a target
 * that somebody wrote stands for: an agent's name, @group, @all, an address,
 * `local`, or several of these with commas between.
 *
 * Threads: one.
 */

#include "common/base.h"

struct sl_error;
struct sl_targets;

/* The target that needs no agent in the inventory: this machine, by an agent of this run. */
#define SL_TARGET_LOCAL "local"

struct sl_target {
	const char *name;    /* an agent's name, or the address where it has none */
	const char *address; /* NULL: this machine, by an agent started for the run */
};

/* What targets resolve to: each agent once, in the order first named. Texts are borrowed from
 * the inventory. */
struct sl_target_list {
	struct sl_target *items;
	size_t n;
};

void sl_target_list_deinit(struct sl_target_list *list);

/* NULL when memory ran out. */
struct sl_targets *sl_targets_new(void) sl_must_check;
void sl_targets_free(struct sl_targets *targets);
SL_DEFINE_CLEANUP(struct sl_targets *, sl_targets_free);

/* Adds an agent, or gives a known one another address. @where says who asks, for messages. A
 * name with other than letters, digits and "._-", or an address of no known kind: SL_EINVALID.
 */
int sl_targets_add(struct sl_targets *targets, const char *name, const char *address,
	const char *where, struct sl_error *err) sl_must_check;

/* The same for "NAME=ADDRESS", and for "a=addr,b=addr". */
int sl_targets_add_pair(struct sl_targets *targets, const char *pair, const char *where,
	struct sl_error *err) sl_must_check;
int sl_targets_add_list(struct sl_targets *targets, const char *list, const char *where,
	struct sl_error *err) sl_must_check;

/* Puts the agent called @name, known or not yet, into a group. */
int sl_targets_add_member(struct sl_targets *targets, const char *group, const char *name,
	const char *where, struct sl_error *err) sl_must_check;

/* Appends what @text stands for to @list. An unknown name or group is SL_ENOT_FOUND: the
 * sentence says where it was looked up and how to add it. On failure @list may have grown. */
int sl_targets_resolve(struct sl_targets *targets, const char *text,
	struct sl_target_list *list, struct sl_error *err) sl_must_check;

/* The agents, in the order added. */
size_t sl_targets_n(const struct sl_targets *targets);
struct sl_target sl_targets_at(const struct sl_targets *targets, size_t i);

/* Writes the groups of agent @name, with commas between, to @out; returns @out. */
char *sl_targets_groups_of(
	const struct sl_targets *targets, const char *name, char *out, size_t size);
