/* SPDX-License-Identifier: MIT */
#include "lua/state/arena.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lua/state/region.h"

/*
 * Small blocks come in steps of 16 bytes, middle ones in four steps a doubling;
 * each size has a list of free blocks. What is larger is the C library's, on a
 * list so that it can be dropped with the rest.
 *
 * While an arena has no more than its region, free blocks are cut up before space
 * that was never used is touched: what tables and stacks outgrew while a state was
 * furnished would otherwise be a part of each copy of it.
 */
enum {
	GRAIN = 16,
	SMALL_MAX = 1024,
	MIDDLE_MAX = 16 * 1024,
	N_SMALL = SMALL_MAX / GRAIN,
	N_CLASSES = N_SMALL + 4 * 4, /* four doublings from SMALL_MAX to MIDDLE_MAX */
	FIRST_SPAN = 16 * 1024,      /* of the region; a furnished state fits */
	STEP = 4 * 1024,             /* by which more of the region is taken */
	SMALLEST_CHUNK = 16 * 1024,
	LARGEST_CHUNK = 1024 * 1024,
};

struct chunk {
	struct chunk *next;
	size_t size; /* of all of it */
};

struct large {
	struct large *next, **link;
	size_t size; /* of all of it */
	size_t pad;  /* keeps what follows aligned */
};

struct sl_arena {
	char *at, *end;   /* free space that was never used */
	char *region_end; /* @end may still move up to here; NULL: a chunk is in use */
	struct chunk *chunks;
	struct large *larges;
	struct sl_account *account;
	size_t held, limit;
	void *free[N_CLASSES];
	uint64_t maybe_free[2]; /* a bit for each class; clear: its list is empty */
};

bool sl_account_charge(struct sl_account *account, size_t bytes)
{
	size_t used = atomic_fetch_add(&account->used, bytes) + bytes;
	size_t peak = atomic_load_explicit(&account->peak, memory_order_relaxed);

	if (account->limit && used > account->limit) {
		atomic_fetch_sub(&account->used, bytes);
		atomic_store(&account->refused, true);
		return false;
	}
	while (used > peak && !atomic_compare_exchange_weak(&account->peak, &peak, used))
		;
	return true;
}

void sl_account_release(struct sl_account *account, size_t bytes)
{
	atomic_fetch_sub(&account->used, bytes);
}

/* Takes @bytes more, if both limits allow it. */
static bool hold(struct sl_arena *arena, size_t bytes)
{
	if (bytes > arena->limit - arena->held || !sl_account_charge(arena->account, bytes))
		return false;
	arena->held += bytes;
	return true;
}

static void let_go(struct sl_arena *arena, size_t bytes)
{
	arena->held -= bytes;
	sl_account_release(arena->account, bytes);
}

struct sl_arena *sl_arena_new(struct sl_account *account, size_t limit)
{
	struct sl_arena *arena;
	char *region;

	if (limit < FIRST_SPAN || !sl_account_charge(account, FIRST_SPAN))
		return NULL;
	region = sl_region_get();
	if (!region) {
		sl_account_release(account, FIRST_SPAN);
		return NULL;
	}
	arena = (struct sl_arena *)region;
	memset(arena, 0, sizeof(*arena));
	arena->at = region + ((sizeof(*arena) + GRAIN - 1) & ~(size_t)(GRAIN - 1));
	arena->end = region + FIRST_SPAN;
	arena->region_end = region + SL_REGION_SIZE;
	arena->account = account;
	arena->held = FIRST_SPAN;
	arena->limit = limit;
	return arena;
}

/* Frees what lies outside of the region. */
static void free_outside(struct sl_arena *arena)
{
	for (struct chunk *next, *chunk = arena->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	for (struct large *next, *large = arena->larges; large; large = next) {
		next = large->next;
		free(large);
	}
}

void sl_arena_free(struct sl_arena *arena)
{
	if (!arena)
		return;
	free_outside(arena);
	sl_account_release(arena->account, arena->held);
	sl_region_put(arena);
}

size_t sl_arena_held(const struct sl_arena *arena)
{
	return arena->held;
}

size_t sl_arena_extent(const struct sl_arena *arena)
{
	if (arena->chunks || arena->larges)
		return 0;
	return (size_t)(arena->at - (const char *)arena);
}

struct sl_arena *sl_arena_copy(const struct sl_arena *original, size_t extent)
{
	void *region;

	if (!sl_account_charge(original->account, original->held))
		return NULL;
	region = sl_region_get();
	if (!region) {
		sl_account_release(original->account, original->held);
		return NULL;
	}
	return memcpy(region, original, extent);
}

struct sl_arena_saved {
	struct sl_account *account;
	size_t extent;
	char bytes[];
};

struct sl_arena_saved *sl_arena_save(const struct sl_arena *arena)
{
	size_t extent = sl_arena_extent(arena), size = sizeof(struct sl_arena_saved) + extent;
	struct sl_arena_saved *saved;

	if (extent == 0 || !sl_account_charge(arena->account, size))
		return NULL;
	saved = malloc(size);
	if (!saved) {
		sl_account_release(arena->account, size);
		return NULL;
	}
	saved->account = arena->account;
	saved->extent = extent;
	memcpy(saved->bytes, arena, extent);
	return saved;
}

void sl_arena_saved_free(struct sl_arena_saved *saved)
{
	if (saved)
		sl_account_release(saved->account, sizeof(*saved) + saved->extent);
	free(saved);
}

void sl_arena_restore(struct sl_arena *arena, const struct sl_arena_saved *saved)
{
	size_t held = arena->held;

	free_outside(arena);
	memcpy(arena, saved->bytes, saved->extent);
	sl_account_release(arena->account, held - arena->held);
}

void sl_arena_thread_done(void)
{
	sl_region_flush();
}

/* Which class a block of @size is in, and in *rounded its real size. */
static size_t class_of(size_t size, size_t *rounded)
{
	size_t step, doubling, quarter;

	if (size <= SMALL_MAX) {
		*rounded = (size + GRAIN - 1) & ~(size_t)(GRAIN - 1);
		return *rounded / GRAIN - 1;
	}
	doubling = 63 - (size_t)__builtin_clzl(size - 1) - 10; /* 1024 < size <= 2048: 0 */
	step = (size_t)(SMALL_MAX / 4) << doubling;
	quarter = (size - 1 - ((size_t)SMALL_MAX << doubling)) / step;
	*rounded = ((size_t)SMALL_MAX << doubling) + (quarter + 1) * step;
	return N_SMALL + doubling * 4 + quarter;
}

/* More space for small and middle blocks. */
static bool extend(struct sl_arena *arena, size_t wanted)
{
	size_t size = arena->held / 4;
	struct chunk *chunk;

	while (arena->region_end && arena->end < arena->region_end) {
		if (!hold(arena, STEP))
			return false;
		arena->end += STEP;
		if ((size_t)(arena->end - arena->at) >= wanted)
			return true;
	}
	if (size < SMALLEST_CHUNK)
		size = SMALLEST_CHUNK;
	if (size > LARGEST_CHUNK)
		size = LARGEST_CHUNK;
	if (size < wanted + sizeof(*chunk))
		size = wanted + sizeof(*chunk);
	if (!hold(arena, size)) {
		size = wanted + sizeof(*chunk); /* near the limit: no more than needed */
		if (!hold(arena, size))
			return false;
	}
	chunk = malloc(size);
	if (!chunk) {
		let_go(arena, size);
		return false;
	}
	chunk->next = arena->chunks;
	chunk->size = size;
	arena->chunks = chunk;
	arena->at = (char *)(chunk + 1);
	arena->end = (char *)chunk + size;
	arena->region_end = NULL;
	return true;
}

static void push_free(struct sl_arena *arena, void *block, size_t class)
{
	memcpy(block, &arena->free[class], sizeof(void *));
	arena->free[class] = block;
	arena->maybe_free[class / 64] |= UINT64_C(1) << class % 64;
}

static void *pop_free(struct sl_arena *arena, size_t class)
{
	void *block = arena->free[class];

	if (block)
		memcpy(&arena->free[class], block, sizeof(void *));
	return block;
}

static size_t size_of(size_t class)
{
	if (class < N_SMALL)
		return (class + 1) * GRAIN;
	class -= N_SMALL;
	return ((size_t)SMALL_MAX << class / 4) / 4 * (class % 4 + 5);
}

/* The largest class that has a free block, if it is above @class; else 0. */
static size_t largest_free(struct sl_arena *arena, size_t class)
{
	for (size_t i = 2; i-- > 0;) {
		while (arena->maybe_free[i]) {
			size_t bit = 63 - (size_t)__builtin_clzl(arena->maybe_free[i]);

			if (arena->free[i * 64 + bit])
				return i * 64 + bit > class ? i * 64 + bit : 0;
			arena->maybe_free[i] &= ~(UINT64_C(1) << bit);
		}
	}
	return 0;
}

/* Frees @size bytes, which need not be one block's size. */
static void scatter(struct sl_arena *arena, char *at, size_t size)
{
	while (size > 0) {
		size_t rounded, class = class_of(size, &rounded);

		if (rounded > size)
			class --;
		push_free(arena, at, class);
		at += size_of(class);
		size -= size_of(class);
	}
}

/* A block of the larger ones that are free. */
static void *cut(struct sl_arena *arena, size_t class, size_t rounded)
{
	size_t larger = largest_free(arena, class);
	char *block;

	if (!larger)
		return NULL;
	block = pop_free(arena, larger);
	scatter(arena, block + rounded, size_of(larger) - rounded);
	return block;
}

static void *get_block(struct sl_arena *arena, size_t size)
{
	size_t rounded, class = class_of(size, &rounded);
	void *block = pop_free(arena, class);

	if (!block && arena->region_end)
		block = cut(arena, class, rounded);
	if (block)
		return block;
	if ((size_t)(arena->end - arena->at) < rounded && !extend(arena, rounded))
		return NULL;
	block = arena->at;
	arena->at += rounded;
	return block;
}

static void put_block(struct sl_arena *arena, void *block, size_t size)
{
	size_t rounded;

	push_free(arena, block, class_of(size, &rounded));
}

static void link_large(struct sl_arena *arena, struct large *large)
{
	large->next = arena->larges;
	large->link = &arena->larges;
	if (large->next)
		large->next->link = &large->next;
	arena->larges = large;
}

static void unlink_large(struct large *large)
{
	*large->link = large->next;
	if (large->next)
		large->next->link = large->link;
}

static void *get_large(struct sl_arena *arena, size_t size)
{
	struct large *large;

	if (size > SIZE_MAX / 2 || !hold(arena, size + sizeof(*large)))
		return NULL;
	large = malloc(size + sizeof(*large));
	if (!large) {
		let_go(arena, size + sizeof(*large));
		return NULL;
	}
	large->size = size + sizeof(*large);
	link_large(arena, large);
	return large + 1;
}

static void put_large(struct sl_arena *arena, void *block)
{
	struct large *large = (struct large *)block - 1;

	unlink_large(large);
	let_go(arena, large->size);
	free(large);
}

static void *get(struct sl_arena *arena, size_t size)
{
	return size <= MIDDLE_MAX ? get_block(arena, size) : get_large(arena, size);
}

static void put(struct sl_arena *arena, void *block, size_t size)
{
	if (size <= MIDDLE_MAX)
		put_block(arena, block, size);
	else
		put_large(arena, block);
}

/* Both sizes are large. */
static void *resize_large(struct sl_arena *arena, void *block, size_t new_size)
{
	struct large *large = (struct large *)block - 1;
	size_t old = large->size, new = new_size + sizeof(*large);
	struct large *moved;

	if (new_size > SIZE_MAX / 2 || (new > old && !hold(arena, new - old)))
		return NULL;
	unlink_large(large);
	moved = realloc(large, new);
	if (!moved) {
		link_large(arena, large);
		if (new > old)
			let_go(arena, new - old);
		return NULL;
	}
	if (new < old)
		let_go(arena, old - new);
	moved->size = new;
	link_large(arena, moved);
	return moved + 1;
}

static void *resize(struct sl_arena *arena, void *block, size_t old_size, size_t new_size)
{
	size_t old_rounded, new_rounded;
	void *moved;

	if (old_size > MIDDLE_MAX && new_size > MIDDLE_MAX)
		return resize_large(arena, block, new_size);
	if (old_size <= MIDDLE_MAX && new_size <= MIDDLE_MAX &&
		class_of(old_size, &old_rounded) == class_of(new_size, &new_rounded))
		return block;
	moved = get(arena, new_size);
	if (!moved)
		return new_size < old_size ? block : NULL; /* Lua relies on shrinking */
	memcpy(moved, block, old_size < new_size ? old_size : new_size);
	put(arena, block, old_size);
	return moved;
}

void *sl_arena_alloc(void *ctx, void *block, size_t old_size, size_t new_size)
{
	struct sl_arena *arena = ctx;

	if (new_size == 0) {
		if (block)
			put(arena, block, old_size);
		return NULL;
	}
	if (!block)
		return get(arena, new_size);
	return resize(arena, block, old_size, new_size);
}
