/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Service: what the agent answers to whom: connections, their hellos, and one
 * reply to each request.
 *
 * Threads: the loop's.
 */

#include "agent/peer.h"
#include "proto/endpoint.h"

struct sl_error;
struct sl_job;
struct sl_jobs;
struct sl_loop;
struct sl_service;
struct sl_trust;

struct sl_service_config {
	const char *name; /* the agent's */
	size_t max_tasks, max_queued;
};

/* All are borrowed until free. Starts threads. @alone is called each time when the last
 * connection is gone. */
int sl_service_new(struct sl_loop *loop, struct sl_jobs *jobs, struct sl_trust *trust,
	const struct sl_service_config *config, void (*alone)(void *ctx), void *ctx,
	struct sl_service **out, struct sl_error *err) sl_must_check;

/* Closes all connections. Before the jobs are freed. NULL is fine. */
void sl_service_free(struct sl_service *service);

/* Accepts connections on @url, which the policy was asked about. */
int sl_service_listen(struct sl_service *service, const char *url, char *bound, size_t size,
	struct sl_error *err) sl_must_check;

struct sl_service_numbers {
	size_t connections; /* open */
	struct sl_endpoint_numbers endpoint;
	uint64_t hello_failures[SL_N_PEER_FAILURES];
};

void sl_service_count(const struct sl_service *service, struct sl_service_numbers *out);

/* Takes no new connections. */
void sl_service_stop_listening(struct sl_service *service);

/* Closes all connections, when what has ended was told to those who ask, at the latest after a
 * second. Returns how many there are. */
size_t sl_service_say_goodbye(struct sl_service *service);

/* Answers those that wait at @job, if its news are worth it: sl_jobs_ops.changed. */
void sl_service_job_changed(struct sl_service *service, struct sl_job *job);
