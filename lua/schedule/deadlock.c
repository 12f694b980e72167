/* SPDX-License-Identifier: MIT */
#include "lua/schedule/deadlock.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "lua/runtime_inside.h"
#include "lua/schedule/scheduler.h"
#include "lua/schedule/scope.h"
#include "lua/sync/wait_group.h"

/* One look at all goroutines. */
struct look {
	size_t n;
	uint64_t turns; /* of all: the same twice means that nothing ran meanwhile */
	bool hopeless;  /* so far */
};

static bool look_at(struct sl_goroutine *goroutine, void *ctx)
{
	struct sl_worker *worker = sl_worker_self();
	struct look *look = ctx;

	if (worker && sl_chance_is(&worker->chance))
		sl_chance_linger(&worker->chance);
	look->n++;
	look->turns += sl_goroutine_turns(goroutine);
	look->hopeless = sl_goroutine_is_stuck(goroutine);
	return look->hopeless;
}

static bool look_locked(struct sl_runtime *runtime, struct look *look)
{
	*look = (struct look){.hopeless = true};
	sl_scope_each_locked(runtime->scope, look_at, look);
	return look->hopeless && look->n > 0 && runtime->scope->n_held == 0;
}

/* One look doesn't see all at the same moment: one that was asleep may have been woken by
 * another, which then fell asleep before its turn came. Then the second look differs. */
static bool is_deadlock_locked(struct sl_runtime *runtime)
{
	struct look first, second;

	return look_locked(runtime, &first) && look_locked(runtime, &second) &&
	       first.turns == second.turns && first.n == second.n;
}

struct words {
	char *text;
	size_t size, used;
};

static void add_words(struct words *words, const char *text)
{
	size_t room = words->size - words->used;
	int n = snprintf(words->text + words->used, room, "%s", text);

	words->used += (size_t)n < room ? (size_t)n : room - 1;
}

static const char *article(const char *name)
{
	return name[0] == 'a' || strncmp(name, "rw", 2) == 0 ? "an" : "a";
}

static bool describe(struct sl_goroutine *goroutine, void *ctx)
{
	struct words *words = ctx;
	const struct sl_wait *wait = &goroutine->wait;
	char text[160];

	snprintf(text, sizeof(text), "; goroutine %llu waits for %s %s",
		(unsigned long long)goroutine->id, article(wait->kind->name), wait->kind->name);
	add_words(words, text);
	if (wait->kind->describe) {
		wait->kind->describe(wait, text, sizeof(text));
		add_words(words, text);
	}
	return words->used < words->size - 1;
}

static bool wake(struct sl_goroutine *goroutine, void *ctx)
{
	(void)ctx;
	sl_goroutine_wake(goroutine, SL_WAKE_DEADLOCK);
	return true;
}

void sl_deadlock_check(struct sl_runtime *runtime)
{
	char text[sizeof(runtime->deadlock)];
	struct words words = {.text = text, .size = sizeof(text)};

	pthread_mutex_lock(&runtime->scopes_lock);
	if (is_deadlock_locked(runtime)) {
		add_words(&words, "deadlock: all goroutines are asleep");
		sl_scope_each_locked(runtime->scope, describe, &words);
		memcpy(runtime->deadlock, text, sizeof(text));
		sl_scope_each_locked(runtime->scope, wake, NULL);
	}
	pthread_mutex_unlock(&runtime->scopes_lock);
}

void sl_deadlock_push(lua_State *L)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	char text[sizeof(runtime->deadlock)];

	pthread_mutex_lock(&runtime->scopes_lock);
	memcpy(text, runtime->deadlock, sizeof(text));
	pthread_mutex_unlock(&runtime->scopes_lock);
	luaL_where(L, 1);
	lua_pushstring(L, text);
	lua_concat(L, 2);
}

int sl_deadlock_raise(lua_State *L)
{
	sl_deadlock_push(L);
	return lua_error(L);
}
