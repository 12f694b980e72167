/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Redis: what EVAL of a Lua script costs on a redis-server of our own, beside our
 * tasks that do nothing: one after the other, and many at once. A script there
 * shares one process and one Lua state with all others.
 *
 * Threads: one.
 */

#include "common/base.h"

/* Adds redis_eval_us and redis_eval_64_in_flight_per_s; nothing where there is no
 * redis-server. Its socket is in the directory @place. */
void redis_measure(const char *place, size_t rounds);
