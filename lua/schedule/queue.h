/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Queue: goroutines that are ready, first in first out.
 *
 * Threads: whoever holds the lock that guards it; its length may be read without,
 * as a hint.
 */

#include <stdatomic.h>

#include "common/base.h"
#include "lua/schedule/goroutine.h"

struct sl_queue {
	struct sl_goroutine *head, **tail;
	_Atomic size_t n; /* atomic: written under the lock, read as a hint */
};

/* It must stay where it is. */
static inline void sl_queue_init(struct sl_queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
	atomic_store(&queue->n, 0);
}

static inline size_t sl_queue_length(struct sl_queue *queue)
{
	return atomic_load_explicit(&queue->n, memory_order_relaxed);
}

static inline void sl_queue_push(struct sl_queue *queue, struct sl_goroutine *goroutine)
{
	goroutine->next = NULL;
	*queue->tail = goroutine;
	queue->tail = &goroutine->next;
	atomic_fetch_add(&queue->n, 1);
}

/* In front of all others. */
static inline void sl_queue_push_front(struct sl_queue *queue, struct sl_goroutine *goroutine)
{
	goroutine->next = queue->head;
	if (!queue->head)
		queue->tail = &goroutine->next;
	queue->head = goroutine;
	atomic_fetch_add(&queue->n, 1);
}

/* Appends the @n of a chain; at least one. */
static inline void sl_queue_push_chain(
	struct sl_queue *queue, struct sl_goroutine *chain, size_t n)
{
	*queue->tail = chain;
	while (chain->next)
		chain = chain->next;
	queue->tail = &chain->next;
	atomic_fetch_add(&queue->n, n);
}

/* The first @n, or as many as there are, as a chain; NULL and *popped 0: there is none. */
static inline struct sl_goroutine *sl_queue_pop(
	struct sl_queue *queue, size_t n, size_t *popped)
{
	struct sl_goroutine *first = queue->head, *last = first;
	size_t got = first ? 1 : 0;

	while (last && got < n && last->next) {
		last = last->next;
		got++;
	}
	if (last) {
		queue->head = last->next;
		if (!queue->head)
			queue->tail = &queue->head;
		last->next = NULL;
		atomic_fetch_sub(&queue->n, got);
	}
	*popped = got;
	return first;
}
