/* SPDX-License-Identifier: MIT */
#include "agent/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/jobs.h"
#include "agent/peer.h"
#include "agent/vitals.h"
#include "agent/waiter.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/endpoint.h"
#include "proto/limits.h"

#define MAX_BATCHES 1024
#define MAX_ROWS 1000
#define DEFAULT_ROWS 100

bool sl_answers_all_told(struct sl_answers *answers)
{
	struct sl_record *record = NULL;

	while ((record = sl_store_next(sl_jobs_store(answers->jobs), record)))
		if (record->delivered < record->ring.last)
			return false;
	return true;
}

static void send_events(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	enum sl_op op, struct sl_record *record, uint64_t after, uint64_t max_bytes)
{
	struct sl_batch batches[MAX_BATCHES];
	struct sl_reply reply = {.op = op,
		.ok = true,
		.state = record->state,
		.batches = batches,
		.last = record->ring.last};

	if (max_bytes == 0 || max_bytes > SL_MAX_REPLY_EVENT_BYTES)
		max_bytes = SL_MAX_REPLY_EVENT_BYTES;
	/* One that doesn't read gets the least: the events are kept for it anyway. */
	if (sl_conn_backlog(peer->conn) > SL_MAX_BACKLOG_BYTES)
		max_bytes = 1;
	reply.n_batches = sl_store_read(sl_jobs_store(answers->jobs), record, after, max_bytes,
		batches, MAX_BATCHES, &reply.more);
	sl_peer_reply(peer, id, &reply);
	if (!reply.more)
		record->delivered = record->ring.last;
	answers->told(answers->ctx);
}

static void answer(struct sl_answers *answers, struct sl_waiter *waiter)
{
	send_events(answers, waiter->peer, waiter->id,
		waiter->is_submit ? SL_OP_SUBMIT : SL_OP_NEXT, waiter->job->record,
		waiter->after, waiter->max_bytes);
	sl_waiter_free(waiter);
}

static void on_expired(void *ctx, struct sl_waiter *waiter)
{
	answer(ctx, waiter);
}

void sl_answers_job_changed(struct sl_answers *answers, struct sl_job *job)
{
	bool ended = sl_state_is_terminal(job->record->state);
	struct sl_waiter *waiter = TAILQ_FIRST(&job->waiters);

	while (waiter) {
		struct sl_waiter *next = TAILQ_NEXT(waiter, of_job);

		if (ended || job->record->ring.last > waiter->worth_after)
			answer(answers, waiter);
		waiter = next;
	}
}

/* Answers with events now, or later when there are some. */
static void answer_with_events(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request, struct sl_record *record)
{
	int64_t wait_ms =
		request->wait_ms < SL_MAX_WAIT_MS ? (int64_t)request->wait_ms : SL_MAX_WAIT_MS;
	bool is_submit = request->op == SL_OP_SUBMIT;
	struct sl_waiter *waiter;
	struct sl_error err;

	if (request->after > record->ring.last) {
		sl_fail(&err, SL_EINVALID, "after=%llu is beyond the job's last event, %llu",
			(unsigned long long)request->after,
			(unsigned long long)record->ring.last);
		sl_peer_refuse(peer, id, request->op, &err);
		return;
	}
	sl_jobs_acknowledge(answers->jobs, record, request->after);
	if (wait_ms == 0 || !record->live ||
		(!is_submit && record->ring.last > request->after)) {
		send_events(answers, peer, id, request->op, record, request->after,
			request->max_bytes);
		return;
	}
	if (sl_waiter_new(answers->loop, record->live, peer, id, request, wait_ms, on_expired,
		    answers, &waiter, &err) < 0)
		sl_peer_refuse(peer, id, request->op, &err);
}

static void do_submit(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_reply reply = {.op = SL_OP_SUBMIT};
	struct sl_record *record;
	struct sl_error err;
	int result = sl_jobs_submit(
		answers->jobs, request, sl_bytes_of(peer->who), &record, &reply.retry_ms, &err);

	if (result < 0) {
		sl_log(SL_LOG_INFO, "task refused peer=%s reason=%s why=%s", peer->who,
			sl_code_name(err.code), err.text);
		reply.code = err.code;
		reply.msg = sl_bytes_of(err.text);
		sl_peer_reply(peer, id, &reply);
		return;
	}
	answer_with_events(answers, peer, id, request, record);
}

/* The record that the request is about; NULL when there is none, which was answered. */
static struct sl_record *find(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = sl_jobs_find(answers->jobs, &request->job);
	struct sl_error err;

	if (record)
		return record;
	sl_fail(&err, SL_ENOT_FOUND,
		"agent %s doesn't know this job: it never came here, was forgotten, or the "
		"agent was restarted",
		answers->agent_name);
	sl_peer_refuse(peer, id, request->op, &err);
	return NULL;
}

static void do_next(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = find(answers, peer, id, request);

	if (record)
		answer_with_events(answers, peer, id, request, record);
}

static void do_cancel(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = find(answers, peer, id, request);
	struct sl_reply reply = {.op = SL_OP_CANCEL, .ok = true};
	char why[256];

	if (!record)
		return;
	if (request->reason.size > 0)
		snprintf(why, sizeof(why), "%.*s", (int)request->reason.size,
			request->reason.data);
	else
		snprintf(why, sizeof(why), "cancelled");
	sl_jobs_cancel(answers->jobs, record, why, sl_bytes_of(peer->who));
	reply.state = record->state;
	reply.last = record->ring.last;
	sl_peer_reply(peer, id, &reply);
}

static int read_filter(
	struct sl_bytes filter, bool *out_any, enum sl_state *out, struct sl_error *err)
{
	char name[16];

	*out_any = filter.size == 0;
	if (*out_any)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)filter.size, filter.data);
	if (filter.size < sizeof(name) && sl_state_from_name(name, out))
		return 0;
	return sl_fail(err, SL_EINVALID,
		"'%s' is no state of a job: accepted, running, done, failed, timeout, "
		"cancelled, crashed, lost, refused",
		name);
}

static void fill_row(const struct sl_record *record, struct sl_job_row *out)
{
	*out = (struct sl_job_row){.job = record->id,
		.state = record->state,
		.name = record->name,
		.workflow = record->workflow,
		.run = record->run,
		.controller = record->controller,
		.accepted_us = record->accepted_us,
		.started_us = record->started_us,
		.ended_us = record->ended_us,
		.last = record->ring.last};
}

static void do_jobs(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	uint64_t limit = request->limit == 0 ? DEFAULT_ROWS : request->limit;
	struct sl_store *store = sl_jobs_store(answers->jobs);
	struct sl_reply reply = {.op = SL_OP_JOBS, .ok = true};
	enum sl_state state = SL_STATE_ACCEPTED;
	struct sl_record *record = NULL;
	struct sl_job_row *rows;
	struct sl_error err;
	bool any;

	if (limit > MAX_ROWS)
		limit = MAX_ROWS;
	if (read_filter(request->filter, &any, &state, &err) < 0) {
		sl_peer_refuse(peer, id, SL_OP_JOBS, &err);
		return;
	}
	rows = calloc(limit, sizeof(*rows));
	if (!rows) {
		sl_fail(&err, SL_ENOMEM, "no memory for a list of jobs");
		sl_peer_refuse(peer, id, SL_OP_JOBS, &err);
		return;
	}
	while ((record = sl_store_next(store, record))) {
		if (!any && record->state != state)
			continue;
		if (reply.total >= request->offset && reply.n_rows < limit)
			fill_row(record, &rows[reply.n_rows++]);
		reply.total++;
	}
	reply.rows = rows;
	sl_peer_reply(peer, id, &reply);
	free(rows);
}

static void do_stat(struct sl_answers *answers, struct sl_peer *peer, uint32_t id)
{
	struct sl_reply reply = {.op = SL_OP_STAT, .ok = true};

	answers->fill_stat(answers->ctx, &reply.stat);
	sl_jobs_stat(answers->jobs, &reply.stat);
	sl_vitals_take(&reply.stat);
	sl_peer_reply(peer, id, &reply);
}

static void do_forget(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = find(answers, peer, id, request);
	struct sl_error err;

	if (!record)
		return;
	if (sl_jobs_forget(answers->jobs, record, &err) < 0)
		sl_peer_refuse(peer, id, SL_OP_FORGET, &err);
	else
		sl_peer_reply(peer, id, &(struct sl_reply){.op = SL_OP_FORGET, .ok = true});
}

void sl_answers_request(struct sl_answers *answers, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	switch (request->op) {
	case SL_OP_HELLO: /* the service's */
		break;
	case SL_OP_SUBMIT:
		do_submit(answers, peer, id, request);
		break;
	case SL_OP_NEXT:
		do_next(answers, peer, id, request);
		break;
	case SL_OP_CANCEL:
		do_cancel(answers, peer, id, request);
		break;
	case SL_OP_JOBS:
		do_jobs(answers, peer, id, request);
		break;
	case SL_OP_STAT:
		do_stat(answers, peer, id);
		break;
	case SL_OP_FORGET:
		do_forget(answers, peer, id, request);
		break;
	}
}
