/* SPDX-License-Identifier: MIT */
#include "lua/state/region.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lua/state/arena.h"

enum {
	SLAB_SIZE = 256 * SL_REGION_SIZE,
	KEPT_BY_THREAD = 128,
	KEPT_WARM = 512, /* for all threads, with their pages */
};

static struct {
	pthread_mutex_t lock;
	char *slab, *slab_end; /* guarded by: lock; what was never used */
	void **warm, **cold;   /* guarded by: lock; stacks of regions */
	size_t n_warm, n_cold, room_warm, room_cold;
} regions = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread void *kept[KEPT_BY_THREAD];
static __thread size_t n_kept;

/* Makes room for one more, so that putting back can't fail: there are never more free regions
 * than were made. */
static bool grow(void ***stack, size_t *room, size_t wanted)
{
	void **bigger;

	if (wanted <= *room)
		return true;
	bigger = realloc(*stack, wanted * sizeof(*bigger));
	if (!bigger)
		return false;
	*stack = bigger;
	*room = wanted;
	return true;
}

static bool add_slab_locked(void)
{
	size_t wanted = regions.room_cold + SLAB_SIZE / SL_REGION_SIZE;
	char *at, *aligned;

	if (!grow(&regions.cold, &regions.room_cold, wanted) ||
		!grow(&regions.warm, &regions.room_warm, KEPT_WARM))
		return false;
	at = mmap(NULL, SLAB_SIZE + SL_REGION_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return false;
	/* A huge page would make 32 states resident where one is used. Kernels without any know
	 * no such advice. */
	madvise(at, SLAB_SIZE + SL_REGION_SIZE, MADV_NOHUGEPAGE);
	aligned = (char *)(((uintptr_t)at + SL_REGION_SIZE - 1) &
			   ~(uintptr_t)(SL_REGION_SIZE - 1));
	regions.slab = aligned;
	regions.slab_end = aligned + SLAB_SIZE;
	return true;
}

static void *get_locked(void)
{
	void *region;

	if (regions.n_warm > 0)
		return regions.warm[--regions.n_warm];
	if (regions.n_cold > 0)
		return regions.cold[--regions.n_cold];
	if (regions.slab == regions.slab_end && !add_slab_locked())
		return NULL;
	region = regions.slab;
	regions.slab += SL_REGION_SIZE;
	return region;
}

static void put_locked(void *region)
{
	if (regions.n_warm < KEPT_WARM) {
		regions.warm[regions.n_warm++] = region;
		return;
	}
	madvise(region, SL_REGION_SIZE, MADV_DONTNEED);
	regions.cold[regions.n_cold++] = region;
}

void *sl_region_get(void)
{
	void *region;

	if (n_kept > 0)
		return kept[--n_kept];
	pthread_mutex_lock(&regions.lock);
	region = get_locked();
	while (regions.n_warm > 0 && n_kept < KEPT_BY_THREAD / 4)
		kept[n_kept++] = regions.warm[--regions.n_warm];
	pthread_mutex_unlock(&regions.lock);
	return region;
}

/* Gives back all but @keep. */
static void give_back(size_t keep)
{
	pthread_mutex_lock(&regions.lock);
	while (n_kept > keep)
		put_locked(kept[--n_kept]);
	pthread_mutex_unlock(&regions.lock);
}

void sl_region_put(void *region)
{
	if (n_kept == KEPT_BY_THREAD)
		give_back(KEPT_BY_THREAD / 2);
	kept[n_kept++] = region;
}

void sl_region_flush(void)
{
	if (n_kept > 0)
		give_back(0);
}
