/* SPDX-License-Identifier: MIT */
#include "agent/pulse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/jobs.h"
#include "agent/loop.h"
#include "agent/service.h"
#include "common/buffer.h"
#include "common/error.h"
#include "proto/endpoint.h"
#include "proto/message.h"

/* One of our own addresses, and the connection to it. */
struct visit {
	TAILQ_ENTRY(visit) link; /* sl_pulse.visits */
	char *url;
	struct sl_conn *conn; /* NULL: none is left of it */
	enum {
		ASKED,
		ANSWERED,
		FAILED,
	} state;
	char why[160]; /* it failed */
};

struct asker {
	TAILQ_ENTRY(asker) link; /* sl_pulse.askers */
	void (*fn)(void *ctx, const struct sl_pulse_report *report);
	void *ctx;
};

TAILQ_HEAD(asker_list, asker);

struct sl_pulse {
	struct sl_loop *loop;
	struct sl_jobs *jobs;
	struct sl_service *service;
	struct sl_endpoint *endpoint; /* dials alone */
	struct sl_loop_watch *watch;
	struct sl_loop_timer *due;      /* the endpoint's */
	struct sl_loop_timer *patience; /* set: it is being felt */
	TAILQ_HEAD(, visit) visits;
	struct asker_list askers;
	bool not_listening; /* and not meant to */
	bool spawner_answered;
	bool beginning; /* nobody is told before all have been asked */
};

/* ---- what came of it ---- */

static void add_reason(struct sl_pulse_report *report, const char *fmt, ...) sl_printf(2, 3);

static void add_reason(struct sl_pulse_report *report, const char *fmt, ...)
{
	size_t at = strlen(report->why);
	va_list args;

	if (at > 0)
		at += (size_t)snprintf(report->why + at, sizeof(report->why) - at, "; ");
	if (at >= sizeof(report->why))
		return;
	va_start(args, fmt);
	vsnprintf(report->why + at, sizeof(report->why) - at, fmt, args);
	va_end(args);
}

static void report_listeners(const struct sl_pulse *pulse, struct sl_pulse_report *out)
{
	const struct visit *visit;
	bool any = TAILQ_EMPTY(&pulse->visits);

	TAILQ_FOREACH(visit, &pulse->visits, link)
	{
		if (visit->state == ANSWERED)
			any = true;
		else
			add_reason(out, "%s: %s", visit->url,
				visit->state == ASKED ? "no answer" : visit->why);
	}
	out->progress = out->progress && any;
}

static void write_report(const struct sl_pulse *pulse, struct sl_pulse_report *out)
{
	struct sl_jobs_numbers numbers;

	*out = (struct sl_pulse_report){.progress = pulse->spawner_answered};
	sl_jobs_count(pulse->jobs, &numbers);
	if (numbers.draining)
		add_reason(out, "draining: no new task is accepted");
	if (numbers.crew.spawner == 0)
		add_reason(out, "the spawner is gone");
	else if (!pulse->spawner_answered)
		add_reason(out, "the spawner does not answer");
	if (sl_loop_was_late(pulse->loop))
		add_reason(out, "the loop was late by more than %d ms", SL_LOOP_LATE_MS);
	report_listeners(pulse, out);
}

static void tell(struct sl_pulse *pulse)
{
	struct asker_list askers = TAILQ_HEAD_INITIALIZER(askers);
	struct sl_pulse_report report;
	struct asker *asker;

	sl_loop_timer_clear(pulse->patience);
	sl_jobs_ping(pulse->jobs, NULL, NULL);
	write_report(pulse, &report);
	/* Who asks again from within is told the next time. */
	TAILQ_CONCAT(&askers, &pulse->askers, link);
	while ((asker = TAILQ_FIRST(&askers))) {
		TAILQ_REMOVE(&askers, asker, link);
		asker->fn(asker->ctx, &report);
		free(asker);
	}
}

static void tell_if_all_is_known(struct sl_pulse *pulse)
{
	const struct visit *visit;

	if (pulse->beginning || !sl_loop_timer_is_set(pulse->patience) ||
		!pulse->spawner_answered)
		return;
	TAILQ_FOREACH(visit, &pulse->visits, link)
	if (visit->state == ASKED)
		return;
	tell(pulse);
}

static void on_patience_over(void *ctx)
{
	struct sl_pulse *pulse = ctx;
	struct visit *visit;

	/* What has not answered by now stays ASKED for the report, and is hung up. */
	TAILQ_FOREACH(visit, &pulse->visits, link)
	if (visit->conn)
		sl_conn_close(visit->conn, 0);
	tell(pulse);
}

static void on_spawner(void *ctx)
{
	struct sl_pulse *pulse = ctx;

	pulse->spawner_answered = true;
	tell_if_all_is_known(pulse);
}

/* ---- visiting ourselves ---- */

static void settle(struct sl_pulse *pulse, struct visit *visit, bool answered, const char *why)
{
	if (visit->state != ASKED)
		return;
	visit->state = answered ? ANSWERED : FAILED;
	snprintf(visit->why, sizeof(visit->why), "%.150s", why);
	tell_if_all_is_known(pulse);
}

static void on_opened(void *ctx, struct sl_conn *conn)
{
	static const struct sl_request hello = {.op = SL_OP_HELLO};
	struct sl_buffer body = SL_BUFFER_INIT;
	struct sl_pulse *pulse = ctx;
	struct sl_error err;
	uint32_t id;

	if (sl_request_encode(&hello, &body, &err) == 0) {
		sl_conn_request(conn, &body, &id);
		return;
	}
	sl_buffer_deinit(&body);
	settle(pulse, sl_conn_user(conn), false, err.text);
	sl_conn_close(conn, 0);
}

/* Whatever it says: a welcome, or that one has to sign. */
static void on_reply(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	(void)id;
	(void)body;
	settle(ctx, sl_conn_user(conn), true, "");
	sl_conn_close(conn, 0);
}

/* To be put out at once, since there are too many, is an answer: it went all the way. */
static bool is_full(const struct sl_pulse *pulse)
{
	struct sl_service_numbers numbers;

	sl_service_count(pulse->service, &numbers);
	return numbers.connections >= SL_MAX_CONNECTIONS;
}

static void on_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct visit *visit = sl_conn_user(conn);
	struct sl_pulse *pulse = ctx;

	visit->conn = NULL;
	settle(pulse, visit, why->code == SL_ECLOSED && is_full(pulse), why->text);
}

static const struct sl_endpoint_ops endpoint_ops = {
	.opened = on_opened,
	.reply = on_reply,
	.closed = on_closed,
};

static void dispatch(void *ctx)
{
	struct sl_pulse *pulse = ctx;
	int in_ms = sl_endpoint_dispatch(pulse->endpoint);

	if (in_ms >= 0)
		sl_loop_timer_set(pulse->due, in_ms);
	else
		sl_loop_timer_clear(pulse->due);
}

static void on_fd(void *ctx, unsigned what)
{
	(void)what;
	dispatch(ctx);
}

static void begin_visit(struct sl_pulse *pulse, struct visit *visit)
{
	struct sl_error err;

	visit->state = pulse->not_listening ? ANSWERED : ASKED;
	/* One that has not even come back is no reason for another. */
	if (visit->conn || pulse->not_listening)
		return;
	if (sl_endpoint_dial(pulse->endpoint, visit->url, visit, &visit->conn, &err) < 0)
		settle(pulse, visit, false, err.text);
}

static void begin(struct sl_pulse *pulse)
{
	struct visit *visit;

	sl_loop_timer_set(pulse->patience, SL_PULSE_MS);
	pulse->beginning = true;
	pulse->spawner_answered = false;
	sl_jobs_ping(pulse->jobs, on_spawner, pulse);
	TAILQ_FOREACH(visit, &pulse->visits, link)
	begin_visit(pulse, visit);
	pulse->beginning = false;
}

int sl_pulse_feel(struct sl_pulse *pulse,
	void (*fn)(void *ctx, const struct sl_pulse_report *report), void *ctx,
	struct sl_error *err)
{
	struct asker *asker = calloc(1, sizeof(*asker));

	if (!asker)
		return sl_fail(err, SL_ENOMEM, "no memory to feel the agent's pulse");
	asker->fn = fn;
	asker->ctx = ctx;
	TAILQ_INSERT_TAIL(&pulse->askers, asker, link);
	if (!sl_loop_timer_is_set(pulse->patience))
		begin(pulse);
	return 0;
}

void sl_pulse_forget(struct sl_pulse *pulse, const void *ctx)
{
	struct asker *asker = TAILQ_FIRST(&pulse->askers);

	while (asker) {
		struct asker *next = TAILQ_NEXT(asker, link);

		if (asker->ctx == ctx) {
			TAILQ_REMOVE(&pulse->askers, asker, link);
			free(asker);
		}
		asker = next;
	}
}

/* ---- life ---- */

int sl_pulse_new(struct sl_loop *loop, struct sl_jobs *jobs, struct sl_service *service,
	struct sl_pulse **out, struct sl_error *err)
{
	struct sl_pulse *pulse = calloc(1, sizeof(*pulse));
	int result;

	if (!pulse)
		return sl_fail(err, SL_ENOMEM, "no memory for the agent's pulse");
	pulse->loop = loop;
	pulse->jobs = jobs;
	pulse->service = service;
	TAILQ_INIT(&pulse->visits);
	TAILQ_INIT(&pulse->askers);
	result = sl_endpoint_new(&endpoint_ops, pulse, 0, &pulse->endpoint, err);
	if (result == 0)
		result = sl_loop_timer_new(loop, dispatch, pulse, &pulse->due, err);
	if (result == 0)
		result =
			sl_loop_timer_new(loop, on_patience_over, pulse, &pulse->patience, err);
	if (result == 0)
		result = sl_loop_watch_new(loop, sl_endpoint_fd(pulse->endpoint), SL_LOOP_READ,
			on_fd, pulse, &pulse->watch, err);
	if (result < 0) {
		sl_pulse_free(pulse);
		return result;
	}
	*out = pulse;
	return 0;
}

static void free_visit(struct sl_pulse *pulse, struct visit *visit)
{
	TAILQ_REMOVE(&pulse->visits, visit, link);
	free(visit->url);
	free(visit);
}

void sl_pulse_free(struct sl_pulse *pulse)
{
	struct asker *asker;
	struct visit *visit;

	if (!pulse)
		return;
	sl_jobs_ping(pulse->jobs, NULL, NULL);
	sl_loop_watch_free(pulse->watch);
	sl_loop_timer_free(pulse->due);
	sl_loop_timer_free(pulse->patience);
	sl_endpoint_free(pulse->endpoint);
	while ((visit = TAILQ_FIRST(&pulse->visits)))
		free_visit(pulse, visit);
	while ((asker = TAILQ_FIRST(&pulse->askers))) {
		TAILQ_REMOVE(&pulse->askers, asker, link);
		free(asker);
	}
	free(pulse);
}

int sl_pulse_add(struct sl_pulse *pulse, const char *url, struct sl_error *err)
{
	struct visit *visit = calloc(1, sizeof(*visit));

	if (visit)
		visit->url = strdup(url);
	if (!visit || !visit->url) {
		free(visit);
		return sl_fail(err, SL_ENOMEM, "no memory for the agent's pulse");
	}
	visit->state = ANSWERED;
	TAILQ_INSERT_TAIL(&pulse->visits, visit, link);
	return 0;
}

void sl_pulse_stop_listening(struct sl_pulse *pulse)
{
	struct visit *visit;

	pulse->not_listening = true;
	TAILQ_FOREACH(visit, &pulse->visits, link)
	settle(pulse, visit, true, "");
}
