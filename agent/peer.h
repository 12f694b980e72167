/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Peer: a connection that was accepted, and who is at its other end. Until its
 * hello nothing else is done for it.
 *
 * Threads: the loop's.
 */

#include <sys/queue.h>

#include "agent/waiter.h"
#include "proto/limits.h"
#include "proto/message.h"

struct sl_conn;
struct sl_error;
struct sl_trust;

/* Why a connection never was welcome. */
enum sl_peer_failure {
	SL_PEER_BAD_SIGNATURE,
	SL_PEER_UNKNOWN_KEY,
	SL_PEER_SILENT, /* no hello in time */
	SL_PEER_BROKEN, /* what came was no message, or too large for a hello */
};

#define SL_N_PEER_FAILURES (SL_PEER_BROKEN + 1)

struct sl_peer {
	TAILQ_ENTRY(sl_peer) link; /* sl_service.peers */
	struct sl_conn *conn;
	bool welcome; /* it said hello, and may stay */
	bool refused; /* it may not: it is being closed */
	uint8_t nonce[SL_NONCE_SIZE];
	char who[SL_MAX_NAME_BYTES + 1]; /* its name for people, once it is welcome */
	struct sl_waiting_list waiting;  /* sl_waiter.of_peer */
};

/* What the agent is to those that say hello. */
struct sl_peer_host {
	struct sl_trust *trust;
	const char *agent_name;
	uint8_t boot[SL_BOOT_ID_SIZE];
};

/* NULL when memory ran out. */
struct sl_peer *sl_peer_new(struct sl_conn *conn) sl_must_check;

/* Its waiters must be gone. */
void sl_peer_free(struct sl_peer *peer);

/* Looks at a hello. Returns 0: the peer is welcome from now on; SL_EHELLO: it has to sign;
 * SL_EDENIED: it may not stay, for *out_failure. */
int sl_peer_hello(struct sl_peer *peer, const struct sl_peer_host *host,
	const struct sl_request *request, enum sl_peer_failure *out_failure,
	struct sl_error *err) sl_must_check;

/* Replies to request @id. */
void sl_peer_reply(struct sl_peer *peer, uint32_t id, const struct sl_reply *reply);

/* Replies to request @id, an @op, that it can't be for @err. */
void sl_peer_refuse(
	struct sl_peer *peer, uint32_t id, enum sl_op op, const struct sl_error *err);
