/* SPDX-License-Identifier: MIT */
#include "lua/code/prototype.h"

#include <lauxlib.h>
#include <pthread.h>

#include "common/base.h"

/* What a Lua function begins with in Lua 5.4. */
struct closure {
	void *next;
	unsigned char type, marked, n_upvalues;
	void *gray;
	const void *prototype;
	const void *upvalues[];
};

static bool is_known; /* immutable once learned */

static const struct closure *closure_at(lua_State *L, int index)
{
	return lua_topointer(L, index);
}

/* Two functions of one prototype at 1 and 2, others of one upvalue each at 3 and 4. */
static bool looks_right(lua_State *L)
{
	const struct closure *a = closure_at(L, 1), *b = closure_at(L, 2);
	const struct closure *c = closure_at(L, 3), *d = closure_at(L, 4);

	return a->n_upvalues == 2 && b->n_upvalues == 2 && c->n_upvalues == 1 &&
	       d->n_upvalues == 1 && a->prototype == b->prototype && c->prototype &&
	       a->prototype != c->prototype && c->prototype != d->prototype &&
	       a->upvalues[0] == lua_upvalueid(L, 1, 1) &&
	       b->upvalues[0] == lua_upvalueid(L, 2, 1) &&
	       a->upvalues[1] == lua_upvalueid(L, 1, 2) && a->upvalues[1] == b->upvalues[1] &&
	       a->upvalues[0] != b->upvalues[0];
}

static void learn(void)
{
	static const char text[] =
		"local v, w = 1, 2\n"
		"local function make(x) return function() return x, v end end\n"
		"return make(1), make(2), function() return w end, function() return v end";
	lua_State *L = luaL_newstate();

	is_known = L && luaL_loadbufferx(L, text, sizeof(text) - 1, "=text", "t") == LUA_OK &&
	           lua_pcall(L, 0, 4, 0) == LUA_OK && looks_right(L);
	if (L)
		lua_close(L);
}

const void *sl_prototype_of(lua_State *L, int index)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, learn);
	if (!is_known || !lua_isfunction(L, index) || lua_iscfunction(L, index))
		return NULL;
	return closure_at(L, index)->prototype;
}
