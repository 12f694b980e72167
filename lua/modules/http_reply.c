/* SPDX-License-Identifier: MIT */
#include "lua/modules/http_reply.h"

#include <ctype.h>
#include <string.h>

#define MAX_HEADER_BYTES ((size_t)512 * 1024)

static bool charge(struct sl_http_reply *reply, size_t size)
{
	if (!sl_account_charge(reply->account, size)) {
		reply->no_memory = true;
		return false;
	}
	reply->charged += size;
	return true;
}

size_t sl_http_reply_take_body(char *data, size_t one, size_t size, void *ctx)
{
	struct sl_http_reply *reply = ctx;
	struct sl_buffer *body = &reply->answer.body;

	(void)one;
	if (size > reply->max_body_bytes - body->size) {
		reply->too_large = true;
		return 0;
	}
	if (!charge(reply, size))
		return 0;
	reply->no_memory = !sl_buffer_append(body, data, size);
	return reply->no_memory ? 0 : size;
}

static struct sl_bytes trimmed(const char *data, size_t size)
{
	while (size > 0 && isspace((unsigned char)data[0])) {
		data++;
		size--;
	}
	while (size > 0 && isspace((unsigned char)data[size - 1]))
		size--;
	return (struct sl_bytes){data, size};
}

/* The begin of an answer; there are several when a redirect is followed. */
static void take_status(struct sl_http_reply *reply, struct sl_bytes line)
{
	const char *space = memchr(line.data, ' ', line.size);
	struct sl_bytes status = {line.data, 0};

	if (space)
		status = trimmed(space, line.size - (size_t)(space - line.data));
	sl_buffer_clear(&reply->answer.headers);
	sl_buffer_clear(&reply->answer.status);
	sl_buffer_append(&reply->answer.status, status.data, status.size);
}

static void take_header(struct sl_buffer *headers, struct sl_bytes name, struct sl_bytes value)
{
	size_t at = headers->size;

	sl_buffer_append(headers, name.data, name.size);
	for (; at < headers->size; at++)
		headers->data[at] = (char)tolower((unsigned char)headers->data[at]);
	sl_buffer_append(headers, "", 1);
	sl_buffer_append(headers, value.data, value.size);
	sl_buffer_append(headers, "", 1);
}

size_t sl_http_reply_take_header(char *data, size_t one, size_t size, void *ctx)
{
	struct sl_http_reply *reply = ctx;
	const char *colon = memchr(data, ':', size);

	(void)one;
	if (size > 5 && memcmp(data, "HTTP/", 5) == 0)
		take_status(reply, trimmed(data, size));
	else if (colon && !memchr(data, '\0', size) &&
		 reply->answer.headers.size + size < MAX_HEADER_BYTES)
		take_header(&reply->answer.headers, trimmed(data, (size_t)(colon - data)),
			trimmed(colon + 1, size - (size_t)(colon + 1 - data)));
	reply->no_memory = reply->answer.headers.failed || reply->answer.status.failed;
	return reply->no_memory ? 0 : size;
}

void sl_http_reply_deinit(struct sl_http_reply *reply)
{
	sl_buffer_deinit(&reply->answer.status);
	sl_buffer_deinit(&reply->answer.headers);
	sl_buffer_deinit(&reply->answer.body);
	sl_account_release(reply->account, reply->charged);
}
