/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Fleet: the remotes of one command, one an address, and the private agent of
 * this machine where a target needs it.
 *
 * Threads: the loop's.
 */

#include "common/base.h"
#include "controller/targets.h"

struct sl_error;
struct sl_fleet;
struct sl_identity;
struct sl_loop;
struct sl_options;
struct sl_remote;

struct sl_fleet_ops {
	/* Something to tell a person about @target. */
	void (*note)(void *ctx, const char *target, const char *text);
	/* The private agent takes tasks: sl_fleet_remote() has it now. */
	void (*local_ready)(void *ctx);
	/* It is dead, with all it ran. */
	void (*local_died)(void *ctx, const char *why);
};

/* Finds the key of @options. All are borrowed. */
int sl_fleet_new(struct sl_loop *loop, const struct sl_options *options,
	const struct sl_fleet_ops *ops, void *ctx, struct sl_fleet **out,
	struct sl_error *err) sl_must_check;

/* Ends the private agent. Blocks until it is gone. NULL is fine. */
void sl_fleet_free(struct sl_fleet *fleet);
SL_DEFINE_CLEANUP(struct sl_fleet *, sl_fleet_free);

/* Starts the private agent, once. */
int sl_fleet_start_local(struct sl_fleet *fleet, struct sl_error *err) sl_must_check;

/* The remote of @target. Before the private agent is ready its remote is NULL, with 0. */
int sl_fleet_remote(struct sl_fleet *fleet, const struct sl_target *target,
	struct sl_remote **out, struct sl_error *err) sl_must_check;
