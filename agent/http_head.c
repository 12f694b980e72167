/* SPDX-License-Identifier: MIT */
#include "agent/http_head.h"

#include <string.h>
#include <strings.h>

#include "common/error.h"

/* Takes a line off the front of @rest, without its end; false when there is no whole one. */
static bool take_line(struct sl_bytes *rest, struct sl_bytes *out)
{
	const char *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
	size_t size;

	if (!end)
		return false;
	size = (size_t)(end - rest->data);
	*out = (struct sl_bytes){rest->data, size};
	if (size > 0 && out->data[size - 1] == '\r')
		out->size--;
	rest->data += size + 1;
	rest->size -= size + 1;
	return true;
}

/* Takes what stands before the next @separator; all of it if there is none. */
static struct sl_bytes take_until(struct sl_bytes *rest, char separator)
{
	const char *end = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
	size_t size = end ? (size_t)(end - rest->data) : rest->size;
	struct sl_bytes piece = {rest->data, size};

	rest->data += size + (end != NULL);
	rest->size -= size + (end != NULL);
	return piece;
}

static bool is_method(struct sl_bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < 'A' || text.data[i] > 'Z')
			return false;
	return text.size > 0 && text.size <= 16;
}

static bool is_version(struct sl_bytes text)
{
	return sl_bytes_equal(text, sl_bytes_of("HTTP/1.1")) ||
	       sl_bytes_equal(text, sl_bytes_of("HTTP/1.0"));
}

/* "GET /metrics?x HTTP/1.1" */
static bool parse_request_line(struct sl_bytes line, struct sl_http_head *out)
{
	struct sl_bytes target;

	out->method = take_until(&line, ' ');
	target = take_until(&line, ' ');
	if (!is_method(out->method) || target.size == 0 || target.data[0] != '/' ||
		!is_version(line))
		return false;
	out->path = take_until(&target, '?');
	return true;
}

static void parse_header(struct sl_bytes line, struct sl_http_head *out)
{
	struct sl_bytes name = take_until(&line, ':');

	if (name.size != strlen("accept") || strncasecmp(name.data, "accept", name.size) != 0)
		return;
	/* Several are one list; who sends them gets what the last one says. */
	out->accept = line;
}

int sl_http_head_parse(struct sl_bytes in, struct sl_http_head *out)
{
	struct sl_http_head head = {0};
	bool is_first = true;
	struct sl_bytes line;

	while (take_line(&in, &line)) {
		if (is_first && !parse_request_line(line, &head))
			return SL_EPROTOCOL;
		if (line.size == 0) {
			*out = head;
			return 0;
		}
		if (!is_first)
			parse_header(line, &head);
		is_first = false;
	}
	return SL_HTTP_HEAD_MORE;
}
