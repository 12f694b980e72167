/* SPDX-License-Identifier: MIT */
#include "agent/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/trust.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/endpoint.h"
#include "proto/identity.h"

struct sl_peer *sl_peer_new(struct sl_conn *conn)
{
	struct sl_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->conn = conn;
	TAILQ_INIT(&peer->waiting);
	sl_random(peer->nonce, sizeof(peer->nonce));
	return peer;
}

void sl_peer_free(struct sl_peer *peer)
{
	free(peer);
}

/* What a peer calls itself is for people to read; who it is says its key or uid. */
static void set_who(struct sl_peer *peer, struct sl_bytes name, const char *identity)
{
	if (name.size > 0 && name.size <= 64)
		snprintf(peer->who, sizeof(peer->who), "%.*s (%s)", (int)name.size, name.data,
			identity);
	else
		snprintf(peer->who, sizeof(peer->who), "%s", identity);
}

static bool is_signed_well(const struct sl_peer *peer, const struct sl_peer_host *host,
	const struct sl_request *request)
{
	return sl_identity_check_hello(request->hello.key, sl_bytes_of(host->agent_name),
		host->boot, peer->nonce, request->hello.nonce, request->hello.sig);
}

static int check_signature(struct sl_peer *peer, const struct sl_peer_host *host,
	const struct sl_request *request, enum sl_peer_failure *out_failure,
	struct sl_error *err)
{
	char identity[64], key[80];
	bool known;

	known = sl_trust_knows_key(host->trust, request->hello.key, identity, sizeof(identity));
	*out_failure = SL_PEER_BAD_SIGNATURE;
	if (!is_signed_well(peer, host, request))
		return sl_fail(err, SL_EDENIED, "the signature of the hello is wrong");
	if (!known) {
		*out_failure = SL_PEER_UNKNOWN_KEY;
		sl_public_key_format(request->hello.key, key, sizeof(key));
		return sl_fail(err, SL_EDENIED,
			"agent %s doesn't know this key; add a line to its authorized_keys: %s",
			host->agent_name, key);
	}
	set_who(peer, request->hello.name, identity);
	return 0;
}

int sl_peer_hello(struct sl_peer *peer, const struct sl_peer_host *host,
	const struct sl_request *request, enum sl_peer_failure *out_failure,
	struct sl_error *err)
{
	char identity[32];
	uint32_t uid;
	int result;

	if (sl_conn_peer_uid(peer->conn, &uid) && sl_trust_knows_uid(host->trust, uid)) {
		snprintf(identity, sizeof(identity), "uid %u", uid);
		set_who(peer, request->hello.name, identity);
	} else if (request->hello.signed_) {
		result = check_signature(peer, host, request, out_failure, err);
		if (result < 0) {
			peer->refused = true;
			return result;
		}
	} else {
		return sl_fail(err, SL_EHELLO, "say hello with a signature of the nonce");
	}
	peer->welcome = true;
	sl_conn_set_welcome(peer->conn);
	return 0;
}

void sl_peer_reply(struct sl_peer *peer, uint32_t id, const struct sl_reply *reply)
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

void sl_peer_refuse(
	struct sl_peer *peer, uint32_t id, enum sl_op op, const struct sl_error *err)
{
	sl_peer_reply(peer, id,
		&(struct sl_reply){.op = op, .code = err->code, .msg = sl_bytes_of(err->text)});
}
