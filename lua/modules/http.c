/* SPDX-License-Identifier: MIT */
#include "lua/modules/http.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "lua/modules/curl_library.h"
#include "lua/modules/http_multi.h"
#include "lua/modules/http_reply.h"
#include "lua/schedule/reactor.h"

#define MAX_REDIRECTS 10L

struct sl_http {
	struct sl_reactor *reactor;
	struct sl_account *account;
	struct sl_http_multi *multi;   /* owner: reactor; made for the first request */
	struct sl_http_request *first; /* owner: reactor; those that run */

	pthread_mutex_t lock;
	pthread_cond_t ended_changed;
	bool used;  /* guarded by: lock; the reactor knows of it */
	bool ended; /* guarded by: lock */
};

struct sl_http_request {
	struct sl_handle handle; /* first */
	struct sl_http *http;
	int64_t started_ns;
	char name[200]; /* "GET http://host/path": for messages */

	CURL *easy;                          /* owner: reactor, once started */
	struct curl_slist *headers;          /* goes with easy */
	char error[CURL_ERROR_SIZE];         /* goes with easy */
	bool running, cancelled;             /* owner: reactor */
	struct sl_http_request *prev, *next; /* owner: reactor */
	struct sl_http_reply reply;          /* owner: reactor, until done */

	pthread_mutex_t lock;
	bool done;                 /* guarded by: lock */
	struct sl_waiters waiters; /* guarded by: lock */
};

/* ---- the end of a request, on the reactor ---- */

static void drop_easy(struct sl_http_request *request)
{
	if (request->easy)
		sl_curl.easy_cleanup(sl_steal(request->easy));
	sl_curl.slist_free_all(sl_steal(request->headers));
}

static int explain(struct sl_http_request *request, CURLcode code)
{
	struct sl_error *err = &request->reply.answer.err;

	if (request->reply.too_large)
		return sl_fail(err, SL_ETOO_LARGE,
			"%s: the answer is larger than %zu bytes (option max_body)",
			request->name, request->reply.max_body_bytes);
	if (request->reply.no_memory || code == CURLE_OUT_OF_MEMORY)
		return sl_fail(err, SL_ENOMEM, "%s: not enough memory", request->name);
	return sl_fail(err, code == CURLE_OPERATION_TIMEDOUT ? SL_ETIMEOUT : SL_ECLOSED,
		"%s: %s", request->name,
		request->error[0] ? request->error : sl_curl.easy_strerror(code));
}

static void unlink_request(struct sl_http_request *request)
{
	if (request->prev)
		request->prev->next = request->next;
	else
		request->http->first = request->next;
	if (request->next)
		request->next->prev = request->prev;
	request->running = false;
}

/* Gives the reactor's reference back. */
static void finish(struct sl_http_request *request, CURLcode code)
{
	struct sl_http_answer *answer = &request->reply.answer;

	if (request->running) {
		unlink_request(request);
		sl_http_multi_remove(request->http->multi, request->easy);
	}
	if (code == CURLE_OK)
		sl_curl.easy_getinfo(
			request->easy, CURLINFO_RESPONSE_CODE, &answer->status_code);
	else
		answer->code = explain(request, code);
	answer->elapsed_ms = (double)(sl_clock_monotonic_ns() - request->started_ns) / 1e6;
	drop_easy(request);
	pthread_mutex_lock(&request->lock);
	request->done = true;
	sl_waiters_wake_all(&request->waiters);
	pthread_mutex_unlock(&request->lock);
	sl_handle_unref(&request->handle);
}

static void on_done(CURL *easy, CURLcode code)
{
	struct sl_http_request *request;

	sl_curl.easy_getinfo(easy, CURLINFO_PRIVATE, &request);
	finish(request, code);
}

/* ---- its beginning and its cancellation, on the reactor ---- */

static void begin(void *ctx)
{
	struct sl_http_request *request = ctx;
	struct sl_http *http = request->http;

	if (request->cancelled) {
		finish(request, CURLE_ABORTED_BY_CALLBACK);
		return;
	}
	if (!http->multi)
		http->multi = sl_http_multi_new(http->reactor, on_done);
	if (!http->multi || !sl_http_multi_add(http->multi, request->easy)) {
		finish(request, CURLE_OUT_OF_MEMORY);
		return;
	}
	request->running = true;
	request->prev = NULL;
	request->next = http->first;
	if (http->first)
		http->first->prev = request;
	http->first = request;
}

/* Has a reference of its own. */
static void cancel(void *ctx)
{
	struct sl_http_request *request = ctx;

	request->cancelled = true;
	if (request->running)
		finish(request, CURLE_ABORTED_BY_CALLBACK);
	sl_handle_unref(&request->handle);
}

/* ---- starting one ---- */

static void free_request(struct sl_handle *handle)
{
	struct sl_http_request *request = (struct sl_http_request *)handle;

	drop_easy(request);
	sl_http_reply_deinit(&request->reply);
	pthread_mutex_destroy(&request->lock);
	free(request);
}

/* Without the name and the password that may be in the URL, and what follows '?'. */
static void set_name(struct sl_http_request *request, const struct sl_http_ask *ask)
{
	const char *host = strstr(ask->url, "://"), *rest = ask->url, *at;
	int n_scheme = 0;
	size_t n;

	if (host) {
		n_scheme = (int)(host + 3 - ask->url);
		rest = host + 3;
	}
	at = memrchr(rest, '@', strcspn(rest, "/?#"));
	if (at)
		rest = at + 1;
	n = strcspn(rest, "?#");
	snprintf(request->name, sizeof(request->name), "%s %.*s%.*s", ask->method, n_scheme,
		ask->url, (int)(n < 180 ? n : 180), rest);
}

static struct sl_http_request *new_request(struct sl_http *http, const struct sl_http_ask *ask)
{
	struct sl_http_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->handle =
		(struct sl_handle){.refs = 1, .kind = SL_HTTP_KIND, .free = free_request};
	request->http = http;
	request->reply.account = http->account;
	request->started_ns = sl_clock_monotonic_ns();
	request->reply.max_body_bytes = ask->max_body_bytes;
	set_name(request, ask);
	pthread_mutex_init(&request->lock, NULL);
	return request;
}

#define SET(option, value) (code = code ? code : sl_curl.easy_setopt(easy, option, value))

static CURLcode set_method(CURL *easy, const struct sl_http_ask *ask)
{
	CURLcode code = CURLE_OK;

	if (ask->body.data) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.size);
		SET(CURLOPT_COPYPOSTFIELDS, ask->body.data);
	}
	if (strcmp(ask->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else if (strcmp(ask->method, ask->body.data ? "POST" : "GET") != 0)
		SET(CURLOPT_CUSTOMREQUEST, ask->method);
	return code;
}

static CURLcode set_behaviour(CURL *easy, const struct sl_http_ask *ask)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_URL, ask->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, ask->follow ? 1L : 0L);
	SET(CURLOPT_MAXREDIRS, MAX_REDIRECTS);
	SET(CURLOPT_TIMEOUT_MS, (long)ask->timeout_ms);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ACCEPT_ENCODING, ""); /* whatever curl can decode */
	SET(CURLOPT_USERAGENT, "sloth-agent/" SL_VERSION);
	SET(CURLOPT_SSL_VERIFYPEER, ask->verify ? 1L : 0L);
	SET(CURLOPT_SSL_VERIFYHOST, ask->verify ? 2L : 0L);
	if (ask->ca_file)
		SET(CURLOPT_CAINFO, ask->ca_file);
	return code;
}

static CURLcode set_ends(CURL *easy, struct sl_http_request *request)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PRIVATE, request);
	SET(CURLOPT_ERRORBUFFER, request->error);
	SET(CURLOPT_WRITEFUNCTION, sl_http_reply_take_body);
	SET(CURLOPT_WRITEDATA, &request->reply);
	SET(CURLOPT_HEADERFUNCTION, sl_http_reply_take_header);
	SET(CURLOPT_HEADERDATA, &request->reply);
	SET(CURLOPT_HTTPHEADER, request->headers);
	return code;
}

static bool add_header(struct sl_http_request *request, const char *line)
{
	struct curl_slist *headers = sl_curl.slist_append(request->headers, line);

	if (headers)
		request->headers = headers;
	return headers != NULL;
}

static int prepare(
	struct sl_http_request *request, const struct sl_http_ask *ask, struct sl_error *err)
{
	/* Else a large body waits a second for servers that don't know of it. */
	bool ok = add_header(request, "Expect:");
	CURLcode code = CURLE_OUT_OF_MEMORY;

	for (size_t i = 0; ask->headers && ask->headers[i] && ok; i++)
		ok = add_header(request, ask->headers[i]);
	request->easy = ok ? sl_curl.easy_init() : NULL;
	if (request->easy)
		code = set_method(request->easy, ask);
	if (code == CURLE_OK)
		code = set_behaviour(request->easy, ask);
	if (code == CURLE_OK)
		code = set_ends(request->easy, request);
	return code == CURLE_OK ? 0
	                        : sl_fail(err, SL_EINVALID, "%s: %s", request->name,
					  sl_curl.easy_strerror(code));
}

int sl_http_start(struct sl_http *http, const struct sl_http_ask *ask,
	struct sl_http_request **out, struct sl_error *err)
{
	struct sl_http_request *request;
	int code = sl_curl_library_load(err);

	if (code != 0)
		return code;
	request = new_request(http, ask);
	if (!request)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	code = prepare(request, ask, err);
	if (code == 0) {
		sl_handle_ref(&request->handle);
		code = sl_reactor_post(http->reactor, begin, request, err);
		if (code != 0)
			sl_handle_unref(&request->handle);
	}
	if (code != 0) {
		sl_handle_unref(&request->handle);
		return code;
	}
	pthread_mutex_lock(&http->lock);
	http->used = true;
	pthread_mutex_unlock(&http->lock);
	*out = request;
	return 0;
}

struct sl_handle *sl_http_handle(struct sl_http_request *request)
{
	return &request->handle;
}

const struct sl_http_answer *sl_http_answer(const struct sl_http_request *request)
{
	return &request->reply.answer;
}

/* ---- waiting for one ---- */

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_http_request *request = wait->object;
	bool busy;

	(void)goroutine;
	pthread_mutex_lock(&request->lock);
	busy = !request->done;
	if (busy)
		sl_waiters_add(&request->waiters, &wait->waiter);
	pthread_mutex_unlock(&request->lock);
	return busy;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_http_request *request = wait->object;
	bool done;

	(void)goroutine;
	pthread_mutex_lock(&request->lock);
	sl_waiters_remove(&request->waiters, &wait->waiter);
	done = request->done;
	pthread_mutex_unlock(&request->lock);
	if (done)
		return;
	sl_handle_ref(&request->handle);
	/* Without memory for the call it ends at its timeout. */
	if (sl_reactor_post(request->http->reactor, cancel, request, NULL) != 0)
		sl_handle_unref(&request->handle);
}

const struct sl_wait_kind sl_http_wait_kind = {
	.name = "request",
	.external = true,
	.enter = enter,
	.leave = leave,
};

/* ---- life ---- */

struct sl_http *sl_http_new(struct sl_reactor *reactor, struct sl_account *account)
{
	struct sl_http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->reactor = reactor;
	http->account = account;
	pthread_mutex_init(&http->lock, NULL);
	pthread_cond_init(&http->ended_changed, NULL);
	return http;
}

/* On the reactor, behind all that was posted before. */
static void end(void *ctx)
{
	struct sl_http *http = ctx;

	while (http->first)
		finish(http->first, CURLE_ABORTED_BY_CALLBACK);
	sl_http_multi_free(http->multi);
	pthread_mutex_lock(&http->lock);
	http->ended = true;
	pthread_cond_signal(&http->ended_changed);
	pthread_mutex_unlock(&http->lock);
}

void sl_http_free(struct sl_http *http)
{
	if (!http)
		return;
	pthread_mutex_lock(&http->lock);
	if (http->used && sl_reactor_post(http->reactor, end, http, NULL) != 0) {
		/* No memory for a call: what it has stays with the reactor's thread. */
		pthread_mutex_unlock(&http->lock);
		return;
	}
	while (http->used && !http->ended)
		pthread_cond_wait(&http->ended_changed, &http->lock);
	pthread_mutex_unlock(&http->lock);
	pthread_cond_destroy(&http->ended_changed);
	pthread_mutex_destroy(&http->lock);
	free(http);
}
