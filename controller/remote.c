/* SPDX-License-Identifier: MIT */
#include "controller/remote.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "controller/hello.h"
#include "controller/loop.h"
#include "proto/endpoint.h"
#include "proto/identity.h"
#include "proto/limits.h"

/* A reply may be this much later than was asked for before the connection counts as dead. */
#define LATE_MS 10000
#define FIRST_PAUSE_MS 50
#define MAX_PAUSE_MS 2000

struct sl_ask {
	TAILQ_ENTRY(sl_ask) link; /* sl_remote.asks */
	struct sl_remote *remote;
	enum sl_op op;
	struct sl_buffer bytes;
	int64_t wait_ms;
	bool fleeting;  /* not worth another connection */
	bool under_way; /* sent on the connection that stands, as request @id */
	uint32_t id;
	bool was_sent; /* to the agent with this boot id, on whatever connection */
	uint8_t boot[SL_BOOT_ID_SIZE];
	struct sl_alarm late;
	sl_answered *fn;
	void *ctx;
};

enum phase {
	PHASE_IDLE,    /* nothing to ask: no connection, none wanted */
	PHASE_DIALING, /* waits for opened() */
	PHASE_HELLO,   /* said hello, waits for the reply */
	PHASE_UP,
	PHASE_PAUSE, /* until the next try */
	PHASE_GONE,  /* for good */
};

struct sl_remote {
	struct sl_loop *loop;
	struct sl_remote_config config;
	char *name;
	char *address;
	enum phase phase;
	struct sl_conn *conn; /* DIALING, HELLO, UP, and until closed() after that */
	uint32_t hello_id;
	struct sl_hello hello; /* this connection's */
	bool been_up;          /* @boot is known */
	uint8_t boot[SL_BOOT_ID_SIZE];
	int64_t give_up_at_ms; /* 0: the connection stands, or nothing is wanted */
	int64_t pause_ms;
	bool missed;             /* a note said that it went: another says when it is back */
	const char *cut_because; /* we closed the connection ourselves; NULL: not so */
	struct sl_alarm alarm;   /* DIALING and HELLO: enough waited; PAUSE: try again */
	/* GONE: the sentence for that. Else what ended the last try; code 0: none since it was
	 * up. */
	struct sl_error why;
	TAILQ_HEAD(, sl_ask) asks;
};

static void dial(void *ctx);

static void free_ask(struct sl_remote *remote, struct sl_ask *ask)
{
	sl_loop_unset(remote->loop, &ask->late);
	TAILQ_REMOVE(&remote->asks, ask, link);
	sl_buffer_deinit(&ask->bytes);
	free(ask);
}

/* Ends @ask with an answer; it is gone before its owner hears. */
static void answer(struct sl_remote *remote, struct sl_ask *ask, enum sl_answer what,
	const struct sl_reply *reply, const struct sl_error *why)
{
	sl_answered *fn = ask->fn;
	void *ctx = ask->ctx;

	free_ask(remote, ask);
	fn(ctx, what, reply, why);
}

static void give_up(struct sl_remote *remote, enum sl_code code, const char *text)
{
	struct sl_ask *ask;

	remote->phase = PHASE_GONE;
	sl_loop_unset(remote->loop, &remote->alarm);
	sl_fail(&remote->why, code, "%s", text);
	if (remote->conn)
		sl_conn_close(remote->conn, 0);
	while ((ask = TAILQ_FIRST(&remote->asks)) != NULL)
		answer(remote, ask, ask->was_sent ? SL_ANSWER_GONE : SL_ANSWER_UNSENT, NULL,
			&remote->why);
}

static void note(struct sl_remote *remote, const char *text)
{
	if (remote->config.note)
		remote->config.note(remote->config.ctx, remote, text);
}

/* Ends the connection; closed() comes and decides what follows. */
static void cut(struct sl_remote *remote, const char *because)
{
	if (!remote->conn)
		return;
	remote->cut_because = because;
	sl_conn_close(remote->conn, 0);
}

static void out_of_reach(struct sl_remote *remote, const struct sl_error *why);

static void too_slow(void *ctx)
{
	struct sl_remote *remote = ctx;
	struct sl_error why = remote->why;

	/* A last try that had no time to fail says less than the one before it. */
	if (why.code && sl_clock_monotonic_ms() >= remote->give_up_at_ms)
		out_of_reach(remote, &why);
	else
		cut(remote, "no answer to the greeting in time");
}

static void ask_is_late(void *ctx)
{
	struct sl_ask *ask = ctx;

	cut(ask->remote, "it doesn't answer any more");
}

static void send_ask(struct sl_remote *remote, struct sl_ask *ask)
{
	struct sl_buffer copy = SL_BUFFER_INIT;

	/* Out of memory: the deadline closes the connection, and it is tried again. */
	if (sl_buffer_append(&copy, ask->bytes.data, ask->bytes.size)) {
		sl_conn_request(remote->conn, &copy, &ask->id);
		ask->under_way = true;
		ask->was_sent = true;
		memcpy(ask->boot, remote->boot, sizeof(ask->boot));
	}
	sl_buffer_deinit(&copy);
	sl_loop_set(remote->loop, &ask->late, sl_clock_monotonic_ms() + ask->wait_ms + LATE_MS,
		ask_is_late, ask);
}

/* A random stretch around @ms, so that many controllers don't come back together. */
static int64_t jitter(int64_t ms)
{
	uint32_t random;

	sl_random(&random, sizeof(random));
	return ms / 2 + (int64_t)(random % (uint32_t)(ms + 1));
}

static void try_again(void *ctx);

static void pause_then_dial(struct sl_remote *remote, const struct sl_error *why)
{
	int64_t now = sl_clock_monotonic_ms(), at;

	remote->phase = PHASE_PAUSE;
	remote->why = *why;
	remote->pause_ms = remote->pause_ms ? remote->pause_ms * 2 : FIRST_PAUSE_MS;
	if (remote->pause_ms > MAX_PAUSE_MS)
		remote->pause_ms = MAX_PAUSE_MS;
	at = now + jitter(remote->pause_ms);
	if (at > remote->give_up_at_ms)
		at = remote->give_up_at_ms;
	sl_loop_set(remote->loop, &remote->alarm, at, try_again, remote);
}

static void out_of_reach(struct sl_remote *remote, const struct sl_error *why)
{
	char text[400], address[160];

	address[0] = '\0';
	if (strcmp(remote->name, remote->address) != 0)
		snprintf(address, sizeof(address), " at %.140s", remote->address);
	if (remote->been_up)
		snprintf(text, sizeof(text), "%.80s%s is gone: %.160s", remote->name, address,
			why->text);
	else
		snprintf(text, sizeof(text),
			"can't reach %.80s%s: %.160s; is sloth-agent running there?",
			remote->name, address, why->text);
	give_up(remote, SL_ECLOSED, text);
}

static void dial(void *ctx)
{
	struct sl_remote *remote = ctx;
	int64_t now = sl_clock_monotonic_ms();
	struct sl_error err;
	int64_t until;

	remote->phase = PHASE_DIALING;
	remote->cut_because = NULL;
	if (sl_endpoint_dial(sl_loop_endpoint(remote->loop), remote->address, remote,
		    &remote->conn, &err)) {
		remote->conn = NULL;
		out_of_reach(remote, &err);
		return;
	}
	until = now + SL_HANDSHAKE_MS + SL_HELLO_MS;
	if (remote->give_up_at_ms < until)
		until = remote->give_up_at_ms;
	sl_loop_set(remote->loop, &remote->alarm, until, too_slow, remote);
}

/* After a pause. */
static void try_again(void *ctx)
{
	struct sl_remote *remote = ctx;
	struct sl_error why = remote->why;

	if (sl_clock_monotonic_ms() >= remote->give_up_at_ms)
		out_of_reach(remote, &why);
	else
		dial(remote);
}

static void send_hello(struct sl_remote *remote, struct sl_buffer *bytes)
{
	remote->phase = PHASE_HELLO;
	sl_conn_request(remote->conn, bytes, &remote->hello_id);
}

static void say_hello(struct sl_remote *remote)
{
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_error err;

	if (sl_hello_begin(&remote->hello, &bytes, &err))
		give_up(remote, err.code, err.text);
	else
		send_hello(remote, &bytes);
	sl_buffer_deinit(&bytes);
}

static void on_opened(void *ctx, struct sl_conn *conn)
{
	struct sl_remote *remote = sl_conn_user(conn);

	(void)ctx;
	if (remote && remote->phase == PHASE_DIALING)
		say_hello(remote);
}

/* Who was asked something by an agent that is no more hears of it. */
static void tell_of_restart(struct sl_remote *remote)
{
	struct sl_ask *ask;
	struct sl_error why;

	sl_fail(&why, SL_ECLOSED, "%s restarted", remote->name);
	for (;;) {
		TAILQ_FOREACH(ask, &remote->asks, link)
		if (ask->was_sent && memcmp(ask->boot, remote->boot, sizeof(ask->boot)) != 0)
			break;
		if (!ask)
			return;
		answer(remote, ask, SL_ANSWER_RESTARTED, NULL, &why);
	}
}

static void welcome(struct sl_remote *remote, const struct sl_reply *reply)
{
	bool restarted = remote->been_up &&
	                 memcmp(remote->boot, reply->hello.boot, sizeof(remote->boot)) != 0;
	struct sl_ask *ask;

	sl_loop_unset(remote->loop, &remote->alarm);
	memcpy(remote->boot, reply->hello.boot, sizeof(remote->boot));
	remote->phase = PHASE_UP;
	remote->been_up = true;
	remote->give_up_at_ms = 0;
	remote->pause_ms = 0;
	remote->why = (struct sl_error){0};
	sl_conn_set_welcome(remote->conn);
	if (remote->missed)
		note(remote, restarted ? "is back; it was restarted" : "is back");
	remote->missed = false;
	if (restarted)
		tell_of_restart(remote);
	TAILQ_FOREACH(ask, &remote->asks, link)
	if (!ask->under_way && remote->phase == PHASE_UP)
		send_ask(remote, ask);
}

static void on_hello_reply(struct sl_remote *remote, const struct sl_reply *reply)
{
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_error err;

	switch (sl_hello_take(
		&remote->hello, remote->name, remote->config.identity, reply, &bytes, &err)) {
	case SL_HELLO_WELCOME:
		welcome(remote, reply);
		break;
	case SL_HELLO_SAY:
		send_hello(remote, &bytes);
		break;
	case SL_HELLO_BUSY:
		cut(remote, "it is too busy to talk");
		break;
	default:
		give_up(remote, err.code, err.text);
	}
	sl_buffer_deinit(&bytes);
}

static struct sl_ask *find_ask(struct sl_remote *remote, uint32_t id)
{
	struct sl_ask *ask;

	TAILQ_FOREACH(ask, &remote->asks, link)
	if (ask->under_way && ask->id == id)
		break;
	return ask;
}

static void on_reply(void *ctx, struct sl_conn *conn, uint32_t id, struct sl_bytes body)
{
	struct sl_remote *remote = sl_conn_user(conn);
	sl_cleanup(sl_parcel_freep) struct sl_parcel *parcel = NULL;
	bool hello = remote && remote->phase == PHASE_HELLO && id == remote->hello_id;
	struct sl_ask *ask = NULL;
	struct sl_reply reply;
	struct sl_error err;

	(void)ctx;
	if (remote && remote->phase == PHASE_UP)
		ask = find_ask(remote, id);
	if (!hello && !ask) /* of an ask that was taken back */
		return;
	parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!parcel)
		sl_fail(&err, SL_ENOMEM, "out of memory");
	if (!parcel ||
		sl_reply_decode(body, hello ? SL_OP_HELLO : ask->op, parcel, &reply, &err)) {
		char text[400];

		snprintf(text, sizeof(text), "%.80s sent a reply that makes no sense: %.250s",
			remote->name, err.text);
		give_up(remote, SL_EPROTOCOL, text);
	} else if (hello) {
		on_hello_reply(remote, &reply);
	} else {
		answer(remote, ask, SL_ANSWER_REPLY, &reply, NULL);
	}
}

static struct sl_ask *find_fleeting(struct sl_remote *remote, bool fleeting)
{
	struct sl_ask *ask;

	TAILQ_FOREACH(ask, &remote->asks, link)
	if (ask->fleeting == fleeting)
		break;
	return ask;
}

static void connection_went(
	struct sl_remote *remote, enum phase was, const struct sl_error *why)
{
	int64_t now = sl_clock_monotonic_ms();
	char text[300];

	if (was == PHASE_UP && !find_fleeting(remote, false)) {
		remote->phase = PHASE_IDLE;
		return;
	}
	if (was == PHASE_UP && remote->config.reconnect_ms > 0) {
		remote->give_up_at_ms = now + remote->config.reconnect_ms;
		snprintf(text, sizeof(text), "lost the connection (%.200s); trying again",
			why->text);
		note(remote, text);
		remote->missed = true;
	}
	/* Nobody there at first contact: say so at once, it is mostly a wrong address. */
	if ((was == PHASE_DIALING && !remote->been_up) || now >= remote->give_up_at_ms)
		out_of_reach(remote, why);
	else
		pause_then_dial(remote, why);
}

static void on_closed(void *ctx, struct sl_conn *conn, const struct sl_error *why)
{
	struct sl_remote *remote = sl_conn_user(conn);
	struct sl_error ours;
	struct sl_ask *ask;

	(void)ctx;
	if (!remote)
		return;
	remote->conn = NULL;
	if (remote->cut_because) {
		sl_fail(&ours, SL_ETIMEOUT, "%s", remote->cut_because);
		why = &ours;
	}
	sl_loop_unset(remote->loop, &remote->alarm);
	TAILQ_FOREACH(ask, &remote->asks, link)
	{
		ask->under_way = false;
		sl_loop_unset(remote->loop, &ask->late);
	}
	if (remote->phase != PHASE_GONE)
		connection_went(remote, remote->phase, why);
	while ((ask = find_fleeting(remote, true)) != NULL)
		answer(remote, ask, SL_ANSWER_GONE, NULL, why);
}

const struct sl_endpoint_ops sl_remote_endpoint_ops = {
	.opened = on_opened,
	.reply = on_reply,
	.closed = on_closed,
};

int sl_remote_new(struct sl_loop *loop, const struct sl_remote_config *config,
	struct sl_remote **out, struct sl_error *err)
{
	struct sl_remote *remote = calloc(1, sizeof(*remote));

	if (!remote)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	remote->loop = loop;
	remote->config = *config;
	remote->name = strdup(config->name);
	remote->address = strdup(config->address);
	TAILQ_INIT(&remote->asks);
	if (!remote->name || !remote->address) {
		sl_remote_free(remote);
		return sl_fail(err, SL_ENOMEM, "out of memory");
	}
	*out = remote;
	return 0;
}

void sl_remote_free(struct sl_remote *remote)
{
	struct sl_ask *ask;

	if (!remote)
		return;
	while ((ask = TAILQ_FIRST(&remote->asks)) != NULL)
		free_ask(remote, ask);
	sl_loop_unset(remote->loop, &remote->alarm);
	if (remote->conn) {
		sl_conn_set_user(remote->conn, NULL);
		sl_conn_close(remote->conn, 0);
	}
	free(remote->name);
	free(remote->address);
	free(remote);
}

int sl_remote_ask(struct sl_remote *remote, const struct sl_request *request, sl_answered *fn,
	void *ctx, struct sl_ask **out, struct sl_error *err)
{
	struct sl_ask *ask;
	int rc;

	if (remote->phase == PHASE_GONE)
		return sl_fail(err, remote->why.code, "%s", remote->why.text);
	ask = calloc(1, sizeof(*ask));
	if (!ask)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = sl_request_encode(request, &ask->bytes, err);
	if (rc) {
		sl_buffer_deinit(&ask->bytes);
		free(ask);
		return rc;
	}
	ask->remote = remote;
	ask->op = request->op;
	ask->wait_ms = (int64_t)request->wait_ms;
	ask->fn = fn;
	ask->ctx = ctx;
	TAILQ_INSERT_TAIL(&remote->asks, ask, link);
	if (out)
		*out = ask;
	if (remote->phase == PHASE_UP) {
		send_ask(remote, ask);
	} else if (remote->phase == PHASE_IDLE) {
		int64_t may = remote->been_up ? remote->config.reconnect_ms
		                              : remote->config.connect_ms;
		int64_t now = sl_clock_monotonic_ms();

		/* By way of the loop: a failure must not call back from here. */
		remote->give_up_at_ms = now + may;
		remote->phase = PHASE_PAUSE;
		sl_loop_set(remote->loop, &remote->alarm, now, dial, remote);
	}
	return 0;
}

int sl_remote_ask_once(struct sl_remote *remote, const struct sl_request *request,
	sl_answered *fn, void *ctx, struct sl_ask **out, struct sl_error *err)
{
	int rc;

	if (remote->phase != PHASE_UP)
		return sl_fail(err, SL_ECLOSED, "%s is not connected", remote->name);
	rc = sl_remote_ask(remote, request, fn, ctx, out, err);
	if (rc == 0)
		(*out)->fleeting = true;
	return rc;
}

void sl_remote_unask(struct sl_remote *remote, struct sl_ask *ask)
{
	if (ask)
		free_ask(remote, ask);
}

bool sl_remote_was_sent(const struct sl_ask *ask)
{
	return ask && ask->was_sent;
}

const char *sl_remote_name(const struct sl_remote *remote)
{
	return remote->name;
}

const char *sl_remote_address(const struct sl_remote *remote)
{
	return remote->address;
}

bool sl_remote_is_up(const struct sl_remote *remote)
{
	return remote->phase == PHASE_UP;
}
