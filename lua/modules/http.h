/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP: requests to web servers, any number at once, all on the reactor; a
 * goroutine waits for its own.
 *
 * Threads: any; what happens to a request happens on the reactor.
 */

#include "common/buffer.h"
#include "common/error.h"
#include "lua/schedule/goroutine.h"
#include "lua/state/arena.h"
#include "lua/state/handle.h"

#define SL_HTTP_KIND "request"

struct sl_http;
struct sl_http_request;
struct sl_reactor;

/* Starts nothing until the first request. NULL when memory ran out. Both are borrowed. */
struct sl_http *sl_http_new(
	struct sl_reactor *reactor, struct sl_account *account) sl_must_check;

/* Ends the requests that there still are. Nobody may wait for one. Before the reactor. */
void sl_http_free(struct sl_http *http);

struct sl_http_ask {
	const char *method; /* "GET" */
	const char *url;    /* http or https */
	/* Lines: "Name: value"; "Name;" for no value; "Name:" not to send it. NULL ends. */
	const char *const *headers;
	struct sl_bytes body; /* no data: none */
	int64_t timeout_ms;   /* for all of it */
	bool follow;          /* where redirects lead */
	bool verify;          /* who the server is */
	const char *ca_file;  /* NULL: the system's */
	size_t max_body_bytes;
};

/* Starts it; @ask is copied. One reference is the caller's. */
int sl_http_start(struct sl_http *http, const struct sl_http_ask *ask,
	struct sl_http_request **out, struct sl_error *err) sl_must_check;
struct sl_handle *sl_http_handle(struct sl_http_request *request);

/* For a wait on a request. One that ends for any other reason than that the answer is there
 * ends the request, and closes its connection. */
extern const struct sl_wait_kind sl_http_wait_kind;

/* Once the answer is there; it lives as long as the request. */
struct sl_http_answer {
	int code; /* 0: the server has answered; else err says what went wrong */
	struct sl_error err;
	long status_code;
	double elapsed_ms;
	struct sl_buffer status;  /* "404 Not Found" */
	struct sl_buffer headers; /* pairs of terminated strings, the names in lower case */
	struct sl_buffer body;
};
const struct sl_http_answer *sl_http_answer(const struct sl_http_request *request);
