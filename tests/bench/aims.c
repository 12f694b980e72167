/* SPDX-License-Identifier: MIT */
#include "tests/bench/aims.h"

#include <string.h>

#define AT_MOST(name, value)                                                                   \
	{                                                                                      \
		name, false, value, false                                                      \
	}
#define AT_LEAST(name, value)                                                                  \
	{                                                                                      \
		name, true, value, false                                                       \
	}
#define P99_AT_MOST(name, value)                                                               \
	{                                                                                      \
		name, false, value, true                                                       \
	}

static const struct aim aims[] = {
	AT_MOST("noop_dispatch_ipc_us", 300),
	AT_LEAST("noop_64_in_flight_per_s", 4000),
	AT_MOST("cold_exec_ms", 5),
	AT_MOST("spawn_run_join_us", 2),
	AT_MOST("async_await_us", 2.5),
	AT_LEAST("pool_tasks_per_s", 1e6),
	AT_MOST("parked_goroutine_bytes", 17 * 1024),
	AT_MOST("sleepers_extra_ms", 100),
	AT_MOST("sleep_20_of_250_ms", 252),
	AT_MOST("sleep_1000_of_1_s_ms", 1010),
	AT_LEAST("fib_8_speed_up", 1.8),
	AT_MOST("fib_32_to_lua", 1.03),
	P99_AT_MOST("sleeper_among_loops_late_ms", 20),
	P99_AT_MOST("timeout_of_loop_late_ms", 5),
	AT_LEAST("log_lines_per_s", 2e6),
	AT_MOST("idle_agent_rss_kib", 8 * 1024),
	AT_MOST("idle_wakeups_per_s", 0),
};

const struct ratio all_ratios[] = {
	{"noop_dispatch_to_bare_stream", "noop_dispatch_ipc_us", "bare_stream_ipc_us"},
	{"cold_exec_to_true", "cold_exec_ms", "cold_true_ms"},
	{"noop_dispatch_to_redis", "noop_dispatch_ipc_us", "redis_eval_us"},
	{"noop_64_in_flight_to_redis", "noop_64_in_flight_per_s",
		"redis_eval_64_in_flight_per_s"},
	{"fib_32_to_gopher_lua", "fib_32_ms", "gopher_fib_32_ms"},
	{"spawn_run_join_to_gopher_lua", "spawn_run_join_us", "gopher_spawn_run_join_us"},
	{"spawn_run_join_to_go", "spawn_run_join_us", "go_spawn_run_join_us"},
	{"spawn_run_join_to_erlang", "spawn_run_join_us", "erlang_spawn_run_join_us"},
	{"spawn_run_join_to_cqueues", "spawn_run_join_us", "cqueues_spawn_run_join_us"},
	{"async_await_to_resume", "async_await_us", "lua_resume_yield_us"},
	{"async_await_to_go", "async_await_us", "go_await_us"},
	{"async_await_to_erlang", "async_await_us", "erlang_await_us"},
	{"async_await_to_luv", "async_await_us", "luv_await_us"},
	{"pool_to_go", "pool_tasks_per_s", "go_pool_tasks_per_s"},
	{"pool_to_erlang", "pool_tasks_per_s", "erlang_pool_tasks_per_s"},
	{"sleepers_to_go", "sleepers_extra_ms", "go_sleepers_extra_ms"},
	{"sleepers_to_erlang", "sleepers_extra_ms", "erlang_sleepers_extra_ms"},
	{0},
};

const struct aim *aim_of(const char *name)
{
	for (size_t i = 0; i < sizeof(aims) / sizeof(aims[0]); i++)
		if (strcmp(aims[i].name, name) == 0)
			return &aims[i];
	return NULL;
}
