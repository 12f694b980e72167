/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Home: one Lua state in an arena of its own, furnished with all that a task
 * may use, and what has to be given back when it is dropped.
 *
 * The first state of a runtime is furnished before it is needed, the next ones
 * one by one; when it turns out to need more, the rest are made of an image of
 * one.
 *
 * Threads: the one that runs the goroutine; a model may be used from any.
 */

#include <lua.h>

#include "common/base.h"
#include "lua/state/arena.h"
#include "lua/state/handle.h"

struct sl_catalog;
struct sl_compiled;
struct sl_error;
struct sl_goroutine;
struct sl_image;
struct sl_names;

/* How the states of a runtime are made. */
struct sl_home_model {
	struct sl_account *account;
	size_t limit_bytes; /* of one state */
	struct sl_catalog *catalog;
	struct sl_compiled *compiled; /* modules that a state has required */
	struct sl_names *names;
	_Atomic unsigned n_made;
	struct sl_home *_Atomic spare;  /* made in advance, for the first; NULL: taken */
	struct sl_image *_Atomic image; /* NULL: not yet, or it can't be frozen */
};

struct sl_home {
	lua_State *L;  /* NULL: nothing here */
	lua_State *co; /* a coroutine of it, for the goroutine's body */
	struct sl_arena *arena;
	struct sl_handle_list handles;
	bool has_handlers; /* xpcall() has been called */
	/* A finalizer may wait in it (an open file, a __gc of the script's): it is closed, not
	 * just dropped. */
	bool has_finalizers;
	struct sl_goroutine *goroutine; /* whose it is */
};

int sl_home_model_init(struct sl_home_model *model, struct sl_account *account,
	size_t limit_bytes, struct sl_error *err) sl_must_check;
void sl_home_model_deinit(struct sl_home_model *model);

/* After a fork: uses the state that was made in advance a little, so that its memory and the
 * code that runs in it are this process's before they are needed. Before the model is used. */
void sl_home_model_warm(struct sl_home_model *model);

/* Makes a furnished state. @home must stay where it is. Returns 0 or SL_ENOMEM. */
int sl_home_init(struct sl_home *home, struct sl_home_model *model,
	struct sl_goroutine *goroutine, struct sl_error *err) sl_must_check;

/* Has the state in @from live in @home instead; @from is empty then. Whose it is, the caller
 * says. */
void sl_home_move(struct sl_home *home, struct sl_home *from);

/* Gives everything back; runs finalizers if there are any. */
void sl_home_deinit(struct sl_home *home);

/* The state that L is of: it must be one of ours. */
static inline struct sl_home *sl_home_of(lua_State *L)
{
	return *(struct sl_home **)lua_getextraspace(L);
}

/* Says that a finalizer waits in L, which may be any state. */
void sl_home_note_finalizer(lua_State *L);

/* Whether a finalizer of a script's may run in L, which may be any state: true for one that is
 * not ours. */
bool sl_home_may_finalize(lua_State *L);
