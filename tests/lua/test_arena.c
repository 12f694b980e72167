/* SPDX-License-Identifier: MIT */
#include "lua/state/arena.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check_main.h"

enum {
	MANY = 1 << 26,
	N_BLOCKS = 300,
	N_STEPS = 20000,
};

static struct sl_account account;

START_TEST(what_is_free_is_cut_up_before_more_is_taken)
{
	static const size_t freed[] = {16384, 10000, 1024, 528, 48};
	struct sl_arena *arena = sl_arena_new(&account, MANY);

	for (size_t i = 0; i < sizeof(freed) / sizeof(freed[0]); i++) {
		void *block = sl_arena_alloc(arena, NULL, 0, freed[i]);
		size_t extent = sl_arena_extent(arena);

		sl_arena_alloc(arena, block, freed[i], 0);
		for (size_t left = freed[i] / 16; left > 0; left--)
			ck_assert_ptr_nonnull(sl_arena_alloc(arena, NULL, 0, 16));
		ck_assert_uint_eq(sl_arena_extent(arena), extent);
	}
	sl_arena_free(arena);
}
END_TEST

struct block {
	unsigned char *at;
	size_t size;
	unsigned char fill;
};

static void check(const struct block *block)
{
	size_t i = 0;

	while (i < block->size && block->at[i] == block->fill)
		i++;
	ck_assert_uint_eq(i, block->size);
}

/* Gives the block another size, which may be none. */
static void change(struct sl_arena *arena, struct block *block, size_t size)
{
	check(block);
	block->at = sl_arena_alloc(arena, block->at, block->size, size);
	block->size = size;
	if (size > 0)
		memset(block->at, ++block->fill, size);
}

START_TEST(no_two_blocks_share_a_byte)
{
	static struct block blocks[N_BLOCKS];
	struct sl_arena *arena = sl_arena_new(&account, MANY);
	unsigned random = 1;

	for (int step = 0; step < N_STEPS; step++) {
		bool early = step < N_STEPS / 2; /* it fits into the region */
		size_t most = early ? 1500 : 30000;

		random = random * 1103515245 + 12345;
		change(arena, &blocks[random / 65536 % (early ? 40 : N_BLOCKS)],
			random % 3 == 0 ? 0 : random / 7 % most);
	}
	for (int i = 0; i < N_BLOCKS; i++)
		change(arena, &blocks[i], 0);
	sl_arena_free(arena);
	ck_assert_uint_eq(atomic_load(&account.used), 0);
}
END_TEST

START_TEST(nothing_is_taken_beyond_the_limit)
{
	struct sl_arena *arena = sl_arena_new(&account, 40000);
	size_t n = 0;

	while (sl_arena_alloc(arena, NULL, 0, 100))
		n++;
	ck_assert_uint_gt(n, 300);
	ck_assert_uint_le(sl_arena_held(arena), 40000);
	ck_assert_uint_eq(atomic_load(&account.used), sl_arena_held(arena));
	sl_arena_free(arena);
	ck_assert_uint_eq(atomic_load(&account.used), 0);
}
END_TEST

/* The flags of the mapping that @at lies in, as the kernel writes them. */
static void read_flags(const void *at, char *flags, size_t size)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long begin, end, here = (unsigned long)(uintptr_t)at;
	bool inside = false;
	char line[512];

	ck_assert_ptr_nonnull(file);
	*flags = '\0';
	while (*flags == '\0' && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			inside = begin <= here && here < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, size, "%s", line);
	}
	fclose(file);
}

START_TEST(no_huge_page_makes_many_resident)
{
	struct sl_arena *arena = sl_arena_new(&account, MANY);
	char flags[512];

	read_flags(arena, flags, sizeof(flags));
	/* A kernel that has no such pages has no such flag. */
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
		ck_assert_msg(strstr(flags, " nh"), "%s", flags);
	sl_arena_free(arena);
}
END_TEST

SL_CHECK_MAIN("arena", no_huge_page_makes_many_resident,
	what_is_free_is_cut_up_before_more_is_taken, no_two_blocks_share_a_byte,
	nothing_is_taken_beyond_the_limit)
