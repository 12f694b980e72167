/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What commons.c, share.c and share_*.c share: the masters, the copies that the
 * goroutines have of them, and the jobs that bring both together.
 *
 * Threads: where a commons or a job is given, its lock is held, but by
 * sl_share_run() and sl_share_run_or_raise(), which take it. Else the
 * goroutine's that runs L.
 */

#include <lua.h>
#include <pthread.h>

#include "lua/share/share.h"

/* ---- the commons ---- */

/* A master: a table, or with the one key 1 a variable. A userdata of the commons' state, it
 * goes when nobody holds it and no master that is held has it in it. */
struct sl_master {
	struct sl_commons *commons;
	uint64_t number;
	uint64_t version;              /* of its last change */
	uint64_t logged_since;         /* later changes are in the log */
	unsigned n_log;                /* entries in it */
	size_t n_holders;              /* shares that have a copy or will */
	bool is_inside;                /* other masters have, or had, it in them */
	struct sl_master *prev, *next; /* sl_commons.masters: the last changed one first */
};

struct sl_commons {
	pthread_mutex_t lock; /* guards what follows */
	lua_State *M;
	uint64_t n_masters;
	_Atomic uint64_t
		version;  /* atomic: written under the lock, read by who looks for news */
	int collected_kb; /* what was left after the last collection */
	struct sl_master *masters;
};

/* Stack slots of the commons' state. */
enum {
	SL_M_TABLES = 1, /* number → table; weak */
	SL_M_NUMBERS,    /* table → number; weak */
	SL_M_MASTERS,    /* table → struct sl_master; weak */
	SL_M_HELD,       /* number → table, of those that somebody holds */
	SL_M_TOP = SL_M_HELD,
};

/* User values of a struct sl_master. */
enum {
	SL_U_STAMPS = 1, /* {key → version << SL_WRITER_BITS | writer} */
	SL_U_META,       /* box with a metatable, or nil */
	SL_U_LOG,        /* {key, stamp, key, stamp, …}: the last changes, the newest last */
	SL_N_USER_VALUES = SL_U_LOG,
};

enum {
	SL_WRITER_BITS = 24
};

#define SL_WRITER_MASK ((UINT64_C(1) << SL_WRITER_BITS) - 1)

/* What is no plain value lies in a box: functions, handles, names of standard things. */
struct sl_box {
	struct sl_parcel *parcel;
	struct sl_value value;
};

/* Makes the Lua state if there is none; false when memory ran out. */
bool sl_commons_open(struct sl_commons *commons);

/* Collects the garbage if there is much. */
void sl_commons_collect(struct sl_commons *commons);

/* A new master, empty as of now. */
struct sl_master *sl_commons_add(struct sl_commons *commons);

/* The master of @number, NULL if it is gone. */
struct sl_master *sl_commons_find(struct sl_commons *commons, uint64_t number);

/* Pushes the userdata of @number onto M, or nil. */
struct sl_master *sl_commons_push_master(struct sl_commons *commons, uint64_t number);

/* Pushes the stamps of @number onto M. */
void sl_commons_push_stamps(struct sl_commons *commons, uint64_t number);

/* Pushes the log of @number onto M. */
void sl_commons_push_log(struct sl_commons *commons, uint64_t number);

/* Logs that the key at @key, of M, was changed with @stamp. */
void sl_commons_log(
	struct sl_commons *commons, struct sl_master *master, int key, uint64_t stamp);

/* Whether the key on M's top was last changed with @stamp. */
bool sl_commons_is_last(struct sl_commons *commons, uint64_t number, uint64_t stamp);

/* Pushes an empty box onto M. */
struct sl_box *sl_commons_push_box(struct sl_commons *commons);

/* @master was changed in @version, which is the newest. */
void sl_commons_touch(struct sl_commons *commons, struct sl_master *master, uint64_t version);

/* One more, one less that has a copy or will. */
void sl_commons_add_holder(struct sl_commons *commons, struct sl_master *master);
void sl_commons_drop_holder(struct sl_commons *commons, uint64_t number);

/* Pushes a new weak table, of any state; @mode as in __mode. [-0, +1, m] */
void sl_commons_push_weak(lua_State *L, const char *mode);

/* ---- a share ---- */

struct sl_share {
	struct sl_commons *commons;
	uint64_t seen;     /* version up to which it has taken in */
	uint64_t writer;   /* who it is, in stamps */
	uint64_t *numbers; /* of the masters it has a copy of, or will have: it holds each */
	size_t n_numbers, room;
	size_t n_swept;     /* n_numbers after the last sweep */
	unsigned n_skipped; /* releases that had nothing to do */
};

/* For a goroutine that @parent begins; NULL when memory ran out. */
struct sl_share *sl_share_new(struct sl_goroutine *parent);

/* The share of the goroutine that runs @L, made now if it has none. Takes the lock.
 * [-0, +0, e] */
struct sl_share *sl_share_own(lua_State *L);

/* A holder of @master more. [-0, +0, e] */
void sl_share_hold(lua_State *L, struct sl_share *share, struct sl_master *master);

/* ---- jobs: what is done in protected mode, with the lock held ---- */

struct sl_share_job {
	void (*run)(lua_State *L, struct sl_share_job *job);
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

/* Stack slots in protected mode. */
enum {
	SL_SLOT_JOB = 1,
	SL_SLOT_VALUE,   /* what the job is about */
	SL_SLOT_COPIES,  /* number → table, weak */
	SL_SLOT_NUMBERS, /* table, or upvalue's identity → number; weak keys */
	SL_SLOT_SHADOWS, /* number → {key → value} as of the last meeting; -number → imprint */
	SL_SLOT_UPVALUES, /* number → function with that one upvalue */
	SL_SLOT_GLOBALS,  /* number → name */
	SL_SLOT_PROBE,    /* makes such functions */
	SL_SLOT_TOP = SL_SLOT_PROBE,
};

/* Runs @job on the value on the top, which is popped. Returns what lua_pcall() says; an error
 * is then on the top. */
int sl_share_run(lua_State *L, struct sl_share_job *job);
void sl_share_run_or_raise(lua_State *L, struct sl_share_job *job);

/* The copy of @number has to be compared, or filled. [-0, +0, e] */
void sl_share_add_work(lua_State *L, struct sl_share_job *job, uint64_t number);

/* ---- values ---- */

/* Pushes the value at @index, of L, onto M; false and nothing pushed if it can't go. */
bool sl_share_to_master(lua_State *L, struct sl_share_job *job, int index);

/* Pushes M's top onto L and pops it; false if it can't be had here. */
bool sl_share_from_master(lua_State *L, struct sl_share_job *job);

/* Pushes a box with the value at @index, of L, onto M; false: it can't be sent. */
bool sl_share_push_box(lua_State *L, struct sl_share_job *job, int index);

/* Whether the value at @index is what require() gave for some name. Takes no lock. */
bool sl_share_is_module(lua_State *L, int index);

/* ---- copies ---- */

/* What a copy is. */
enum sl_share_copy {
	SL_COPY_GONE,
	SL_COPY_TABLE,
	SL_COPY_UPVALUE,
	SL_COPY_GLOBAL
};

/* Pushes the tables of this state in the order of their slots. */
void sl_share_push_tables(lua_State *L);

/* Pushes a function whose upvalue is the @i-th one of the function at @index. */
void sl_share_push_probe(lua_State *L, int index, int i);

/* The number of what is at @index, 0 if it has none. */
uint64_t sl_share_number_of(lua_State *L, int index);

/* The table at @index, or the variable, is this goroutine's copy of @number from now on. What
 * it holds counts as not yet seen. */
void sl_share_attach(lua_State *L, int index, uint64_t number);

/* A table that is not shared yet gets a master, empty as of now. */
struct sl_master *sl_share_adopt(lua_State *L, struct sl_share_job *job, int index);

/* Pushes the copy of @number: its table, or for a variable its function or name; nothing if it
 * is gone. */
enum sl_share_copy sl_share_push_copy(lua_State *L, uint64_t number);

/* Pushes the value of the variable at @at. */
void sl_share_get_variable(lua_State *L, enum sl_share_copy kind, int at);

/* Gives the variable at @at the value on the top, which is popped. */
void sl_share_set_variable(lua_State *L, enum sl_share_copy kind, int at);

/* The imprint of the copy of @number, as it was when copy and shadow had the same in them;
 * NULL: there is none. It lives until it is taken anew or dropped. */
struct sl_imprint *sl_share_imprint(lua_State *L, uint64_t number);
/* The table at @copy and its shadow have the same in them. */
void sl_share_take_imprint(lua_State *L, int copy, uint64_t number);
void sl_share_drop_imprint(lua_State *L, uint64_t number);

/* Whether anything that @share has a copy of is not what it was when it was last compared.
 * Needs no protected mode and no lock, and leaves it to the next job to forget. [-0, +0, -] */
bool sl_share_has_changes(lua_State *L, const struct sl_share *share);

/* Lists all copies as work; forgets those that are garbage, and those that nobody else can
 * have. */
void sl_share_list_copies(lua_State *L, struct sl_share_job *job);

/* ---- meeting ---- */

/* Compares what there is to compare, and what that brings along; publishes what differs. */
void sl_share_compare_work(lua_State *L, struct sl_share_job *job);
