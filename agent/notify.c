/* SPDX-License-Identifier: MIT */
#include "agent/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/loop.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"

#define STATUS_EVERY_MS 1000

/* One look that failed is not the end: the dog bites after two of its meals. */
#define FEEL_AGAIN_MS 1000

struct sl_notify {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t address_size;
	const struct sl_notify_ops *ops;
	void *ctx;
	struct sl_loop_timer *status;
	int64_t told_ms; /* monotonic: the last status */
	struct sl_loop_timer *watchdog;
	int64_t feed_every_ms; /* 0: there is no watchdog */
	bool ready;
	bool stopping;
};

static void tell(struct sl_notify *notify, const char *text)
{
	/* It must not hold up the loop, and what it misses the next one says. */
	if (sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		    (const struct sockaddr *)&notify->address, notify->address_size) < 0)
		sl_log(SL_LOG_DEBUG, "the service manager was not told: %s", strerror(errno));
}

/* Tells @what, and what the agent is about. */
static void tell_status(struct sl_notify *notify, const char *what)
{
	char status[160] = "", text[256];

	notify->told_ms = sl_clock_monotonic_ms();
	notify->ops->describe(notify->ctx, status, sizeof(status));
	snprintf(text, sizeof(text), "%sSTATUS=%s", what, status);
	tell(notify, text);
}

static void on_status(void *ctx)
{
	tell_status(ctx, "");
}

static void on_watchdog(void *ctx)
{
	struct sl_notify *notify = ctx;

	notify->ops->feel(notify->ctx);
}

void sl_notify_feed(struct sl_notify *notify, bool progress)
{
	int64_t next_ms = notify->feed_every_ms;

	if (progress)
		tell(notify, "WATCHDOG=1");
	else if (next_ms > FEEL_AGAIN_MS)
		next_ms = FEEL_AGAIN_MS;
	sl_loop_timer_set(notify->watchdog, next_ms);
}

/* Twice as often as is asked for; 0 where nobody asks, or not us. */
static int64_t watchdog_interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long us = usec ? strtoll(usec, NULL, 10) : 0;

	if (us <= 0 || (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	return us > 2000 ? us / 2000 : 1;
}

static int open_socket(struct sl_notify *notify, const char *path, struct sl_error *err)
{
	size_t size = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || size >= sizeof(notify->address.sun_path))
		return sl_fail(err, SL_EINVALID,
			"NOTIFY_SOCKET is '%.120s', which is no socket's path", path);
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, path, size + 1);
	if (path[0] == '@')
		notify->address.sun_path[0] = 0; /* an abstract name */
	notify->address_size =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '/'));
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		return sl_fail_errno(err, errno, "cannot make a socket to notify with");
	return 0;
}

int sl_notify_new(struct sl_loop *loop, const struct sl_notify_ops *ops, void *ctx,
	struct sl_notify **out, struct sl_error *err)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sl_notify *notify = calloc(1, sizeof(*notify));
	int result = 0;

	if (!notify)
		return sl_fail(err, SL_ENOMEM, "no memory to notify");
	notify->fd = -1;
	notify->ops = ops;
	notify->ctx = ctx;
	if (path && *path)
		result = open_socket(notify, path, err);
	if (result == 0 && notify->fd >= 0)
		notify->feed_every_ms = watchdog_interval();
	if (result == 0)
		result = sl_loop_timer_new(loop, on_status, notify, &notify->status, err);
	if (result == 0)
		result = sl_loop_timer_new(loop, on_watchdog, notify, &notify->watchdog, err);
	if (result < 0) {
		sl_notify_free(notify);
		return result;
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	*out = notify;
	return 0;
}

void sl_notify_free(struct sl_notify *notify)
{
	if (!notify)
		return;
	sl_loop_timer_free(notify->status);
	sl_loop_timer_free(notify->watchdog);
	if (notify->fd >= 0)
		close(notify->fd);
	free(notify);
}

void sl_notify_reloading(struct sl_notify *notify)
{
	char text[64];

	if (!notify || !notify->ready)
		return;
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)(sl_clock_monotonic_ns() / 1000));
	tell(notify, text);
}

void sl_notify_ready(struct sl_notify *notify)
{
	if (!notify || notify->fd < 0)
		return;
	notify->ready = true;
	tell_status(notify, "READY=1\n");
	if (notify->feed_every_ms > 0)
		sl_loop_timer_set(notify->watchdog, notify->feed_every_ms);
}

void sl_notify_changed(struct sl_notify *notify)
{
	int64_t wait_ms;

	if (!notify || !notify->ready || sl_loop_timer_is_set(notify->status))
		return;
	wait_ms = notify->told_ms + STATUS_EVERY_MS - sl_clock_monotonic_ms();
	sl_loop_timer_set(notify->status, wait_ms > 0 ? wait_ms : 0);
}

void sl_notify_stopping(struct sl_notify *notify)
{
	if (!notify || notify->fd < 0 || notify->stopping)
		return;
	notify->stopping = true;
	tell_status(notify, "STOPPING=1\n");
}
