/* SPDX-License-Identifier: MIT */
#include "lua/sync/select.h"

#include <lauxlib.h>

#include "lua/schedule/call.h"
#include "lua/share/share.h"
#include "lua/sync/channel.h"
#include "lua/sync/channel_calls.h"
#include "lua/transfer/message.h"

/* Most cases of one select. */
#define MOST_CASES 65536

/* Stack slots. */
enum {
	SLOT_CASES = 1,
	SLOT_TIMED,  /* boolean: it is select_timeout() */
	SLOT_CHOICE, /* what follows are results */
};

/* What a case is about. */
enum what {
	DEFAULT,
	RECEIVE,
	SEND,
};

/* Pushes a field of the case on the top, which is at @at. [-0, +1, m] */
static int push_field(lua_State *L, int at, const char *key)
{
	lua_pushstring(L, key);
	return lua_rawget(L, at);
}

static bool has_true(lua_State *L, int at, const char *key)
{
	bool yes;

	push_field(L, at, key);
	yes = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return yes;
}

static void check_handler(lua_State *L, int at, lua_Integer i)
{
	int type = push_field(L, at, "handler");

	if (type != LUA_TNIL && type != LUA_TFUNCTION)
		luaL_error(L, "select: case #%I: its handler is a %s, not a function",
			(LUAI_UACINT)i, lua_typename(L, type));
	lua_pop(L, 1);
}

/* Says what the i-th case, on the top, is about, or raises. [-0, +0, v] */
static enum what check_case(lua_State *L, lua_Integer i)
{
	int at = lua_gettop(L);
	bool receives, sends;

	if (!lua_istable(L, at))
		luaL_error(L, "select: case #%I is a %s, not a table", (LUAI_UACINT)i,
			luaL_typename(L, at));
	check_handler(L, at, i);
	if (has_true(L, at, "default"))
		return DEFAULT;
	receives = has_true(L, at, "receive");
	sends = push_field(L, at, "send") != LUA_TNIL;
	lua_pop(L, 1);
	if (receives == sends)
		luaL_error(L,
			"select: case #%I must have either receive = true or send = VALUE",
			(LUAI_UACINT)i);
	if (push_field(L, at, "channel") != LUA_TUSERDATA ||
		!luaL_testudata(L, -1, SL_CHANNEL_KIND))
		luaL_error(L, "select: case #%I: its channel is a %s", (LUAI_UACINT)i,
			luaL_typename(L, -1));
	sl_channel_check(L, -1, sends);
	lua_pop(L, 1);
	return sends ? SEND : RECEIVE;
}

/* Fills a case of the choice from the table on the top. [-0, +0, v] */
static void fill_case(lua_State *L, struct sl_choice *choice, size_t n, enum what what)
{
	int at = lua_gettop(L);
	struct sl_message *message = NULL;
	struct sl_channel *channel;

	push_field(L, at, "channel");
	channel = sl_channel_check(L, -1, what == SEND);
	if (what == SEND) {
		push_field(L, at, "send");
		message = sl_message_pack(L, -1, "value", "through a channel");
	}
	sl_choice_set(choice, n, channel, what == SEND, message);
	lua_settop(L, at);
}

/* Number of cases that are about channels; *out_default is which one isn't, 0 for none. */
static size_t count_cases(lua_State *L, lua_Integer n_cases, lua_Integer *out_default)
{
	size_t n = 0;

	for (lua_Integer i = 1; i <= n_cases; i++) {
		lua_rawgeti(L, SLOT_CASES, i);
		if (check_case(L, i) != DEFAULT)
			n++;
		else if (*out_default)
			luaL_error(L, "select: there are two default cases, #%I and #%I",
				(LUAI_UACINT)*out_default, (LUAI_UACINT)i);
		else
			*out_default = i;
		lua_pop(L, 1);
	}
	return n;
}

/* Pushes the choice that the table is about. */
static struct sl_choice *push_choice(lua_State *L, lua_Integer *out_default)
{
	lua_Integer n_cases = (lua_Integer)lua_rawlen(L, SLOT_CASES);
	struct sl_choice *choice;
	size_t n;

	if (n_cases == 0)
		luaL_error(L, "select: there is no case: nothing would ever happen");
	if (n_cases > MOST_CASES)
		luaL_error(L, "select: %I cases are more than %d", (LUAI_UACINT)n_cases,
			MOST_CASES);
	n = count_cases(L, n_cases, out_default);
	choice = sl_choice_push(L, n);
	choice->n = 0; /* until they are filled */
	for (lua_Integer i = 1; i <= n_cases; i++) {
		if (i == *out_default)
			continue;
		lua_rawgeti(L, SLOT_CASES, i);
		fill_case(L, choice, choice->n, check_case(L, i));
		choice->cases[choice->n++].number = (size_t)i;
		lua_pop(L, 1);
	}
	return choice;
}

/* The handler has returned: what is behind the choice are the results. */
static int handled(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	return lua_gettop(L) - SLOT_CHOICE;
}

/* The i-th case has happened, with @n_values on the top: calls its handler with them and
 * returns i and the values. */
static int handle(lua_State *L, lua_Integer i, int n_values)
{
	int first;

	lua_pushinteger(L, i);
	lua_insert(L, -1 - n_values);
	if (lua_toboolean(L, SLOT_TIMED)) {
		lua_pushboolean(L, false);
		lua_insert(L, -2 - n_values);
	}
	first = lua_gettop(L) - n_values + 1;
	if (lua_rawgeti(L, SLOT_CASES, i) != LUA_TTABLE) {
		lua_pop(L, 1); /* somebody took it out meanwhile */
		return handled(L, LUA_OK, 0);
	}
	lua_pushliteral(L, "handler");
	lua_rawget(L, -2);
	lua_remove(L, -2);
	if (!lua_isfunction(L, -1)) {
		lua_pop(L, 1);
		return handled(L, LUA_OK, 0);
	}
	for (int k = 0; k < n_values; k++)
		lua_pushvalue(L, first + k);
	lua_callk(L, n_values, 0, 0, handled);
	return handled(L, LUA_OK, 0);
}

static int chosen(lua_State *L, struct sl_choice *choice)
{
	struct sl_case *c = choice->chosen;
	lua_Integer i;

	if (!c) {
		lua_pushboolean(L, true);
		return 1;
	}
	i = (lua_Integer)c->number;
	if (c->sends) {
		if (c->closed)
			return luaL_error(L, "select: case #%I: send on a closed channel",
				(LUAI_UACINT)i);
		return handle(L, i, 0);
	}
	sl_share_acquire(L);
	if (c->closed)
		lua_pushnil(L);
	else
		sl_message_deliver(L, sl_steal(c->message));
	lua_pushboolean(L, !c->closed);
	return handle(L, i, 2);
}

/* Slots: cases, timed. */
static int choose(lua_State *L, int64_t deadline_ns)
{
	lua_Integer otherwise = 0;
	struct sl_choice *choice = push_choice(L, &otherwise);

	choice->deadline_ns = deadline_ns;
	choice->finish = chosen;
	sl_share_release(L); /* for those that send */
	if (sl_choice_try(choice, sl_goroutine_of(L)))
		return chosen(L, choice);
	if (otherwise)
		return handle(L, otherwise, 0);
	return sl_choice_wait(L, SLOT_CHOICE);
}

int sl_select(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, SLOT_CASES);
	lua_pushboolean(L, false);
	return choose(L, 0);
}

int sl_select_timeout(lua_State *L)
{
	int64_t deadline_ns;

	luaL_checknumber(L, 1);
	luaL_checktype(L, 2, LUA_TTABLE);
	deadline_ns = sl_call_deadline(L, 1);
	lua_settop(L, 2);
	lua_remove(L, 1);
	lua_pushboolean(L, true);
	return choose(L, deadline_ns);
}
