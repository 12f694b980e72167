/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Body: what a Lua function does, apart from what it captured. A state that
 * sends functions keeps the bodies of the last few, so that the next closure of
 * the same prototype needn't be read again.
 *
 * Threads: immutable once found; to find belongs to the thread that runs L.
 */

#include <lua.h>

#include "common/buffer.h"
#include "common/parcel.h"

enum {
	SL_BODY_MOST_UPVALUES = 32
};

struct sl_account;

struct sl_body {
	struct sl_handle handle;  /* first */
	struct sl_parcel *parcel; /* what follows lies in it */
	struct sl_account *account;
	size_t charged;
	struct sl_bytes text; /* binary: good only inside of this process */
	int n_upvalues;
	/* The constants that are strings: the names of the globals that it uses are among them.
	 */
	struct sl_bytes *names;
	size_t n_names;
};

/* The body of the function at @index, borrowed until the next call for the same state; NULL: it
 * is too large, or can't be recognised. *assigned gets a bit for each upvalue, from 1 << 0,
 * that the code which called the function of ours that runs now, or anybody, may assign to: see
 * sl_share_may_be_assigned(). [-0, +0, e] */
struct sl_body *sl_body_find(lua_State *L, int index, uint32_t *assigned);

/* Pushes the function, with its upvalues unset. [-0, +1, e] */
void sl_body_push(lua_State *L, const struct sl_body *body);
