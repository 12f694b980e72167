/* SPDX-License-Identifier: MIT */
#include "lua/sync/pipeline.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/modules/modules.h"
#include "lua/sync/channel.h"
#include "lua/sync/channel_calls.h"

/* Most goroutines of a stage, and most channels of a fan. */
#define MOST 10000

/* The arguments are checked before these run. The last one out of those who send to a channel
 * closes it, whatever ends it: its own error, or its being stopped. */
#define CLOSER                                                                                 \
	"local function closer(left, ...)\n"                                                   \
	"  local channels = {...}\n"                                                           \
	"  return setmetatable({}, {__close = function()\n"                                    \
	"    if left:add(-1) > 0 then return end\n"                                            \
	"    for i = 1, #channels do channels[i]:close() end\n"                                \
	"  end})\n"                                                                            \
	"end\n"

/* (goroutine, log, input, stages). The function of a stage is captured, not given as an
 * argument, so that what it captures in its turn is shared. */
static const char pipeline_text[] =
	"local goroutine, log, input, stages = ...\n" CLOSER
	"local function work(i, fn, input, output, left)\n"
	"  local guard <close> = closer(left, output)\n"
	"  while true do\n"
	"    local value, more = input:receive()\n"
	"    if not more then return end\n"
	"    local ok, result = pcall(fn, value)\n"
	"    if not ok then\n"
	"      log.error(('pipeline: stage %d: %s; the value is dropped')\n"
	"        :format(i, tostring(result)))\n"
	"    elseif result ~= nil then\n"
	"      output:send(result)\n"
	"    end\n"
	"  end\n"
	"end\n"
	"for i, stage in ipairs(stages) do\n"
	"  local from, to, fn = input, goroutine.channel(stage.capacity), stage.fn\n"
	"  local left = goroutine.atomic_int(stage.workers)\n"
	"  for _ = 1, stage.workers do\n"
	"    goroutine.spawn(function() work(i, fn, from, to, left) end)\n"
	"  end\n"
	"  input = to\n"
	"end\n"
	"return input\n";

/* (goroutine, input, n, capacity, share) */
static const char fan_out_text[] =
	"local goroutine, input, n, capacity, share = ...\n" CLOSER "local outputs = {}\n"
	"for i = 1, n do outputs[i] = goroutine.channel(capacity) end\n"
	"local function to_all(input, left, ...)\n"
	"  local guard <close> = closer(left, ...)\n"
	"  local outputs = {...}\n"
	"  while true do\n"
	"    local value, more = input:receive()\n"
	"    if not more then return end\n"
	"    for i = 1, #outputs do outputs[i]:send(value) end\n"
	"  end\n"
	"end\n"
	"local function to_one(input, left, ...)\n"
	"  local guard <close> = closer(left, ...)\n"
	"  local outputs, cases = {...}, {}\n"
	"  for i = 1, #outputs do cases[i] = {channel = outputs[i]} end\n"
	"  while true do\n"
	"    local value, more = input:receive()\n"
	"    if not more then return end\n"
	"    if value == nil then\n"
	"      outputs[1]:send(nil)\n"
	"    else\n"
	"      for i = 1, #cases do cases[i].send = value end\n"
	"      goroutine.select(cases)\n"
	"    end\n"
	"  end\n"
	"end\n"
	"goroutine.spawn(share and to_one or to_all, input, goroutine.atomic_int(1),\n"
	"  table.unpack(outputs))\n"
	"return outputs\n";

/* (goroutine, inputs, capacity) */
static const char fan_in_text[] =
	"local goroutine, inputs, capacity = ...\n" CLOSER
	"local output = goroutine.channel(capacity)\n"
	"local left = goroutine.atomic_int(#inputs)\n"
	"local function forward(input, output, left)\n"
	"  local guard <close> = closer(left, output)\n"
	"  while true do\n"
	"    local value, more = input:receive()\n"
	"    if not more then return end\n"
	"    output:send(value)\n"
	"  end\n"
	"end\n"
	"for i = 1, #inputs do goroutine.spawn(forward, inputs[i], output, left) end\n"
	"if #inputs == 0 then output:close() end\n"
	"return output\n";

static int returned(lua_State *L, int status, lua_KContext ctx)
{
	(void)L;
	(void)status;
	(void)ctx;
	return 1;
}

/* Runs a text with the module and the @n_args on the top, and returns its one result. */
static int run(lua_State *L, const char *text, const char *name, int n_args)
{
	int first = lua_gettop(L) - n_args + 1;

	if (luaL_loadbufferx(L, text, strlen(text), name, "t") != LUA_OK)
		return lua_error(L);
	lua_insert(L, first);
	luaL_requiref(L, "goroutine", sl_open_goroutine, 0);
	lua_insert(L, first + 1);
	lua_callk(L, n_args + 1, 1, 0, returned);
	return 1;
}

/* ---- pipeline ---- */

/* The option @key of the table on the top as a count. [-0, +0, v] */
static lua_Integer count(lua_State *L, const char *what, const char *key, lua_Integer least,
	lua_Integer otherwise)
{
	lua_Integer value = otherwise;
	int is_integer = 1;

	if (lua_getfield(L, -1, key) != LUA_TNIL)
		value = lua_tointegerx(L, -1, &is_integer);
	if (!is_integer || value < least || value > MOST)
		luaL_error(L, "%s: %s must be a whole number from %I to %d", what, key,
			(LUAI_UACINT)least, MOST);
	lua_pop(L, 1);
	return value;
}

/* Pushes {fn=, workers=, capacity=} for the i-th stage, which may be just a function. */
static void push_stage(lua_State *L, int stages, lua_Integer i, lua_Integer capacity)
{
	const char *what = lua_pushfstring(L, "pipeline: stage #%I", (LUAI_UACINT)i);
	lua_Integer workers = 1;
	int at;

	lua_geti(L, stages, i);
	at = lua_gettop(L);
	if (lua_istable(L, at)) {
		workers = count(L, what, "workers", 1, 1);
		lua_getfield(L, at, "fn");
	} else {
		lua_pushvalue(L, at);
	}
	if (!lua_isfunction(L, -1))
		luaL_error(L, "%s has no function fn", what);
	lua_createtable(L, 0, 3);
	lua_insert(L, -2);
	lua_setfield(L, -2, "fn");
	lua_pushinteger(L, workers);
	lua_setfield(L, -2, "workers");
	lua_pushinteger(L, capacity);
	lua_setfield(L, -2, "capacity");
	lua_replace(L, at - 1);
	lua_settop(L, at - 1);
}

int sl_pipeline(lua_State *L)
{
	struct sl_channel *input = sl_channel_check(L, 1, false);
	lua_Integer n;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	n = luaL_len(L, 2);
	luaL_argcheck(L, n > 0 && n <= MOST, 2, "a pipeline has from 1 to 10000 stages");
	luaL_requiref(L, "log", sl_open_log, 0);
	lua_insert(L, 1);
	lua_createtable(L, (int)n, 0);
	for (lua_Integer i = 1; i <= n; i++) {
		push_stage(L, 3, i, (lua_Integer)sl_channel_capacity(input));
		lua_rawseti(L, 4, i);
	}
	lua_replace(L, 3);
	return run(L, pipeline_text, "=pipeline", 3);
}

/* ---- fans ---- */

/* fan_out()'s options at 3: pushes the capacity and whether the values are shared out. */
static void push_options(lua_State *L, lua_Integer capacity)
{
	bool share = false;

	if (!lua_isnoneornil(L, 3)) {
		const char *mode;

		luaL_checktype(L, 3, LUA_TTABLE);
		lua_pushvalue(L, 3);
		capacity = count(L, "fan_out", "capacity", 0, capacity);
		lua_getfield(L, 3, "mode");
		mode = luaL_optstring(L, -1, "copy");
		share = strcmp(mode, "share") == 0;
		if (!share && strcmp(mode, "copy") != 0)
			luaL_error(L, "fan_out: the mode is 'copy' or 'share', not '%s'", mode);
	}
	lua_settop(L, 2);
	lua_pushinteger(L, capacity);
	lua_pushboolean(L, share);
}

int sl_fan_out(lua_State *L)
{
	struct sl_channel *input = sl_channel_check(L, 1, false);
	lua_Integer n = luaL_checkinteger(L, 2);

	luaL_argcheck(L, n > 0 && n <= MOST, 2, "from 1 to 10000 outputs");
	push_options(L, (lua_Integer)sl_channel_capacity(input));
	return run(L, fan_out_text, "=fan_out", 4);
}

int sl_fan_in(lua_State *L)
{
	lua_Integer n, capacity;

	luaL_checktype(L, 1, LUA_TTABLE);
	capacity = luaL_optinteger(L, 2, 0);
	n = luaL_len(L, 1);
	luaL_argcheck(L, n <= MOST, 1, "at most 10000 inputs");
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, 1, i);
		if (!luaL_testudata(L, -1, SL_CHANNEL_KIND))
			return luaL_error(L, "fan_in: input #%I is a %s, not a channel",
				(LUAI_UACINT)i, luaL_typename(L, -1));
		sl_channel_check(L, -1, false);
		lua_pop(L, 1);
	}
	lua_settop(L, 1);
	lua_pushinteger(L, capacity);
	return run(L, fan_in_text, "=fan_in", 2);
}
