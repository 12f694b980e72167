/* SPDX-License-Identifier: MIT */
#include "agent/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/answers.h"
#include "agent/jobs.h"
#include "agent/journal.h"
#include "agent/loop.h"
#include "agent/peer.h"
#include "agent/vitals.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/endpoint.h"
#include "proto/identity.h"

/* Who may open the socket file is not who may say hello: that is asked of the uid. */
#define IPC_MODE 0666

#define LINGER_MS 1000
#define GOODBYE_MS 200 /* for the last replies to get on their way */
#define FAILURE_LOG_MS 1000

TAILQ_HEAD(peer_list, sl_peer);

struct sl_service {
	struct sl_loop *loop;
	const struct sl_service_config *config;
	struct sl_peer_host host;
	struct sl_answers answers;
	void (*alone)(void *ctx);
	void *ctx;

	struct sl_endpoint *endpoint;
	struct sl_loop_watch *watch;
	struct sl_loop_timer *timer; /* the endpoint's next deadline */
	int64_t timer_ms;            /* when it fires; INT64_MAX: never */
	struct peer_list peers;
	bool leaving;
	struct sl_loop_timer *linger;

	char machine[256]; /* its name; immutable after new */
	int64_t start_ms;
	uint64_t hello_failures[SL_N_PEER_FAILURES];
	uint64_t unlogged_failures;
	int64_t failure_log_ms; /* of the last line about a failed hello */
};

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
	sl_peer_reply(peer, id, &reply);
}

static void log_failure(
	struct sl_service *service, const struct sl_peer *peer, const struct sl_error *err)
{
	int64_t now_ms = sl_clock_monotonic_ms();

	service->unlogged_failures++;
	if (now_ms - service->failure_log_ms < FAILURE_LOG_MS)
		return;
	sl_journal_log(SL_JOURNAL_HELLO_DENIED, SL_LOG_WARNING, NULL,
		"hello denied peer=%s why=%s n=%llu", sl_conn_peer(peer->conn), err->text,
		(unsigned long long)service->unlogged_failures);
	service->failure_log_ms = now_ms;
	service->unlogged_failures = 0;
}

static void do_hello(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	struct sl_reply reply = {.op = SL_OP_HELLO, .ok = true};
	enum sl_peer_failure failure;
	struct sl_error err;
	int result = sl_peer_hello(peer, &service->host, request, &failure, &err);

	if (result == SL_EHELLO) {
		send_challenge(service, peer, id);
		return;
	}
	if (result < 0) {
		service->hello_failures[failure]++;
		log_failure(service, peer, &err);
		sl_peer_refuse(peer, id, SL_OP_HELLO, &err);
		sl_conn_close(peer->conn, SL_HELLO_FAILED_CLOSE_MS);
		return;
	}
	sl_log(SL_LOG_DEBUG, "hello peer=%s who=%s", sl_conn_peer(peer->conn), peer->who);
	fill_hello(service, &reply);
	sl_peer_reply(peer, id, &reply);
}

static void answer_request(struct sl_service *service, struct sl_peer *peer, uint32_t id,
	const struct sl_request *request)
{
	if (request->op == SL_OP_HELLO)
		do_hello(service, peer, id, request);
	else
		sl_answers_request(&service->answers, peer, id, request);
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
		sl_peer_refuse(peer, id, SL_OP_HELLO, &err);
	else
		answer_request(service, peer, id, &request);
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

/* One that went before its hello. */
static void count_lost(struct sl_service *service, enum sl_code why)
{
	if (why == SL_ETIMEOUT)
		service->hello_failures[SL_PEER_SILENT]++;
	else if (why == SL_EPROTOCOL || why == SL_ETOO_LARGE)
		service->hello_failures[SL_PEER_BROKEN]++;
}

static void on_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct sl_service *service = ctx;
	struct sl_peer *peer = sl_conn_user(conn);

	sl_log(SL_LOG_DEBUG, "connection closed peer=%s why=%s", sl_conn_peer(conn), why->text);
	if (!peer)
		return;
	if (!peer->welcome && !peer->refused)
		count_lost(service, why->code);
	lose_peer(service, peer);
	if (TAILQ_EMPTY(&service->peers))
		service->alone(service->ctx);
}

static const struct sl_endpoint_ops endpoint_ops = {
	.opened = on_opened,
	.request = on_request,
	.closed = on_closed,
};

static void close_all(void *ctx)
{
	struct sl_service *service = ctx;
	struct sl_peer *peer;

	TAILQ_FOREACH(peer, &service->peers, link)
	sl_conn_close(peer->conn, GOODBYE_MS);
}

static void on_told(void *ctx)
{
	struct sl_service *service = ctx;

	if (service->leaving && sl_answers_all_told(&service->answers))
		close_all(service);
}

static void fill_stat(void *ctx, struct sl_stat *out)
{
	struct sl_service *service = ctx;

	out->name = sl_bytes_of(service->config->name);
	out->version = sl_bytes_of(SL_VERSION);
	out->lua = sl_bytes_of(SL_VITALS_LUA);
	out->host = sl_bytes_of(service->machine);
	memcpy(out->boot, service->host.boot, SL_BOOT_ID_SIZE);
	out->uptime_ms = (uint64_t)(sl_clock_monotonic_ms() - service->start_ms);
	out->max_tasks = service->config->max_tasks;
	out->max_queued = service->config->max_queued;
	out->connections = sl_endpoint_n_accepted(service->endpoint);
	for (int i = 0; i < SL_N_PEER_FAILURES; i++)
		out->hello_failures += service->hello_failures[i];
}

void sl_service_count(const struct sl_service *service, struct sl_service_numbers *out)
{
	out->connections = sl_endpoint_n_accepted(service->endpoint);
	sl_endpoint_count(service->endpoint, &out->endpoint);
	memcpy(out->hello_failures, service->hello_failures, sizeof(out->hello_failures));
}

void sl_service_job_changed(struct sl_service *service, struct sl_job *job)
{
	sl_answers_job_changed(&service->answers, job);
}

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

	if (in_ms < 0) {
		if (service->timer_ms < INT64_MAX)
			sl_loop_timer_clear(service->timer);
		service->timer_ms = INT64_MAX;
		return;
	}
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
	service->config = config;
	service->host = (struct sl_peer_host){.trust = trust, .agent_name = config->name};
	sl_random(service->host.boot, sizeof(service->host.boot));
	service->answers =
		(struct sl_answers){loop, jobs, config->name, service, fill_stat, on_told};
	if (gethostname(service->machine, sizeof(service->machine) - 1) < 0)
		service->machine[0] = 0;
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
		result = sl_loop_timer_new(loop, close_all, service, &service->linger, err);
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
	sl_loop_timer_free(service->linger);
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

	service->leaving = true;
	TAILQ_FOREACH(peer, &service->peers, link)
	n++;
	if (sl_answers_all_told(&service->answers))
		close_all(service);
	else
		sl_loop_timer_set(service->linger, LINGER_MS);
	return n;
}
