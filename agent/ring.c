/* SPDX-License-Identifier: MIT */
#include "agent/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link.h"
#include "common/error.h"

struct sl_ring_batch {
	TAILQ_ENTRY(sl_ring_batch) link; /* sl_ring.batches */
	uint64_t first, count;
	size_t size;
	char data[];
};

void sl_ring_init(struct sl_ring *ring)
{
	*ring = (struct sl_ring){0};
	TAILQ_INIT(&ring->batches);
}

static void drop_first(struct sl_ring *ring)
{
	struct sl_ring_batch *batch = TAILQ_FIRST(&ring->batches);

	TAILQ_REMOVE(&ring->batches, batch, link);
	ring->bytes -= SL_LINK_COST(batch->size);
	free(batch);
}

void sl_ring_deinit(struct sl_ring *ring)
{
	while (!TAILQ_EMPTY(&ring->batches))
		drop_first(ring);
}

int sl_ring_append(
	struct sl_ring *ring, uint64_t count, struct sl_bytes bytes, struct sl_error *err)
{
	struct sl_ring_batch *batch;

	assert(count > 0);
	batch = malloc(sizeof(*batch) + bytes.size);
	if (!batch)
		return sl_fail(err, SL_ENOMEM, "no memory for %zu bytes of events", bytes.size);
	batch->first = ring->last + 1;
	batch->count = count;
	batch->size = bytes.size;
	memcpy(batch->data, bytes.data, bytes.size);
	TAILQ_INSERT_TAIL(&ring->batches, batch, link);
	ring->last += count;
	ring->bytes += SL_LINK_COST(bytes.size);
	return 0;
}

static uint64_t last_of(const struct sl_ring_batch *batch)
{
	return batch->first + batch->count - 1;
}

/* The batches that are acknowledged as a whole by @upto and not by what was so far. */
static uint64_t worth_of(const struct sl_ring *ring, uint64_t upto)
{
	const struct sl_ring_batch *batch;
	uint64_t worth = 0;

	TAILQ_FOREACH_REVERSE(batch, &ring->batches, sl_ring_batches, link)
	{
		if (last_of(batch) <= ring->acked)
			break;
		if (last_of(batch) <= upto)
			worth += SL_LINK_COST(batch->size);
	}
	return worth;
}

uint64_t sl_ring_acknowledge(struct sl_ring *ring, uint64_t upto)
{
	uint64_t worth;

	if (upto > ring->last)
		upto = ring->last;
	if (upto <= ring->acked)
		return 0;
	worth = worth_of(ring, upto);
	ring->acked = upto;
	ring->history += worth;
	while (ring->history > SL_RING_HISTORY_BYTES) {
		ring->history -= SL_LINK_COST(TAILQ_FIRST(&ring->batches)->size);
		drop_first(ring);
	}
	return worth;
}

size_t sl_ring_read(const struct sl_ring *ring, uint64_t after, uint64_t max_bytes,
	struct sl_batch *out, size_t max_batches, bool *out_more)
{
	const struct sl_ring_batch *batch;
	uint64_t bytes = 0;
	size_t n = 0;

	*out_more = false;
	TAILQ_FOREACH(batch, &ring->batches, link)
	{
		if (last_of(batch) <= after)
			continue;
		if (n == max_batches || (n > 0 && bytes + batch->size > max_bytes)) {
			*out_more = true;
			break;
		}
		bytes += batch->size;
		out[n++] = (struct sl_batch){
			batch->first, batch->count, {batch->data, batch->size}};
	}
	return n;
}
