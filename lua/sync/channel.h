/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Channel: a queue of values between goroutines, of bounded capacity, and those
 * who wait at both of its ends.
 *
 * Whoever waits at channels has a choice: a case for each channel and direction,
 * of which exactly one happens. The other side of a channel carries it out, so
 * that a value goes from hand to hand and nobody is woken for nothing.
 *
 * Threads: any; a choice belongs to the goroutine that waits on it.
 */

#include <lua.h>

#include "lua/schedule/goroutine.h"
#include "lua/state/handle.h"

#define SL_CHANNEL_KIND "channel"
#define SL_CHOICE_KIND "channel choice"

struct sl_channel;
struct sl_choice;
struct sl_message;
struct sl_runtime;

enum sl_channel_use {
	SL_CHANNEL_BOTH,
	SL_CHANNEL_SEND,
	SL_CHANNEL_RECEIVE,
};

enum sl_channel_answer {
	SL_CHANNEL_DONE,
	SL_CHANNEL_BUSY, /* the other side isn't there, or it is full or empty */
	SL_CHANNEL_CLOSED,
};

/* One reference is the caller's; NULL when memory ran out. It closes by itself at
 * @expires_ns; 0: never. */
struct sl_channel *sl_channel_new(struct sl_runtime *runtime, size_t capacity,
	enum sl_channel_use use, int64_t expires_ns) sl_must_check;
struct sl_handle *sl_channel_handle(struct sl_channel *channel);

enum sl_channel_use sl_channel_use(const struct sl_channel *channel);
size_t sl_channel_capacity(const struct sl_channel *channel);
size_t sl_channel_length(struct sl_channel *channel);
bool sl_channel_is_closed(struct sl_channel *channel);
int64_t sl_channel_expires_ns(const struct sl_channel *channel);

/* False: it was closed before. */
bool sl_channel_close(struct sl_channel *channel);

/* Takes @message if it is done. */
enum sl_channel_answer sl_channel_try_send(struct sl_channel *channel,
	struct sl_goroutine *self, struct sl_message *message) sl_must_check;

/* Done: *out is the caller's. */
enum sl_channel_answer sl_channel_try_receive(struct sl_channel *channel,
	struct sl_goroutine *self, struct sl_message **out) sl_must_check;

/* One of the things that a choice is about. */
struct sl_case {
	struct sl_waiter waiter; /* first; in a line of the channel */
	struct sl_choice *choice;
	struct sl_channel *channel; /* shares */
	size_t number;              /* the waiting goroutine's own */
	bool sends;
	bool closed;                /* it happened by the channel's being closed */
	struct sl_message *message; /* to be sent, or what was received; owner: the case */
};

struct sl_choice {
	struct sl_handle handle; /* first */
	int64_t deadline_ns;     /* 0: none */
	struct sl_case *chosen;  /* the one that happened; NULL: none so far */
	/* For sl_choice_wait(): pushes what the waiting call returns. Nothing was chosen: its
	 * time was over. */
	int (*finish)(lua_State *L, struct sl_choice *choice);
	size_t n;
	struct sl_case cases[];
};

/* A choice between @n cases, all zero but their ties to it. NULL when memory ran out. */
struct sl_choice *sl_choice_new(size_t n) sl_must_check;

/* What the i-th case is about: takes @message, shares @channel. */
void sl_choice_set(struct sl_choice *choice, size_t i, struct sl_channel *channel, bool sends,
	struct sl_message *message);

/* Makes one happen that can at once, beginning somewhere; false: none can. */
bool sl_choice_try(struct sl_choice *choice, struct sl_goroutine *self);

/* Waits until one has happened, or its deadline has come, and ends in its finish(). The handle
 * of the choice is at @slot. To be returned by a function in C. */
int sl_choice_wait(lua_State *L, int slot);

/* A task is over: what is left in its channels is dropped. They may lie in each other. */
void sl_channels_drain(struct sl_runtime *runtime);
