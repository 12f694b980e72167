/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Http head: what a client of HTTP/1 says before a body: its request line and
 * headers, of which little is wanted here.
 */

#include "common/buffer.h"

struct sl_http_head {
	struct sl_bytes method; /* "GET" */
	struct sl_bytes path;   /* "/metrics", without what stands behind a ? */
	struct sl_bytes accept; /* the value of that header; empty: there is none */
};

enum {
	SL_HTTP_HEAD_MORE = 1, /* its end is not there yet */
};

/* Reads the head at the beginning of @in, which *out borrows. Returns 0, SL_HTTP_HEAD_MORE, or
 * SL_EPROTOCOL for what is none. Any bytes are safe. */
int sl_http_head_parse(struct sl_bytes in, struct sl_http_head *out) sl_must_check;
