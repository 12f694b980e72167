/* SPDX-License-Identifier: MIT */
#include "lua/sync/primitives.h"

#include <string.h>

#include "lua/sync/atomic_int.h"
#include "lua/sync/channel.h"
#include "lua/sync/channel_calls.h"
#include "lua/sync/cond.h"
#include "lua/sync/context.h"
#include "lua/sync/mutex.h"
#include "lua/sync/once.h"
#include "lua/sync/pipeline.h"
#include "lua/sync/rwmutex.h"
#include "lua/sync/select.h"
#include "lua/sync/semaphore.h"
#include "lua/sync/wait_group.h"

static const struct {
	const char *kind;
	const luaL_Reg *methods;
} kinds[] = {
	{SL_ATOMIC_INT_KIND, sl_atomic_int_methods},
	{SL_CHANNEL_KIND, sl_channel_methods},
	{SL_COND_KIND, sl_cond_methods},
	{SL_CONTEXT_KIND, sl_context_methods},
	{SL_MUTEX_KIND, sl_mutex_methods},
	{SL_ONCE_KIND, sl_once_methods},
	{SL_RWMUTEX_KIND, sl_rwmutex_methods},
	{SL_SEMAPHORE_KIND, sl_semaphore_methods},
	{SL_WAIT_GROUP_KIND, sl_wait_group_methods},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *sl_primitive_kind(size_t i)
{
	return i < N_KINDS ? kinds[i].kind : NULL;
}

const luaL_Reg *sl_primitive_methods(const char *kind)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].methods;
	return NULL;
}

/* goroutine.channel_send(ch, value), … [-0, +0, m] */
static void add_channel_twins(lua_State *L)
{
	for (const luaL_Reg *method = sl_channel_methods; method->name; method++) {
		lua_pushfstring(L, "channel_%s", method->name);
		lua_pushcfunction(L, method->func);
		lua_rawset(L, -3);
	}
}

void sl_primitives_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"atomic_int", sl_atomic_int_create},
		{"channel", sl_channel_create},
		{"cond", sl_cond_create},
		{"context", sl_context_create},
		{"fan_in", sl_fan_in},
		{"fan_out", sl_fan_out},
		{"mutex", sl_mutex_create},
		{"once", sl_once_create},
		{"pipeline", sl_pipeline},
		{"rwmutex", sl_rwmutex_create},
		{"select", sl_select},
		{"select_timeout", sl_select_timeout},
		{"semaphore", sl_semaphore_create},
		{NULL, NULL},
	};

	luaL_setfuncs(L, functions, 0);
	add_channel_twins(L);
}
