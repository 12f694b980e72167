/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Arena: the memory of one Lua state. It begins in a region of its own, aligned
 * to its size, grows by chunks and is dropped as a whole: what a state was made
 * of need not be freed piece by piece. Regions are kept warm for the next one.
 *
 * Each arena has a limit, and the arenas of a task share an account with a limit
 * of its own. Reaching either one makes an allocation fail, which Lua turns into
 * "not enough memory" in the goroutine that asked.
 *
 * Threads: an arena belongs to the thread that runs its state; an account may be
 * used from any.
 */

#include "common/base.h"

enum {
	SL_REGION_SIZE = 64 * 1024
};

struct sl_account {
	_Atomic size_t used; /* bytes */
	_Atomic size_t peak;
	size_t limit;         /* immutable once shared; 0: none */
	_Atomic bool refused; /* somebody has met the limit */
};

/* False, and nothing charged, when that would pass the limit. */
bool sl_account_charge(struct sl_account *account, size_t bytes);
void sl_account_release(struct sl_account *account, size_t bytes);

struct sl_arena;

/* An arena that holds at most @limit bytes; NULL when memory or the account ran out. @account
 * is borrowed as long as the arena lives. */
struct sl_arena *sl_arena_new(struct sl_account *account, size_t limit) sl_must_check;

/* Drops everything at once. NULL is fine. */
void sl_arena_free(struct sl_arena *arena);

/* A lua_Alloc; @arena is the arena. */
void *sl_arena_alloc(void *arena, void *block, size_t old_size, size_t new_size);

/* Bytes taken so far, free ones among them. */
size_t sl_arena_held(const struct sl_arena *arena);

/* How many bytes from its own beginning on hold all of it; 0 once it has outgrown its region.
 */
size_t sl_arena_extent(const struct sl_arena *arena);

/* Copies the first @extent bytes of @original, which may be a copy itself, to a region of their
 * own and charges the same account. Pointers still point where they did: the caller moves them,
 * the arena's own included. NULL when memory or the account ran out. */
struct sl_arena *sl_arena_copy(const struct sl_arena *original, size_t extent) sl_must_check;

/* What an arena has in its region, to be put back later; charged to the same account. NULL when
 * it has outgrown its region, or memory or the account ran out. */
struct sl_arena_saved;
struct sl_arena_saved *sl_arena_save(const struct sl_arena *arena) sl_must_check;
void sl_arena_saved_free(struct sl_arena_saved *saved);

/* @arena, of which @saved was made, is what it was then; what it took since is given back. */
void sl_arena_restore(struct sl_arena *arena, const struct sl_arena_saved *saved);

/* Gives the regions that this thread keeps warm to whoever needs them: for a thread that ends.
 */
void sl_arena_thread_done(void);
