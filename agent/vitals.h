/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Vitals: what the operating system says of this process and machine.
 */

struct sl_stat;

#define SL_VITALS_LUA "Lua 5.4" /* what workers run; main itself has no Lua */

/* Fills in pid, rss_bytes, cpus and load1; what can't be found out is 0. */
void sl_vitals_take(struct sl_stat *out);
