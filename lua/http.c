/* SPDX-License-Identifier: MIT */
#include "lua/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "lua/reactor.h"

#define MAX_REDIRECTS 10L
#define MAX_IDLE_CONNECTIONS 64L
#define MAX_HEADER_BYTES ((size_t)512 * 1024)

/* Descriptors that are for others, of as many as there may be. */
#define OTHER_FILES 64

struct sl_http {
	struct sl_reactor *reactor;
	struct sl_account *account;
	CURLM *multi;                  /* owner: reactor */
	struct sl_alarm *alarm;        /* owner: reactor */
	struct sl_http_request *first; /* owner: reactor; those that run */

	pthread_mutex_t lock;
	pthread_cond_t ended_changed;
	bool used;  /* guarded by: lock; the reactor knows of it */
	bool ended; /* guarded by: lock */
};

struct sl_http_request {
	struct sl_handle handle; /* first */
	struct sl_http *http;
	struct sl_account *account;
	size_t charged;
	int64_t started_ns;
	size_t max_body_bytes;
	char name[200]; /* "GET http://host/path": for messages */

	CURL *easy;                          /* owner: reactor, once started */
	struct curl_slist *headers;          /* goes with easy */
	char error[CURL_ERROR_SIZE];         /* goes with easy */
	bool running, cancelled, too_large;  /* owner: reactor */
	bool no_memory;                      /* owner: reactor */
	struct sl_http_request *prev, *next; /* owner: reactor */
	struct sl_http_answer answer;        /* owner: reactor, until done */

	pthread_mutex_t lock;
	bool done;                 /* guarded by: lock */
	struct sl_waiters waiters; /* guarded by: lock */
};

/* ---- the end of a request, on the reactor ---- */

static void drop_easy(struct sl_http_request *request)
{
	if (request->easy)
		curl_easy_cleanup(sl_steal(request->easy));
	curl_slist_free_all(sl_steal(request->headers));
}

static int explain(struct sl_http_request *request, CURLcode code)
{
	struct sl_error *err = &request->answer.err;

	if (request->too_large)
		return sl_fail(err, SL_ETOO_LARGE,
			"%s: the answer is larger than %zu bytes (option max_body)",
			request->name, request->max_body_bytes);
	if (request->no_memory || code == CURLE_OUT_OF_MEMORY)
		return sl_fail(err, SL_ENOMEM, "%s: not enough memory", request->name);
	return sl_fail(err, code == CURLE_OPERATION_TIMEDOUT ? SL_ETIMEOUT : SL_ECLOSED,
		"%s: %s", request->name,
		request->error[0] ? request->error : curl_easy_strerror(code));
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
	struct sl_http_answer *answer = &request->answer;

	if (request->running) {
		unlink_request(request);
		curl_multi_remove_handle(request->http->multi, request->easy);
	}
	if (code == CURLE_OK)
		curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &answer->status_code);
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

static void finish_done(struct sl_http *http)
{
	struct sl_http_request *request;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		finish(request, message->data.result);
	}
}

/* ---- what curl waits for, on the reactor ---- */

struct socket {
	struct sl_http *http;
	int fd;
	struct sl_watch *watch;
};

static void on_ready(void *ctx, unsigned what)
{
	struct socket *socket = ctx;
	struct sl_http *http = socket->http; /* socket may go meanwhile */
	int running;

	curl_multi_socket_action(http->multi, socket->fd,
		(what & SL_REACTOR_READ ? CURL_CSELECT_IN : 0) |
			(what & SL_REACTOR_WRITE ? CURL_CSELECT_OUT : 0),
		&running);
	finish_done(http);
}

static struct socket *new_socket(struct sl_http *http, int fd)
{
	struct socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	*socket = (struct socket){.http = http, .fd = fd};
	if (sl_reactor_watch(http->reactor, fd, 0, on_ready, socket, &socket->watch, NULL) !=
		0) {
		free(socket);
		return NULL;
	}
	curl_multi_assign(http->multi, fd, socket);
	return socket;
}

/* curl wants to know when @fd is ready. A failure here fails all requests. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *mine)
{
	struct sl_http *http = ctx;
	struct socket *socket = mine;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			sl_watch_free(socket->watch);
		free(socket);
		curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (!socket)
		socket = new_socket(http, fd);
	if (!socket)
		return -1;
	sl_watch_set(
		socket->watch, (what & CURL_POLL_IN ? (unsigned)SL_REACTOR_READ : 0) |
				       (what & CURL_POLL_OUT ? (unsigned)SL_REACTOR_WRITE : 0));
	return 0;
}

static void on_alarm(void *ctx)
{
	struct sl_http *http = ctx;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_done(http);
}

/* -1: no more; an alarm too many does no harm. */
static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct sl_http *http = ctx;

	(void)multi;
	if (timeout_ms >= 0)
		sl_alarm_set(
			http->alarm, sl_clock_monotonic_ns() + (int64_t)timeout_ms * 1000000);
	return 0;
}

static long most_connections(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > 100000)
		return 100000;
	return files.rlim_cur > 2 * OTHER_FILES ? (long)files.rlim_cur - OTHER_FILES
	                                        : OTHER_FILES;
}

static bool make_multi(struct sl_http *http)
{
	if (http->multi)
		return true;
	if (!http->alarm &&
		sl_alarm_new(http->reactor, on_alarm, http, &http->alarm, NULL) != 0)
		return false;
	http->multi = curl_multi_init();
	if (!http->multi)
		return false;
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, MAX_IDLE_CONNECTIONS);
	curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, most_connections());
	return true;
}

static void begin(void *ctx)
{
	struct sl_http_request *request = ctx;
	struct sl_http *http = request->http;

	if (request->cancelled) {
		finish(request, CURLE_ABORTED_BY_CALLBACK);
		return;
	}
	if (!make_multi(http) ||
		curl_multi_add_handle(http->multi, request->easy) != CURLM_OK) {
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

/* ---- what the server says, on the reactor ---- */

static bool charge(struct sl_http_request *request, size_t size)
{
	if (!sl_account_charge(request->account, size)) {
		request->no_memory = true;
		return false;
	}
	request->charged += size;
	return true;
}

static size_t on_body(char *data, size_t one, size_t size, void *ctx)
{
	struct sl_http_request *request = ctx;
	struct sl_buffer *body = &request->answer.body;

	(void)one;
	if (size > request->max_body_bytes - body->size) {
		request->too_large = true;
		return 0;
	}
	if (!charge(request, size))
		return 0;
	request->no_memory = !sl_buffer_append(body, data, size);
	return request->no_memory ? 0 : size;
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
static void take_status(struct sl_http_request *request, struct sl_bytes line)
{
	const char *space = memchr(line.data, ' ', line.size);
	struct sl_bytes status = {line.data, 0};

	if (space)
		status = trimmed(space, line.size - (size_t)(space - line.data));
	sl_buffer_clear(&request->answer.headers);
	sl_buffer_clear(&request->answer.status);
	sl_buffer_append(&request->answer.status, status.data, status.size);
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

static size_t on_header(char *data, size_t one, size_t size, void *ctx)
{
	struct sl_http_request *request = ctx;
	const char *colon = memchr(data, ':', size);

	(void)one;
	if (size > 5 && memcmp(data, "HTTP/", 5) == 0)
		take_status(request, trimmed(data, size));
	else if (colon && !memchr(data, '\0', size) &&
		 request->answer.headers.size + size < MAX_HEADER_BYTES)
		take_header(&request->answer.headers, trimmed(data, (size_t)(colon - data)),
			trimmed(colon + 1, size - (size_t)(colon + 1 - data)));
	request->no_memory = request->answer.headers.failed || request->answer.status.failed;
	return request->no_memory ? 0 : size;
}

/* ---- starting one ---- */

static void free_request(struct sl_handle *handle)
{
	struct sl_http_request *request = (struct sl_http_request *)handle;

	drop_easy(request);
	sl_buffer_deinit(&request->answer.status);
	sl_buffer_deinit(&request->answer.headers);
	sl_buffer_deinit(&request->answer.body);
	sl_account_release(request->account, request->charged);
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
	request->account = http->account;
	request->started_ns = sl_clock_monotonic_ns();
	request->max_body_bytes = ask->max_body_bytes;
	set_name(request, ask);
	pthread_mutex_init(&request->lock, NULL);
	return request;
}

#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))

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
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, request);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, request);
	SET(CURLOPT_HTTPHEADER, request->headers);
	return code;
}

static bool add_header(struct sl_http_request *request, const char *line)
{
	struct curl_slist *headers = curl_slist_append(request->headers, line);

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
	request->easy = ok ? curl_easy_init() : NULL;
	if (request->easy)
		code = set_method(request->easy, ask);
	if (code == CURLE_OK)
		code = set_behaviour(request->easy, ask);
	if (code == CURLE_OK)
		code = set_ends(request->easy, request);
	return code == CURLE_OK ? 0
	                        : sl_fail(err, SL_EINVALID, "%s: %s", request->name,
					  curl_easy_strerror(code));
}

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int sl_http_start(struct sl_http *http, const struct sl_http_ask *ask,
	struct sl_http_request **out, struct sl_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sl_http_request *request;
	int code;

	pthread_once(&once, init_curl);
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
	return &request->answer;
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
	if (http->multi)
		curl_multi_cleanup(http->multi);
	sl_alarm_free(http->alarm);
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
