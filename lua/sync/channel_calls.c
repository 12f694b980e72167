/* SPDX-License-Identifier: MIT */
#include "lua/sync/channel_calls.h"

#include <string.h>

#include "lua/runtime_inside.h"
#include "lua/share/share.h"
#include "lua/sync/channel.h"
#include "lua/transfer/message.h"

/* Most values that may lie in a channel. */
#define MOST_CAPACITY (1 << 20)

/* ---- arguments ---- */

static struct sl_channel *check(lua_State *L, int arg)
{
	return (struct sl_channel *)sl_handle_check(L, arg, SL_CHANNEL_KIND);
}

struct sl_channel *sl_channel_check(lua_State *L, int arg, bool sends)
{
	struct sl_channel *channel = check(L, arg);
	enum sl_channel_use use = sl_channel_use(channel);

	if (sends && use == SL_CHANNEL_RECEIVE)
		luaL_error(L, "send to a channel that is for receiving only");
	if (!sends && use == SL_CHANNEL_SEND)
		luaL_error(L, "receive from a channel that is for sending only");
	return channel;
}

static enum sl_channel_use check_use(lua_State *L, int arg)
{
	static const char *const words[] = {"both", "send", "receive", NULL};
	static const enum sl_channel_use uses[] = {
		SL_CHANNEL_BOTH, SL_CHANNEL_SEND, SL_CHANNEL_RECEIVE};

	return uses[luaL_checkoption(L, arg, "both", words)];
}

int sl_channel_create(lua_State *L)
{
	lua_Integer capacity = luaL_optinteger(L, 1, 0);
	enum sl_channel_use use = check_use(L, 2);
	struct sl_channel *channel;

	if (capacity < 0 || capacity > MOST_CAPACITY)
		return luaL_argerror(L, 1,
			lua_pushfstring(L, "the capacity must be from 0 to %d, not %I",
				MOST_CAPACITY, (LUAI_UACINT)capacity));
	channel = sl_channel_new(sl_runtime_of(L), (size_t)capacity, use, 0);
	if (!channel)
		return luaL_error(L, "not enough memory");
	return sl_handle_push_new(L, sl_channel_handle(channel));
}

struct sl_choice *sl_choice_push(lua_State *L, size_t n)
{
	struct sl_choice *choice = sl_choice_new(n);

	if (!choice) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	sl_handle_push_new(L, &choice->handle);
	return choice;
}

/* ---- sending ---- */

static struct sl_message *pack(lua_State *L, int index)
{
	return sl_message_pack(L, index, "value", "through a channel");
}

static int raise_closed(lua_State *L)
{
	return luaL_error(L, "send on a closed channel");
}

static int sent(lua_State *L, struct sl_choice *choice)
{
	if (choice->chosen->closed)
		return raise_closed(L);
	lua_pushboolean(L, true);
	return 1;
}

/* Pushes a choice that waits to send @message, which it takes. */
static struct sl_choice *push_sender(
	lua_State *L, struct sl_channel *channel, struct sl_message *message)
{
	struct sl_choice *choice = sl_choice_new(1);

	if (!choice) {
		sl_message_free(message);
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	sl_choice_set(choice, 0, channel, true, message);
	sl_handle_push_new(L, &choice->handle);
	return choice;
}

/* ch:send(value) */
static int l_send(lua_State *L)
{
	struct sl_channel *channel = sl_channel_check(L, 1, true);
	struct sl_message *message;
	struct sl_choice *choice;

	luaL_checkany(L, 2);
	lua_settop(L, 2);
	message = pack(L, 2);
	sl_share_release(L);
	switch (sl_channel_try_send(channel, sl_goroutine_of(L), message)) {
	case SL_CHANNEL_DONE:
		lua_pushboolean(L, true);
		return 1;
	case SL_CHANNEL_CLOSED:
		sl_message_free(message);
		return raise_closed(L);
	case SL_CHANNEL_BUSY:
		break;
	}
	choice = push_sender(L, channel, message);
	choice->finish = sent;
	return sl_choice_wait(L, 3);
}

/* ch:try_send(value) */
static int l_try_send(lua_State *L)
{
	struct sl_channel *channel = sl_channel_check(L, 1, true);
	struct sl_message *message;
	enum sl_channel_answer answer;

	luaL_checkany(L, 2);
	message = pack(L, 2);
	sl_share_release(L);
	answer = sl_channel_try_send(channel, sl_goroutine_of(L), message);
	if (answer != SL_CHANNEL_DONE)
		sl_message_free(message);
	if (answer == SL_CHANNEL_CLOSED)
		return raise_closed(L);
	lua_pushboolean(L, answer == SL_CHANNEL_DONE);
	return 1;
}

/* ---- receiving ---- */

static int push_received(lua_State *L, struct sl_message *message)
{
	sl_share_acquire(L);
	sl_message_deliver(L, message);
	lua_pushboolean(L, true);
	return 2;
}

static int push_nothing(lua_State *L, enum sl_channel_answer answer)
{
	if (answer == SL_CHANNEL_CLOSED)
		sl_share_acquire(L);
	lua_pushnil(L);
	lua_pushboolean(L, false);
	return 2;
}

/* What a receiving call returns once its choice is made: value, true or nil, false. */
static int received(lua_State *L, struct sl_choice *choice)
{
	struct sl_message *message = sl_steal(choice->chosen->message);

	return message ? push_received(L, message) : push_nothing(L, SL_CHANNEL_CLOSED);
}

/* Receives from @channel as function in C would, whose stack has @top slots; @waited says what
 * it returns if it has to wait. */
static int receive(lua_State *L, struct sl_channel *channel, int top,
	int (*waited)(lua_State *L, struct sl_choice *choice))
{
	struct sl_message *message;
	struct sl_choice *choice;

	switch (sl_channel_try_receive(channel, sl_goroutine_of(L), &message)) {
	case SL_CHANNEL_DONE:
		return push_received(L, message);
	case SL_CHANNEL_CLOSED:
		return push_nothing(L, SL_CHANNEL_CLOSED);
	case SL_CHANNEL_BUSY:
		break;
	}
	lua_settop(L, top);
	choice = sl_choice_push(L, 1);
	sl_choice_set(choice, 0, channel, false, NULL);
	choice->finish = waited;
	return sl_choice_wait(L, top + 1);
}

/* ch:receive() */
static int l_receive(lua_State *L)
{
	struct sl_channel *channel = sl_channel_check(L, 1, false);

	return receive(L, channel, 1, received);
}

/* ch:try_receive() */
static int l_try_receive(lua_State *L)
{
	struct sl_channel *channel = sl_channel_check(L, 1, false);
	struct sl_message *message;
	enum sl_channel_answer answer =
		sl_channel_try_receive(channel, sl_goroutine_of(L), &message);

	if (answer == SL_CHANNEL_DONE)
		return push_received(L, message);
	return push_nothing(L, answer);
}

/* ---- all of them ---- */

static int range_on(lua_State *L, int status, lua_KContext ctx);

/* Slots: channel, function. With value and whether there is one on the top: calls the function
 * and goes on; nothing else may be returned while there are values. */
static int range_call(lua_State *L)
{
	if (!lua_toboolean(L, -1)) {
		lua_settop(L, 0);
		return 0;
	}
	lua_pop(L, 1);
	lua_pushvalue(L, 2);
	lua_insert(L, -2);
	lua_callk(L, 1, 0, 0, range_on);
	return 1;
}

/* Where Lua can't yield, range_on() waits for this to return, and goes on by itself. */
static int range_waited(lua_State *L, struct sl_choice *choice)
{
	received(L, choice);
	if (range_call(L) == 0)
		return 0;
	return lua_isyieldable(L) ? range_on(L, LUA_OK, 0) : 1;
}

static int range_on(lua_State *L, int status, lua_KContext ctx)
{
	struct sl_channel *channel = check(L, 1);
	struct sl_message *message;
	struct sl_choice *choice;

	(void)status;
	(void)ctx;
	for (;;) {
		lua_settop(L, 2);
		switch (sl_channel_try_receive(channel, sl_goroutine_of(L), &message)) {
		case SL_CHANNEL_DONE:
			push_received(L, message);
			range_call(L);
			continue;
		case SL_CHANNEL_CLOSED:
			sl_share_acquire(L);
			return 0;
		case SL_CHANNEL_BUSY:
			break;
		}
		choice = sl_choice_push(L, 1);
		sl_choice_set(choice, 0, channel, false, NULL);
		choice->finish = range_waited;
		if (sl_choice_wait(L, 3) == 0)
			return 0;
	}
}

/* ch:range(fn) */
static int l_range(lua_State *L)
{
	sl_channel_check(L, 1, false);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	return range_on(L, LUA_OK, 0);
}

/* For the loop, nil means that it is over. */
static int check_iterated(lua_State *L)
{
	if (lua_toboolean(L, -1) && lua_isnil(L, -2))
		return luaL_error(L, "nil was sent: a loop over ch:iter() would end at it; "
				     "use ch:range() or ch:receive()");
	return 2;
}

static int iterated(lua_State *L, struct sl_choice *choice)
{
	received(L, choice);
	return check_iterated(L);
}

/* What a loop calls: next(ch) */
static int l_next(lua_State *L)
{
	int n = receive(L, sl_channel_check(L, 1, false), 1, iterated);

	return n == 2 ? check_iterated(L) : n;
}

/* for value in ch:iter() do … end */
static int l_iter(lua_State *L)
{
	sl_channel_check(L, 1, false);
	lua_pushcfunction(L, l_next);
	lua_pushvalue(L, 1);
	return 2;
}

/* ---- the rest ---- */

/* ch:close() */
static int l_close(lua_State *L)
{
	struct sl_channel *channel = check(L, 1);

	if (sl_channel_use(channel) == SL_CHANNEL_RECEIVE)
		return luaL_error(L, "close of a channel that is for receiving only");
	sl_share_release(L);
	lua_pushboolean(L, sl_channel_close(channel));
	if (lua_toboolean(L, -1))
		return 1;
	lua_pushliteral(L, "the channel is closed already");
	return 2;
}

/* ch:len() */
static int l_len(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)sl_channel_length(check(L, 1)));
	return 1;
}

/* ch:cap() */
static int l_cap(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)sl_channel_capacity(check(L, 1)));
	return 1;
}

/* ch:is_closed() */
static int l_is_closed(lua_State *L)
{
	lua_pushboolean(L, sl_channel_is_closed(check(L, 1)));
	return 1;
}

const luaL_Reg sl_channel_methods[] = {
	{"cap", l_cap},
	{"close", l_close},
	{"is_closed", l_is_closed},
	{"iter", l_iter},
	{"len", l_len},
	{"range", l_range},
	{"receive", l_receive},
	{"send", l_send},
	{"try_receive", l_try_receive},
	{"try_send", l_try_send},
	{NULL, NULL},
};

const luaL_Reg sl_channel_unlisted[] = {
	{"next", l_next}, /* ch:iter() returns it */
	{NULL, NULL},
};
