/* SPDX-License-Identifier: MIT */
#include "controller/dispatch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "controller/loop.h"
#include "controller/remote.h"
#include "proto/event_msg.h"
#include "proto/identity.h"
#include "proto/limits.h"
#include "proto/message.h"

/* How long a `next` may wait at the agent: what a dead connection is noticed by. */
#define WAIT_MS 10000
/* How long the agent has to confirm that a job's end was heard: then it is told anyway. */
#define SETTLE_MS 1000
#define MIN_RETRY_MS 20
#define MAX_RETRY_MS 10000

struct sl_dispatch {
	struct sl_loop *loop;
	struct sl_dispatch_config config;
	struct sl_buffer task; /* encoded; empty once the agent has the job */
	uint64_t after;        /* number of the last event handed on */
	bool known;            /* the agent has said that it has the job */
	bool doubtful;         /* the agent may have it, but hasn't said so */
	bool told_waiting;
	bool settling; /* its last event came; the agent is told so */
	bool over;
	char *cancel_reason; /* NULL: nobody wants it stopped */
	struct sl_ask *ask;  /* the submit or next under way */
	struct sl_ask *cancel_ask;
	struct sl_alarm retry; /* busy: when to come back */
	struct sl_alarm end;   /* a failure inside a call is told from the loop */
	enum sl_verdict end_verdict;
	char end_why[sizeof(((struct sl_error *)0)->text)];
};

static void ask_on(struct sl_dispatch *d);

static void end(struct sl_dispatch *d, enum sl_verdict verdict, const char *why)
{
	char text[sizeof(d->end_why)];

	if (d->over)
		return;
	/* @why may be in a reply or in ourselves. */
	snprintf(text, sizeof(text), "%s", why);
	d->over = true;
	sl_remote_unask(d->config.remote, sl_steal(d->ask));
	sl_remote_unask(d->config.remote, sl_steal(d->cancel_ask));
	sl_loop_unset(d->loop, &d->retry);
	sl_loop_unset(d->loop, &d->end);
	d->config.ended(d->config.ctx, verdict, text);
}

static void end_now(void *ctx)
{
	struct sl_dispatch *d = ctx;

	end(d, d->end_verdict, d->end_why);
}

/* As end(), from the loop: for calls that must not call back. */
static void end_soon(struct sl_dispatch *d, enum sl_verdict verdict, const char *why)
{
	d->end_verdict = verdict;
	snprintf(d->end_why, sizeof(d->end_why), "%s", why);
	sl_loop_set(d->loop, &d->end, sl_clock_monotonic_ms(), end_now, d);
}

static void on_settled(void *ctx, enum sl_answer answer, const struct sl_reply *reply,
	const struct sl_error *why)
{
	struct sl_dispatch *d = ctx;

	(void)answer;
	(void)reply;
	(void)why;
	d->ask = NULL;
	end_now(d);
}

/* The job's last event came. Before anybody hears, the agent does: what it keeps of the job for
 * us may go. An agent that is stopping may hang up over it, and what it said stays true. */
static void settle(struct sl_dispatch *d, enum sl_verdict verdict, const char *why)
{
	struct sl_request request = {.op = SL_OP_NEXT, .job = d->config.job, .after = d->after};
	struct sl_error err;

	d->settling = true;
	end_soon(d, verdict, why);
	if (sl_remote_ask_once(d->config.remote, &request, on_settled, d, &d->ask, &err) == 0)
		sl_loop_set(d->loop, &d->end, sl_clock_monotonic_ms() + SETTLE_MS, end_now, d);
}

/* The agent is out of reach for good, or won't have us. */
static void end_gone(struct sl_dispatch *d, const struct sl_error *why, bool soon)
{
	enum sl_verdict verdict = SL_VERDICT_UNREACHABLE;

	if (why->code == SL_EDENIED)
		verdict = SL_VERDICT_REFUSED;
	else if (d->known || d->doubtful)
		verdict = SL_VERDICT_UNKNOWN;
	if (soon)
		end_soon(d, verdict, why->text);
	else
		end(d, verdict, why->text);
}

static const char *text_of(struct sl_bytes bytes, char out[300])
{
	snprintf(out, 300, "%.*s", (int)(bytes.size < 299 ? bytes.size : 299),
		bytes.data ? bytes.data : "");
	return out;
}

static enum sl_verdict verdict_of(enum sl_state state)
{
	switch (state) {
	case SL_STATE_DONE:
		return SL_VERDICT_DONE;
	case SL_STATE_FAILED:
		return SL_VERDICT_FAILED;
	case SL_STATE_TIMEOUT:
		return SL_VERDICT_TIMEOUT;
	case SL_STATE_CANCELLED:
		return SL_VERDICT_CANCELLED;
	case SL_STATE_CRASHED:
		return SL_VERDICT_CRASHED;
	case SL_STATE_REFUSED:
		return SL_VERDICT_REFUSED;
	case SL_STATE_ACCEPTED:
	case SL_STATE_RUNNING:
	case SL_STATE_LOST:
		break;
	}
	return SL_VERDICT_LOST;
}

/* One event; a terminal state ends the job. */
static void take_event(struct sl_dispatch *d, uint64_t number, const struct sl_event *event)
{
	char why[300];

	d->after = number;
	d->config.event(d->config.ctx, number, event);
	if (event->kind == SL_EVENT_STATE && sl_state_is_terminal(event->state.state))
		settle(d, verdict_of(event->state.state), text_of(event->state.why, why));
}

static int take_batch(struct sl_dispatch *d, const struct sl_batch *batch, struct sl_error *err)
{
	sl_cleanup(sl_parcel_freep) struct sl_parcel *parcel =
		sl_parcel_new(SL_MAX_PARCEL_BYTES);
	size_t at = 0;

	if (!parcel)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	if (batch->first > d->after + 1)
		sl_log(SL_LOG_WARNING,
			"%s has events %" PRIu64 " to %" PRIu64
			" no more: somebody has taken them already",
			sl_remote_name(d->config.remote), d->after + 1, batch->first - 1);
	for (uint64_t i = 0; i < batch->count && !d->settling; i++) {
		struct sl_event event;
		int rc = sl_event_decode(batch->bytes, &at, parcel, &event, err);

		if (rc)
			return rc;
		/* A reply may begin before what was asked for. */
		if (batch->first + i > d->after)
			take_event(d, batch->first + i, &event);
	}
	return 0;
}

static void take_events(struct sl_dispatch *d, const struct sl_reply *reply)
{
	struct sl_error err;

	for (size_t i = 0; i < reply->n_batches && !d->settling && !d->over; i++)
		if (take_batch(d, &reply->batches[i], &err)) {
			char text[400];

			snprintf(text, sizeof(text), "an event makes no sense: %.300s",
				err.text);
			end(d, SL_VERDICT_UNKNOWN, text);
		}
	/* Its last events went earlier, to whoever asked then. */
	if (!d->over && !d->settling && sl_state_is_terminal(reply->state) && !reply->more &&
		d->after >= reply->last)
		end(d, verdict_of(reply->state), "");
}

static void try_again(void *ctx)
{
	ask_on(ctx);
}

static void wait_for_place(struct sl_dispatch *d, const struct sl_reply *reply)
{
	int64_t ms = reply->retry_ms > MAX_RETRY_MS ? MAX_RETRY_MS : (int64_t)reply->retry_ms;
	char text[300], why[300];
	uint32_t random;

	if (d->cancel_reason) {
		end(d, SL_VERDICT_CANCELLED, d->cancel_reason);
		return;
	}
	if (ms < MIN_RETRY_MS)
		ms = MIN_RETRY_MS;
	sl_random(&random, sizeof(random));
	ms += (int64_t)(random % (uint32_t)ms);
	if (!d->told_waiting) {
		d->told_waiting = true;
		snprintf(text, sizeof(text), "is busy (%.200s); waiting for a place",
			text_of(reply->msg, why));
		d->config.waiting(d->config.ctx, text);
	}
	sl_loop_set(d->loop, &d->retry, sl_clock_monotonic_ms() + ms, try_again, d);
}

static void on_refusal(struct sl_dispatch *d, const struct sl_reply *reply)
{
	char why[300];

	if (!d->known && reply->code == SL_EBUSY) {
		wait_for_place(d, reply);
		return;
	}
	text_of(reply->msg, why);
	if (reply->code == SL_ENOT_FOUND)
		end(d, SL_VERDICT_LOST,
			d->known || d->doubtful
				? "the agent doesn't know the job any more: it was restarted"
				: why);
	else if (reply->code == SL_EDRAINING)
		end(d, SL_VERDICT_UNREACHABLE, why);
	else if (d->known)
		end(d, SL_VERDICT_UNKNOWN, why);
	else
		end(d, SL_VERDICT_REFUSED, why);
}

static void on_answer(void *ctx, enum sl_answer answer, const struct sl_reply *reply,
	const struct sl_error *why)
{
	struct sl_dispatch *d = ctx;

	d->ask = NULL;
	d->doubtful |= answer == SL_ANSWER_GONE || answer == SL_ANSWER_RESTARTED;
	if (answer == SL_ANSWER_GONE || answer == SL_ANSWER_UNSENT) {
		end_gone(d, why, false);
	} else if (answer == SL_ANSWER_RESTARTED) {
		/* Whether the agent that died had begun the task nobody knows: it is asked
		 * for, and never submitted again. */
		sl_buffer_deinit(&d->task);
		ask_on(d);
	} else if (!reply->ok) {
		on_refusal(d, reply);
	} else {
		d->known = true;
		sl_buffer_deinit(&d->task);
		take_events(d, reply);
		d->config.caught_up(d->config.ctx);
		if (!d->over && !d->settling)
			ask_on(d);
	}
}

/* The next request: submit until the agent has the job, then next. */
static void ask_on(struct sl_dispatch *d)
{
	struct sl_request request = {
		.op = d->task.size ? SL_OP_SUBMIT : SL_OP_NEXT,
		.job = d->config.job,
		.task = sl_buffer_bytes(&d->task),
		.after = d->after,
		.wait_ms = WAIT_MS,
	};
	struct sl_error err;

	if (sl_remote_ask(d->config.remote, &request, on_answer, d, &d->ask, &err))
		end_gone(d, &err, true);
}

int sl_dispatch_new(struct sl_loop *loop, const struct sl_dispatch_config *config,
	struct sl_dispatch **out, struct sl_error *err)
{
	struct sl_dispatch *d = calloc(1, sizeof(*d));

	if (!d || !sl_buffer_append(&d->task, config->task.data, config->task.size)) {
		free(d);
		return sl_fail(err, SL_ENOMEM, "out of memory");
	}
	d->loop = loop;
	d->config = *config;
	d->after = config->after;
	*out = d;
	ask_on(d);
	return 0;
}

void sl_dispatch_free(struct sl_dispatch *dispatch)
{
	if (!dispatch)
		return;
	sl_remote_unask(dispatch->config.remote, dispatch->ask);
	sl_remote_unask(dispatch->config.remote, dispatch->cancel_ask);
	sl_loop_unset(dispatch->loop, &dispatch->retry);
	sl_loop_unset(dispatch->loop, &dispatch->end);
	sl_buffer_deinit(&dispatch->task);
	free(dispatch->cancel_reason);
	free(dispatch);
}

static void on_cancel_answer(void *ctx, enum sl_answer answer, const struct sl_reply *reply,
	const struct sl_error *why)
{
	struct sl_dispatch *d = ctx;

	/* What came of it the job's own events say; a refusal is worth a line. */
	d->cancel_ask = NULL;
	(void)why;
	if (answer == SL_ANSWER_REPLY && !reply->ok) {
		char text[300];

		sl_log(SL_LOG_WARNING, "%s didn't cancel: %s", sl_remote_name(d->config.remote),
			text_of(reply->msg, text));
	}
}

void sl_dispatch_cancel(struct sl_dispatch *d, const char *reason)
{
	struct sl_request request = {
		.op = SL_OP_CANCEL, .job = d->config.job, .reason = sl_bytes_of(reason)};
	struct sl_error err;

	if (d->over || d->settling || d->cancel_reason)
		return;
	d->cancel_reason = strdup(reason);
	/* Nothing runs yet: there is nobody to ask. */
	if (!d->cancel_reason || !sl_dispatch_was_sent(d)) {
		end_soon(d, SL_VERDICT_CANCELLED, reason);
		return;
	}
	if (sl_remote_ask(
		    d->config.remote, &request, on_cancel_answer, d, &d->cancel_ask, &err))
		end_gone(d, &err, true);
}

bool sl_dispatch_was_sent(const struct sl_dispatch *dispatch)
{
	return dispatch->known || dispatch->doubtful || sl_remote_was_sent(dispatch->ask);
}

uint64_t sl_dispatch_last(const struct sl_dispatch *dispatch)
{
	return dispatch->after;
}
