/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Transfer: Lua values out of a state into a parcel, and out of a parcel into a
 * state. Cycles, shared tables and shared upvalues survive; standard functions
 * and modules go by name and become the receiving state's own.
 *
 * Threads: the one that runs the state.
 */

#include <lua.h>

#include "common/parcel.h"

struct sl_error;
struct sl_names;
struct sl_share;
struct sl_task;

/* How the sender wants it done. */
struct sl_transfer {
	const char *to; /* "cannot send upvalue 'x.y' @to: open file": "to a goroutine" */
	/* Fills text, file and line of @out for the Lua function at @index and leaves the stack
	 * as it was. NULL: as a binary chunk, good only inside this process. */
	int (*cut)(void *ctx, lua_State *L, int index, struct sl_parcel *parcel,
		struct sl_function *out, struct sl_error *err);
	void *ctx;
	/* Why the function in C, table or userdata at @index can't go wherever it is met, or
	 * NULL. A global that it is and that the code reads is met, too. NULL: all may. */
	const char *(*refuse)(lua_State *L, int index);
	bool handles; /* handles may go: inside one task only */
	bool shared; /* tables that goroutines share keep their numbers: inside one task only */
	/* Where the share goes that the new goroutine has for what the first value, its
	 * function, captured. NULL: it is not for a new goroutine. */
	struct sl_share **share;
};

/* Remembers the standard functions and modules that are in @L now as what goes by name:
 * everything in package.loaded, one level deep, and _G. Call it once, when the state is
 * furnished and no script has run. Raises when memory runs out. [-0, +0, m] */
void sl_transfer_learn_names(lua_State *L);

/* Copies the value at @index. @what begins the way to a value that can't be sent ("params",
 * "argument #2"); inside a function the way begins at the captured variable instead: "upvalue
 * 'conf.file'". Raises nothing. [-0, +0, -] Returns 0, SL_EINVALID, SL_ETOO_LARGE, SL_ENOMEM.
 */
int sl_transfer_out(lua_State *L, int index, const char *what, const struct sl_transfer *how,
	struct sl_parcel *parcel, struct sl_value *out, struct sl_error *err) sl_must_check;

/* Copies @n values in one go, so that what they share stays shared. The way to the i-th begins
 * with "@what #i". */
int sl_transfer_out_many(lua_State *L, int first, size_t n, const char *what,
	const struct sl_transfer *how, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err) sl_must_check;

/* Pushes @values, one each; on failure nothing is pushed. Raises nothing. [-0, +n|0, -]
 * A named module that this state doesn't have is an error that says so. Text functions are
 * compiled here: "t" only. */
int sl_transfer_in(lua_State *L, const struct sl_value *values, size_t n,
	struct sl_error *err) sl_must_check;

/* The same for the task that begins: what is missing is missing on its agent. */
int sl_transfer_in_task(lua_State *L, const struct sl_value *values, size_t n,
	const struct sl_task *task, struct sl_error *err) sl_must_check;

/* The same into a new goroutine's state, which gets its copies of what is shared. */
int sl_transfer_in_new(lua_State *L, const struct sl_value *values, size_t n,
	struct sl_error *err) sl_must_check;

/* Whether the global called @name, with the value on the top, is something that the script
 * made, and travels with the functions that name it. [-0, +0, -] */
bool sl_transfer_is_own_global(
	lua_State *L, const struct sl_names *names, struct sl_bytes name);
