/* SPDX-License-Identifier: MIT */
#include "lua/schedule/scope.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/scheduler.h"

struct sl_scope *sl_scope_new(struct sl_scope *parent, pthread_mutex_t *lock)
{
	struct sl_scope *scope = calloc(1, sizeof(*scope));

	if (!scope)
		return NULL;
	scope->refs = 1;
	scope->lock = lock;
	if (!parent)
		return scope;
	scope->parent = sl_scope_ref(parent);
	pthread_mutex_lock(lock);
	scope->stopping = parent->stopping;
	scope->stopped_ns = parent->stopped_ns;
	scope->next = parent->children;
	if (scope->next)
		scope->next->prev = scope;
	parent->children = scope;
	pthread_mutex_unlock(lock);
	return scope;
}

struct sl_scope *sl_scope_ref(struct sl_scope *scope)
{
	atomic_fetch_add_explicit(&scope->refs, 1, memory_order_relaxed);
	return scope;
}

static void unlink_scope(struct sl_scope *scope)
{
	struct sl_scope *parent = scope->parent;

	pthread_mutex_lock(scope->lock);
	if (scope->prev)
		scope->prev->next = scope->next;
	else
		parent->children = scope->next;
	if (scope->next)
		scope->next->prev = scope->prev;
	pthread_mutex_unlock(scope->lock);
}

void sl_scope_unref(struct sl_scope *scope)
{
	if (!scope || atomic_fetch_sub_explicit(&scope->refs, 1, memory_order_acq_rel) > 1)
		return;
	if (scope->parent) {
		unlink_scope(scope);
		sl_scope_unref(scope->parent);
	}
	free(scope);
}

/* The task's scope has them all. */
static void count_live(const struct sl_scope *scope, const struct sl_goroutine *goroutine)
{
	if (!scope->parent)
		sl_tally_set(goroutine->runtime->tally, SL_TALLY_GOROUTINES, scope->n_live);
}

bool sl_scope_join(struct sl_scope *scope, struct sl_goroutine *goroutine)
{
	bool open;

	pthread_mutex_lock(scope->lock);
	open = !scope->stopping;
	if (open) {
		goroutine->scope_prev = NULL;
		goroutine->scope_next = scope->goroutines;
		if (scope->goroutines)
			scope->goroutines->scope_prev = goroutine;
		scope->goroutines = goroutine;
		for (struct sl_scope *s = scope; s; s = s->parent) {
			s->n_live++;
			count_live(s, goroutine);
		}
	}
	pthread_mutex_unlock(scope->lock);
	if (open)
		goroutine->scope = sl_scope_ref(scope);
	return open;
}

/* Nobody is in @scope, or one of those above it, any more: who waits for that goes on. */
static bool is_over_locked(struct sl_scope *scope)
{
	bool over = false;

	for (; scope; scope = scope->parent) {
		if (scope->n_live + scope->n_held > 0)
			continue;
		sl_waiters_wake_all(&scope->empty);
		over = !scope->parent;
	}
	return over;
}

bool sl_scope_leave(struct sl_goroutine *goroutine)
{
	struct sl_scope *scope = sl_steal(goroutine->scope);
	bool over;

	pthread_mutex_lock(scope->lock);
	if (goroutine->scope_prev)
		goroutine->scope_prev->scope_next = goroutine->scope_next;
	else
		scope->goroutines = goroutine->scope_next;
	if (goroutine->scope_next)
		goroutine->scope_next->scope_prev = goroutine->scope_prev;
	for (struct sl_scope *s = scope; s; s = s->parent) {
		s->n_live--;
		count_live(s, goroutine);
	}
	over = is_over_locked(scope);
	pthread_mutex_unlock(scope->lock);
	sl_scope_unref(scope);
	return over;
}

void sl_scope_hold(struct sl_scope *scope)
{
	sl_scope_ref(scope);
	pthread_mutex_lock(scope->lock);
	for (struct sl_scope *s = scope; s; s = s->parent)
		s->n_held++;
	pthread_mutex_unlock(scope->lock);
}

bool sl_scope_release(struct sl_scope *scope)
{
	bool over;

	pthread_mutex_lock(scope->lock);
	for (struct sl_scope *s = scope; s; s = s->parent)
		s->n_held--;
	over = is_over_locked(scope);
	pthread_mutex_unlock(scope->lock);
	sl_scope_unref(scope);
	return over;
}

static void doom_locked(struct sl_scope *scope, int64_t now)
{
	if (!scope->stopping)
		scope->stopped_ns = now;
	scope->stopping = true;
	for (struct sl_goroutine *g = scope->goroutines; g; g = g->scope_next)
		sl_goroutine_doom(g);
	for (struct sl_scope *child = scope->children; child; child = child->next)
		doom_locked(child, now);
}

static void stop_locked(struct sl_scope *scope)
{
	for (struct sl_goroutine *g = scope->goroutines; g; g = g->scope_next)
		sl_goroutine_stop(g);
	for (struct sl_scope *child = scope->children; child; child = child->next)
		stop_locked(child);
}

void sl_scope_stop(struct sl_scope *scope)
{
	pthread_mutex_lock(scope->lock);
	/* All of them before any: who waits for another one must not see it end and go on. */
	doom_locked(scope, sl_clock_monotonic_ns());
	stop_locked(scope);
	pthread_mutex_unlock(scope->lock);
}

/* Who is in a scope can't end meanwhile, and neither can the thread that runs it. */
static void press_one(struct sl_goroutine *goroutine, uint64_t look)
{
	struct sl_worker *worker = atomic_load(&goroutine->worker);

	sl_goroutine_stop(goroutine);
	if (worker && look > 0)
		sl_worker_note_holdup(worker, look, goroutine->id);
}

static void press_locked(struct sl_scope *scope, uint64_t look, struct sl_pressed *pressed)
{
	if (scope->n_live == 0)
		return;
	if (scope->stopping) {
		for (struct sl_goroutine *g = scope->goroutines; g; g = g->scope_next) {
			press_one(g, look);
			if (pressed->n++ > 0 && pressed->since_ns <= scope->stopped_ns)
				continue;
			pressed->since_ns = scope->stopped_ns;
			pressed->goroutine = g->id;
		}
	}
	for (struct sl_scope *child = scope->children; child; child = child->next)
		press_locked(child, look, pressed);
}

struct sl_pressed sl_scope_press(struct sl_scope *scope, uint64_t look)
{
	struct sl_pressed pressed = {0};

	pthread_mutex_lock(scope->lock);
	press_locked(scope, look, &pressed);
	pthread_mutex_unlock(scope->lock);
	return pressed;
}

bool sl_scope_each_locked(struct sl_scope *scope,
	bool (*fn)(struct sl_goroutine *goroutine, void *ctx), void *ctx)
{
	if (scope->n_live == 0)
		return true;
	for (struct sl_goroutine *g = scope->goroutines; g; g = g->scope_next)
		if (!fn(g, ctx))
			return false;
	for (struct sl_scope *child = scope->children; child; child = child->next)
		if (!sl_scope_each_locked(child, fn, ctx))
			return false;
	return true;
}

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_scope *scope = wait->object;
	bool busy;

	(void)goroutine;
	pthread_mutex_lock(scope->lock);
	busy = scope->n_live + scope->n_held > 0;
	if (busy)
		sl_waiters_add(&scope->empty, &wait->waiter);
	pthread_mutex_unlock(scope->lock);
	return busy;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_scope *scope = wait->object;

	(void)goroutine;
	pthread_mutex_lock(scope->lock);
	sl_waiters_remove(&scope->empty, &wait->waiter);
	pthread_mutex_unlock(scope->lock);
}

const struct sl_wait_kind sl_scope_wait_kind = {
	.name = "timeout",
	.enter = enter,
	.leave = leave,
};
