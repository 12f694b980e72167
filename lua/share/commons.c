/* SPDX-License-Identifier: MIT */
#include <lauxlib.h>
#include <stdlib.h>

#include "lua/share/share_parts.h"

struct sl_commons *sl_commons_new(void)
{
	struct sl_commons *commons = calloc(1, sizeof(*commons));

	if (commons)
		pthread_mutex_init(&commons->lock, NULL);
	return commons;
}

void sl_commons_free(struct sl_commons *commons)
{
	if (!commons)
		return;
	if (commons->M)
		lua_close(commons->M);
	pthread_mutex_destroy(&commons->lock);
	free(commons);
}

static const char *const box_kind = "sloth.box";

static int l_free_box(lua_State *L)
{
	sl_parcel_free(((struct sl_box *)lua_touserdata(L, 1))->parcel);
	return 0;
}

struct sl_box *sl_commons_push_box(struct sl_commons *commons)
{
	struct sl_box *box = lua_newuserdatauv(commons->M, sizeof(*box), 0);

	*box = (struct sl_box){.parcel = NULL};
	luaL_setmetatable(commons->M, box_kind);
	return box;
}

void sl_commons_push_weak(lua_State *L, const char *mode)
{
	lua_newtable(L);
	lua_createtable(L, 0, 1);
	lua_pushstring(L, mode);
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
}

static void unlink_master(struct sl_commons *commons, struct sl_master *master)
{
	if (master->prev)
		master->prev->next = master->next;
	else
		commons->masters = master->next;
	if (master->next)
		master->next->prev = master->prev;
}

static void link_first(struct sl_commons *commons, struct sl_master *master)
{
	master->prev = NULL;
	master->next = commons->masters;
	if (master->next)
		master->next->prev = master;
	commons->masters = master;
}

static const char *const master_kind = "sloth.master";

static int l_free_master(lua_State *M)
{
	struct sl_master *master = lua_touserdata(M, 1);

	unlink_master(master->commons, master);
	return 0;
}

static void define(lua_State *M, const char *kind, lua_CFunction gc)
{
	luaL_newmetatable(M, kind);
	lua_pushcfunction(M, gc);
	lua_setfield(M, -2, "__gc");
	lua_pop(M, 1);
}

/* The masters' state has no limit: if it can't grow, the process can't. It collects its garbage
 * when we say so: not while the list of masters is walked. */
bool sl_commons_open(struct sl_commons *commons)
{
	lua_State *M = commons->M;

	if (M)
		return true;
	M = luaL_newstate();
	if (!M)
		return false;
	commons->M = M;
	lua_gc(M, LUA_GCSTOP);
	luaL_checkstack(M, 64, NULL);
	define(M, box_kind, l_free_box);
	define(M, master_kind, l_free_master);
	sl_commons_push_weak(M, "v");
	sl_commons_push_weak(M, "k");
	sl_commons_push_weak(M, "k");
	lua_newtable(M);
	return true;
}

void sl_commons_collect(struct sl_commons *commons)
{
	enum {
		SLACK_KB = 512
	};

	if (lua_gc(commons->M, LUA_GCCOUNT) < 2 * commons->collected_kb + SLACK_KB)
		return;
	lua_gc(commons->M, LUA_GCCOLLECT);
	commons->collected_kb = lua_gc(commons->M, LUA_GCCOUNT);
}

struct sl_master *sl_commons_push_master(struct sl_commons *commons, uint64_t number)
{
	lua_State *M = commons->M;

	if (lua_rawgeti(M, SL_M_TABLES, (lua_Integer)number) != LUA_TNIL)
		lua_rawget(M, SL_M_MASTERS);
	return lua_touserdata(M, -1);
}

struct sl_master *sl_commons_find(struct sl_commons *commons, uint64_t number)
{
	struct sl_master *master = sl_commons_push_master(commons, number);

	lua_pop(commons->M, 1);
	return master;
}

struct sl_master *sl_commons_add(struct sl_commons *commons)
{
	lua_State *M = commons->M;
	struct sl_master *master;
	lua_Integer number = (lua_Integer)++commons->n_masters;
	int table = lua_gettop(M) + 1;

	lua_newtable(M);
	lua_pushvalue(M, table);
	lua_rawseti(M, SL_M_TABLES, number);
	lua_pushvalue(M, table);
	lua_pushinteger(M, number);
	lua_rawset(M, SL_M_NUMBERS);
	lua_pushvalue(M, table);
	master = lua_newuserdatauv(M, sizeof(*master), SL_N_USER_VALUES);
	*master = (struct sl_master){
		.commons = commons,
		.number = (uint64_t)number,
		.version = commons->version, /* the list is in the order of versions */
	};
	link_first(commons, master);
	luaL_setmetatable(M, master_kind);
	lua_newtable(M);
	lua_setiuservalue(M, -2, SL_U_STAMPS);
	lua_newtable(M);
	lua_setiuservalue(M, -2, SL_U_LOG);
	lua_rawset(M, SL_M_MASTERS);
	lua_settop(M, table - 1);
	return master;
}

void sl_commons_touch(struct sl_commons *commons, struct sl_master *master, uint64_t version)
{
	master->version = version;
	if (commons->masters == master)
		return;
	unlink_master(commons, master);
	link_first(commons, master);
}

void sl_commons_push_stamps(struct sl_commons *commons, uint64_t number)
{
	sl_commons_push_master(commons, number);
	lua_getiuservalue(commons->M, -1, SL_U_STAMPS);
	lua_remove(commons->M, -2);
}

void sl_commons_push_log(struct sl_commons *commons, uint64_t number)
{
	sl_commons_push_master(commons, number);
	lua_getiuservalue(commons->M, -1, SL_U_LOG);
	lua_remove(commons->M, -2);
}

/* Begins an empty log: of the change that is being made now, and all before, it knows nothing.
 */
static void empty_log(struct sl_commons *commons, struct sl_master *master, uint64_t stamp)
{
	sl_commons_push_master(commons, master->number);
	lua_newtable(commons->M);
	lua_setiuservalue(commons->M, -2, SL_U_LOG);
	lua_pop(commons->M, 1);
	master->n_log = 0;
	master->logged_since = stamp >> SL_WRITER_BITS;
}

void sl_commons_log(
	struct sl_commons *commons, struct sl_master *master, int key, uint64_t stamp)
{
	enum {
		MOST_LOGGED = 64
	};
	lua_State *M = commons->M;

	if (master->n_log == MOST_LOGGED)
		empty_log(commons, master, stamp);
	master->n_log++;
	sl_commons_push_log(commons, master->number);
	lua_pushvalue(M, key);
	lua_rawseti(M, -2, 2 * (lua_Integer)master->n_log - 1);
	lua_pushinteger(M, (lua_Integer)stamp);
	lua_rawseti(M, -2, 2 * (lua_Integer)master->n_log);
	lua_pop(M, 1);
}

bool sl_commons_is_last(struct sl_commons *commons, uint64_t number, uint64_t stamp)
{
	lua_State *M = commons->M;
	bool last;

	sl_commons_push_stamps(commons, number);
	lua_pushvalue(M, -2);
	lua_rawget(M, -2);
	last = (uint64_t)lua_tointeger(M, -1) == stamp;
	lua_pop(M, 2);
	return last;
}

void sl_commons_add_holder(struct sl_commons *commons, struct sl_master *master)
{
	if (master->n_holders++ > 0)
		return;
	lua_rawgeti(commons->M, SL_M_TABLES, (lua_Integer)master->number);
	lua_rawseti(commons->M, SL_M_HELD, (lua_Integer)master->number);
}

void sl_commons_drop_holder(struct sl_commons *commons, uint64_t number)
{
	struct sl_master *master = sl_commons_find(commons, number);

	if (--master->n_holders > 0)
		return;
	lua_pushnil(commons->M);
	lua_rawseti(commons->M, SL_M_HELD, (lua_Integer)number);
}
