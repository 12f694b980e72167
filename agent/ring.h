/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Ring: the events of one job, in batches as the worker wrote them: those that
 * its controllers have not acknowledged yet, and the latest of the others, for
 * who comes late. Events are numbered from 1 without gaps.
 *
 * Threads: the loop's.
 */

#include <sys/queue.h>

#include "common/base.h"
#include "proto/message.h"

struct sl_error;

struct sl_ring_batch;

struct sl_ring {
	TAILQ_HEAD(sl_ring_batches, sl_ring_batch) batches;
	uint64_t last;  /* number of the last event ever appended */
	uint64_t acked; /* number of the last event that may leave */
	size_t bytes;   /* memory that the batches take */
	size_t history; /* of it, that of batches which may leave */
};

/* What stays of the events that may leave. */
#define SL_RING_HISTORY_BYTES (256u << 10)

void sl_ring_init(struct sl_ring *ring);
void sl_ring_deinit(struct sl_ring *ring);

/* Appends @count events, at least 1, that are @bytes end to end; copies them. */
int sl_ring_append(struct sl_ring *ring, uint64_t count, struct sl_bytes bytes,
	struct sl_error *err) sl_must_check;

/* Events up to @upto may leave; beyond last is last. Returns the memory that this is worth to
 * who adds to the ring, as SL_LINK_COST() counts it. */
uint64_t sl_ring_acknowledge(struct sl_ring *ring, uint64_t upto);

/* Borrows the batches that have events after @after: at least one if there is any, then as
 * many as fit into @max_batches and @max_bytes. Returns how many; *out_more says whether
 * there are further ones. Borrowed until the ring changes. */
size_t sl_ring_read(const struct sl_ring *ring, uint64_t after, uint64_t max_bytes,
	struct sl_batch *out, size_t max_batches, bool *out_more);
