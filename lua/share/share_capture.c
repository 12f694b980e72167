/* SPDX-License-Identifier: MIT */
#include <lauxlib.h>

#include "lua/schedule/goroutine.h"
#include "lua/share/share_parts.h"

/* ---- capturing ---- */

static struct sl_share *heir(lua_State *L, struct sl_share **share)
{
	if (!*share)
		*share = sl_share_new(sl_goroutine_of(L));
	if (!*share) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	return *share;
}

/* Now and then, what ended goroutines had is forgotten. */
static void sweep(lua_State *L, struct sl_share_job *job)
{
	if (job->share->n_numbers < 64 || job->share->n_numbers < 2 * job->share->n_swept)
		return;
	sl_share_list_copies(L, job);
	job->n_work = 0;
}

static void capture_table(lua_State *L, struct sl_share_job *job)
{
	sweep(L, job);
	job->number = sl_share_number_of(L, SL_SLOT_VALUE);
	if (!job->number)
		job->number = sl_share_adopt(L, job, SL_SLOT_VALUE)->number;
	sl_share_add_work(L, job, job->number);
	sl_share_compare_work(L, job);
}

uint64_t sl_share_capture_table(lua_State *L, int index, struct sl_share **share)
{
	struct sl_share_job job = {.run = capture_table, .share = sl_share_own(L)};

	job.heir = heir(L, share);
	lua_pushvalue(L, index);
	sl_share_run_or_raise(L, &job);
	return job.number;
}

/* A variable that has no master yet gets one; the copy, function or name, is on the top. */
static void adopt_variable(
	lua_State *L, struct sl_share_job *job, int slot, const void *identity)
{
	struct sl_master *master = sl_commons_add(job->commons);

	sl_share_hold(L, job->share, master);
	job->number = master->number;
	lua_rawseti(L, slot, (lua_Integer)master->number);
	lua_pushlightuserdata(L, (void *)identity);
	lua_pushinteger(L, (lua_Integer)master->number);
	lua_rawset(L, SL_SLOT_NUMBERS);
	lua_newtable(L);
	lua_rawseti(L, SL_SLOT_SHADOWS, (lua_Integer)master->number);
}

static uint64_t number_of_identity(lua_State *L, const void *identity)
{
	uint64_t number;

	lua_pushlightuserdata(L, (void *)identity);
	lua_rawget(L, SL_SLOT_NUMBERS);
	number = (uint64_t)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return number;
}

static void capture_upvalue(lua_State *L, struct sl_share_job *job)
{
	const void *identity = lua_upvalueid(L, SL_SLOT_VALUE, job->i);

	sweep(L, job);
	job->number = number_of_identity(L, identity);
	/* An address may be a later variable's: the old one's copy is gone then. */
	if (job->number && sl_share_push_copy(L, job->number) != SL_COPY_UPVALUE)
		job->number = 0;
	lua_settop(L, SL_SLOT_TOP);
	if (!job->number) {
		sl_share_push_probe(L, SL_SLOT_VALUE, job->i);
		adopt_variable(L, job, SL_SLOT_UPVALUES, identity);
	}
	sl_share_add_work(L, job, job->number);
	sl_share_compare_work(L, job);
}

/* Standard things and handles: nobody has a variable for them that changes. */
static bool is_fixture(lua_State *L, int index)
{
	return lua_iscfunction(L, index) || lua_isuserdata(L, index) ||
	       (lua_istable(L, index) && sl_share_is_module(L, index));
}

uint64_t sl_share_capture_upvalue(lua_State *L, int index, int i, struct sl_share **share)
{
	struct sl_share_job job = {.run = capture_upvalue, .i = i};
	bool fixture;

	index = lua_absindex(L, index);
	/* Level 0 is the walk, 1 the function of ours that began it, 2 its caller. */
	if (!sl_share_may_be_assigned(L, 2, index, i))
		return 0;
	lua_getupvalue(L, index, i);
	fixture = is_fixture(L, lua_gettop(L));
	lua_pop(L, 1);
	if (fixture)
		return 0;
	job.share = sl_share_own(L);
	job.heir = heir(L, share);
	lua_pushvalue(L, index);
	sl_share_run_or_raise(L, &job);
	return job.number;
}

static void capture_global(lua_State *L, struct sl_share_job *job)
{
	lua_pushstring(L, job->name);
	job->number = sl_share_number_of(L, lua_gettop(L));
	if (job->number && sl_share_push_copy(L, job->number) != SL_COPY_GLOBAL)
		job->number = 0;
	lua_settop(L, SL_SLOT_TOP + 1);
	if (!job->number) {
		struct sl_master *master = sl_commons_add(job->commons);

		sl_share_hold(L, job->share, master);
		job->number = master->number;
		lua_pushvalue(L, -1);
		lua_rawseti(L, SL_SLOT_GLOBALS, (lua_Integer)job->number);
		lua_pushinteger(L, (lua_Integer)job->number);
		lua_rawset(L, SL_SLOT_NUMBERS);
		lua_newtable(L);
		lua_rawseti(L, SL_SLOT_SHADOWS, (lua_Integer)job->number);
	}
	lua_settop(L, SL_SLOT_TOP);
	sl_share_add_work(L, job, job->number);
	sl_share_compare_work(L, job);
}

uint64_t sl_share_capture_global(lua_State *L, const char *name, struct sl_share **share)
{
	struct sl_share_job job = {
		.run = capture_global, .name = name, .share = sl_share_own(L)};

	job.heir = heir(L, share);
	lua_pushnil(L);
	sl_share_run_or_raise(L, &job);
	return job.number;
}

/* ---- attaching ---- */

/* What the copy has now is what it had when it was captured. */
static void shadow_table(lua_State *L, int index, uint64_t number)
{
	lua_rawgeti(L, SL_SLOT_SHADOWS, (lua_Integer)number);
	for (lua_pushnil(L); lua_next(L, index);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, SL_SLOT_TOP + 1);
	}
	lua_settop(L, SL_SLOT_TOP);
}

static void attach_table(lua_State *L, struct sl_share_job *job)
{
	sl_share_attach(L, SL_SLOT_VALUE, job->number);
	shadow_table(L, SL_SLOT_VALUE, job->number);
	sl_share_take_imprint(L, SL_SLOT_VALUE, job->number);
}

static void attach_upvalue(lua_State *L, struct sl_share_job *job)
{
	lua_Integer number = (lua_Integer)job->number;

	sl_share_push_probe(L, SL_SLOT_VALUE, job->i);
	lua_rawseti(L, SL_SLOT_UPVALUES, number);
	lua_pushlightuserdata(L, lua_upvalueid(L, SL_SLOT_VALUE, job->i));
	lua_pushinteger(L, number);
	lua_rawset(L, SL_SLOT_NUMBERS);
	lua_newtable(L);
	lua_getupvalue(L, SL_SLOT_VALUE, job->i);
	lua_rawseti(L, -2, 1);
	lua_rawseti(L, SL_SLOT_SHADOWS, number);
}

static void attach_global(lua_State *L, struct sl_share_job *job)
{
	lua_Integer number = (lua_Integer)job->number;

	lua_pushstring(L, job->name);
	lua_pushvalue(L, -1);
	lua_rawseti(L, SL_SLOT_GLOBALS, number);
	lua_pushinteger(L, number);
	lua_rawset(L, SL_SLOT_NUMBERS);
	lua_newtable(L);
	lua_getglobal(L, job->name);
	lua_rawseti(L, -2, 1);
	lua_rawseti(L, SL_SLOT_SHADOWS, number);
}

void sl_share_attach_table(lua_State *L, int index, uint64_t number)
{
	struct sl_share_job job = {
		.run = attach_table, .share = sl_share_own(L), .number = number};

	lua_pushvalue(L, index);
	sl_share_run_or_raise(L, &job);
}

void sl_share_attach_upvalue(lua_State *L, int index, int i, uint64_t number)
{
	struct sl_share_job job = {
		.run = attach_upvalue, .share = sl_share_own(L), .number = number, .i = i};

	lua_pushvalue(L, index);
	sl_share_run_or_raise(L, &job);
}

void sl_share_attach_global(lua_State *L, const char *name, uint64_t number)
{
	struct sl_share_job job = {
		.run = attach_global, .share = sl_share_own(L), .number = number, .name = name};

	lua_pushnil(L);
	sl_share_run_or_raise(L, &job);
}
