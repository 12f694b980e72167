/* SPDX-License-Identifier: MIT */
#include "lua/share/share.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "lua/runtime_inside.h"
#include "lua/schedule/goroutine.h"
#include "lua/share/share_parts.h"
#include "lua/state/home.h"

struct sl_share *sl_share_new(struct sl_goroutine *parent)
{
	struct sl_share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	share->commons = parent->runtime->commons;
	if (parent->share)
		share->seen = parent->share->seen;
	return share;
}

void sl_share_hold(lua_State *L, struct sl_share *share, struct sl_master *master)
{
	if (share->n_numbers == share->room) {
		size_t room = share->room ? share->room * 2 : 8;
		uint64_t *numbers = realloc(share->numbers, room * sizeof(*numbers));

		if (!numbers)
			luaL_error(L, "not enough memory");
		share->numbers = numbers;
		share->room = room;
	}
	share->numbers[share->n_numbers++] = master->number;
	sl_commons_add_holder(share->commons, master);
}

void sl_share_free(struct sl_share *share)
{
	if (!share)
		return;
	pthread_mutex_lock(&share->commons->lock);
	for (size_t i = 0; i < share->n_numbers; i++)
		sl_commons_drop_holder(share->commons, share->numbers[i]);
	pthread_mutex_unlock(&share->commons->lock);
	free(share->numbers);
	free(share);
}

struct sl_share *sl_share_own(lua_State *L)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	if (!goroutine->share) {
		goroutine->share = sl_share_new(goroutine);
		if (!goroutine->share) {
			luaL_error(L, "not enough memory");
			__builtin_unreachable();
		}
		pthread_mutex_lock(&goroutine->share->commons->lock);
		goroutine->share->seen = goroutine->share->commons->version;
		pthread_mutex_unlock(&goroutine->share->commons->lock);
	}
	goroutine->share->writer = goroutine->id & SL_WRITER_MASK;
	return goroutine->share;
}

/* ---- jobs: what is done in protected mode, with the lock held ---- */

void sl_share_add_work(lua_State *L, struct sl_share_job *job, uint64_t number)
{
	if (job->n_work == job->room) {
		size_t room = job->room ? job->room * 2 : 32;
		uint64_t *work = realloc(job->work, room * sizeof(*work));

		if (!work)
			luaL_error(L, "not enough memory");
		job->work = work;
		job->room = room;
	}
	job->work[job->n_work++] = number;
}

/* f(job, value) */
static int l_job(lua_State *L)
{
	struct sl_share_job *job = lua_touserdata(L, SL_SLOT_JOB);

	luaL_checkstack(L, 64, NULL);
	sl_share_push_tables(L);
	job->run(L, job);
	if (job->heir) {
		sl_share_hold(L, job->heir, sl_commons_find(job->commons, job->number));
		/* It gets what is here now: what was just published needn't be taken in again.
		 */
		job->heir->seen = job->share->seen;
	}
	return 0;
}

int sl_share_run(lua_State *L, struct sl_share_job *job)
{
	bool careful = sl_home_may_finalize(L) && lua_gc(L, LUA_GCISRUNNING);
	int status;

	job->commons = job->share->commons;
	lua_pushcfunction(L, l_job);
	lua_insert(L, -2);
	lua_pushlightuserdata(L, job);
	lua_insert(L, -2);
	if (careful)
		lua_gc(L, LUA_GCSTOP);
	pthread_mutex_lock(&job->commons->lock);
	if (sl_commons_open(job->commons)) {
		job->M = job->commons->M;
		status = lua_pcall(L, 2, 0, 0);
		lua_settop(job->M, SL_M_TOP);
		sl_commons_collect(job->commons);
	} else {
		lua_pop(L, 3);
		lua_pushliteral(L, "not enough memory");
		status = LUA_ERRMEM;
	}
	pthread_mutex_unlock(&job->commons->lock);
	if (careful)
		lua_gc(L, LUA_GCRESTART);
	free(job->work);
	return status;
}

void sl_share_run_or_raise(lua_State *L, struct sl_share_job *job)
{
	if (sl_share_run(L, job) != LUA_OK)
		lua_error(L);
}
