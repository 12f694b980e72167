/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Run: a plan that is carried out: jobs started in order, watched, told to the
 * renderer, stopped or left alone as people and deadlines say.
 *
 * The first Ctrl-C leaves the jobs to their agents after two seconds, within
 * which a second one stops them instead. Jobs on this machine's private agent
 * end with it, so where there are no others the first one stops them. SIGTERM
 * stops them at once; SIGHUP, and nobody who reads stdout any more, leaves them.
 *
 * Threads: one.
 */

#include "controller/outcome.h"

struct sl_error;
struct sl_options;
struct sl_plan;

/* Runs @plan and shows it. Blocks until all is over. Returns 0 with the exit status in *out,
 * or what kept it from starting. */
int sl_run(const struct sl_plan *plan, const struct sl_options *options, enum sl_exit *out,
	struct sl_error *err) sl_must_check;
