/* SPDX-License-Identifier: MIT */
#include "lua/sync/permits.h"

#include <stdio.h>

#include "lua/share/share.h"

void sl_permits_init(struct sl_permits *permits, uint64_t capacity)
{
	*permits = (struct sl_permits){.capacity = capacity, .available = capacity};
	pthread_mutex_init(&permits->lock, NULL);
}

void sl_permits_deinit(struct sl_permits *permits)
{
	pthread_mutex_destroy(&permits->lock);
}

static bool take_locked(
	struct sl_permits *permits, uint64_t amount, const struct sl_goroutine *self)
{
	if (permits->waiters.first || permits->available < amount)
		return false;
	permits->available -= amount;
	permits->holder = self->id;
	return true;
}

bool sl_permits_try(
	struct sl_permits *permits, uint64_t amount, const struct sl_goroutine *self)
{
	bool taken;

	pthread_mutex_lock(&permits->lock);
	taken = take_locked(permits, amount, self);
	pthread_mutex_unlock(&permits->lock);
	return taken;
}

/* Hands what is available to those first in line. */
static void serve_locked(struct sl_permits *permits)
{
	while (permits->waiters.first) {
		struct sl_waiter *waiter = permits->waiters.first;
		struct sl_goroutine *goroutine = waiter->goroutine;
		struct sl_wait *wait = &goroutine->wait;
		uint64_t id = goroutine->id;

		if (wait->token > permits->available)
			return;
		sl_waiters_remove(&permits->waiters, waiter);
		if (!sl_goroutine_wake(goroutine, SL_WAKE_READY))
			continue;
		/* It can't go on before it has left, for which it needs the lock. */
		permits->available -= wait->token;
		permits->holder = id;
		wait->granted = true;
	}
}

static bool give_locked(struct sl_permits *permits, uint64_t amount, enum sl_permits_give how)
{
	uint64_t taken = permits->capacity - permits->available;

	if (taken < amount || (how == SL_PERMITS_SHARED && taken == permits->capacity))
		return false;
	permits->available += amount;
	serve_locked(permits);
	return true;
}

bool sl_permits_give(struct sl_permits *permits, uint64_t amount, enum sl_permits_give how)
{
	bool given;

	pthread_mutex_lock(&permits->lock);
	given = give_locked(permits, amount, how);
	pthread_mutex_unlock(&permits->lock);
	return given;
}

uint64_t sl_permits_available(struct sl_permits *permits)
{
	uint64_t available;

	pthread_mutex_lock(&permits->lock);
	available = permits->available;
	pthread_mutex_unlock(&permits->lock);
	return available;
}

/* ---- waiting ---- */

bool sl_permits_enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_permits *permits = wait->object;
	bool taken;

	pthread_mutex_lock(&permits->lock);
	taken = take_locked(permits, wait->token, goroutine);
	wait->granted = taken;
	if (!taken)
		sl_waiters_add(&permits->waiters, &wait->waiter);
	pthread_mutex_unlock(&permits->lock);
	return !taken;
}

void sl_permits_leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_permits *permits = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&permits->lock);
	sl_waiters_remove(&permits->waiters, &wait->waiter);
	if (!wait->granted)
		serve_locked(permits); /* it wanted many and was in the way */
	pthread_mutex_unlock(&permits->lock);
}

void sl_permits_abandon(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	(void)goroutine;
	if (wait->granted)
		sl_permits_give(wait->object, wait->token, SL_PERMITS_ANY);
}

void sl_permits_describe(const struct sl_wait *wait, char *text, size_t size)
{
	struct sl_permits *permits = wait->object;
	uint64_t holder;

	pthread_mutex_lock(&permits->lock);
	holder = permits->holder;
	pthread_mutex_unlock(&permits->lock);
	snprintf(text, size, " (last taken by goroutine %llu)", (unsigned long long)holder);
}

int sl_permits_push_try(lua_State *L, struct sl_permits *permits, uint64_t amount)
{
	bool taken = sl_permits_try(permits, amount, sl_goroutine_of(L));

	if (taken)
		sl_share_acquire(L);
	lua_pushboolean(L, taken);
	return 1;
}

static int taken(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	sl_share_acquire(L);
	return 0;
}

int sl_permits_take(lua_State *L, struct sl_permits *permits, uint64_t amount,
	const struct sl_wait_kind *kind)
{
	if (sl_permits_try(permits, amount, sl_goroutine_of(L)))
		return taken(L, LUA_OK, 0);
	sl_goroutine_prepare(L, kind, permits, 0)->token = amount;
	return sl_goroutine_wait(L, 0, taken);
}
