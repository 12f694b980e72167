/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tally: the numbers of one running task, counted where things happen: in its
 * worker process. They are in memory that the worker shares with main, so that
 * to read them costs the task nothing, and a worker that dies has told them.
 *
 * Threads: any. What is read is what was right a moment ago, each number by
 * itself. A worker runs foreign code: main believes nothing that is here to be
 * more than a number.
 */

#include <stdatomic.h>

#include "common/base.h"
#include "common/log.h"

struct sl_error;

enum sl_tally_item {
	/* What has happened so far. */
	SL_TALLY_GOROUTINES_STARTED, /* with the one that is the task's function */
	SL_TALLY_GOROUTINES_FAILED,  /* spawned ones that raised */
	SL_TALLY_POOL_COMPLETED,     /* tasks of pools */
	SL_TALLY_POOL_FAILED,
	SL_TALLY_POOL_REJECTED,
	SL_TALLY_LOG_LINES, /* one for each enum sl_log_level */
	SL_TALLY_STDOUT_BYTES = SL_TALLY_LOG_LINES + SL_LOG_DEBUG + 1,
	SL_TALLY_STDERR_BYTES,
	SL_TALLY_DROPPED_BYTES, /* of log and output beyond the job's cap */

	/* What is there now. */
	SL_TALLY_GOROUTINES,
	SL_TALLY_POOLS,
	SL_TALLY_POOL_ACTIVE,
	SL_TALLY_POOL_QUEUED,
};

#define SL_TALLY_FIRST_GAUGE SL_TALLY_GOROUTINES
#define SL_N_TALLY_ITEMS (SL_TALLY_POOL_QUEUED + 1)

struct sl_tally {
	_Atomic uint64_t items[SL_N_TALLY_ITEMS];
};

/* Sums of tallies, nobody else's. */
struct sl_tally_sum {
	uint64_t items[SL_N_TALLY_ITEMS];
};

/* Makes the memory of a tally, with all zero, for other processes to map. Nobody can change its
 * size. The descriptor is the caller's, closed on exec. */
int sl_tally_make(int *out_fd, struct sl_error *err) sl_must_check;

/* Maps what sl_tally_make() made; NULL when that failed, with errno. */
struct sl_tally *sl_tally_map(int fd, bool writable);

/* NULL is fine. */
void sl_tally_unmap(struct sl_tally *tally);

/* From here on @tally, which stays where it is, is this process's alone: for a copy of it that
 * was forked. */
void sl_tally_part(struct sl_tally *tally);

/* Adds the items of @tally from @first to before @end. */
void sl_tally_sum(struct sl_tally_sum *sum, const struct sl_tally *tally,
	enum sl_tally_item first, enum sl_tally_item end);

static inline void sl_tally_add(struct sl_tally *tally, unsigned item, uint64_t n)
{
	atomic_fetch_add_explicit(&tally->items[item], n, memory_order_relaxed);
}

/* Adds one and returns how many there were before. */
static inline uint64_t sl_tally_next(struct sl_tally *tally, unsigned item)
{
	return atomic_fetch_add_explicit(&tally->items[item], 1, memory_order_relaxed);
}

static inline void sl_tally_sub(struct sl_tally *tally, unsigned item, uint64_t n)
{
	atomic_fetch_sub_explicit(&tally->items[item], n, memory_order_relaxed);
}

/* For an item that a lock guards where it happens. */
static inline void sl_tally_set(struct sl_tally *tally, unsigned item, uint64_t value)
{
	atomic_store_explicit(&tally->items[item], value, memory_order_relaxed);
}

static inline uint64_t sl_tally_get(const struct sl_tally *tally, unsigned item)
{
	return atomic_load_explicit(&tally->items[item], memory_order_relaxed);
}
