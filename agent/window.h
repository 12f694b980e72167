/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Window: where others look in at the agent: an HTTP server for small answers,
 * which nobody can keep busy. Connections, the time that each has as a whole and
 * what it may send are bounded, and each carries one request. When there are as
 * many as there may be, the next one waits in the kernel.
 *
 * Threads: the loop's.
 */

#include "common/buffer.h"

struct sl_error;
struct sl_loop;
struct sl_window;
struct sl_window_request;

#define SL_WINDOW_MAX_CONNECTIONS 16
#define SL_WINDOW_MAX_HEAD_BYTES 8192u

/* Listens on @url, ipc:///PATH or tcp://HOST:PORT, and writes to @bound how it can be reached.
 * A connection has @ms, whatever it does. Calls get(ctx, request) for each GET and HEAD; other
 * methods are 405. */
int sl_window_new(struct sl_loop *loop, const char *url, int64_t ms,
	void (*get)(void *ctx, struct sl_window_request *request), void *ctx, char *bound,
	size_t bound_size, struct sl_window **out, struct sl_error *err) sl_must_check;

/* Closes all connections; requests without an answer are gone. NULL is fine. */
void sl_window_free(struct sl_window *window);

/* "/metrics"; borrowed until the answer. */
struct sl_bytes sl_window_path(const struct sl_window_request *request);

/* What it said that it accepts; empty: nothing. Borrowed until the answer. */
struct sl_bytes sl_window_accept(const struct sl_window_request *request);

/* Answers, once, at any time. @request is gone afterwards. @body is copied. */
void sl_window_answer(struct sl_window_request *request, int status, const char *content_type,
	struct sl_bytes body);
