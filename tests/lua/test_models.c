/* SPDX-License-Identifier: MIT */

/*
 * Each primitive against a model of it, tests/lua/models/NAME.lua, on schedules at random. A
 * failure names its seed; SLOTH_TEST_SEED=… tries that one alone.
 *
 * On one thread a seed is always the same schedule, but for the clock. On eight the machine has
 * a say too. A wake-up that is lost ends as a deadlock, which the runtime finds.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

#define STEPS 10000
#define N_SEEDS 2
#ifdef __SANITIZE_THREAD__ /* a goroutine costs a hundred times as much there */
#define IN_TURN 0
#else
#define IN_TURN 1
#endif

static struct task_run run;

static void judge(const char *name, const char *what, unsigned threads, uint64_t seed)
{
	/* Models stop much, and a busy machine may take its time for each. */
	struct sl_runtime_config config = {.threads = threads, .stop_ms = 20000, .seed = seed};
	char body[512];

	snprintf(body, sizeof(body),
		"local at, seed = '" SL_SOURCE_ROOT "/tests/lua/models/', %llu "
		"local crew, stopped, anywhere = assert(loadfile(at .. 'prelude.lua'))(seed) "
		"assert(loadfile(at .. '%s.lua'))(%d, '%s', crew, stopped, anywhere)",
		(unsigned long long)seed, name, STEPS, what);
	task_run_with(&run, &config, body);
	ck_assert_msg(run.state == SL_STATE_DONE,
		"%s %s, %u threads, SLOTH_TEST_SEED=%llu: %s %s\n%.800s\n%.800s", name, what,
		threads, (unsigned long long)seed, run.message, run.error, run.traceback,
		run.events.data);
	task_finish(&run);
}

/* @what is for the model to understand. */
static void follow(const char *name, const char *what)
{
	const char *given = getenv("SLOTH_TEST_SEED");

	if (given) {
		judge(name, what, 8, strtoull(given, NULL, 10));
		judge(name, what, 1, strtoull(given, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= N_SEEDS; seed++)
		judge(name, what, 8, seed);
	if (IN_TURN)
		judge(name, what, 1, N_SEEDS + 1);
}

#define MODEL(test, name, what)                                                                \
	START_TEST(test)                                                                       \
	{                                                                                      \
		follow(name, what);                                                            \
	}                                                                                      \
	END_TEST

/* clang-format off */
MODEL(atomic_integers_add_up, "atomic_int", "")
MODEL(who_waits_for_a_group_waits_for_all_of_it, "wait_group", "")
MODEL(a_channel_keeps_each_senders_order, "channel", "0")
MODEL(one_place_keeps_each_senders_order, "channel", "1")
MODEL(many_places_keep_each_senders_order, "channel", "17")
MODEL(what_stopped_ones_send_and_receive_is_not_lost, "channel_stopped", "0")
MODEL(what_they_leave_in_a_channel_is_not_lost, "channel_stopped", "2")
MODEL(a_select_does_one_thing, "select", "")
MODEL(a_mutex_excludes, "permits", "mutex")
MODEL(an_rwmutex_excludes_writers, "permits", "rwmutex")
MODEL(a_semaphore_has_so_many_permits, "permits", "semaphore")
MODEL(once_is_once, "once", "")
MODEL(no_signal_of_a_cond_is_lost, "cond", "")
MODEL(a_context_takes_its_children_along, "context", "")
MODEL(a_pool_runs_each_task_once, "pool", "")
MODEL(a_result_is_awaited_once, "async", "")
MODEL(after_a_timeout_nothing_runs, "timeout", "")
/* clang-format on */

/* What four goroutines say that are interrupted anywhere. */
static void write_trace(uint64_t seed, char *out, size_t size)
{
	static const char body[] = "for i = 1, 4 do goroutine.spawn(function()\n"
				   "  for k = 1, 20 do log.info(i) for _ = 1, 9 do end end\n"
				   "end) end";
	struct sl_runtime_config config = {.threads = 1, .seed = seed};

	task_run_with(&run, &config, body);
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	snprintf(out, size, "%s", (const char *)sl_buffer_bytes(&run.log).data);
	task_finish(&run);
}

/* The clock interrupts too, one who runs for long: then it takes another attempt. */
START_TEST(on_one_thread_a_seed_is_a_schedule)
{
	char first[1024], again[1024], other[1024];
	bool same = false, differs = false;

	for (int attempt = 0; attempt < 10 && !(same && differs); attempt++) {
		write_trace(7, first, sizeof(first));
		write_trace(7, again, sizeof(again));
		write_trace(8, other, sizeof(other));
		same = same || strcmp(first, again) == 0;
		differs = differs || strcmp(first, other) != 0;
	}
	ck_assert_msg(same, "%s\n%s", first, again);
	ck_assert_msg(differs, "%s\n%s", first, other);
}
END_TEST

static void set_up(void)
{
	ck_assert_int_eq(setenv("LUA_CPATH", SL_TEST_MODULES "/?.so", 1), 0);
}

SL_CHECK_MAIN_WITH("lua/models", set_up, NULL, on_one_thread_a_seed_is_a_schedule,
	atomic_integers_add_up, who_waits_for_a_group_waits_for_all_of_it,
	a_channel_keeps_each_senders_order, one_place_keeps_each_senders_order,
	many_places_keep_each_senders_order, what_they_leave_in_a_channel_is_not_lost,
	what_stopped_ones_send_and_receive_is_not_lost, a_select_does_one_thing,
	a_mutex_excludes, an_rwmutex_excludes_writers, a_semaphore_has_so_many_permits,
	once_is_once, no_signal_of_a_cond_is_lost, a_context_takes_its_children_along,
	a_pool_runs_each_task_once, a_result_is_awaited_once, after_a_timeout_nothing_runs)
