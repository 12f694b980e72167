/* SPDX-License-Identifier: MIT */
#include "common/parcel.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WITHIN 256       /* bytes that a parcel has without a chunk: most hold a few values */
#define FIRST_CHUNK 1008 /* with its head, what malloc() keeps at hand */
#define LARGEST_CHUNK (256 * 1024)
#define ALIGNMENT 16

struct chunk {
	struct chunk *next;
	size_t capacity;
	_Alignas(ALIGNMENT) char bytes[];
};

/* One handle reference, given back at the end. */
struct held {
	struct held *next;
	struct sl_handle *handle;
};

struct sl_parcel {
	char *at, *end;       /* what is free, here or in the first chunk */
	struct chunk *chunks; /* the last one made first */
	size_t size;
	size_t max_bytes;
	struct held *held;
	_Alignas(ALIGNMENT) char bytes[WITHIN];
};

struct sl_handle *sl_handle_ref(struct sl_handle *handle)
{
	atomic_fetch_add_explicit(&handle->refs, 1, memory_order_relaxed);
	return handle;
}

void sl_handle_unref(struct sl_handle *handle)
{
	static _Thread_local struct sl_handle *doomed;
	static _Thread_local bool freeing;

	if (!handle || atomic_fetch_sub_explicit(&handle->refs, 1, memory_order_acq_rel) > 1)
		return;
	handle->next_doomed = doomed;
	doomed = handle;
	if (freeing)
		return;
	freeing = true;
	while (doomed) {
		struct sl_handle *next = doomed;

		doomed = next->next_doomed;
		next->free(next);
	}
	freeing = false;
}

struct sl_parcel *sl_parcel_new(size_t max_bytes)
{
	struct sl_parcel *parcel = malloc(sizeof(*parcel));

	if (!parcel)
		return NULL;
	parcel->at = parcel->bytes;
	parcel->end = parcel->bytes + sizeof(parcel->bytes);
	parcel->chunks = NULL;
	parcel->size = 0;
	parcel->max_bytes = max_bytes;
	parcel->held = NULL;
	return parcel;
}

void sl_parcel_free(struct sl_parcel *parcel)
{
	if (!parcel)
		return;
	for (struct held *held = parcel->held; held; held = held->next)
		sl_handle_unref(held->handle);
	while (parcel->chunks) {
		struct chunk *chunk = parcel->chunks;

		parcel->chunks = chunk->next;
		free(chunk);
	}
	free(parcel);
}

static bool add_chunk(struct sl_parcel *parcel, size_t wanted)
{
	size_t capacity = parcel->chunks ? parcel->chunks->capacity * 2 : FIRST_CHUNK;
	struct chunk *chunk;

	if (capacity > LARGEST_CHUNK)
		capacity = LARGEST_CHUNK;
	if (capacity < wanted)
		capacity = wanted;
	chunk = malloc(sizeof(*chunk) + capacity);
	if (!chunk)
		return false;
	chunk->capacity = capacity;
	chunk->next = parcel->chunks;
	parcel->chunks = chunk;
	parcel->at = chunk->bytes;
	parcel->end = chunk->bytes + capacity;
	return true;
}

void *sl_parcel_alloc(struct sl_parcel *parcel, size_t size)
{
	size_t rounded;
	void *at;

	if (__builtin_add_overflow(size, ALIGNMENT - 1, &rounded))
		return NULL;
	rounded &= ~(size_t)(ALIGNMENT - 1);
	if (rounded > parcel->max_bytes - parcel->size)
		return NULL;
	if ((size_t)(parcel->end - parcel->at) < rounded && !add_chunk(parcel, rounded))
		return NULL;

	at = parcel->at;
	parcel->at += rounded;
	parcel->size += rounded;
	return memset(at, 0, rounded);
}

void *sl_parcel_array(struct sl_parcel *parcel, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return sl_parcel_alloc(parcel, total > 0 ? total : 1);
}

bool sl_parcel_copy(struct sl_parcel *parcel, struct sl_bytes bytes, struct sl_bytes *out)
{
	char *at = bytes.size < SIZE_MAX ? sl_parcel_alloc(parcel, bytes.size + 1) : NULL;

	if (!at)
		return false;
	if (bytes.size > 0)
		memcpy(at, bytes.data, bytes.size);
	*out = (struct sl_bytes){at, bytes.size};
	return true;
}

bool sl_parcel_hold(struct sl_parcel *parcel, struct sl_handle *handle)
{
	struct held *held = sl_parcel_alloc(parcel, sizeof(*held));

	if (!held)
		return false;
	held->handle = sl_handle_ref(handle);
	held->next = parcel->held;
	parcel->held = held;
	return true;
}

size_t sl_parcel_size(const struct sl_parcel *parcel)
{
	return parcel->size;
}

size_t sl_parcel_max_size(const struct sl_parcel *parcel)
{
	return parcel->max_bytes;
}

const struct sl_value *sl_table_get(const struct sl_table *table, const char *key)
{
	struct sl_bytes wanted = sl_bytes_of(key);

	for (size_t i = 0; i < table->n_pairs; i++) {
		const struct sl_pair *pair = &table->pairs[i];

		if (pair->key.kind == SL_VALUE_STRING &&
			sl_bytes_equal(pair->key.string, wanted))
			return &pair->value;
	}
	return NULL;
}
