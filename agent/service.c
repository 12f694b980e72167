/* SPDX-License-Identifier: MIT */
#include "agent/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/jobs.h"
#include "agent/loop.h"
#include "agent/peer.h"
#include "agent/vitals.h"
#include "agent/waiter.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/endpoint.h"
#include "proto/identity.h"

/* Who may open the socket file is not who may say hello: that is asked of the uid. */
#define IPC_MODE 0666

#define MAX_BATCHES 1024
#define MAX_ROWS 1000
#define DEFAULT_ROWS 100
#define GOODBYE_MS 200
#define FAILURE_LOG_MS 1000

TAILQ_HEAD(peer_list, sl_peer);

struct sl_service {
	struct sl_loop *loop;
	struct sl_jobs *jobs;
	const struct sl_service_config *config;
	struct sl_peer_host host;
	void (*alone)(void *ctx);
	void *ctx;

	struct sl_endpoint *endpoint;
	struct sl_loop_watch *watch;
	struct sl_loop_timer *timer; /* the endpoint's next deadline */
	int64_t timer_ms;            /* when it fires; INT64_MAX: never */
	struct peer_list peers;

	int64_t start_ms;
	uint64_t hello_failures;
	uint64_t unlogged_failures;
	int64_t failure_log_ms; /* of the last line about a failed hello */
};

static void send_reply(struct sl_peer *peer, uint32_t id, const struct sl_reply *reply)
{
	struct sl_buffer body = SL_BUFFER_INIT;
	struct sl_error err;

	if (sl_reply_encode(reply, &body, &err) < 0) {
		/* The peer would wait for ever for what can't be said. */
		sl_log(SL_LOG_ERROR, "cannot encode a reply: %s", err.text);
		sl_buffer_deinit(&body);
		sl_conn_close(peer->conn, 0);
		return;
	}
	sl_conn_reply(peer->conn, id, &body);
}

static void send_error(
	struct sl_peer *peer, uint32_t id, enum sl_op op, const struct sl_error *err)
{
	send_reply(peer, id,
		&(struct sl_reply){.op = op, .code = err->code, .msg = sl_bytes_of(err->text)});
}

static void fill_hello(const struct sl_service *service, struct sl_reply *reply)
{
	reply->hello.name = sl_bytes_of(service->config->name);
	reply->hello.version = sl_bytes_of(SL_VERSION);
	reply->hello.lua = sl_bytes_of(SL_VITALS_LUA);
	reply->hello.role = sl_bytes_of("run");
	reply->hello.max_message_bytes = SL_MAX_MESSAGE_BYTES;
	memcpy(reply->hello.boot, service->host.boot, SL_BOOT_ID_SIZE);
}

static void send_challenge(struct sl_service *service, struct sl_peer *peer, uint32_t id)
{
	struct sl_reply reply = {
		.op = SL_OP_HELLO, .code = SL_EHELLO, .msg = sl_bytes_of("say hello first")};

	fill_hello(service, &reply);
	memcpy(reply.hello.nonce, peer->nonce, SL_NONCE_SIZE);
	send_reply(peer, id, &reply);
}

static void log_failure(
	struct sl_service *service, const struct sl_peer *peer, const struct sl_error *err)
{
	int64_t now_ms = sl_clock_monotonic_ms();

	service->hello_failures++;
	service->unlogged_failures++;
	if (now_ms - service->failure_log_ms < FAILURE_LOG_MS)
		return;
	sl_log(SL_LOG_WARNING, "hello denied peer=%s why=%s n=%llu", sl_conn_peer(peer->conn),
		err->text, (unsigned long long)service->unlogged_failures);
	service->failure_log_ms = now_ms;
	service->unlogged_failures = 0;
}

static void do_hello(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_reply reply = {.op = SL_OP_HELLO, .ok = true};
	struct sl_error err;
	int result = sl_peer_hello(peer, &service->host, request, &err);

	if (result == SL_EHELLO) {
		send_challenge(service, peer, id);
		return;
	}
	if (result < 0) {
		log_failure(service, peer, &err);
		send_error(peer, id, SL_OP_HELLO, &err);
		sl_conn_close(peer->conn, SL_HELLO_FAILED_CLOSE_MS);
		return;
	}
	sl_log(SL_LOG_DEBUG, "hello peer=%s who=%s", sl_conn_peer(peer->conn), peer->who);
	fill_hello(service, &reply);
	send_reply(peer, id, &reply);
}

static void send_events(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	enum sl_op op, const struct sl_record *record, uint64_t after, uint64_t max_bytes)
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
	reply.n_batches = sl_store_read(sl_jobs_store(service->jobs), record, after, max_bytes,
		batches, MAX_BATCHES, &reply.more);
	send_reply(peer, id, &reply);
}

static void answer(struct sl_service *service, struct sl_waiter *waiter)
{
	send_events(service, waiter->peer, waiter->id,
		waiter->is_submit ? SL_OP_SUBMIT : SL_OP_NEXT, waiter->job->record,
		waiter->after, waiter->max_bytes);
	sl_waiter_free(waiter);
}

static void on_expired(void *ctx, struct sl_waiter *waiter)
{
	answer(ctx, waiter);
}

void sl_service_job_changed(struct sl_service *service, struct sl_job *job)
{
	bool ended = sl_state_is_terminal(job->record->state);
	struct sl_waiter *waiter = TAILQ_FIRST(&job->waiters);

	while (waiter) {
		struct sl_waiter *next = TAILQ_NEXT(waiter, of_job);

		if (ended || job->record->ring.last > waiter->worth_after)
			answer(service, waiter);
		waiter = next;
	}
}

/* Answers with events now, or later when there are some. */
static void answer_with_events(struct sl_service *service, struct sl_peer *peer, uint32_t id,
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
		send_error(peer, id, request->op, &err);
		return;
	}
	sl_jobs_acknowledge(service->jobs, record, request->after);
	if (wait_ms == 0 || !record->live ||
		(!is_submit && record->ring.last > request->after)) {
		send_events(service, peer, id, request->op, record, request->after,
			request->max_bytes);
		return;
	}
	if (sl_waiter_new(service->loop, record->live, peer, id, request, wait_ms, on_expired,
		    service, &waiter, &err) < 0)
		send_error(peer, id, request->op, &err);
}

static void do_submit(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_reply reply = {.op = SL_OP_SUBMIT};
	struct sl_record *record;
	struct sl_error err;
	int result = sl_jobs_submit(
		service->jobs, request, sl_bytes_of(peer->who), &record, &reply.retry_ms, &err);

	if (result < 0) {
		sl_log(SL_LOG_INFO, "task refused peer=%s reason=%s why=%s", peer->who,
			sl_code_name(err.code), err.text);
		reply.code = err.code;
		reply.msg = sl_bytes_of(err.text);
		send_reply(peer, id, &reply);
		return;
	}
	answer_with_events(service, peer, id, request, record);
}

/* The record that the request is about; NULL when there is none, which was answered. */
static struct sl_record *find(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = sl_jobs_find(service->jobs, &request->job);
	struct sl_error err;

	if (record)
		return record;
	sl_fail(&err, SL_ENOT_FOUND,
		"agent %s doesn't know this job: it never came here, was forgotten, or the "
		"agent was restarted",
		service->config->name);
	send_error(peer, id, request->op, &err);
	return NULL;
}

static void do_next(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = find(service, peer, id, request);

	if (record)
		answer_with_events(service, peer, id, request, record);
}

static void do_cancel(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = find(service, peer, id, request);
	struct sl_reply reply = {.op = SL_OP_CANCEL, .ok = true};
	char why[256];

	if (!record)
		return;
	if (request->reason.size > 0)
		snprintf(why, sizeof(why), "%.*s", (int)request->reason.size,
			request->reason.data);
	else
		snprintf(why, sizeof(why), "cancelled");
	sl_jobs_cancel(service->jobs, record, why, sl_bytes_of(peer->who));
	reply.state = record->state;
	reply.last = record->ring.last;
	send_reply(peer, id, &reply);
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

static void do_jobs(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	uint64_t limit = request->limit == 0 ? DEFAULT_ROWS : request->limit;
	struct sl_store *store = sl_jobs_store(service->jobs);
	struct sl_reply reply = {.op = SL_OP_JOBS, .ok = true};
	enum sl_state state = SL_STATE_ACCEPTED;
	struct sl_record *record = NULL;
	struct sl_job_row *rows;
	struct sl_error err;
	bool any;

	if (limit > MAX_ROWS)
		limit = MAX_ROWS;
	if (read_filter(request->filter, &any, &state, &err) < 0) {
		send_error(peer, id, SL_OP_JOBS, &err);
		return;
	}
	rows = calloc(limit, sizeof(*rows));
	if (!rows) {
		sl_fail(&err, SL_ENOMEM, "no memory for a list of jobs");
		send_error(peer, id, SL_OP_JOBS, &err);
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
	send_reply(peer, id, &reply);
	free(rows);
}

static void do_stat(struct sl_service *service, struct sl_peer *peer, uint32_t id)
{
	struct sl_reply reply = {.op = SL_OP_STAT, .ok = true};
	char host[256] = "";

	reply.stat.name = sl_bytes_of(service->config->name);
	reply.stat.version = sl_bytes_of(SL_VERSION);
	reply.stat.lua = sl_bytes_of(SL_VITALS_LUA);
	if (gethostname(host, sizeof(host) - 1) == 0)
		reply.stat.host = sl_bytes_of(host);
	memcpy(reply.stat.boot, service->host.boot, SL_BOOT_ID_SIZE);
	reply.stat.uptime_ms = (uint64_t)(sl_clock_monotonic_ms() - service->start_ms);
	reply.stat.max_tasks = service->config->max_tasks;
	reply.stat.max_queued = service->config->max_queued;
	reply.stat.connections = sl_endpoint_n_accepted(service->endpoint);
	reply.stat.hello_failures = service->hello_failures;
	sl_jobs_stat(service->jobs, &reply.stat);
	sl_vitals_take(&reply.stat);
	send_reply(peer, id, &reply);
}

static void do_forget(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_record *record = find(service, peer, id, request);
	struct sl_error err;

	if (!record)
		return;
	if (sl_jobs_forget(service->jobs, record, &err) < 0)
		send_error(peer, id, SL_OP_FORGET, &err);
	else
		send_reply(peer, id, &(struct sl_reply){.op = SL_OP_FORGET, .ok = true});
}

static void do_request(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	switch (request->op) {
	case SL_OP_HELLO:
		do_hello(service, peer, id, request);
		break;
	case SL_OP_SUBMIT:
		do_submit(service, peer, id, request);
		break;
	case SL_OP_NEXT:
		do_next(service, peer, id, request);
		break;
	case SL_OP_CANCEL:
		do_cancel(service, peer, id, request);
		break;
	case SL_OP_JOBS:
		do_jobs(service, peer, id, request);
		break;
	case SL_OP_STAT:
		do_stat(service, peer, id);
		break;
	case SL_OP_FORGET:
		do_forget(service, peer, id, request);
		break;
	}
}

static void on_request(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct sl_service *service = ctx;
	struct sl_peer *peer = sl_conn_user(conn);
	struct sl_request request;
	struct sl_error err;
	int result;

	if (!peer || peer->refused)
		return;
	result = sl_request_decode(body, &request, &err);
	if (!peer->welcome && (result < 0 || request.op != SL_OP_HELLO))
		send_challenge(service, peer, id);
	else if (result < 0)
		send_error(peer, id, SL_OP_HELLO, &err);
	else
		do_request(service, peer, id, &request);
}

static void on_opened(void *ctx, struct sl_conn *conn)
{
	struct sl_service *service = ctx;
	struct sl_peer *peer = sl_peer_new(conn);

	if (!peer) {
		sl_log(SL_LOG_ERROR, "no memory for a connection peer=%s", sl_conn_peer(conn));
		sl_conn_close(conn, 0);
		return;
	}
	sl_conn_set_user(conn, peer);
	TAILQ_INSERT_TAIL(&service->peers, peer, link);
}

static void lose_peer(struct sl_service *service, struct sl_peer *peer)
{
	struct sl_waiter *waiter;

	while ((waiter = TAILQ_FIRST(&peer->waiting)))
		sl_waiter_free(waiter);
	TAILQ_REMOVE(&service->peers, peer, link);
	sl_peer_free(peer);
}

static void on_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct sl_service *service = ctx;
	struct sl_peer *peer = sl_conn_user(conn);

	sl_log(SL_LOG_DEBUG, "connection closed peer=%s why=%s", sl_conn_peer(conn), why->text);
	if (!peer)
		return;
	lose_peer(service, peer);
	if (TAILQ_EMPTY(&service->peers))
		service->alone(service->ctx);
}

static const struct sl_endpoint_ops endpoint_ops = {
	.opened = on_opened,
	.request = on_request,
	.closed = on_closed,
};

static void on_timer(void *ctx)
{
	struct sl_service *service = ctx;

	service->timer_ms = INT64_MAX; /* the round that ends now dispatches */
}

static void on_fd(void *ctx, unsigned what)
{
	(void)ctx;
	(void)what; /* the round that ends now dispatches */
}

/* Once a round, since replies and closings have deadlines too, whoever asked for them. */
static void on_round(void *ctx)
{
	struct sl_service *service = ctx;
	int in_ms = sl_endpoint_dispatch(service->endpoint);
	int64_t at_ms;

	if (in_ms < 0)
		return;
	at_ms = sl_clock_monotonic_ms() + in_ms;
	if (at_ms < service->timer_ms) {
		service->timer_ms = at_ms;
		sl_loop_timer_set(service->timer, in_ms);
	}
}

int sl_service_new(struct sl_loop *loop, struct sl_jobs *jobs, struct sl_trust *trust,
	const struct sl_service_config *config, void (*alone)(void *ctx), void *ctx,
	struct sl_service **out, struct sl_error *err)
{
	struct sl_service *service = calloc(1, sizeof(*service));
	int result;

	if (!service)
		return sl_fail(err, SL_ENOMEM, "no memory for the service");
	service->loop = loop;
	service->jobs = jobs;
	service->config = config;
	service->host = (struct sl_peer_host){.trust = trust, .agent_name = config->name};
	sl_random(service->host.boot, sizeof(service->host.boot));
	service->alone = alone;
	service->ctx = ctx;
	service->timer_ms = INT64_MAX;
	service->start_ms = sl_clock_monotonic_ms();
	service->failure_log_ms = service->start_ms - FAILURE_LOG_MS;
	TAILQ_INIT(&service->peers);
	result = sl_endpoint_new(
		&endpoint_ops, service, SL_MAX_CONNECTIONS, &service->endpoint, err);
	if (result == 0)
		result = sl_loop_timer_new(loop, on_timer, service, &service->timer, err);
	if (result == 0)
		result = sl_loop_watch_new(loop, sl_endpoint_fd(service->endpoint),
			SL_LOOP_READ, on_fd, service, &service->watch, err);
	if (result < 0) {
		sl_service_free(service);
		return result;
	}
	sl_loop_each_round(loop, on_round, service);
	*out = service;
	return 0;
}

void sl_service_free(struct sl_service *service)
{
	struct sl_peer *peer;

	if (!service)
		return;
	sl_loop_each_round(service->loop, NULL, NULL);
	while ((peer = TAILQ_FIRST(&service->peers)))
		lose_peer(service, peer);
	sl_loop_watch_free(service->watch);
	sl_loop_timer_free(service->timer);
	sl_endpoint_free(service->endpoint);
	free(service);
}

int sl_service_listen(struct sl_service *service, const char *url, char *bound, size_t size,
	struct sl_error *err)
{
	return sl_endpoint_listen(service->endpoint, url, IPC_MODE, bound, size, err);
}

void sl_service_stop_listening(struct sl_service *service)
{
	sl_endpoint_stop_listening(service->endpoint);
}

size_t sl_service_say_goodbye(struct sl_service *service)
{
	struct sl_peer *peer;
	size_t n = 0;

	TAILQ_FOREACH(peer, &service->peers, link)
	{
		sl_conn_close(peer->conn, GOODBYE_MS);
		n++;
	}
	return n;
}
