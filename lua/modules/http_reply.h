/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reply: what a server says to one request, taken in as it comes, charged to the
 * task, and held to a size.
 *
 * Threads: the reactor's, until the answer is there.
 */

#include "lua/modules/http.h"

struct sl_http_reply {
	struct sl_http_answer answer;
	struct sl_account *account; /* borrowed */
	size_t max_body_bytes;
	size_t charged;
	bool too_large, no_memory; /* why the rest was not taken */
};

/* The functions that curl calls with what came; @reply is a struct sl_http_reply. Each returns
 * @size, or 0 when it takes no more. @one is 1. */
size_t sl_http_reply_take_body(char *data, size_t one, size_t size, void *reply);
size_t sl_http_reply_take_header(char *data, size_t one, size_t size, void *reply);

void sl_http_reply_deinit(struct sl_http_reply *reply);
