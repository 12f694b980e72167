/* SPDX-License-Identifier: MIT */
#include "controller/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "proto/endpoint.h"

#define MAX_WATCHES 16

struct sl_loop {
	struct sl_endpoint *endpoint;
	int signals;
	void (*on_signal)(void *ctx, int number);
	void *on_signal_ctx;
	TAILQ_HEAD(, sl_alarm) alarms;     /* sl_alarm.link, the earliest first */
	TAILQ_HEAD(, sl_watch_fd) watches; /* sl_watch_fd.link */
	bool stopped;
};

static int open_signals(struct sl_error *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	/* What we were started to ignore, as nohup does, we ignore. */
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&set, numbers[i]);
	/* Before the network's threads start: they inherit the mask. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? sl_fail_errno(err, errno, "can't listen for signals") : fd;
}

int sl_loop_new(const struct sl_endpoint_ops *ops, struct sl_loop **out, struct sl_error *err)
{
	struct sl_loop *loop = calloc(1, sizeof(*loop));
	int rc;

	if (!loop)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	TAILQ_INIT(&loop->alarms);
	TAILQ_INIT(&loop->watches);
	loop->signals = open_signals(err);
	if (loop->signals < 0) {
		rc = loop->signals;
		goto free_loop;
	}
	rc = sl_endpoint_new(ops, NULL, 1, &loop->endpoint, err);
	if (rc)
		goto close_signals;
	*out = loop;
	return 0;

close_signals:
	close(loop->signals);
free_loop:
	free(loop);
	return rc;
}

void sl_loop_free(struct sl_loop *loop)
{
	if (!loop)
		return;
	sl_endpoint_free(loop->endpoint);
	close(loop->signals);
	free(loop);
}

struct sl_endpoint *sl_loop_endpoint(struct sl_loop *loop)
{
	return loop->endpoint;
}

void sl_loop_on_signal(struct sl_loop *loop, void (*fn)(void *ctx, int number), void *ctx)
{
	loop->on_signal = fn;
	loop->on_signal_ctx = ctx;
}

void sl_loop_set(struct sl_loop *loop, struct sl_alarm *alarm, int64_t at_ms,
	void (*fn)(void *ctx), void *ctx)
{
	struct sl_alarm *later;

	sl_loop_unset(loop, alarm);
	alarm->at_ms = at_ms;
	alarm->fn = fn;
	alarm->ctx = ctx;
	alarm->set = true;
	TAILQ_FOREACH(later, &loop->alarms, link)
	if (later->at_ms > at_ms)
		break;
	if (later)
		TAILQ_INSERT_BEFORE(later, alarm, link);
	else
		TAILQ_INSERT_TAIL(&loop->alarms, alarm, link);
}

void sl_loop_unset(struct sl_loop *loop, struct sl_alarm *alarm)
{
	if (alarm->set)
		TAILQ_REMOVE(&loop->alarms, alarm, link);
	alarm->set = false;
}

void sl_loop_watch(struct sl_loop *loop, struct sl_watch_fd *watch, int fd,
	void (*fn)(void *ctx), void *ctx)
{
	sl_loop_unwatch(loop, watch);
	watch->fd = fd;
	watch->fn = fn;
	watch->ctx = ctx;
	watch->set = true;
	TAILQ_INSERT_TAIL(&loop->watches, watch, link);
}

void sl_loop_unwatch(struct sl_loop *loop, struct sl_watch_fd *watch)
{
	if (watch->set)
		TAILQ_REMOVE(&loop->watches, watch, link);
	watch->set = false;
}

static void ring(struct sl_loop *loop)
{
	int64_t now = sl_clock_monotonic_ms();
	struct sl_alarm *alarm;

	while (!loop->stopped && (alarm = TAILQ_FIRST(&loop->alarms)) && alarm->at_ms <= now) {
		sl_loop_unset(loop, alarm);
		alarm->fn(alarm->ctx);
	}
}

/* @wait_ms: until the endpoint wants to be called, -1 for never. */
static int until_next(const struct sl_loop *loop, int wait_ms)
{
	const struct sl_alarm *alarm = TAILQ_FIRST(&loop->alarms);
	int64_t left;

	if (!alarm)
		return wait_ms;
	left = alarm->at_ms - sl_clock_monotonic_ms();
	if (left < 0)
		left = 0;
	return wait_ms < 0 || left < wait_ms ? (int)(left > 60000 ? 60000 : left) : wait_ms;
}

static void take_signals(struct sl_loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (loop->on_signal)
			loop->on_signal(loop->on_signal_ctx, (int)info.ssi_signo);
		else
			sl_loop_stop(loop);
}

/* A callback may take watches away, its own or others: look again after each. */
static void call_watch(struct sl_loop *loop, int fd)
{
	struct sl_watch_fd *watch;

	TAILQ_FOREACH(watch, &loop->watches, link)
	if (watch->fd == fd) {
		watch->fn(watch->ctx);
		return;
	}
}

static void wait_once(struct sl_loop *loop, int wait_ms)
{
	struct pollfd fds[2 + MAX_WATCHES];
	struct sl_watch_fd *watch;
	nfds_t n = 2;

	fds[0] = (struct pollfd){.fd = loop->signals, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = sl_endpoint_fd(loop->endpoint), .events = POLLIN};
	TAILQ_FOREACH(watch, &loop->watches, link)
	{
		assert(n < 2 + MAX_WATCHES);
		fds[n++] = (struct pollfd){.fd = watch->fd, .events = POLLIN};
	}
	if (poll(fds, n, until_next(loop, wait_ms)) <= 0)
		return;
	if (fds[0].revents)
		take_signals(loop);
	for (nfds_t i = 2; i < n && !loop->stopped; i++)
		if (fds[i].revents)
			call_watch(loop, fds[i].fd);
}

void sl_loop_run(struct sl_loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped) {
		int wait_ms = sl_endpoint_dispatch(loop->endpoint);

		ring(loop);
		if (!loop->stopped)
			wait_once(loop, wait_ms);
	}
}

void sl_loop_stop(struct sl_loop *loop)
{
	loop->stopped = true;
}
