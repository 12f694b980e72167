/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A fake agent on a loop of the controller's: answers as told, cuts the
 * connection as told, and counts. One job at a time.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/event.h"
#include "controller/loop.h"
#include "proto/endpoint.h"
#include "proto/event_msg.h"
#include "proto/limits.h"
#include "proto/message.h"

struct fake_agent {
	/* What it is told. */
	uint64_t n_events;      /* of its job, the last one terminal */
	enum sl_state terminal; /* what that says; left alone: done */
	uint64_t per_reply;     /* events a reply */
	uint64_t overlap;       /* a reply begins this many events before what was asked for */
	int n_busy;             /* so many submits are refused first */
	int cut_every;          /* 0: never; the connection ends instead of each n-th reply */
	bool restart_on_cut;    /* and what comes back knows nothing */
	bool leave_on_cut;      /* and nobody comes back */
	bool deny;              /* hello is refused */
	bool garbage;           /* events are */
	bool wait_for_cancel;   /* the job ends only when told */
	/* What came of it. */
	int n_submits, n_executed, n_cancels, n_connections, n_replies;
	uint64_t acknowledged;
	bool has_job;
	struct sl_job_id job;
	/* What it is made of. */
	struct sl_loop *loop;
	struct sl_endpoint *endpoint;
	struct sl_watch_fd watch;
	struct sl_alarm alarm;
	uint8_t boot;
	char dir[40];
	char address[100];
	struct sl_conn *waiting; /* the next that waits for a cancel */
	uint32_t waiting_id;
};

static void fake_agent_dispatch(void *ctx)
{
	struct fake_agent *fake = ctx;
	int again = sl_endpoint_dispatch(fake->endpoint);

	if (again >= 0)
		sl_loop_set(fake->loop, &fake->alarm, sl_clock_monotonic_ms() + again,
			fake_agent_dispatch, fake);
}

static void fake_agent_say(struct sl_conn *conn, uint32_t id, const struct sl_reply *reply)
{
	struct sl_buffer bytes = SL_BUFFER_INIT;

	ck_assert_int_eq(sl_reply_encode(reply, &bytes, NULL), 0);
	sl_conn_reply(conn, id, &bytes);
	sl_buffer_deinit(&bytes);
}

static void fake_agent_refuse(
	struct sl_conn *conn, uint32_t id, enum sl_op op, enum sl_code code, const char *msg)
{
	struct sl_reply reply = {
		.op = op, .code = code, .msg = sl_bytes_of(msg), .retry_ms = 20};

	fake_agent_say(conn, id, &reply);
}

/* Event @number as bytes. */
static void fake_agent_event(
	const struct fake_agent *fake, uint64_t number, struct sl_buffer *out)
{
	char text[40];
	struct sl_event event = {.kind = SL_EVENT_LOG, .time_us = 1};

	snprintf(text, sizeof(text), "line %d", (int)number);
	if (number == fake->n_events) {
		event.kind = SL_EVENT_STATE;
		event.state.state = fake->terminal;
		event.state.why = sl_bytes_of("the end");
	} else {
		event.log.level = SL_LOG_INFO;
		event.log.message = sl_bytes_of(text);
	}
	ck_assert_int_eq(sl_event_encode(&event, out, NULL), 0);
}

static void fake_agent_events(struct fake_agent *fake, struct sl_conn *conn, uint32_t id,
	enum sl_op op, uint64_t after)
{
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_batch batch;
	struct sl_reply reply = {.op = op, .ok = true, .batches = &batch, .n_batches = 1};
	uint64_t last = after + fake->per_reply;

	if (fake->wait_for_cancel && !fake->n_cancels && after + 1 >= fake->n_events) {
		fake->waiting = conn;
		fake->waiting_id = id;
		return;
	}
	if (fake->wait_for_cancel && !fake->n_cancels && last >= fake->n_events)
		last = fake->n_events - 1;
	if (last > fake->n_events)
		last = fake->n_events;
	batch.first = after > fake->overlap ? after + 1 - fake->overlap : 1;
	batch.count = last + 1 - batch.first;
	for (uint64_t n = batch.first; n <= last; n++)
		fake_agent_event(fake, n, &bytes);
	if (fake->garbage)
		memset(bytes.data, 0xc1, bytes.size);
	batch.bytes = sl_buffer_bytes(&bytes);
	reply.last = fake->n_events;
	reply.more = last < fake->n_events;
	reply.state = reply.more ? SL_STATE_RUNNING : fake->terminal;
	fake_agent_say(conn, id, &reply);
	sl_buffer_deinit(&bytes);
}

/* True when the connection went instead of a reply. */
static bool fake_agent_cut(struct fake_agent *fake, struct sl_conn *conn)
{
	if (!fake->cut_every || ++fake->n_replies % fake->cut_every)
		return false;
	if (fake->restart_on_cut) {
		fake->boot++;
		fake->has_job = false;
		fake->cut_every = 0;
	}
	if (fake->leave_on_cut)
		sl_endpoint_stop_listening(fake->endpoint);
	sl_conn_close(conn, 0);
	return true;
}

static void fake_agent_hello(struct fake_agent *fake, struct sl_conn *conn, uint32_t id)
{
	struct sl_reply reply = {.op = SL_OP_HELLO, .ok = true};

	if (fake->deny) {
		fake_agent_refuse(conn, id, SL_OP_HELLO, SL_EDENIED, "who are you?");
		return;
	}
	fake->n_connections++;
	sl_conn_set_welcome(conn);
	reply.hello.name = sl_bytes_of("fake");
	reply.hello.version = sl_bytes_of("1");
	memset(reply.hello.boot, fake->boot, sizeof(reply.hello.boot));
	fake_agent_say(conn, id, &reply);
}

static void fake_agent_submit(struct fake_agent *fake, struct sl_conn *conn, uint32_t id,
	const struct sl_request *request)
{
	fake->n_submits++;
	if (fake->n_busy > 0) {
		fake->n_busy--;
		fake_agent_refuse(conn, id, SL_OP_SUBMIT, SL_EBUSY, "full");
		return;
	}
	if (!fake->has_job || memcmp(&fake->job, &request->job, sizeof(fake->job)) != 0)
		fake->n_executed++;
	fake->has_job = true;
	fake->job = request->job;
	if (!fake_agent_cut(fake, conn))
		fake_agent_events(fake, conn, id, SL_OP_SUBMIT, request->after);
}

static void fake_agent_cancel(struct fake_agent *fake, struct sl_conn *conn, uint32_t id)
{
	struct sl_reply reply = {.op = SL_OP_CANCEL, .ok = true, .state = SL_STATE_RUNNING};

	fake->n_cancels++;
	fake->terminal = SL_STATE_CANCELLED;
	fake_agent_say(conn, id, &reply);
	if (fake->waiting)
		fake_agent_events(
			fake, fake->waiting, fake->waiting_id, SL_OP_NEXT, fake->n_events - 1);
	fake->waiting = NULL;
}

static void fake_agent_request(
	void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct fake_agent *fake = ctx;
	struct sl_request request;

	ck_assert_int_eq(sl_request_decode(body, &request, NULL), 0);
	switch (request.op) {
	case SL_OP_HELLO:
		fake_agent_hello(fake, conn, id);
		break;
	case SL_OP_SUBMIT:
		fake_agent_submit(fake, conn, id, &request);
		break;
	case SL_OP_NEXT:
		fake->acknowledged = request.after;
		if (!fake->has_job)
			fake_agent_refuse(conn, id, SL_OP_NEXT, SL_ENOT_FOUND, "no such job");
		else if (!fake_agent_cut(fake, conn))
			fake_agent_events(fake, conn, id, SL_OP_NEXT, request.after);
		break;
	case SL_OP_CANCEL:
		fake_agent_cancel(fake, conn, id);
		break;
	case SL_OP_JOBS:
	case SL_OP_STAT:
	case SL_OP_FORGET:
		fake_agent_refuse(conn, id, request.op, SL_EINVALID, "not here");
		break;
	}
}

static void fake_agent_opened(void *ctx, struct sl_conn *conn)
{
	(void)ctx;
	(void)conn;
}

static void fake_agent_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct fake_agent *fake = ctx;

	(void)why;
	if (fake->waiting == conn)
		fake->waiting = NULL;
}

/* @fake is zeroed but for what it is told. */
static void fake_agent_start(struct fake_agent *fake, struct sl_loop *loop)
{
	static const struct sl_endpoint_ops ops = {.opened = fake_agent_opened,
		.request = fake_agent_request,
		.closed = fake_agent_closed};
	struct sl_error err;
	char url[80];

	strcpy(fake->dir, "/tmp/sloth-fake-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake->dir));
	snprintf(url, sizeof(url), "ipc://%s/sock", fake->dir);
	fake->loop = loop;
	if (!sl_state_is_terminal(fake->terminal))
		fake->terminal = SL_STATE_DONE;
	ck_assert_int_eq(sl_endpoint_new(&ops, fake, 10, &fake->endpoint, &err), 0);
	ck_assert_int_eq(sl_endpoint_listen(fake->endpoint, url, 0600, fake->address,
				 sizeof(fake->address), &err),
		0);
	sl_loop_watch(
		loop, &fake->watch, sl_endpoint_fd(fake->endpoint), fake_agent_dispatch, fake);
	fake_agent_dispatch(fake);
}

static void fake_agent_stop(struct fake_agent *fake)
{
	sl_loop_unwatch(fake->loop, &fake->watch);
	sl_loop_unset(fake->loop, &fake->alarm);
	sl_endpoint_free(fake->endpoint);
	rmdir(fake->dir);
}
