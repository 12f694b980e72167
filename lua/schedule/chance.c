/* SPDX-License-Identifier: MIT */
#include "lua/schedule/chance.h"

#include <time.h>

#define LINGER_NS 20000

/* One step of SplitMix64. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void sl_chance_init(struct sl_chance *chance, uint64_t seed, unsigned number)
{
	chance->state = seed ? mix(mix(seed) + number) | 1 : 0;
}

unsigned sl_chance_draw(struct sl_chance *chance, unsigned n)
{
	uint64_t x = chance->state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	chance->state = x;
	return (unsigned)((x >> 16) % n);
}

unsigned sl_chance_instructions(struct sl_chance *chance)
{
	switch (sl_chance_draw(chance, 4)) {
	case 0:
		return 1 + sl_chance_draw(chance, 12);
	case 1:
		return 1 + sl_chance_draw(chance, 200);
	default:
		return 1 + sl_chance_draw(chance, 2000);
	}
}

void sl_chance_linger(struct sl_chance *chance)
{
	static const struct timespec moment = {.tv_nsec = LINGER_NS};
	/* Not sched_yield(): that is a turn for whatever else a busy machine runs. */
	if (sl_chance_draw(chance, 24) == 0)
		nanosleep(&moment, NULL);
}
