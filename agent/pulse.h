/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pulse: whether the whole way of a task makes progress, found out by going it:
 * the agent connects to each address that it listens on, as a controller would,
 * says hello and has to get an answer; and the spawner is asked whether it is
 * there. That takes the loop, NNG's threads and the spawner; whatever hangs, the
 * answer doesn't come. No key is needed for it: who is asked to sign first has
 * been answered.
 *
 * Threads: the loop's.
 */

#include "common/base.h"

struct sl_error;
struct sl_jobs;
struct sl_loop;
struct sl_pulse;
struct sl_service;

/* What does not answer in this time hangs. */
#define SL_PULSE_MS 5000

struct sl_pulse_report {
	/* The spawner answers, and one of the addresses if tasks are still accepted. */
	bool progress;
	/* Why not all is as it should be, which may be less than no progress; else empty. */
	char why[320];
};

/* All are borrowed until free. */
int sl_pulse_new(struct sl_loop *loop, struct sl_jobs *jobs, struct sl_service *service,
	struct sl_pulse **out, struct sl_error *err) sl_must_check;

/* Before its jobs. Nobody is called any more. NULL is fine. */
void sl_pulse_free(struct sl_pulse *pulse);

/* The agent listens on @url, as it can be dialled. */
int sl_pulse_add(struct sl_pulse *pulse, const char *url, struct sl_error *err) sl_must_check;

/* It listens on none of them any more, and means it. */
void sl_pulse_stop_listening(struct sl_pulse *pulse);

/* Feels it, and calls fn(ctx, report) once, at the latest after SL_PULSE_MS, never from within;
 * who asks meanwhile is told the same. SL_ENOMEM. */
int sl_pulse_feel(struct sl_pulse *pulse,
	void (*fn)(void *ctx, const struct sl_pulse_report *report), void *ctx,
	struct sl_error *err) sl_must_check;

/* Doesn't call @ctx's functions any more. Not from within one of them. */
void sl_pulse_forget(struct sl_pulse *pulse, const void *ctx);
