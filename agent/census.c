/* SPDX-License-Identifier: MIT */
#include "agent/census.h"

#include <stdlib.h>

#include "agent/jobs.h"
#include "agent/loop.h"
#include "agent/vitals.h"
#include "common/clock.h"
#include "common/error.h"

/* A look takes some microseconds; tasks come between the turns. */
#define PER_TURN 16

/* Beyond so many the others count as their average. */
#define MAX_LOOKS 4096

struct sl_census {
	const struct sl_jobs *jobs;
	void (*done)(void *ctx, uint64_t bytes);
	void *ctx;
	struct sl_loop_timer *timer; /* set: it is being taken */
	pid_t pids[MAX_LOOKS];
	size_t n, at;
	size_t n_workers; /* with those that are not looked at */
	uint64_t seen;
	uint64_t bytes; /* the last result */
	bool walking;
	int64_t taken_ms; /* monotonic; 0: never */
};

static void begin(struct sl_census *census)
{
	struct sl_jobs_numbers numbers;

	sl_jobs_count(census->jobs, &numbers);
	census->n_workers = numbers.crew.n_idle + numbers.crew.n_busy;
	census->n = sl_jobs_workers(census->jobs, census->pids, MAX_LOOKS);
	census->at = 0;
	census->seen = 0;
	census->walking = true;
}

static void finish(struct sl_census *census)
{
	census->walking = false;
	census->taken_ms = sl_clock_monotonic_ms();
	census->bytes = census->n > 0 ? census->seen / census->n * census->n_workers : 0;
	if (census->n == census->n_workers)
		census->bytes = census->seen;
}

static void on_turn(void *ctx)
{
	struct sl_census *census = ctx;
	int64_t now_ms = sl_clock_monotonic_ms();

	if (!census->walking && census->taken_ms > 0 &&
		now_ms - census->taken_ms < SL_CENSUS_FRESH_MS) {
		census->done(census->ctx, census->bytes);
		return;
	}
	if (!census->walking)
		begin(census);
	for (int i = 0; i < PER_TURN && census->at < census->n; i++)
		census->seen += sl_vitals_resident_bytes(census->pids[census->at++]);
	if (census->at < census->n) {
		sl_loop_timer_set(census->timer, 0);
		return;
	}
	finish(census);
	census->done(census->ctx, census->bytes);
}

int sl_census_new(struct sl_loop *loop, const struct sl_jobs *jobs,
	void (*done)(void *ctx, uint64_t bytes), void *ctx, struct sl_census **out,
	struct sl_error *err)
{
	struct sl_census *census = calloc(1, sizeof(*census));
	int result;

	if (!census)
		return sl_fail(err, SL_ENOMEM, "no memory for a census of workers");
	census->jobs = jobs;
	census->done = done;
	census->ctx = ctx;
	result = sl_loop_timer_new(loop, on_turn, census, &census->timer, err);
	if (result < 0) {
		free(census);
		return result;
	}
	*out = census;
	return 0;
}

void sl_census_free(struct sl_census *census)
{
	if (!census)
		return;
	sl_loop_timer_free(census->timer);
	free(census);
}

void sl_census_take(struct sl_census *census)
{
	if (!sl_loop_timer_is_set(census->timer))
		sl_loop_timer_set(census->timer, 0);
}
