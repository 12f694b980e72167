/* SPDX-License-Identifier: MIT */
#include "common/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sl_bytes sl_bytes_of(const char *text)
{
	return (struct sl_bytes){text, text ? strlen(text) : 0};
}

bool sl_bytes_equal(struct sl_bytes a, struct sl_bytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void sl_buffer_deinit(struct sl_buffer *buffer)
{
	if (!buffer)
		return;
	free(buffer->data);
	*buffer = SL_BUFFER_INIT;
}

void sl_buffer_clear(struct sl_buffer *buffer)
{
	buffer->size = 0;
	buffer->failed = false;
}

char *sl_buffer_reserve(struct sl_buffer *buffer, size_t size)
{
	size_t wanted, capacity;
	char *data;

	if (buffer->failed || __builtin_add_overflow(buffer->size, size, &wanted))
		goto failed;
	if (wanted <= buffer->capacity && buffer->data)
		return buffer->data + buffer->size;

	capacity = buffer->capacity < 128 ? 256 : buffer->capacity * 2;
	if (capacity < wanted)
		capacity = wanted;
	data = realloc(buffer->data, capacity);
	if (!data)
		goto failed;
	buffer->data = data;
	buffer->capacity = capacity;
	return data + buffer->size;

failed:
	buffer->failed = true;
	return NULL;
}

bool sl_buffer_append_growing(struct sl_buffer *buffer, const void *data, size_t size)
{
	char *at = sl_buffer_reserve(buffer, size);

	if (!at)
		return false;
	if (size > 0)
		memcpy(at, data, size);
	buffer->size += size;
	return true;
}

bool sl_buffer_printf(struct sl_buffer *buffer, const char *fmt, ...)
{
	char *at = sl_buffer_reserve(buffer, 1);
	size_t room = buffer->capacity - buffer->size;
	va_list args;
	int n;

	if (!at)
		return false;
	va_start(args, fmt);
	n = vsnprintf(at, room, fmt, args);
	va_end(args);
	if (n < 0)
		return false;
	if ((size_t)n >= room) {
		at = sl_buffer_reserve(buffer, (size_t)n + 1);
		if (!at)
			return false;
		va_start(args, fmt);
		vsnprintf(at, (size_t)n + 1, fmt, args);
		va_end(args);
	}
	buffer->size += (size_t)n;
	return true;
}

void sl_buffer_consume(struct sl_buffer *buffer, size_t size)
{
	assert(size <= buffer->size);
	buffer->size -= size;
	if (buffer->size > 0)
		memmove(buffer->data, buffer->data + size, buffer->size);
}
