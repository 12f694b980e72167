/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>

#include "lua/schedule/goroutine.h"
#include "lua/share/share_parts.h"
#include "lua/state/imprint.h"

/* ---- what a copy had at the last meeting ---- */

/* shadow[key] = value; both stay. */
static void keep_in_shadow(lua_State *L, int shadow, int key)
{
	lua_pushvalue(L, key);
	lua_pushvalue(L, key + 1);
	lua_rawset(L, shadow);
}

/* Whether the value at @key + 1 is what the shadow has. */
static bool is_in_shadow(lua_State *L, int shadow, int key)
{
	bool same;

	lua_pushvalue(L, key);
	lua_rawget(L, shadow);
	same = lua_rawequal(L, -1, key + 1);
	lua_pop(L, 1);
	return same;
}

/* ---- releasing ---- */

static uint64_t stamp_of(struct sl_share_job *job)
{
	if (!job->stamp)
		job->stamp = ++job->commons->version << SL_WRITER_BITS | job->share->writer;
	return job->stamp;
}

/* Publishes that @number's key, at @key, is the value at @key + 1; both in L. */
static void publish(lua_State *L, struct sl_share_job *job, struct sl_master *master, int key)
{
	lua_State *M = job->M;
	int top = lua_gettop(M);
	lua_Integer number = (lua_Integer)master->number;

	if (!sl_share_to_master(L, job, key))
		return;
	if (!sl_share_to_master(L, job, key + 1)) {
		lua_settop(M, top);
		return;
	}
	lua_rawgeti(M, SL_M_TABLES, number);
	lua_pushvalue(M, top + 1);
	lua_pushvalue(M, top + 2);
	lua_rawset(M, -3);
	sl_commons_push_stamps(job->commons, master->number);
	lua_pushvalue(M, top + 1);
	lua_pushinteger(M, (lua_Integer)stamp_of(job));
	lua_rawset(M, -3);
	sl_commons_log(job->commons, master, top + 1, job->stamp);
	lua_settop(M, top);
	sl_commons_touch(job->commons, master, job->stamp >> SL_WRITER_BITS);
}

/* A copy, its shadow above it, being compared. */
struct comparison {
	struct sl_share_job *job;
	struct sl_master *master;
	int copy;
};

/* The key on the top of the table against the shadow. */
static void compare_key(void *ctx, lua_State *L)
{
	const struct comparison *comparison = ctx;
	int shadow = comparison->copy + 1, key = lua_gettop(L);

	lua_pushvalue(L, key);
	lua_rawget(L, comparison->copy);
	if (!is_in_shadow(L, shadow, key)) {
		publish(L, comparison->job, comparison->master, key);
		keep_in_shadow(L, shadow, key);
	}
	lua_settop(L, key);
}

/* All of the table at @copy against its shadow, above it. */
static void compare_all(
	lua_State *L, struct sl_share_job *job, struct sl_master *master, int copy)
{
	int shadow = copy + 1, key = copy + 2;

	for (lua_pushnil(L); lua_next(L, copy); lua_settop(L, key)) {
		if (is_in_shadow(L, shadow, key))
			continue;
		publish(L, job, master, key);
		keep_in_shadow(L, shadow, key);
	}
	for (lua_pushnil(L); lua_next(L, shadow); lua_settop(L, key)) {
		lua_pushvalue(L, key);
		if (lua_rawget(L, copy) != LUA_TNIL)
			continue;
		lua_settop(L, key);
		lua_pushnil(L);
		publish(L, job, master, key);
		keep_in_shadow(L, shadow, key);
	}
}

static void compare_table(
	lua_State *L, struct sl_share_job *job, struct sl_master *master, int copy)
{
	const struct sl_imprint *imprint = sl_share_imprint(L, master->number);
	struct comparison comparison = {job, master, copy};

	if (imprint && sl_imprint_is_same(imprint, L, copy))
		return;
	if (!imprint || !sl_imprint_each_change(imprint, L, copy, compare_key, &comparison))
		compare_all(L, job, master, copy);
	sl_share_take_imprint(L, copy, master->number);
}

static void compare_variable(lua_State *L, struct sl_share_job *job, struct sl_master *master,
	enum sl_share_copy kind, int copy)
{
	int shadow = copy + 1, key = copy + 2;

	lua_pushinteger(L, 1);
	sl_share_get_variable(L, kind, copy);
	if (is_in_shadow(L, shadow, key))
		return;
	publish(L, job, master, key);
	keep_in_shadow(L, shadow, key);
}

static void compare(lua_State *L, struct sl_share_job *job, uint64_t number)
{
	struct sl_master *master = sl_commons_find(job->commons, number);
	enum sl_share_copy kind = sl_share_push_copy(L, number);
	int copy = lua_gettop(L);

	if (kind != SL_COPY_GONE) {
		lua_rawgeti(L, SL_SLOT_SHADOWS, (lua_Integer)number);
		if (kind == SL_COPY_TABLE)
			compare_table(L, job, master, copy);
		else
			compare_variable(L, job, master, kind, copy);
	}
	lua_settop(L, SL_SLOT_TOP);
}

void sl_share_compare_work(lua_State *L, struct sl_share_job *job)
{
	uint64_t before = job->commons->version;

	for (size_t i = 0; i < job->n_work; i++)
		compare(L, job, job->work[i]);
	/* What is one's own alone needn't be taken in again. */
	if (job->share->seen == before)
		job->share->seen = job->commons->version;
}

static void release(lua_State *L, struct sl_share_job *job)
{
	sl_share_list_copies(L, job);
	sl_share_compare_work(L, job);
}

/* ---- acquiring ---- */

/* Takes in the change of the key on M's top; the copy is at @copy, its shadow above it. A key
 * that was changed here as well stays as it is. */
static void take_key(lua_State *L, struct sl_share_job *job, uint64_t number,
	enum sl_share_copy kind, int copy)
{
	lua_State *M = job->M;
	int shadow = copy + 1, key = copy + 2;

	lua_pushvalue(M, -1);
	if (!sl_share_from_master(L, job)) {
		lua_settop(L, shadow);
		return;
	}
	if (kind == SL_COPY_TABLE) {
		lua_pushvalue(L, key);
		lua_rawget(L, copy);
	} else {
		sl_share_get_variable(L, kind, copy);
	}
	if (is_in_shadow(L, shadow, key)) {
		lua_settop(L, key);
		lua_rawgeti(M, SL_M_TABLES, (lua_Integer)number);
		lua_pushvalue(M, -2);
		lua_rawget(M, -2);
		lua_remove(M, -2);
		if (sl_share_from_master(L, job)) {
			keep_in_shadow(L, shadow, key);
			if (kind == SL_COPY_TABLE)
				lua_rawset(L, copy);
			else
				sl_share_set_variable(L, kind, copy);
		}
	}
	lua_settop(L, shadow);
}

/* Takes in those changes among all keys that are newer than @since. */
static void take_from_all(lua_State *L, struct sl_share_job *job, uint64_t number,
	enum sl_share_copy kind, uint64_t since)
{
	lua_State *M = job->M;
	int top = lua_gettop(M);

	sl_commons_push_stamps(job->commons, number);
	for (lua_pushnil(M); lua_next(M, top + 1);) {
		uint64_t stamp = (uint64_t)lua_tointeger(M, -1);

		lua_pop(M, 1);
		if (stamp >> SL_WRITER_BITS > since &&
			(since == 0 || (stamp & SL_WRITER_MASK) != job->share->writer))
			take_key(L, job, number, kind, SL_SLOT_TOP + 1);
		lua_settop(M, top + 2);
	}
	lua_settop(M, top);
}

/* The same, out of the log of the last ones. */
static void take_from_log(lua_State *L, struct sl_share_job *job,
	const struct sl_master *master, enum sl_share_copy kind, uint64_t since)
{
	lua_State *M = job->M;
	int top = lua_gettop(M);

	sl_commons_push_log(job->commons, master->number);
	for (unsigned i = master->n_log; i > 0; i--) {
		uint64_t stamp;

		lua_rawgeti(M, top + 1, 2 * (lua_Integer)i);
		stamp = (uint64_t)lua_tointeger(M, -1);
		lua_pop(M, 1);
		if (stamp >> SL_WRITER_BITS <= since)
			break;
		lua_rawgeti(M, top + 1, 2 * (lua_Integer)i - 1);
		if ((stamp & SL_WRITER_MASK) != job->share->writer &&
			sl_commons_is_last(job->commons, master->number, stamp))
			take_key(L, job, master->number, kind, SL_SLOT_TOP + 1);
		lua_settop(M, top + 1);
	}
	lua_settop(M, top);
}

/* Takes in what is newer than @since. @is_new: the copy has been made just now. */
static void take_changes(
	lua_State *L, struct sl_share_job *job, uint64_t number, uint64_t since, bool is_new)
{
	const struct sl_master *master = sl_commons_find(job->commons, number);
	enum sl_share_copy kind = sl_share_push_copy(L, number);
	const struct sl_imprint *imprint;
	bool is_known;

	if (kind == SL_COPY_GONE)
		return;
	lua_rawgeti(L, SL_SLOT_SHADOWS, (lua_Integer)number);
	imprint = sl_share_imprint(L, number);
	is_known = imprint && sl_imprint_is_same(imprint, L, SL_SLOT_TOP + 1);
	/* Halfway, it says nothing: objects that it knew by their addresses go. */
	sl_share_drop_imprint(L, number);
	if (since > 0 && since >= master->logged_since)
		take_from_log(L, job, master, kind, since);
	else
		take_from_all(L, job, number, kind, since);
	/* What was changed here as well and isn't published yet would be forgotten. */
	if (kind == SL_COPY_TABLE && (is_known || is_new))
		sl_share_take_imprint(L, SL_SLOT_TOP + 1, number);
	lua_settop(L, SL_SLOT_TOP);
}

/* Fills copies that were made on the way, and those they need. */
static void fill_work(lua_State *L, struct sl_share_job *job)
{
	for (size_t i = 0; i < job->n_work; i++) {
		uint64_t number = job->work[i];

		take_changes(L, job, number, 0, true);
		sl_commons_push_master(job->commons, number);
		if (lua_getiuservalue(job->M, -1, SL_U_META) == LUA_TUSERDATA &&
			sl_share_push_copy(L, number) == SL_COPY_TABLE &&
			sl_share_from_master(L, job))
			lua_setmetatable(L, -2);
		lua_settop(job->M, SL_M_TOP);
		lua_settop(L, SL_SLOT_TOP);
	}
}

static void acquire(lua_State *L, struct sl_share_job *job)
{
	struct sl_share *share = job->share;

	for (struct sl_master *master = job->commons->masters, *next;
		master && master->version > share->seen; master = next) {
		next = master->next;
		take_changes(L, job, master->number, share->seen, false);
	}
	fill_work(L, job);
	share->seen = job->commons->version;
}

/* ---- meeting ---- */

static void meet(lua_State *L, void (*run)(lua_State *L, struct sl_share_job *job))
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);
	struct sl_share_job job = {.run = run, .share = goroutine->share};

	if (!job.share || job.share->n_numbers == 0 || !lua_checkstack(L, 8))
		return;
	job.share->writer = goroutine->id & SL_WRITER_MASK;
	lua_pushnil(L);
	if (sl_share_run(L, &job) != LUA_OK)
		lua_pop(L, 1); /* no memory: the goroutine is told so at its next step */
}

/* Now and then a release without changes is done all the same: it forgets what has gone. */
static bool may_skip(struct sl_share *share)
{
	enum {
		SKIPPED_IN_A_ROW = 15
	};

	return ++share->n_skipped % (SKIPPED_IN_A_ROW + 1) != 0;
}

void sl_share_release(lua_State *L)
{
	struct sl_share *share = sl_goroutine_of(L)->share;

	if (share && (sl_share_has_changes(L, share) || !may_skip(share)))
		meet(L, release);
}

void sl_share_acquire(lua_State *L)
{
	struct sl_share *share = sl_goroutine_of(L)->share;

	if (share && atomic_load(&share->commons->version) != share->seen)
		meet(L, acquire);
}
