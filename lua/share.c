/* SPDX-License-Identifier: MIT */
#include "lua/share.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "lua/chunk.h"
#include "lua/goroutine.h"
#include "lua/home.h"
#include "lua/names.h"
#include "lua/runtime_inside.h"
#include "lua/transfer.h"

/* A master: a table, or with the one key 1 a variable. A userdata of the commons' state, it
 * goes when nobody holds it and no master that is held has it in it. */
struct master {
	struct sl_commons *commons;
	uint64_t number;
	uint64_t version;           /* of its last change */
	size_t n_holders;           /* shares that have a copy or will */
	bool is_inside;             /* other masters have, or had, it in them */
	struct master *prev, *next; /* sl_commons.masters: the last changed one first */
};

struct sl_commons {
	pthread_mutex_t lock; /* guards what follows */
	lua_State *M;
	uint64_t n_masters, version;
	int collected_kb; /* what was left after the last collection */
	struct master *masters;
};

struct sl_share {
	struct sl_commons *commons;
	uint64_t seen;     /* version up to which it has taken in */
	uint64_t writer;   /* who it is, in stamps */
	uint64_t *numbers; /* of the masters it has a copy of, or will have: it holds each */
	size_t n_numbers, room;
	size_t n_swept; /* n_numbers after the last sweep */
};

/* Stack slots of the commons' state. */
enum {
	M_TABLES = 1, /* number → table; weak */
	M_NUMBERS,    /* table → number; weak */
	M_MASTERS,    /* table → struct master; weak */
	M_HELD,       /* number → table, of those that somebody holds */
	M_TOP = M_HELD,
};

/* User values of a struct master. */
enum {
	U_STAMPS = 1, /* {key → version << WRITER_BITS | writer} */
	U_META,       /* box with a metatable, or nil */
};

enum {
	WRITER_BITS = 24
};

#define WRITER_MASK ((UINT64_C(1) << WRITER_BITS) - 1)

/* Stack slots in protected mode. */
enum {
	SLOT_JOB = 1,
	SLOT_VALUE,    /* what the job is about */
	SLOT_COPIES,   /* number → table, weak */
	SLOT_NUMBERS,  /* table, or upvalue's identity → number; weak keys */
	SLOT_SHADOWS,  /* number → {key → value} as of the last meeting */
	SLOT_UPVALUES, /* number → function with that one upvalue */
	SLOT_GLOBALS,  /* number → name */
	SLOT_PROBE,    /* makes such functions */
	SLOT_TOP = SLOT_PROBE,
};

static char tables_key, chunks_key; /* their addresses: keys in the registry */

static const struct sl_transfer how = {.to = "to a goroutine", .handles = true};

/* ---- the commons ---- */

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

/* What is no plain value lies in a box: functions, handles, names of standard things. */
struct box {
	struct sl_parcel *parcel;
	struct sl_value value;
};

static int l_free_box(lua_State *L)
{
	sl_parcel_free(((struct box *)lua_touserdata(L, 1))->parcel);
	return 0;
}

static const char *const box_kind = "sloth.box";

static void weak(lua_State *L, const char *mode)
{
	lua_newtable(L);
	lua_createtable(L, 0, 1);
	lua_pushstring(L, mode);
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
}

static void unlink_master(struct sl_commons *commons, struct master *master)
{
	if (master->prev)
		master->prev->next = master->next;
	else
		commons->masters = master->next;
	if (master->next)
		master->next->prev = master->prev;
}

static void link_first(struct sl_commons *commons, struct master *master)
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
	struct master *master = lua_touserdata(M, 1);

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
static bool open_locked(struct sl_commons *commons)
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
	weak(M, "v");
	weak(M, "k");
	weak(M, "k");
	lua_newtable(M);
	return true;
}

static void collect_locked(struct sl_commons *commons)
{
	enum {
		SLACK_KB = 512
	};

	if (lua_gc(commons->M, LUA_GCCOUNT) < 2 * commons->collected_kb + SLACK_KB)
		return;
	lua_gc(commons->M, LUA_GCCOLLECT);
	commons->collected_kb = lua_gc(commons->M, LUA_GCCOUNT);
}

/* Pushes the userdata of @number onto M, or nil. */
static struct master *push_master(struct sl_commons *commons, uint64_t number)
{
	lua_State *M = commons->M;

	if (lua_rawgeti(M, M_TABLES, (lua_Integer)number) != LUA_TNIL)
		lua_rawget(M, M_MASTERS);
	return lua_touserdata(M, -1);
}

static struct master *find_master(struct sl_commons *commons, uint64_t number)
{
	struct master *master = push_master(commons, number);

	lua_pop(commons->M, 1);
	return master;
}

static struct master *new_master(struct sl_commons *commons)
{
	lua_State *M = commons->M;
	struct master *master;
	lua_Integer number = (lua_Integer)++commons->n_masters;
	int table = lua_gettop(M) + 1;

	lua_newtable(M);
	lua_pushvalue(M, table);
	lua_rawseti(M, M_TABLES, number);
	lua_pushvalue(M, table);
	lua_pushinteger(M, number);
	lua_rawset(M, M_NUMBERS);
	lua_pushvalue(M, table);
	master = lua_newuserdatauv(M, sizeof(*master), 2);
	*master = (struct master){
		.commons = commons,
		.number = (uint64_t)number,
		.version = commons->version, /* the list is in the order of versions */
	};
	link_first(commons, master);
	luaL_setmetatable(M, master_kind);
	lua_newtable(M);
	lua_setiuservalue(M, -2, U_STAMPS);
	lua_rawset(M, M_MASTERS);
	lua_settop(M, table - 1);
	return master;
}

/* Pushes the stamps of @number onto M. */
static void push_stamps(struct sl_commons *commons, uint64_t number)
{
	push_master(commons, number);
	lua_getiuservalue(commons->M, -1, U_STAMPS);
	lua_remove(commons->M, -2);
}

static void drop_holder_locked(struct sl_commons *commons, uint64_t number)
{
	struct master *master = find_master(commons, number);

	if (--master->n_holders > 0)
		return;
	lua_pushnil(commons->M);
	lua_rawseti(commons->M, M_HELD, (lua_Integer)number);
}

/* ---- a share ---- */

static struct sl_share *new_share(struct sl_goroutine *parent)
{
	struct sl_share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	share->commons = parent->runtime->commons;
	if (parent->share)
		share->seen = parent->share->seen;
	return share;
}

/* A holder of @master more. */
static void hold(lua_State *L, struct sl_share *share, struct master *master)
{
	lua_State *M = share->commons->M;

	if (share->n_numbers == share->room) {
		size_t room = share->room ? share->room * 2 : 8;
		uint64_t *numbers = realloc(share->numbers, room * sizeof(*numbers));

		if (!numbers)
			luaL_error(L, "not enough memory");
		share->numbers = numbers;
		share->room = room;
	}
	share->numbers[share->n_numbers++] = master->number;
	if (master->n_holders++ > 0)
		return;
	lua_rawgeti(M, M_TABLES, (lua_Integer)master->number);
	lua_rawseti(M, M_HELD, (lua_Integer)master->number);
}

void sl_share_free(struct sl_share *share)
{
	if (!share)
		return;
	pthread_mutex_lock(&share->commons->lock);
	for (size_t i = 0; i < share->n_numbers; i++)
		drop_holder_locked(share->commons, share->numbers[i]);
	pthread_mutex_unlock(&share->commons->lock);
	free(share->numbers);
	free(share);
}

/* The share of the goroutine that runs @L, made now if it has none. */
static struct sl_share *own_share(lua_State *L)
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);

	if (!goroutine->share) {
		goroutine->share = new_share(goroutine);
		if (!goroutine->share) {
			luaL_error(L, "not enough memory");
			__builtin_unreachable();
		}
		pthread_mutex_lock(&goroutine->share->commons->lock);
		goroutine->share->seen = goroutine->share->commons->version;
		pthread_mutex_unlock(&goroutine->share->commons->lock);
	}
	goroutine->share->writer = goroutine->id & WRITER_MASK;
	return goroutine->share;
}

/* ---- jobs: what is done in protected mode, with the lock held ---- */

struct job {
	void (*run)(lua_State *L, struct job *job);
	struct sl_share *share; /* of the goroutine that runs */
	struct sl_share *heir;  /* of a new goroutine that @number is for; may be NULL */
	struct sl_commons *commons;
	lua_State *M;
	uint64_t number;
	uint64_t stamp; /* of what is published now; 0: nothing yet */
	int i;
	const char *name;
	/* Copies that have to be compared, or filled. */
	uint64_t *work;
	size_t n_work, room;
};

static void add_work(lua_State *L, struct job *job, uint64_t number)
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

/* Pushes the tables of this state in the order of their slots. */
static void push_tables(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_createtable(L, 6, 0);
		weak(L, "v");
		lua_rawseti(L, -2, 1);
		weak(L, "k");
		lua_rawseti(L, -2, 2);
		for (int i = 3; i <= 5; i++) {
			lua_newtable(L);
			lua_rawseti(L, -2, i);
		}
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &tables_key);
	}
	for (int i = 1; i <= 6; i++)
		lua_rawgeti(L, SLOT_COPIES, i);
	lua_remove(L, SLOT_COPIES);
}

/* f(job, value) */
static int l_job(lua_State *L)
{
	struct job *job = lua_touserdata(L, SLOT_JOB);

	luaL_checkstack(L, 64, NULL);
	push_tables(L);
	job->run(L, job);
	if (job->heir)
		hold(L, job->heir, find_master(job->commons, job->number));
	return 0;
}

/* Runs @job on the value on the top, which is popped. Returns what lua_pcall() says; an error
 * is then on the top. */
static int run_job(lua_State *L, struct job *job)
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
	if (open_locked(job->commons)) {
		job->M = job->commons->M;
		status = lua_pcall(L, 2, 0, 0);
		lua_settop(job->M, M_TOP);
		collect_locked(job->commons);
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

static void run_or_raise(lua_State *L, struct job *job)
{
	if (run_job(L, job) != LUA_OK)
		lua_error(L);
}

/* ---- values to the masters ---- */

static struct master *adopt(lua_State *L, struct job *job, int index);

static bool is_module(lua_State *L, int index)
{
	bool found = false;

	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		found = found || lua_rawequal(L, -1, index);
	lua_pop(L, 1);
	return found;
}

/* Pushes a box onto M; false: the value can't be sent. */
static bool push_box(lua_State *L, struct job *job, int index)
{
	struct box *box = lua_newuserdatauv(job->M, sizeof(*box), 0);

	*box = (struct box){.parcel = NULL};
	luaL_setmetatable(job->M, box_kind);
	box->parcel = sl_parcel_new((size_t)64 << 20);
	if (box->parcel &&
		sl_transfer_out(L, index, "value", &how, box->parcel, &box->value, NULL) == 0)
		return true;
	lua_pop(job->M, 1);
	return false;
}

static uint64_t number_of(lua_State *L, int index)
{
	uint64_t number;

	lua_pushvalue(L, index);
	lua_rawget(L, SLOT_NUMBERS);
	number = (uint64_t)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return number;
}

static bool push_table(lua_State *L, struct job *job, int index)
{
	uint64_t number = number_of(L, index);

	if (!number) {
		if (is_module(L, index))
			return push_box(L, job, index);
		number = adopt(L, job, index)->number;
		add_work(L, job, number);
	}
	find_master(job->commons, number)->is_inside = true;
	lua_rawgeti(job->M, M_TABLES, (lua_Integer)number);
	return true;
}

/* Pushes the value at @index, of L, onto M; false and nothing pushed if it can't go. */
static bool to_master(lua_State *L, struct job *job, int index)
{
	lua_State *M = job->M;
	const char *text;
	size_t size;

	index = lua_absindex(L, index);
	switch (lua_type(L, index)) {
	case LUA_TNIL:
		lua_pushnil(M);
		return true;
	case LUA_TBOOLEAN:
		lua_pushboolean(M, lua_toboolean(L, index));
		return true;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			lua_pushinteger(M, lua_tointeger(L, index));
		else
			lua_pushnumber(M, lua_tonumber(L, index));
		return true;
	case LUA_TSTRING:
		text = lua_tolstring(L, index, &size);
		lua_pushlstring(M, text, size);
		return true;
	case LUA_TTABLE:
		return push_table(L, job, index);
	default:
		return push_box(L, job, index);
	}
}

/* ---- values from the masters ---- */

static void attach(lua_State *L, int index, uint64_t number);

/* Pushes the copy of the master table on M's top, which is popped; makes one at need. */
static void copy_of(lua_State *L, struct job *job)
{
	lua_State *M = job->M;
	uint64_t number;
	struct master *master;

	lua_rawget(M, M_NUMBERS);
	number = (uint64_t)lua_tointeger(M, -1);
	lua_pop(M, 1);
	if (lua_rawgeti(L, SLOT_COPIES, (lua_Integer)number) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	master = find_master(job->commons, number);
	attach(L, lua_gettop(L), number);
	hold(L, job->share, master);
	add_work(L, job, number);
}

/* Pushes M's top onto L and pops it; false if it can't be had here. */
static bool from_master(lua_State *L, struct job *job)
{
	lua_State *M = job->M;
	struct box *box;
	const char *text;
	size_t size;
	bool ok = true;

	switch (lua_type(M, -1)) {
	case LUA_TNIL:
		lua_pushnil(L);
		break;
	case LUA_TBOOLEAN:
		lua_pushboolean(L, lua_toboolean(M, -1));
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(M, -1))
			lua_pushinteger(L, lua_tointeger(M, -1));
		else
			lua_pushnumber(L, lua_tonumber(M, -1));
		break;
	case LUA_TSTRING:
		text = lua_tolstring(M, -1, &size);
		lua_pushlstring(L, text, size);
		break;
	case LUA_TTABLE:
		copy_of(L, job);
		return true;
	default:
		box = lua_touserdata(M, -1);
		ok = sl_transfer_in(L, &box->value, 1, NULL) == 0;
	}
	lua_pop(M, 1);
	return ok;
}

/* ---- copies ---- */

/* The table at @index, or the variable, is this goroutine's copy of @number from now on. What
 * it holds counts as not yet seen. */
static void attach(lua_State *L, int index, uint64_t number)
{
	lua_pushvalue(L, index);
	lua_rawseti(L, SLOT_COPIES, (lua_Integer)number);
	lua_pushvalue(L, index);
	lua_pushinteger(L, (lua_Integer)number);
	lua_rawset(L, SLOT_NUMBERS);
	lua_newtable(L);
	lua_rawseti(L, SLOT_SHADOWS, (lua_Integer)number);
}

/* A table that is not shared yet gets a master, empty as of now. */
static struct master *adopt(lua_State *L, struct job *job, int index)
{
	struct master *master = new_master(job->commons);

	hold(L, job->share, master);
	attach(L, index, master->number);
	if (lua_getmetatable(L, index)) {
		push_master(job->commons, master->number);
		if (push_box(L, job, lua_gettop(L)))
			lua_setiuservalue(job->M, -2, U_META);
		lua_pop(job->M, 1);
		lua_pop(L, 1);
	}
	return master;
}

/* What a copy is: pushes its table, or nothing for a variable. */
enum copy_kind {
	COPY_GONE,
	COPY_TABLE,
	COPY_UPVALUE,
	COPY_GLOBAL
};

static enum copy_kind push_copy(lua_State *L, uint64_t number)
{
	if (lua_rawgeti(L, SLOT_COPIES, (lua_Integer)number) == LUA_TTABLE)
		return COPY_TABLE;
	lua_pop(L, 1);
	if (lua_rawgeti(L, SLOT_UPVALUES, (lua_Integer)number) == LUA_TFUNCTION)
		return COPY_UPVALUE;
	lua_pop(L, 1);
	if (lua_rawgeti(L, SLOT_GLOBALS, (lua_Integer)number) == LUA_TSTRING)
		return COPY_GLOBAL;
	lua_pop(L, 1);
	return COPY_GONE;
}

/* Pushes the value of the variable at @at. */
static void get_variable(lua_State *L, enum copy_kind kind, int at)
{
	if (kind == COPY_UPVALUE) {
		lua_getupvalue(L, at, 1);
		return;
	}
	lua_pushglobaltable(L);
	lua_pushvalue(L, at);
	lua_rawget(L, -2);
	lua_remove(L, -2);
}

/* Gives the variable at @at the value on the top, which is popped. */
static void set_variable(lua_State *L, enum copy_kind kind, int at)
{
	if (kind == COPY_UPVALUE) {
		lua_setupvalue(L, at, 1);
		return;
	}
	lua_pushglobaltable(L);
	lua_pushvalue(L, at);
	lua_pushvalue(L, -3);
	lua_rawset(L, -3);
	lua_pop(L, 2);
}

/* ---- releasing ---- */

static uint64_t stamp_of(struct job *job)
{
	if (!job->stamp)
		job->stamp = ++job->commons->version << WRITER_BITS | job->share->writer;
	return job->stamp;
}

/* Publishes that @number's key, at @key, is the value at @key + 1; both in L. */
static void publish(lua_State *L, struct job *job, struct master *master, int key)
{
	lua_State *M = job->M;
	int top = lua_gettop(M);
	lua_Integer number = (lua_Integer)master->number;

	if (!to_master(L, job, key))
		return;
	if (!to_master(L, job, key + 1)) {
		lua_settop(M, top);
		return;
	}
	lua_rawgeti(M, M_TABLES, number);
	lua_pushvalue(M, top + 1);
	lua_pushvalue(M, top + 2);
	lua_rawset(M, -3);
	push_stamps(job->commons, master->number);
	lua_pushvalue(M, top + 1);
	lua_pushinteger(M, (lua_Integer)stamp_of(job));
	lua_rawset(M, -3);
	lua_settop(M, top);
	master->version = job->stamp >> WRITER_BITS;
	if (job->commons->masters != master) {
		unlink_master(job->commons, master);
		link_first(job->commons, master);
	}
}

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

/* The table at @copy against its shadow, above it. */
static void compare_table(lua_State *L, struct job *job, struct master *master, int copy)
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

static void compare_variable(
	lua_State *L, struct job *job, struct master *master, enum copy_kind kind, int copy)
{
	int shadow = copy + 1, key = copy + 2;

	lua_pushinteger(L, 1);
	get_variable(L, kind, copy);
	if (is_in_shadow(L, shadow, key))
		return;
	publish(L, job, master, key);
	keep_in_shadow(L, shadow, key);
}

static void compare(lua_State *L, struct job *job, uint64_t number)
{
	struct master *master = find_master(job->commons, number);
	enum copy_kind kind = push_copy(L, number);
	int copy = lua_gettop(L);

	if (kind != COPY_GONE) {
		lua_rawgeti(L, SLOT_SHADOWS, (lua_Integer)number);
		if (kind == COPY_TABLE)
			compare_table(L, job, master, copy);
		else
			compare_variable(L, job, master, kind, copy);
	}
	lua_settop(L, SLOT_TOP);
}

/* Compares what there is to compare, and what that brings along. */
static void compare_work(lua_State *L, struct job *job)
{
	uint64_t before = job->commons->version;

	for (size_t i = 0; i < job->n_work; i++)
		compare(L, job, job->work[i]);
	/* What is one's own alone needn't be taken in again. */
	if (job->share->seen == before)
		job->share->seen = job->commons->version;
}

static void forget(lua_State *L, struct job *job, uint64_t number)
{
	lua_Integer n = (lua_Integer)number;

	if (push_copy(L, number) == COPY_TABLE) {
		lua_pushnil(L);
		lua_rawset(L, SLOT_NUMBERS);
	}
	for (int slot = SLOT_SHADOWS; slot <= SLOT_GLOBALS; slot++) {
		lua_pushnil(L);
		lua_rawseti(L, slot, n);
	}
	lua_pushnil(L);
	lua_rawseti(L, SLOT_COPIES, n);
	lua_settop(L, SLOT_TOP);
	drop_holder_locked(job->commons, number);
}

/* Lists all copies; forgets those that are garbage, and those that nobody else can have. */
static void list_copies(lua_State *L, struct job *job)
{
	struct sl_share *share = job->share;
	size_t n = 0;

	for (size_t i = 0; i < share->n_numbers; i++) {
		uint64_t number = share->numbers[i];
		struct master *master = find_master(job->commons, number);
		enum copy_kind kind = push_copy(L, number);

		lua_settop(L, SLOT_TOP);
		/* One inside another may come back to somebody through that one. */
		if (kind == COPY_GONE || (master->n_holders == 1 && !master->is_inside &&
						 master->version <= share->seen)) {
			forget(L, job, number);
		} else {
			share->numbers[n++] = number;
			add_work(L, job, number);
		}
	}
	share->n_numbers = n;
	share->n_swept = n;
}

static void release(lua_State *L, struct job *job)
{
	list_copies(L, job);
	compare_work(L, job);
}

/* ---- acquiring ---- */

/* Takes in the change of the key on M's top; the copy is at @copy, its shadow above it. A key
 * that was changed here as well stays as it is. */
static void take_key(
	lua_State *L, struct job *job, uint64_t number, enum copy_kind kind, int copy)
{
	lua_State *M = job->M;
	int shadow = copy + 1, key = copy + 2;

	lua_pushvalue(M, -1);
	if (!from_master(L, job)) {
		lua_settop(L, shadow);
		return;
	}
	if (kind == COPY_TABLE) {
		lua_pushvalue(L, key);
		lua_rawget(L, copy);
	} else {
		get_variable(L, kind, copy);
	}
	if (is_in_shadow(L, shadow, key)) {
		lua_settop(L, key);
		lua_rawgeti(M, M_TABLES, (lua_Integer)number);
		lua_pushvalue(M, -2);
		lua_rawget(M, -2);
		lua_remove(M, -2);
		if (from_master(L, job)) {
			keep_in_shadow(L, shadow, key);
			if (kind == COPY_TABLE)
				lua_rawset(L, copy);
			else
				set_variable(L, kind, copy);
		}
	}
	lua_settop(L, shadow);
}

static void take_changes(lua_State *L, struct job *job, uint64_t number, uint64_t since)
{
	lua_State *M = job->M;
	int top = lua_gettop(M), copy = SLOT_TOP + 1;
	enum copy_kind kind = push_copy(L, number);

	if (kind == COPY_GONE)
		return;
	lua_rawgeti(L, SLOT_SHADOWS, (lua_Integer)number);
	push_stamps(job->commons, number);
	for (lua_pushnil(M); lua_next(M, top + 1);) {
		uint64_t stamp = (uint64_t)lua_tointeger(M, -1);

		lua_pop(M, 1);
		if (stamp >> WRITER_BITS > since &&
			(since == 0 || (stamp & WRITER_MASK) != job->share->writer))
			take_key(L, job, number, kind, copy);
		lua_settop(M, top + 2);
	}
	lua_settop(M, top);
	lua_settop(L, SLOT_TOP);
}

/* Fills copies that were made on the way, and those they need. */
static void fill_work(lua_State *L, struct job *job)
{
	for (size_t i = 0; i < job->n_work; i++) {
		uint64_t number = job->work[i];

		take_changes(L, job, number, 0);
		push_master(job->commons, number);
		if (lua_getiuservalue(job->M, -1, U_META) == LUA_TUSERDATA &&
			push_copy(L, number) == COPY_TABLE && from_master(L, job))
			lua_setmetatable(L, -2);
		lua_settop(job->M, M_TOP);
		lua_settop(L, SLOT_TOP);
	}
}

static void acquire(lua_State *L, struct job *job)
{
	struct sl_share *share = job->share;

	for (struct master *master = job->commons->masters, *next;
		master && master->version > share->seen; master = next) {
		next = master->next;
		take_changes(L, job, master->number, share->seen);
	}
	fill_work(L, job);
	share->seen = job->commons->version;
}

/* ---- capturing ---- */

static struct sl_share *heir(lua_State *L, struct sl_share **share)
{
	if (!*share)
		*share = new_share(sl_goroutine_of(L));
	if (!*share) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	return *share;
}

/* Now and then, what ended goroutines had is forgotten. */
static void sweep(lua_State *L, struct job *job)
{
	if (job->share->n_numbers < 64 || job->share->n_numbers < 2 * job->share->n_swept)
		return;
	list_copies(L, job);
	job->n_work = 0;
}

static void capture_table(lua_State *L, struct job *job)
{
	sweep(L, job);
	job->number = number_of(L, SLOT_VALUE);
	if (!job->number)
		job->number = adopt(L, job, SLOT_VALUE)->number;
	add_work(L, job, job->number);
	compare_work(L, job);
}

uint64_t sl_share_capture_table(lua_State *L, int index, struct sl_share **share)
{
	struct job job = {.run = capture_table, .share = own_share(L)};

	job.heir = heir(L, share);
	lua_pushvalue(L, index);
	run_or_raise(L, &job);
	return job.number;
}

/* A variable that has no master yet gets one; the copy, function or name, is on the top. */
static void adopt_variable(lua_State *L, struct job *job, int slot, const void *identity)
{
	struct master *master = new_master(job->commons);

	hold(L, job->share, master);
	job->number = master->number;
	lua_rawseti(L, slot, (lua_Integer)master->number);
	lua_pushlightuserdata(L, (void *)identity);
	lua_pushinteger(L, (lua_Integer)master->number);
	lua_rawset(L, SLOT_NUMBERS);
	lua_newtable(L);
	lua_rawseti(L, SLOT_SHADOWS, (lua_Integer)master->number);
}

/* Makes what makes probes: few goroutines need it. */
static void make_probe_maker(lua_State *L)
{
	static const char text[] = "local v return function() return v end";

	if (luaL_loadbufferx(L, text, sizeof(text) - 1, "=share", "t") != LUA_OK)
		lua_error(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, SLOT_PROBE - SLOT_COPIES + 1);
	lua_pop(L, 1);
	lua_replace(L, SLOT_PROBE);
}

/* Pushes a function whose upvalue is the @i-th one of the function at @index. */
static void push_probe(lua_State *L, int index, int i)
{
	if (lua_isnil(L, SLOT_PROBE))
		make_probe_maker(L);
	lua_pushvalue(L, SLOT_PROBE);
	lua_call(L, 0, 1);
	lua_upvaluejoin(L, -1, 1, index, i);
}

static uint64_t number_of_identity(lua_State *L, const void *identity)
{
	uint64_t number;

	lua_pushlightuserdata(L, (void *)identity);
	lua_rawget(L, SLOT_NUMBERS);
	number = (uint64_t)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return number;
}

static void capture_upvalue(lua_State *L, struct job *job)
{
	const void *identity = lua_upvalueid(L, SLOT_VALUE, job->i);

	sweep(L, job);
	job->number = number_of_identity(L, identity);
	/* An address may be a later variable's: the old one's copy is gone then. */
	if (job->number && push_copy(L, job->number) != COPY_UPVALUE)
		job->number = 0;
	lua_settop(L, SLOT_TOP);
	if (!job->number) {
		push_probe(L, SLOT_VALUE, job->i);
		adopt_variable(L, job, SLOT_UPVALUES, identity);
	}
	add_work(L, job, job->number);
	compare_work(L, job);
}

/* What the code of the function at level 1, which calls us, does; NULL: not known. It is kept
 * as long as the function. */
static int append(lua_State *L, const void *data, size_t size, void *buffer)
{
	(void)L;
	return sl_buffer_append(buffer, data, size) ? 0 : 1;
}

/* A chunk as a handle: given back with the state. */
struct chunk_handle {
	struct sl_handle handle; /* first */
	struct sl_chunk *chunk;
};

#define CHUNK_KIND "chunk"

static void free_chunk(struct sl_handle *handle)
{
	sl_chunk_free(((struct chunk_handle *)handle)->chunk);
	free(handle);
}

static void push_chunks(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &chunks_key) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	weak(L, "k");
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &chunks_key);
}

/* Pushes a userdata with the chunk of the function on the top. [-0, +1, e] */
static void push_chunk(lua_State *L)
{
	struct sl_buffer buffer = SL_BUFFER_INIT;
	struct chunk_handle *holder = calloc(1, sizeof(*holder));

	if (!holder)
		luaL_error(L, "not enough memory");
	holder->handle = (struct sl_handle){.refs = 1, .kind = CHUNK_KIND, .free = free_chunk};
	lua_dump(L, append, &buffer, 0);
	holder->chunk = sl_chunk_read(sl_buffer_bytes(&buffer));
	sl_buffer_deinit(&buffer);
	sl_handle_push_new(L, &holder->handle);
}

static const struct sl_chunk *calling_chunk(lua_State *L)
{
	const struct sl_chunk *chunk;
	lua_Debug info;

	/* Level 0 is the walk, 1 the function of ours that began it, 2 its caller. */
	if (!lua_getstack(L, 2, &info) || !lua_getinfo(L, "f", &info))
		return NULL;
	if (lua_iscfunction(L, -1)) {
		lua_pop(L, 1);
		return NULL;
	}
	push_chunks(L);
	lua_pushvalue(L, -2);
	if (lua_rawget(L, -2) != LUA_TUSERDATA) {
		lua_pop(L, 1);
		lua_pushvalue(L, -2);
		push_chunk(L);
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -5);
		lua_remove(L, -2);
	}
	chunk = ((struct chunk_handle *)sl_handle_at(L, -1))->chunk;
	lua_pop(L, 3);
	return chunk;
}

/* Whether anybody may ever assign to the @i-th upvalue of the function at @index. */
static bool may_be_assigned(lua_State *L, int index, int i)
{
	const struct sl_chunk *chunk = calling_chunk(L);
	lua_Debug info;

	if (!chunk)
		return true;
	lua_pushvalue(L, index);
	lua_getinfo(L, ">S", &info);
	return sl_chunk_may_assign(chunk, info.linedefined, info.lastlinedefined, i);
}

/* Standard things and handles: nobody has a variable for them that changes. */
static bool is_fixture(lua_State *L, int index)
{
	return lua_iscfunction(L, index) || lua_isuserdata(L, index) ||
	       (lua_istable(L, index) && is_module(L, index));
}

uint64_t sl_share_capture_upvalue(lua_State *L, int index, int i, struct sl_share **share)
{
	struct job job = {.run = capture_upvalue, .i = i};
	bool fixture;

	index = lua_absindex(L, index);
	if (!may_be_assigned(L, index, i))
		return 0;
	lua_getupvalue(L, index, i);
	fixture = is_fixture(L, lua_gettop(L));
	lua_pop(L, 1);
	if (fixture)
		return 0;
	job.share = own_share(L);
	job.heir = heir(L, share);
	lua_pushvalue(L, index);
	run_or_raise(L, &job);
	return job.number;
}

static void capture_global(lua_State *L, struct job *job)
{
	lua_pushstring(L, job->name);
	job->number = number_of(L, lua_gettop(L));
	if (job->number && push_copy(L, job->number) != COPY_GLOBAL)
		job->number = 0;
	lua_settop(L, SLOT_TOP + 1);
	if (!job->number) {
		struct master *master = new_master(job->commons);

		hold(L, job->share, master);
		job->number = master->number;
		lua_pushvalue(L, -1);
		lua_rawseti(L, SLOT_GLOBALS, (lua_Integer)job->number);
		lua_pushinteger(L, (lua_Integer)job->number);
		lua_rawset(L, SLOT_NUMBERS);
		lua_newtable(L);
		lua_rawseti(L, SLOT_SHADOWS, (lua_Integer)job->number);
	}
	lua_settop(L, SLOT_TOP);
	add_work(L, job, job->number);
	compare_work(L, job);
}

uint64_t sl_share_capture_global(lua_State *L, const char *name, struct sl_share **share)
{
	struct job job = {.run = capture_global, .name = name, .share = own_share(L)};

	job.heir = heir(L, share);
	lua_pushnil(L);
	run_or_raise(L, &job);
	return job.number;
}

/* ---- attaching ---- */

/* What the copy has now is what it had when it was captured. */
static void shadow_table(lua_State *L, int index, uint64_t number)
{
	lua_rawgeti(L, SLOT_SHADOWS, (lua_Integer)number);
	for (lua_pushnil(L); lua_next(L, index);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, SLOT_TOP + 1);
	}
	lua_settop(L, SLOT_TOP);
}

static void attach_table(lua_State *L, struct job *job)
{
	attach(L, SLOT_VALUE, job->number);
	shadow_table(L, SLOT_VALUE, job->number);
}

static void attach_upvalue(lua_State *L, struct job *job)
{
	lua_Integer number = (lua_Integer)job->number;

	push_probe(L, SLOT_VALUE, job->i);
	lua_rawseti(L, SLOT_UPVALUES, number);
	lua_pushlightuserdata(L, lua_upvalueid(L, SLOT_VALUE, job->i));
	lua_pushinteger(L, number);
	lua_rawset(L, SLOT_NUMBERS);
	lua_newtable(L);
	lua_getupvalue(L, SLOT_VALUE, job->i);
	lua_rawseti(L, -2, 1);
	lua_rawseti(L, SLOT_SHADOWS, number);
}

static void attach_global(lua_State *L, struct job *job)
{
	lua_Integer number = (lua_Integer)job->number;

	lua_pushstring(L, job->name);
	lua_pushvalue(L, -1);
	lua_rawseti(L, SLOT_GLOBALS, number);
	lua_pushinteger(L, number);
	lua_rawset(L, SLOT_NUMBERS);
	lua_newtable(L);
	lua_getglobal(L, job->name);
	lua_rawseti(L, -2, 1);
	lua_rawseti(L, SLOT_SHADOWS, number);
}

void sl_share_attach_table(lua_State *L, int index, uint64_t number)
{
	struct job job = {.run = attach_table, .share = own_share(L), .number = number};

	lua_pushvalue(L, index);
	run_or_raise(L, &job);
}

void sl_share_attach_upvalue(lua_State *L, int index, int i, uint64_t number)
{
	struct job job = {
		.run = attach_upvalue, .share = own_share(L), .number = number, .i = i};

	lua_pushvalue(L, index);
	run_or_raise(L, &job);
}

void sl_share_attach_global(lua_State *L, const char *name, uint64_t number)
{
	struct job job = {
		.run = attach_global, .share = own_share(L), .number = number, .name = name};

	lua_pushnil(L);
	run_or_raise(L, &job);
}

/* ---- tables that come back ---- */

/* Pushes one of the tables of this state. [-0, +1, -] */
static void push_one(lua_State *L, int slot)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key) == LUA_TTABLE)
		lua_rawgeti(L, -1, slot - SLOT_COPIES + 1);
	else
		lua_newtable(L);
	lua_remove(L, -2);
}

uint64_t sl_share_number(lua_State *L, int index)
{
	uint64_t number;

	if (!sl_goroutine_of(L)->share)
		return 0;
	index = lua_absindex(L, index);
	push_one(L, SLOT_NUMBERS);
	lua_pushvalue(L, index);
	lua_rawget(L, -2);
	number = (uint64_t)lua_tointeger(L, -1);
	lua_pop(L, 2);
	return number;
}

bool sl_share_push(lua_State *L, uint64_t number)
{
	if (!sl_goroutine_of(L)->share)
		return false;
	push_one(L, SLOT_COPIES);
	if (lua_rawgeti(L, -1, (lua_Integer)number) == LUA_TTABLE) {
		lua_remove(L, -2);
		return true;
	}
	lua_pop(L, 2);
	return false;
}

/* ---- meeting ---- */

static void meet(lua_State *L, void (*run)(lua_State *L, struct job *job))
{
	struct sl_goroutine *goroutine = sl_goroutine_of(L);
	struct job job = {.run = run, .share = goroutine->share};

	if (!job.share || job.share->n_numbers == 0 || !lua_checkstack(L, 8))
		return;
	job.share->writer = goroutine->id & WRITER_MASK;
	lua_pushnil(L);
	if (run_job(L, &job) != LUA_OK)
		lua_pop(L, 1); /* no memory: the goroutine is told so at its next step */
}

void sl_share_release(lua_State *L)
{
	meet(L, release);
}

void sl_share_acquire(lua_State *L)
{
	meet(L, acquire);
}
