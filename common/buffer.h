/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Buffer: bytes that grow at the end, and a borrowed stretch of bytes.
 *
 * A buffer that failed to grow once stays failed and swallows what is added, so
 * that a writer of many pieces checks once, at the end.
 *
 * Threads: the owner's.
 */

#include <string.h>

#include "common/base.h"

/* Bytes that somebody else owns. Not terminated; any byte may be in them. */
struct sl_bytes {
	const char *data;
	size_t size;
};

struct sl_buffer {
	char *data;
	size_t size;
	size_t capacity;
	bool failed; /* memory ran out: what is here is not all that was added */
};

/* A zeroed buffer is an empty one. */
#define SL_BUFFER_INIT ((struct sl_buffer){0})

/* The bytes of a literal or of a terminated string. NULL is no bytes. */
struct sl_bytes sl_bytes_of(const char *text);

bool sl_bytes_equal(struct sl_bytes a, struct sl_bytes b);

void sl_buffer_deinit(struct sl_buffer *buffer);

/* Forgets the bytes and a failure, keeps the memory. */
void sl_buffer_clear(struct sl_buffer *buffer);

bool sl_buffer_printf(struct sl_buffer *buffer, const char *fmt, ...) sl_printf(2, 3);

/* Makes room for @size more bytes and returns where they begin; the caller fills
 * them and adds to size. NULL when memory ran out. */
char *sl_buffer_reserve(struct sl_buffer *buffer, size_t size);

/* Appends @size bytes. False when memory ran out, now or earlier. Most that is appended is a
 * few bytes for which there is room. */
bool sl_buffer_append_growing(struct sl_buffer *buffer, const void *data, size_t size);
static inline bool sl_buffer_append(struct sl_buffer *buffer, const void *data, size_t size)
{
	if (buffer->failed || size >= buffer->capacity - buffer->size)
		return sl_buffer_append_growing(buffer, data, size);
	if (size > 0)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	return true;
}

/* Drops the first @size bytes. */
void sl_buffer_consume(struct sl_buffer *buffer, size_t size);

/* The bytes so far, borrowed until the buffer changes. */
static inline struct sl_bytes sl_buffer_bytes(const struct sl_buffer *buffer)
{
	return (struct sl_bytes){buffer->data, buffer->size};
}
