/* SPDX-License-Identifier: MIT */
#include "lua/modules/http_multi.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "lua/modules/curl_library.h"
#include "lua/schedule/reactor.h"

#define MAX_IDLE_CONNECTIONS 64L

/* Descriptors that are for others, of as many as there may be. */
#define OTHER_FILES 64

struct sl_http_multi {
	struct sl_reactor *reactor;
	CURLM *curl;
	struct sl_alarm *alarm;
	void (*done)(CURL *easy, CURLcode code);
};

struct socket {
	struct sl_http_multi *multi;
	int fd;
	struct sl_watch *watch;
};

static void tell_done(struct sl_http_multi *multi)
{
	CURLMsg *message;
	int left;

	while ((message = sl_curl.multi_info_read(multi->curl, &left)))
		if (message->msg == CURLMSG_DONE)
			multi->done(message->easy_handle, message->data.result);
}

static void on_ready(void *ctx, unsigned what)
{
	struct socket *socket = ctx;
	struct sl_http_multi *multi = socket->multi; /* socket may go meanwhile */
	int running;

	sl_curl.multi_socket_action(multi->curl, socket->fd,
		(what & SL_REACTOR_READ ? CURL_CSELECT_IN : 0) |
			(what & SL_REACTOR_WRITE ? CURL_CSELECT_OUT : 0),
		&running);
	tell_done(multi);
}

static struct socket *new_socket(struct sl_http_multi *multi, int fd)
{
	struct socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	*socket = (struct socket){.multi = multi, .fd = fd};
	if (sl_reactor_watch(multi->reactor, fd, 0, on_ready, socket, &socket->watch, NULL) !=
		0) {
		free(socket);
		return NULL;
	}
	sl_curl.multi_assign(multi->curl, fd, socket);
	return socket;
}

/* curl wants to know when @fd is ready. A failure here fails all requests. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *mine)
{
	struct sl_http_multi *multi = ctx;
	struct socket *socket = mine;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			sl_watch_free(socket->watch);
		free(socket);
		sl_curl.multi_assign(multi->curl, fd, NULL);
		return 0;
	}
	if (!socket)
		socket = new_socket(multi, fd);
	if (!socket)
		return -1;
	sl_watch_set(
		socket->watch, (what & CURL_POLL_IN ? (unsigned)SL_REACTOR_READ : 0) |
				       (what & CURL_POLL_OUT ? (unsigned)SL_REACTOR_WRITE : 0));
	return 0;
}

static void on_alarm(void *ctx)
{
	struct sl_http_multi *multi = ctx;
	int running;

	sl_curl.multi_socket_action(multi->curl, CURL_SOCKET_TIMEOUT, 0, &running);
	tell_done(multi);
}

/* -1: no more; an alarm too many does no harm. */
static int on_timer(CURLM *curl, long timeout_ms, void *ctx)
{
	struct sl_http_multi *multi = ctx;

	(void)curl;
	if (timeout_ms >= 0)
		sl_alarm_set(
			multi->alarm, sl_clock_monotonic_ns() + (int64_t)timeout_ms * 1000000);
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

static void set_up(struct sl_http_multi *multi)
{
	sl_curl.multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	sl_curl.multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
	sl_curl.multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, on_timer);
	sl_curl.multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
	sl_curl.multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, MAX_IDLE_CONNECTIONS);
	sl_curl.multi_setopt(multi->curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, most_connections());
}

struct sl_http_multi *sl_http_multi_new(
	struct sl_reactor *reactor, void (*done)(CURL *easy, CURLcode code))
{
	struct sl_http_multi *multi = calloc(1, sizeof(*multi));

	if (!multi)
		return NULL;
	*multi = (struct sl_http_multi){.reactor = reactor, .done = done};
	multi->curl = sl_curl.multi_init();
	if (!multi->curl || sl_alarm_new(reactor, on_alarm, multi, &multi->alarm, NULL) != 0) {
		sl_http_multi_free(multi);
		return NULL;
	}
	set_up(multi);
	return multi;
}

void sl_http_multi_free(struct sl_http_multi *multi)
{
	if (!multi)
		return;
	if (multi->curl)
		sl_curl.multi_cleanup(multi->curl);
	if (multi->alarm)
		sl_alarm_free(multi->alarm);
	free(multi);
}

bool sl_http_multi_add(struct sl_http_multi *multi, CURL *easy)
{
	return sl_curl.multi_add_handle(multi->curl, easy) == CURLM_OK;
}

void sl_http_multi_remove(struct sl_http_multi *multi, CURL *easy)
{
	sl_curl.multi_remove_handle(multi->curl, easy);
}
