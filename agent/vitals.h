/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Vitals: what the operating system says of this process and machine.
 */

#include <sys/types.h>

#include "common/base.h"

struct sl_stat;

#define SL_VITALS_LUA "Lua 5.4" /* what workers run; main itself has no Lua */

/* Fills in pid, rss_bytes, cpus and load1; what can't be found out is 0. */
void sl_vitals_take(struct sl_stat *out);

/* This process; what can't be found out is 0. */
struct sl_vitals {
	int64_t cpu_ns;
	int64_t start_ns; /* since the Unix epoch */
	uint64_t resident_bytes, virtual_bytes;
	uint64_t open_fds, max_fds;
};

void sl_vitals_of_process(struct sl_vitals *out);

/* 0 for a process that is gone. */
uint64_t sl_vitals_resident_bytes(pid_t pid);
