/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Hello: what is said on a new connection before anything else: who we are,
 * and where the agent wants it, the proof. Once a connection.
 *
 * Threads: the loop's.
 */

#include "common/buffer.h"
#include "proto/message.h"

struct sl_error;
struct sl_identity;

struct sl_hello {
	bool signed_; /* the proof was given */
};

enum sl_hello_answer {
	SL_HELLO_WELCOME = 0,
	SL_HELLO_SAY,  /* there is more to say */
	SL_HELLO_BUSY, /* come back later */
};

/* Begins anew; *out is the first request. */
int sl_hello_begin(
	struct sl_hello *hello, struct sl_buffer *out, struct sl_error *err) sl_must_check;

/* Takes the reply of the agent called @name. With SL_HELLO_SAY *out is the next request.
 * SL_EDENIED when it won't have us or wants a key and @identity is NULL. */
int sl_hello_take(struct sl_hello *hello, const char *name, const struct sl_identity *identity,
	const struct sl_reply *reply, struct sl_buffer *out,
	struct sl_error *err) sl_must_check;
