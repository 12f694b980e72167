/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Peers: what others can do, measured in the same run by the programs in peers/,
 * as far as they are installed.
 *
 * Threads: one.
 */

#include "common/base.h"

struct test_client;

/* fib(32) in a goroutine and in plain lua5.4, in turns: their ratio. */
void peers_measure_fib(struct test_client *client, double scale);

/* Go, Lua in Go, Erlang, Lua's coroutines, cqueues, luv. */
void peers_measure_programs(double scale);
