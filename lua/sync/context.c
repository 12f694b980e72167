/* SPDX-License-Identifier: MIT */
#include "lua/sync/context.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/call.h"
#include "lua/share/share.h"
#include "lua/state/handle.h"
#include "lua/sync/channel.h"
#include "lua/sync/context_run.h"
#include "lua/transfer/message.h"

/* Contexts are cancelled from the root down, one call inside of the other. */
#define MOST_DEPTH 1000

struct context {
	struct sl_handle handle;  /* first */
	struct context *parent;   /* shares; immutable after new, and what follows */
	struct context *root;     /* itself, or held by its parents */
	struct sl_channel *done;  /* shares */
	int64_t expires_ns;       /* 0: never */
	struct sl_message *key;   /* NULL: it carries no value */
	struct sl_message *value; /* of key */
	unsigned depth;

	/* Of a root: guards what follows, in all of its descendants. Of one that carries a
	 * value, which is no root: who reads it. */
	pthread_mutex_t lock;
	bool cancelled;
	struct context *children;
	struct context *prev, *next; /* parent->children */
};

/* ---- life ---- */

static void unlink_locked(struct context *context)
{
	if (context->prev)
		context->prev->next = context->next;
	else
		context->parent->children = context->next;
	if (context->next)
		context->next->prev = context->prev;
}

static void free_context(struct sl_handle *handle)
{
	struct context *context = (struct context *)handle;

	if (context->parent) {
		pthread_mutex_lock(&context->root->lock);
		unlink_locked(context);
		pthread_mutex_unlock(&context->root->lock);
		sl_handle_unref(&context->parent->handle);
	}
	if (context->done)
		sl_handle_unref(sl_channel_handle(context->done));
	sl_message_free(context->key);
	sl_message_free(context->value);
	pthread_mutex_destroy(&context->lock);
	free(context);
}

static bool expired(const struct context *context)
{
	return context->expires_ns && sl_clock_monotonic_ns() >= context->expires_ns;
}

static void cancel_locked(struct context *context)
{
	if (context->cancelled || expired(context))
		return;
	context->cancelled = true;
	sl_channel_close(context->done);
	for (struct context *child = context->children; child; child = child->next)
		cancel_locked(child);
}

static void cancel(struct context *context)
{
	pthread_mutex_lock(&context->root->lock);
	cancel_locked(context);
	pthread_mutex_unlock(&context->root->lock);
}

/* Makes it a child of @parent, of which the caller's reference passes. */
static void adopt(struct context *parent, struct context *child)
{
	child->parent = parent;
	child->root = parent->root;
	child->depth = parent->depth + 1;
	pthread_mutex_lock(&parent->root->lock);
	child->next = parent->children;
	if (child->next)
		child->next->prev = child;
	parent->children = child;
	if (parent->cancelled)
		cancel_locked(child);
	pthread_mutex_unlock(&parent->root->lock);
}

/* One reference is the caller's; NULL when memory ran out. */
static struct context *new_context(
	struct sl_runtime *runtime, struct context *parent, int64_t expires_ns)
{
	struct context *context = calloc(1, sizeof(*context));

	if (!context)
		return NULL;
	if (parent && parent->expires_ns && (!expires_ns || parent->expires_ns < expires_ns))
		expires_ns = parent->expires_ns;
	context->handle =
		(struct sl_handle){.refs = 1, .kind = SL_CONTEXT_KIND, .free = free_context};
	context->root = context;
	context->expires_ns = expires_ns;
	pthread_mutex_init(&context->lock, NULL);
	context->done = sl_channel_new(runtime, 0, SL_CHANNEL_RECEIVE, expires_ns);
	if (!context->done) {
		free_context(&context->handle);
		return NULL;
	}
	if (parent)
		adopt((struct context *)sl_handle_ref(&parent->handle), context);
	return context;
}

/* Why it is over; NULL: it isn't. */
static const char *reason(struct context *context)
{
	bool cancelled;

	pthread_mutex_lock(&context->root->lock);
	cancelled = context->cancelled;
	pthread_mutex_unlock(&context->root->lock);
	if (cancelled)
		return "context canceled";
	return expired(context) ? "context deadline exceeded" : NULL;
}

/* ---- making them ---- */

static struct context *check(lua_State *L)
{
	return (struct context *)sl_handle_check(L, 1, SL_CONTEXT_KIND);
}

static struct context *push_new(lua_State *L, struct context *parent, int64_t expires_ns)
{
	struct context *context;

	if (parent && parent->depth >= MOST_DEPTH)
		luaL_error(L, "contexts are derived from each other more than %d deep",
			MOST_DEPTH);
	context = new_context(sl_runtime_of(L), parent, expires_ns);
	if (!context) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	sl_handle_push_new(L, &context->handle);
	return context;
}

int sl_context_create(lua_State *L)
{
	push_new(L, NULL, 0);
	return 1;
}

/* Pushes a function that cancels the context on the top: in Lua, so that it can be sent.
 * [-0, +1, m] */
static void push_cancel(lua_State *L)
{
	static const char text[] = "local context = ... return function() context:cancel() end";

	if (luaL_loadbufferx(L, text, sizeof(text) - 1, "=context", "t") != LUA_OK)
		lua_error(L);
	lua_pushvalue(L, -2);
	lua_call(L, 1, 1);
}

static int derive(lua_State *L, int64_t expires_ns)
{
	push_new(L, check(L), expires_ns);
	push_cancel(L);
	return 2;
}

/* ctx:with_cancel() */
static int l_with_cancel(lua_State *L)
{
	return derive(L, 0);
}

/* ctx:with_timeout(ms) */
static int l_with_timeout(lua_State *L)
{
	luaL_checknumber(L, 2);
	return derive(L, sl_call_deadline(L, 2));
}

static double wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ctx:with_deadline(ms): as os.time() * 1000 counts */
static int l_with_deadline(lua_State *L)
{
	lua_Number ms = luaL_checknumber(L, 2);

	lua_pushnumber(L, ms - wall_ms());
	lua_replace(L, 2);
	return derive(L, sl_call_deadline(L, 2));
}

static void check_key(lua_State *L)
{
	int type = lua_type(L, 2);

	if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
		luaL_argerror(L, 2,
			lua_pushfstring(L, "a key is a string, number or boolean, not a %s",
				luaL_typename(L, 2)));
}

/* ctx:with_value(key, value) */
static int l_with_value(lua_State *L)
{
	struct context *context;

	check(L);
	check_key(L);
	luaL_checkany(L, 3);
	context = push_new(L, check(L), 0);
	context->value = sl_message_pack(L, 3, "value", "along with a context");
	context->key = sl_message_pack(L, 2, "key", "along with a context");
	/* Nobody else has seen it yet. */
	return 1;
}

/* ---- asking them ---- */

/* Pushes @message, of @context, or raises. [-0, +1, v] */
static void push_message(
	lua_State *L, struct context *context, const struct sl_message *message)
{
	struct sl_error err;
	int code;

	pthread_mutex_lock(&context->lock);
	code = sl_message_push(L, message, &err);
	pthread_mutex_unlock(&context->lock);
	if (code != 0)
		luaL_error(L, "%s", err.text);
}

/* ctx:value(key) */
static int l_value(lua_State *L)
{
	struct context *context = check(L);

	check_key(L);
	for (; context; context = context->parent) {
		if (!context->key)
			continue;
		push_message(L, context, context->key);
		if (lua_rawequal(L, 2, -1)) {
			push_message(L, context, context->value);
			return 1;
		}
		lua_pop(L, 1);
	}
	lua_pushnil(L);
	return 1;
}

/* ctx:done() */
static int l_done(lua_State *L)
{
	sl_handle_push(L, sl_channel_handle(check(L)->done));
	return 1;
}

/* ctx:cancel() */
static int l_cancel(lua_State *L)
{
	struct context *context = check(L);

	sl_share_release(L);
	cancel(context);
	return 0;
}

/* ctx:is_cancelled() */
static int l_is_cancelled(lua_State *L)
{
	bool over = reason(check(L)) != NULL;

	if (over)
		sl_share_acquire(L);
	lua_pushboolean(L, over);
	return 1;
}

/* ctx:err() */
static int l_err(lua_State *L)
{
	lua_pushstring(L, reason(check(L)));
	return 1;
}

/* ctx:deadline() */
static int l_deadline(lua_State *L)
{
	struct context *context = check(L);
	int64_t left_ns = context->expires_ns - sl_clock_monotonic_ns();

	if (context->expires_ns)
		lua_pushinteger(L, (lua_Integer)(wall_ms() + (double)left_ns / 1e6 + 0.5));
	else
		lua_pushnil(L);
	lua_pushboolean(L, context->expires_ns != 0);
	return 2;
}

static const char *reason_at_1(lua_State *L)
{
	return reason(check(L));
}

/* ctx:run(fn, ...) */
static int l_run(lua_State *L)
{
	struct context *context = check(L);

	luaL_checktype(L, 2, LUA_TFUNCTION);
	return sl_context_run(L, context->done, reason_at_1);
}

const luaL_Reg sl_context_methods[] = {
	{"cancel", l_cancel},
	{"deadline", l_deadline},
	{"done", l_done},
	{"err", l_err},
	{"is_cancelled", l_is_cancelled},
	{"run", l_run},
	{"value", l_value},
	{"with_cancel", l_with_cancel},
	{"with_deadline", l_with_deadline},
	{"with_timeout", l_with_timeout},
	{"with_value", l_with_value},
	{NULL, NULL},
};
