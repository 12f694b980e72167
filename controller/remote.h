/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Remote: one agent as the controller sees it. It is dialled when there is
 * something to ask, says hello, and is dialled again with growing pauses when
 * the connection goes, for as long as it may be gone. What was asked is asked
 * again on the next connection: every request may be repeated.
 *
 * Threads: the loop's.
 */

#include "common/base.h"
#include "proto/message.h"

struct sl_ask;
struct sl_endpoint_ops;
struct sl_error;
struct sl_identity;
struct sl_loop;
struct sl_remote;

/* What a loop for remotes is made with. */
extern const struct sl_endpoint_ops sl_remote_endpoint_ops;

struct sl_remote_config {
	const char *name;                   /* what people call it; copied */
	const char *address;                /* copied */
	const struct sl_identity *identity; /* borrowed; NULL: none to show */
	int64_t connect_ms;                 /* how long first contact may take */
	int64_t reconnect_ms;               /* how long it may be gone after that */
	/* Something to tell a person: the connection went, came back. May be NULL. */
	void (*note)(void *ctx, struct sl_remote *remote, const char *text);
	void *ctx;
};

enum sl_answer {
	SL_ANSWER_REPLY,     /* here it is; it may say no */
	SL_ANSWER_RESTARTED, /* the agent that may have got this died; another took its place */
	SL_ANSWER_GONE,   /* unreachable for too long, or it won't have us: no use to ask on */
	SL_ANSWER_UNSENT, /* the same, and the request never left */
};

/* @reply is for SL_ANSWER_REPLY and borrowed for the call; @why for the others. */
typedef void sl_answered(void *ctx, enum sl_answer answer, const struct sl_reply *reply,
	const struct sl_error *why);

int sl_remote_new(struct sl_loop *loop, const struct sl_remote_config *config,
	struct sl_remote **out, struct sl_error *err) sl_must_check;

/* Drops what is asked, without callbacks. NULL is fine. */
void sl_remote_free(struct sl_remote *remote);

/* Asks @request (copied). fn(ctx, …) is called once, never from within. *out (may be NULL) is
 * valid till then. When the remote is gone for good: SL_ECLOSED or SL_EDENIED, and why. */
int sl_remote_ask(struct sl_remote *remote, const struct sl_request *request, sl_answered *fn,
	void *ctx, struct sl_ask **out, struct sl_error *err) sl_must_check;

/* The same for what isn't worth another connection: when this one goes, that is SL_ANSWER_GONE,
 * and where there is none, SL_ECLOSED. @out is wanted. */
int sl_remote_ask_once(struct sl_remote *remote, const struct sl_request *request,
	sl_answered *fn, void *ctx, struct sl_ask **out, struct sl_error *err) sl_must_check;

/* Forgets an ask: no callback comes. NULL is fine. */
void sl_remote_unask(struct sl_remote *remote, struct sl_ask *ask);

/* Whether the agent may have got it. NULL: no. */
bool sl_remote_was_sent(const struct sl_ask *ask);

const char *sl_remote_name(const struct sl_remote *remote);
const char *sl_remote_address(const struct sl_remote *remote);

/* True while hello has passed and the connection stands. */
bool sl_remote_is_up(const struct sl_remote *remote);
