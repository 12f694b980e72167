/* SPDX-License-Identifier: MIT */
#include "lua/sync/channel.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/scheduler.h"
#include "lua/transfer/message.h"

struct sl_channel {
	struct sl_handle handle;    /* first */
	struct sl_runtime *runtime; /* immutable after new, and what follows */
	size_t capacity;
	enum sl_channel_use use;
	int64_t expires_ns;

	struct sl_channel *prev,
		*next; /* sl_runtime.channels; guarded by: the runtime's lock */

	pthread_mutex_t lock; /* guards what follows */
	bool closed;
	struct sl_message *first, *last;
	size_t n; /* messages; more than capacity if some were given back */
	struct sl_waiters senders, receivers;
};

/* ---- life ---- */

static void free_messages(struct sl_message *message)
{
	while (message) {
		struct sl_message *next = message->next;

		sl_message_free(message);
		message = next;
	}
}

static void link_channel(struct sl_channel *channel)
{
	struct sl_runtime *runtime = channel->runtime;

	pthread_mutex_lock(&runtime->lock);
	channel->next = runtime->channels;
	if (channel->next)
		channel->next->prev = channel;
	runtime->channels = channel;
	pthread_mutex_unlock(&runtime->lock);
}

static void unlink_channel(struct sl_channel *channel)
{
	struct sl_runtime *runtime = channel->runtime;

	pthread_mutex_lock(&runtime->lock);
	if (channel->prev)
		channel->prev->next = channel->next;
	else
		runtime->channels = channel->next;
	if (channel->next)
		channel->next->prev = channel->prev;
	pthread_mutex_unlock(&runtime->lock);
}

static void free_channel(struct sl_handle *handle)
{
	struct sl_channel *channel = (struct sl_channel *)handle;

	unlink_channel(channel);
	free_messages(channel->first);
	pthread_mutex_destroy(&channel->lock);
	free(channel);
}

struct sl_channel *sl_channel_new(struct sl_runtime *runtime, size_t capacity,
	enum sl_channel_use use, int64_t expires_ns)
{
	struct sl_channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return NULL;
	channel->handle =
		(struct sl_handle){.refs = 1, .kind = SL_CHANNEL_KIND, .free = free_channel};
	channel->runtime = runtime;
	channel->capacity = capacity;
	channel->use = use;
	channel->expires_ns = expires_ns;
	pthread_mutex_init(&channel->lock, NULL);
	link_channel(channel);
	return channel;
}

struct sl_handle *sl_channel_handle(struct sl_channel *channel)
{
	return &channel->handle;
}

/* Takes all messages out; they are the caller's. */
static struct sl_message *empty(struct sl_channel *channel)
{
	struct sl_message *messages;

	pthread_mutex_lock(&channel->lock);
	messages = sl_steal(channel->first);
	channel->last = NULL;
	channel->n = 0;
	pthread_mutex_unlock(&channel->lock);
	return messages;
}

/* No goroutine is left, so nobody else touches the list; dropping messages frees channels, and
 * nothing makes any. */
void sl_channels_drain(struct sl_runtime *runtime)
{
	struct sl_message *all = NULL;

	for (struct sl_channel *channel = runtime->channels; channel; channel = channel->next) {
		struct sl_message *messages = empty(channel), *last = messages;

		if (!messages)
			continue;
		while (last->next)
			last = last->next;
		last->next = all;
		all = messages;
	}
	free_messages(all);
}

/* ---- what is in it ---- */

static void append_locked(struct sl_channel *channel, struct sl_message *message)
{
	message->next = NULL;
	if (channel->last)
		channel->last->next = message;
	else
		channel->first = message;
	channel->last = message;
	channel->n++;
}

static void prepend_locked(struct sl_channel *channel, struct sl_message *message)
{
	message->next = channel->first;
	if (!channel->first)
		channel->last = message;
	channel->first = message;
	channel->n++;
}

static struct sl_message *take_first_locked(struct sl_channel *channel)
{
	struct sl_message *message = channel->first;

	channel->first = message->next;
	if (!channel->first)
		channel->last = NULL;
	channel->n--;
	return message;
}

/* ---- the other side ---- */

static bool others_wait_locked(
	const struct sl_waiters *waiters, const struct sl_goroutine *self)
{
	for (const struct sl_waiter *w = waiters->first; w; w = w->next)
		if (w->goroutine != self)
			return true;
	return false;
}

/* Takes the first one out of the line who still waits, and isn't @self. He goes on with that
 * case, once he has the channel's lock. */
static struct sl_case *claim_locked(struct sl_waiters *waiters, const struct sl_goroutine *self)
{
	struct sl_waiter *next;

	for (struct sl_waiter *w = waiters->first; w; w = next) {
		struct sl_case *found = (struct sl_case *)w;

		next = w->next;
		if (w->goroutine == self)
			continue;
		sl_waiters_remove(waiters, w);
		if (!sl_goroutine_wake(w->goroutine, SL_WAKE_READY))
			continue;
		found->choice->chosen = found;
		return found;
	}
	return NULL;
}

static bool close_locked(struct sl_channel *channel)
{
	struct sl_case *found;

	if (channel->closed)
		return false;
	channel->closed = true;
	while ((found = claim_locked(&channel->receivers, NULL)))
		found->closed = true;
	while ((found = claim_locked(&channel->senders, NULL)))
		found->closed = true;
	return true;
}

static void lock(struct sl_channel *channel)
{
	pthread_mutex_lock(&channel->lock);
	if (channel->expires_ns && !channel->closed &&
		sl_clock_monotonic_ns() >= channel->expires_ns)
		close_locked(channel);
}

static void unlock(struct sl_channel *channel)
{
	pthread_mutex_unlock(&channel->lock);
}

static enum sl_channel_answer send_locked(
	struct sl_channel *channel, struct sl_goroutine *self, struct sl_message *message)
{
	struct sl_case *receiver;

	if (channel->closed)
		return SL_CHANNEL_CLOSED;
	receiver = claim_locked(&channel->receivers, self);
	if (receiver) {
		receiver->message = message;
		return SL_CHANNEL_DONE;
	}
	if (channel->n >= channel->capacity)
		return SL_CHANNEL_BUSY;
	append_locked(channel, message);
	return SL_CHANNEL_DONE;
}

/* There is room now: those who wait to send move up. */
static void refill_locked(struct sl_channel *channel, struct sl_goroutine *self)
{
	while (channel->n < channel->capacity) {
		struct sl_case *sender = claim_locked(&channel->senders, self);

		if (!sender)
			return;
		append_locked(channel, sl_steal(sender->message));
	}
}

static enum sl_channel_answer receive_locked(
	struct sl_channel *channel, struct sl_goroutine *self, struct sl_message **out)
{
	struct sl_case *sender;

	if (channel->n > 0) {
		*out = take_first_locked(channel);
		refill_locked(channel, self);
		return SL_CHANNEL_DONE;
	}
	sender = claim_locked(&channel->senders, self);
	if (sender) {
		*out = sl_steal(sender->message);
		return SL_CHANNEL_DONE;
	}
	return channel->closed ? SL_CHANNEL_CLOSED : SL_CHANNEL_BUSY;
}

/* Somebody was handed @message and will never look at it. */
static void give_back_locked(struct sl_channel *channel, struct sl_message *message)
{
	struct sl_case *receiver = claim_locked(&channel->receivers, NULL);

	if (receiver)
		receiver->message = message;
	else
		prepend_locked(channel, message);
}

/* ---- at once ---- */

enum sl_channel_use sl_channel_use(const struct sl_channel *channel)
{
	return channel->use;
}

size_t sl_channel_capacity(const struct sl_channel *channel)
{
	return channel->capacity;
}

int64_t sl_channel_expires_ns(const struct sl_channel *channel)
{
	return channel->expires_ns;
}

size_t sl_channel_length(struct sl_channel *channel)
{
	size_t n;

	lock(channel);
	n = channel->n;
	unlock(channel);
	return n;
}

bool sl_channel_is_closed(struct sl_channel *channel)
{
	bool closed;

	lock(channel);
	closed = channel->closed;
	unlock(channel);
	return closed;
}

bool sl_channel_close(struct sl_channel *channel)
{
	bool ok;

	lock(channel);
	ok = close_locked(channel);
	unlock(channel);
	return ok;
}

enum sl_channel_answer sl_channel_try_send(
	struct sl_channel *channel, struct sl_goroutine *self, struct sl_message *message)
{
	enum sl_channel_answer answer;

	lock(channel);
	answer = send_locked(channel, self, message);
	unlock(channel);
	return answer;
}

enum sl_channel_answer sl_channel_try_receive(
	struct sl_channel *channel, struct sl_goroutine *self, struct sl_message **out)
{
	enum sl_channel_answer answer;

	lock(channel);
	answer = receive_locked(channel, self, out);
	unlock(channel);
	return answer;
}

/* ---- a choice ---- */

static void free_choice(struct sl_handle *handle)
{
	struct sl_choice *choice = (struct sl_choice *)handle;

	for (size_t i = 0; i < choice->n; i++) {
		sl_message_free(choice->cases[i].message);
		if (choice->cases[i].channel)
			sl_handle_unref(&choice->cases[i].channel->handle);
	}
	free(choice);
}

struct sl_choice *sl_choice_new(size_t n)
{
	struct sl_choice *choice = calloc(1, sizeof(*choice) + n * sizeof(struct sl_case));

	if (!choice)
		return NULL;
	choice->handle =
		(struct sl_handle){.refs = 1, .kind = SL_CHOICE_KIND, .free = free_choice};
	choice->n = n;
	for (size_t i = 0; i < n; i++)
		choice->cases[i].choice = choice;
	return choice;
}

void sl_choice_set(struct sl_choice *choice, size_t i, struct sl_channel *channel, bool sends,
	struct sl_message *message)
{
	sl_handle_ref(&channel->handle);
	choice->cases[i].channel = channel;
	choice->cases[i].sends = sends;
	choice->cases[i].message = message;
}

static bool happen_locked(struct sl_case *c, struct sl_goroutine *self)
{
	enum sl_channel_answer answer;

	if (c->sends)
		answer = send_locked(c->channel, self, c->message);
	else
		answer = receive_locked(c->channel, self, &c->message);
	if (answer == SL_CHANNEL_BUSY)
		return false;
	if (answer == SL_CHANNEL_DONE && c->sends)
		c->message = NULL;
	c->closed = answer == SL_CHANNEL_CLOSED;
	c->choice->chosen = c;
	return true;
}

/* Where to begin, so that no case is favoured. */
static size_t somewhere(const struct sl_choice *choice)
{
	static _Thread_local uint64_t state;

	struct sl_worker *worker = sl_worker_self();

	if (choice->n <= 1)
		return 0;
	if (worker && sl_chance_is(&worker->chance))
		return sl_chance_draw(&worker->chance, (unsigned)choice->n);
	if (state == 0)
		state = (uint64_t)sl_clock_monotonic_ns() | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)((state >> 16) % choice->n);
}

bool sl_choice_try(struct sl_choice *choice, struct sl_goroutine *self)
{
	size_t start = somewhere(choice);

	for (size_t i = 0; i < choice->n; i++) {
		struct sl_case *c = &choice->cases[(start + i) % choice->n];
		bool ok;

		lock(c->channel);
		ok = happen_locked(c, self);
		unlock(c->channel);
		if (ok)
			return true;
	}
	return false;
}

/* When to look again: the choice's deadline, or the time when a channel expires. 0: never. */
static int64_t next_look_ns(const struct sl_choice *choice)
{
	int64_t deadline_ns = choice->deadline_ns;

	for (size_t i = 0; i < choice->n; i++) {
		int64_t expires_ns = choice->cases[i].channel->expires_ns;

		if (expires_ns && (!deadline_ns || expires_ns < deadline_ns))
			deadline_ns = expires_ns;
	}
	return deadline_ns;
}

static bool may_happen_locked(const struct sl_case *c, const struct sl_goroutine *self)
{
	const struct sl_channel *channel = c->channel;

	if (channel->closed)
		return true;
	if (c->sends)
		return channel->n < channel->capacity ||
		       others_wait_locked(&channel->receivers, self);
	return channel->n > 0 || others_wait_locked(&channel->senders, self);
}

/* Of a goroutine on its way into its wait: makes the case happen or stands in line for it.
 * False: there is nothing to look for any more. @claimed: it wakes itself first, so that
 * nobody else can choose for it. */
static bool enter_case(struct sl_case *c, struct sl_goroutine *self, bool *claimed)
{
	struct sl_channel *channel = c->channel;
	bool on = true;

	lock(channel);
	if (may_happen_locked(c, self)) {
		if (!*claimed && !sl_goroutine_wake(self, SL_WAKE_READY)) {
			on = false; /* somebody else was faster */
		} else {
			*claimed = true;
			on = !happen_locked(c, self);
		}
	}
	if (on && !*claimed)
		sl_waiters_add(c->sends ? &channel->senders : &channel->receivers, &c->waiter);
	unlock(channel);
	return on;
}

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_choice *choice = wait->object;
	size_t start = somewhere(choice);
	bool claimed = false;

	for (size_t i = 0; i < choice->n; i++) {
		struct sl_case *c = &choice->cases[(start + i) % choice->n];

		c->waiter = (struct sl_waiter){.goroutine = goroutine};
		if (!enter_case(c, goroutine, &claimed))
			break;
	}
	return true;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_choice *choice = wait->object;

	(void)goroutine;
	for (size_t i = 0; i < choice->n; i++) {
		struct sl_case *c = &choice->cases[i];
		struct sl_channel *channel = c->channel;

		pthread_mutex_lock(&channel->lock);
		sl_waiters_remove(
			c->sends ? &channel->senders : &channel->receivers, &c->waiter);
		pthread_mutex_unlock(&channel->lock);
	}
}

static void abandon(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_case *c = ((struct sl_choice *)wait->object)->chosen;

	(void)goroutine;
	if (!c || c->sends || !c->message)
		return;
	pthread_mutex_lock(&c->channel->lock);
	give_back_locked(c->channel, sl_steal(c->message));
	pthread_mutex_unlock(&c->channel->lock);
}

static void describe(const struct sl_wait *wait, char *text, size_t size)
{
	const struct sl_choice *choice = wait->object;

	if (choice->n == 1)
		snprintf(text, size, " (to %s)", choice->cases[0].sends ? "send" : "receive");
	else
		snprintf(text, size, " (select of %zu)", choice->n);
}

static const struct sl_wait_kind wait_kind = {
	.name = SL_CHANNEL_KIND,
	.enter = enter,
	.leave = leave,
	.abandon = abandon,
	.describe = describe,
};

/* A wait may end without anything having happened, when the other side was taken away at the
 * last moment: then it begins anew. */
static int look(lua_State *L, int status, lua_KContext slot)
{
	struct sl_choice *choice = (struct sl_choice *)sl_handle_at(L, (int)slot);
	bool waited = status == LUA_YIELD;

	if (choice->chosen || (waited && sl_choice_try(choice, sl_goroutine_of(L))))
		return choice->finish(L, choice);
	if (choice->deadline_ns && sl_clock_monotonic_ns() >= choice->deadline_ns)
		return choice->finish(L, choice);
	sl_goroutine_prepare(L, &wait_kind, choice, next_look_ns(choice));
	return sl_goroutine_wait(L, slot, look);
}

int sl_choice_wait(lua_State *L, int slot)
{
	return look(L, LUA_OK, slot);
}
