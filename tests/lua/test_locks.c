/* SPDX-License-Identifier: MIT */

/*
 * Mutexes, semaphores and atomic integers.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

/* TSan takes each wait for a call that never returns, and can count only so many. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS "50"
#define MANY "10000"
#else
#define ROUNDS "1000"
#define MANY "100000"
#endif

static struct task_run run;

START_TEST(a_mutex_is_held_by_one_at_a_time)
{
	task_ok("local mu, n, inside = goroutine.mutex(), goroutine.atomic_int(),\n"
		"  goroutine.atomic_int()\n"
		"local wg = goroutine.wait_group() wg:add(100)\n"
		"for i = 1, 100 do goroutine.spawn(function()\n"
		"  for k = 1, " ROUNDS " do\n"
		"    mu:lock() assert(inside:inc() == 1)\n"
		"    n:store(n:load() + 1)\n"
		"    assert(inside:dec() == 0) mu:unlock()\n"
		"  end wg:done() end) end\n"
		"wg:wait() assert(n:load() == 100 * " ROUNDS ", n:load())");
}
END_TEST

START_TEST(try_lock_never_waits)
{
	task_ok("local mu = goroutine.mutex() assert(mu:try_lock() == true)\n"
		"assert(mu:try_lock() == false) mu:unlock() assert(mu:try_lock() == true)\n"
		"goroutine.spawn(function() mu:unlock() end) mu:lock()");
}
END_TEST

START_TEST(a_mutex_is_handed_over_in_line)
{
	task_run_in_turn(&run,
		"local mu = goroutine.mutex() mu:lock()\n"
		"for i = 1, 5 do goroutine.spawn(function()\n"
		"  mu:lock() log.info(i) mu:unlock() end) goroutine.sleep(0) end\n"
		"mu:unlock()");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "1\n2\n3\n4\n5\n");
	task_finish(&run);
}
END_TEST

START_TEST(a_semaphore_lets_in_so_many)
{
	task_ok("local sem, now = goroutine.semaphore(3), goroutine.atomic_int()\n"
		"assert(sem:capacity() == 3 and sem:available() == 3)\n"
		"local peak, wg = goroutine.atomic_int(), goroutine.wait_group() wg:add(50)\n"
		"for i = 1, 50 do goroutine.spawn(function()\n"
		"  sem:acquire() local n = now:inc() assert(n <= 3)\n"
		"  if n == 3 then peak:set(3) end\n"
		"  repeat goroutine.sleep(1) until peak:get() == 3\n"
		"  now:dec() sem:release() wg:done() end) end\n"
		"wg:wait() assert(peak:get() == 3 and sem:available() == 3)\n"
		"sem:acquire(2) assert(sem:available() == 1 and sem:try_acquire(2) == false)\n"
		"assert(sem:try_acquire() == true and sem:try_acquire() == false)\n"
		"sem:release(3) assert(sem:available() == 3)");
}
END_TEST

START_TEST(who_wants_many_is_not_passed)
{
	task_run_in_turn(&run,
		"local sem = goroutine.semaphore(4) sem:acquire(4)\n"
		"local function want(n) goroutine.spawn(function()\n"
		"  sem:acquire(n) log.info(n) goroutine.sleep(5) sem:release(n) end)\n"
		"  goroutine.sleep(0) end\n"
		"want(3) want(2) sem:release(2) goroutine.sleep(0) log.info('two free')\n"
		"assert(sem:try_acquire() == false)\n"
		"sem:release(2)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "two free\n3\n2\n");
	task_finish(&run);
}
END_TEST

START_TEST(all_go_on_for_whom_there_is_enough)
{
	task_ok("local sem, rw = goroutine.semaphore(4), goroutine.rwmutex()\n"
		"local all, go = goroutine.wait_group(), goroutine.wait_group()\n"
		"sem:acquire(4) rw:lock() all:add(6) go:add()\n"
		"for i = 1, 3 do\n"
		"  goroutine.spawn(function() sem:acquire() all:done() go:wait() end)\n"
		"  goroutine.spawn(function() rw:rlock() all:done() go:wait() end)\n"
		"end\n"
		"goroutine.sleep(5) sem:release(4) rw:unlock()\n"
		"all:wait() assert(sem:available() == 1 and not rw:try_lock()) go:done()");
}
END_TEST

START_TEST(who_gives_up_lets_the_next_one_in)
{
	task_ok("local sem, done = goroutine.semaphore(4), goroutine.channel() "
		"sem:acquire(2)\n"
		"goroutine.spawn(function()\n"
		"  assert(not goroutine.timeout(40, function() sem:acquire(3) end)) end)\n"
		"goroutine.sleep(15)\n"
		"goroutine.spawn(function() sem:acquire(2) done:send(true) end)\n"
		"done:receive() assert(sem:available() == 0)");
}
END_TEST

START_TEST(an_rwmutex_has_many_readers_or_one_writer)
{
	task_ok("local rw, readers, writers = goroutine.rwmutex(), "
		"goroutine.atomic_int(),\n"
		"  goroutine.atomic_int()\n"
		"local wg, n, most = goroutine.wait_group(), goroutine.atomic_int(),\n"
		"  goroutine.atomic_int()\n"
		"wg:add(40)\n"
		"for i = 1, 40 do goroutine.spawn(function()\n"
		"  for k = 1, 50 do\n"
		"    if i % 4 == 0 then\n"
		"      rw:lock() assert(writers:inc() == 1 and readers:load() == 0)\n"
		"      n:store(n:load() + 1) writers:dec() rw:unlock()\n"
		"    else\n"
		"      rw:rlock() local now = readers:inc() assert(writers:load() == 0)\n"
		"      if now > most:load() then most:store(now) end\n"
		"      if k == 1 then goroutine.sleep(1) end readers:dec() rw:runlock()\n"
		"    end\n"
		"  end wg:done() end) end\n"
		"wg:wait() assert(n:load() == 500 and most:load() > 1)\n"
		"assert(rw:try_rlock() and rw:try_rlock() and rw:try_lock() == false)\n"
		"rw:runlock() rw:runlock() assert(rw:try_lock() and rw:try_rlock() == false)\n"
		"assert(rw:try_lock() == false) rw:unlock()");
}
END_TEST

START_TEST(readers_do_not_starve_a_writer)
{
	task_run_in_turn(&run,
		"local rw = goroutine.rwmutex() rw:rlock()\n"
		"goroutine.spawn(function() rw:lock() log.info('writer') rw:unlock() "
		"end)\n"
		"goroutine.sleep(0) assert(rw:try_rlock() == false)\n"
		"goroutine.spawn(function() rw:rlock() log.info('reader') rw:runlock() "
		"end)\n"
		"goroutine.sleep(0) rw:runlock()");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "writer\nreader\n");
	task_finish(&run);
}
END_TEST

START_TEST(an_atomic_integer_has_64_bits)
{
	task_ok("local n = goroutine.atomic_int() assert(n:load() == 0)\n"
		"assert(n:add(5) == 5 and n:sub(2) == 3 and n:inc() == 4 and n:dec() == 3)\n"
		"assert(n:swap(10) == 3 and n:get() == 10) n:set(11) assert(n:load() == 11)\n"
		"assert(n:compare_and_swap(11, 12) == true and n:compare_and_swap(11, 13) == "
		"false)\n"
		"assert(n:cas(12, 1 << 62) and n:load() == 1 << 62)\n"
		"n:store(math.maxinteger) assert(n:inc() == math.mininteger)\n"
		"assert(n:sub(1) == math.maxinteger and math.type(n:load()) == 'integer')\n"
		"assert(goroutine.atomic_int(9007199254740993):add(1) == 9007199254740994)\n"
		"local c, wg = goroutine.atomic_int(1.0), goroutine.wait_group() wg:add(100)\n"
		"for i = 1, 100 do goroutine.spawn(function()\n"
		"  for k = 1, 1000 do c:add(1) end wg:done() end) end\n"
		"wg:wait() assert(c:load() == 100001)");
}
END_TEST

/* Nothing but true parallelism would lose or double something: they begin together. */
START_TEST(nothing_comes_between_two_atomic_steps)
{
	task_ok("local hand, n, begun = goroutine.atomic_int(9), goroutine.atomic_int(),\n"
		"  goroutine.atomic_int()\n"
		"local handles = {}\n"
		"for i = 1, 8 do handles[i] = goroutine.async(function()\n"
		"  local held = i\n"
		"  begun:inc() while begun:load() < 8 do goroutine.sleep(0) end\n"
		"  for k = 1, " MANY " do held = hand:swap(held) n:add(1) end return held end) "
		"end\n"
		"local results, seen = goroutine.await_all(handles), {[hand:load()] = true}\n"
		"for _, r in ipairs(results) do seen[r.values[1]] = true end\n"
		"for i = 1, 9 do assert(seen[i], i) end assert(n:load() == 8 * " MANY
		", n:load())");
}
END_TEST

START_TEST(misuse_raises_and_says_what)
{
	static const char *const rows[][2] = {
		{"goroutine.mutex():unlock()", "unlock of an unlocked mutex"},
		{"local mu = goroutine.mutex() mu:lock() mu:unlock() mu:unlock()",
			"unlock of an unlocked mutex"},
		{"goroutine.mutex().lock()",
			"bad argument #1 to 'lock' (mutex expected, got no value)"},
		{"goroutine.rwmutex():unlock()",
			"unlock of an rwmutex that is not locked for writing"},
		{"goroutine.rwmutex():runlock()",
			"runlock of an rwmutex that is not locked for reading"},
		{"local rw = goroutine.rwmutex() rw:rlock() rw:unlock()",
			"unlock of an rwmutex that is not locked for writing"},
		{"local rw = goroutine.rwmutex() rw:lock() rw:runlock()",
			"runlock of an rwmutex that is not locked for reading"},
		{"goroutine.semaphore()",
			"bad argument #1 to 'semaphore' (number expected, got no value)"},
		{"goroutine.semaphore(0)",
			"bad argument #1 to 'semaphore' (a semaphore has at least 1 permit)"},
		{"goroutine.semaphore(-3)",
			"bad argument #1 to 'semaphore' (a semaphore has at least 1 permit)"},
		{"goroutine.semaphore(2):release()", "semaphore: release without acquire"},
		{"local s = goroutine.semaphore(2) s:acquire() s:release(2)",
			"semaphore: release without acquire"},
		{"goroutine.semaphore(2):acquire(0)",
			"bad argument #1 to 'acquire' (at least 1 permit)"},
		{"goroutine.semaphore(2):acquire(3)",
			"bad argument #1 to 'acquire' (the semaphore has only 2 permits, not "
			"3)"},
		{"goroutine.atomic_int('x')",
			"bad argument #1 to 'atomic_int' (number expected, got string)"},
		{"goroutine.atomic_int():add(1.5)",
			"bad argument #1 to 'add' (number has no integer representation)"},
		{"goroutine.atomic_int():store()",
			"bad argument #1 to 'store' (number expected, got no value)"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		task_raises(rows[i][0], rows[i][1]);
}
END_TEST

START_TEST(a_wait_that_is_stopped_takes_nothing)
{
	task_ok("local mu, sem, rw = goroutine.mutex(), goroutine.semaphore(1), "
		"goroutine.rwmutex()\n"
		"mu:lock() sem:acquire() rw:lock()\n"
		"for i = 1, 10 do\n"
		"  assert(not goroutine.timeout(1, function() mu:lock() end))\n"
		"  assert(not goroutine.timeout(1, function() sem:acquire() end))\n"
		"  assert(not goroutine.timeout(1, function() rw:lock() end))\n"
		"  assert(not goroutine.timeout(1, function() rw:rlock() end))\n"
		"end\n"
		"mu:unlock() sem:release() rw:unlock()\n"
		"assert(mu:try_lock() and sem:try_acquire() and rw:try_lock())");
}
END_TEST

/* Goroutines that wait for what they can get or, with random patience, for what they can't. */
START_TEST(random_waiters_never_break_a_lock)
{
	static const char body[] =
		"local seed = %d math.randomseed(seed)\n"
		"local cap = math.random(1, 4)\n"
		"local sem, inside = goroutine.semaphore(cap + 1), goroutine.atomic_int()\n"
		"local wg = goroutine.wait_group() wg:add(16) sem:acquire()\n"
		"for g = 1, 16 do goroutine.spawn(function()\n"
		"  math.randomseed(seed, g)\n"
		"  for i = 1, 40 do\n"
		"    local n, hold = math.random(1, cap), math.random() / 10\n"
		"    local function work()\n"
		"      assert(inside:add(n) <= cap)\n"
		"      if hold > 0.05 then goroutine.sleep(hold) end\n"
		"      inside:sub(n) sem:release(n)\n"
		"    end\n"
		"    if math.random(3) > 1 then sem:acquire(n) work()\n"
		"    else goroutine.timeout(math.random() / 5, function() sem:acquire(cap + 1) "
		"end) "
		"end\n"
		"  end wg:done() end) end\n"
		"wg:wait() assert(inside:load() == 0)\n"
		"assert(sem:available() == cap)";
	struct sl_runtime_config config = {.threads = 8};
	char text[sizeof(body) + 16];

	for (int seed = 1; seed <= 5; seed++) {
		snprintf(text, sizeof(text), body, seed);
		task_run_with(&run, &config, text);
		ck_assert_msg(
			run.state == SL_STATE_DONE, "%d: %s %s", seed, run.message, run.error);
		task_finish(&run);
	}
}
END_TEST

START_TEST(a_deadlock_says_who_has_it)
{
	task_run(&run, "local mu = goroutine.mutex() mu:lock() mu:lock()");
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_msg(strstr(run.error, "waits for a mutex (last taken by goroutine "), "%s",
		run.error);
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("lua/locks", a_mutex_is_held_by_one_at_a_time, try_lock_never_waits,
	a_mutex_is_handed_over_in_line, a_semaphore_lets_in_so_many,
	who_wants_many_is_not_passed, all_go_on_for_whom_there_is_enough,
	who_gives_up_lets_the_next_one_in, an_rwmutex_has_many_readers_or_one_writer,
	readers_do_not_starve_a_writer, an_atomic_integer_has_64_bits,
	nothing_comes_between_two_atomic_steps, misuse_raises_and_says_what,
	a_wait_that_is_stopped_takes_nothing, random_waiters_never_break_a_lock,
	a_deadlock_says_who_has_it)
