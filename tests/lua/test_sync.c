/* SPDX-License-Identifier: MIT */

/*
 * once and cond, and what all that goroutines share has in common.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

START_TEST(once_runs_the_first_function_and_the_others_wait)
{
	task_ok("local once, n, over = goroutine.once(), goroutine.atomic_int(), "
		"goroutine.atomic_int()\n"
		"local wg, ran = goroutine.wait_group(), goroutine.atomic_int() wg:add(50)\n"
		"for i = 1, 50 do goroutine.spawn(function()\n"
		"  if once:call(function() n:inc() goroutine.sleep(10) over:store(1) end) then "
		"ran:inc() end\n"
		"  assert(over:load() == 1) wg:done() end) end\n"
		"wg:wait() assert(n:load() == 1 and ran:load() == 1)\n"
		"assert(once:call(function() error() end) == false)");
}
END_TEST

START_TEST(an_error_passes_through_once_and_counts_as_a_run)
{
	task_ok("local once = goroutine.once()\n"
		"local ok, e = pcall(once.call, once, function() error('mine', 0) end)\n"
		"assert(not ok and e == 'mine')\n"
		"assert(once:call(function() error() end) == false)");
}
END_TEST

/* Scripts that look where they shouldn't get an error, not a dead worker. */
START_TEST(a_run_that_finalizes_its_own_call_raises)
{
	task_raises("local once = goroutine.once()\n"
		    "once:call(function() for i = 1, 5 do\n"
		    "  local _, v = debug.getlocal(2, i)\n"
		    "  if tostring(v):find('^once call') then debug.getmetatable(v).__gc(v) "
		    "end\n"
		    "end end)",
		"once:call() was finalized by what it runs");
}
END_TEST

START_TEST(if_the_runner_is_stopped_another_one_runs)
{
	task_ok("local once, n, inside = goroutine.once(), goroutine.atomic_int(), "
		"goroutine.channel(1)\n"
		"local wg = goroutine.wait_group() wg:add()\n"
		"goroutine.spawn(function() inside:receive()\n"
		"  assert(once:call(function() n:inc() end) == true) wg:done() end)\n"
		"assert(not goroutine.timeout(30, function()\n"
		"  once:call(function() inside:send(true) goroutine.sleep(100000) n:inc() end) "
		"end))\n"
		"if inside:len() == 1 then inside:receive() end inside:try_send(true)\n"
		"wg:wait() assert(n:load() == 1)\n"
		"local spin = goroutine.once()\n"
		"assert(not goroutine.timeout(10, function()\n" /* TSan holds signals back */
		"  spin:call(function() while true do os.time() end end) end))\n"
		"assert(spin:call(function() end) == true)");
}
END_TEST

START_TEST(a_cond_wakes_one_or_all)
{
	task_ok("local cond = goroutine.cond() local mu = cond:get_mutex()\n"
		"local n, woken, wg = goroutine.atomic_int(), goroutine.atomic_int(), "
		"goroutine.wait_group()\n"
		"wg:add(10)\n"
		"for i = 1, 10 do goroutine.spawn(function()\n"
		"  mu:lock() n:inc() cond:wait() woken:inc() assert(not mu:try_lock())\n"
		"  mu:unlock() wg:done() end) end\n"
		"while true do mu:lock() local all = n:load() == 10 mu:unlock()\n"
		"  if all then break end goroutine.sleep(1) end\n"
		"cond:signal() while woken:load() < 1 do goroutine.sleep(1) end\n"
		"mu:lock() cond:signal() cond:signal() mu:unlock()\n"
		"while woken:load() < 3 do goroutine.sleep(1) end goroutine.sleep(5) "
		"assert(woken:load() == 3)\n"
		"cond:broadcast() wg:wait() assert(woken:load() == 10)\n"
		"cond:signal() cond:broadcast()\n"
		"local own = goroutine.mutex() assert(goroutine.cond(own):get_mutex() == own)");
}
END_TEST

START_TEST(a_bounded_queue_loses_and_doubles_nothing)
{
	task_ok("local cond = goroutine.cond() local mu = cond:get_mutex()\n"
		"local count, sum = goroutine.atomic_int(), goroutine.atomic_int()\n"
		"local P, C, N, CAP = 5, 5, 200, 3\n"
		"local wg = goroutine.wait_group() wg:add(P + C)\n"
		"for p = 1, P do goroutine.spawn(function() for i = 1, N do\n"
		"  mu:lock() while count:load() == CAP do cond:wait() end\n"
		"  count:inc() cond:broadcast() mu:unlock() end wg:done() end) end\n"
		"for c = 1, C do goroutine.spawn(function() for i = 1, N do\n"
		"  mu:lock() while count:load() == 0 do cond:wait() end\n"
		"  assert(count:load() <= CAP) count:dec() sum:inc()\n"
		"  cond:broadcast() mu:unlock() end wg:done() end) end\n"
		"wg:wait() assert(count:load() == 0 and sum:load() == P * N)");
}
END_TEST

START_TEST(a_stopped_wait_leaves_the_mutex_alone)
{
	/* Who gets the mutex after it has been held knows that the other one waits. */
	task_ok("local cond = goroutine.cond() local mu = cond:get_mutex()\n"
		"for i = 1, 10 do\n"
		"  local ctx, held = goroutine.context():with_cancel(), "
		"goroutine.atomic_int()\n"
		"  local h = goroutine.async(function()\n"
		"    assert(not ctx:run(function() mu:lock() held:inc() cond:wait() end)) "
		"end)\n"
		"  while held:load() == 0 do goroutine.sleep(1) end\n"
		"  mu:lock() mu:unlock() ctx:cancel() assert(goroutine.await(h))\n"
		"  assert(mu:try_lock()) mu:unlock()\n"
		"end\n"
		"local h = goroutine.async(function() mu:lock() cond:wait() mu:unlock() end)\n"
		"repeat cond:signal() local ok, e = goroutine.await(h, 5) until ok");
}
END_TEST

/* A goroutine's error handling unlocks what its body has locked. */
START_TEST(a_deadlock_leaves_the_mutex_with_who_waited)
{
	task_ok("local cond = goroutine.cond() local mu = cond:get_mutex()\n"
		"local inside, wg = goroutine.atomic_int(), goroutine.wait_group() wg:add(8)\n"
		"local function fails()\n"
		"  mu:lock() local ok, e = pcall(cond.wait, cond)\n"
		"  assert(not ok and e:find('asleep.*waits for a cond'), e)\n"
		"  assert(inside:inc() == 1 and not mu:try_lock()) goroutine.sleep(1)\n"
		"  inside:dec() mu:unlock() wg:done()\n"
		"end\n"
		"for i = 1, 7 do goroutine.spawn(fails) end fails() wg:wait()\n"
		"assert(mu:try_lock())");
	/* Who has it waits for something else, is told too, and gives it back late. */
	task_ok("local cond, ch = goroutine.cond(), goroutine.channel()\n"
		"local mu, begun = cond:get_mutex(), goroutine.atomic_int()\n"
		"local h = goroutine.async(function()\n"
		"  mu:lock() begun:inc() local ok, e = pcall(cond.wait, cond)\n"
		"  assert(not ok and e:find('asleep')) mu:unlock() return 'held' end)\n"
		"while begun:load() == 0 do goroutine.sleep(1) end\n"
		"mu:lock() assert(not pcall(ch.receive, ch)) goroutine.sleep(20) mu:unlock()\n"
		"assert(select(2, goroutine.await(h)) == 'held')");
}
END_TEST

START_TEST(a_mutex_that_nobody_gives_back_is_not_waited_for)
{
	task_ok("local cond, ch = goroutine.cond(), goroutine.channel()\n"
		"local mu, begun = cond:get_mutex(), goroutine.atomic_int()\n"
		"local h = goroutine.async(function() mu:lock() begun:inc() cond:wait() end)\n"
		"while begun:load() == 0 do goroutine.sleep(1) end\n"
		"mu:lock() assert(not pcall(ch.receive, ch))\n"
		"local ok, e = pcall(goroutine.await, h) assert(not ok, e)\n"
		"ok, e = goroutine.await(h)\n"
		"assert(not ok and e:find('waits for a mutex of a cond'), e)\n"
		"assert(not mu:try_lock()) mu:unlock()");
}
END_TEST

/* What is stopped hasn't got the mutex, and what its body does on the way out is about a mutex
 * that it believes to have. */
START_TEST(a_stopped_wait_never_unlocks_what_others_hold)
{
	static const char body[] =
		"local cond = goroutine.cond() local mu = cond:get_mutex()\n"
		"local stop, held = goroutine.context():with_cancel(), goroutine.channel()\n"
		"local outs = goroutine.atomic_int()\n"
		"local h = goroutine.async(function() stop:run(function()\n"
		"  mu:lock() held:send(true)\n"
		"  local guard <close> = setmetatable({}, {__close = function()\n"
		"    %s outs:inc() end})\n"
		"  cond:wait()\n"
		"end) end)\n"
		"held:receive() mu:lock() %s stop:cancel() goroutine.await(h) %s";
	static const char *const rows[][3] = {
		{"mu:unlock()", "",
			"assert(outs:load() == 1 and not mu:try_lock()) mu:unlock()"},
		{"mu:unlock()", "cond:signal()",
			"assert(outs:load() == 1 and not mu:try_lock()) mu:unlock()"},
		/* A second one is a mistake, as always. */
		{"mu:unlock() assert(not pcall(mu.unlock, mu))", "mu:unlock()",
			"assert(outs:load() == 1 and mu:try_lock())"},
		/* What is locked there is unlocked there. */
		{"mu:lock() mu:unlock()", "mu:unlock()",
			"assert(outs:load() == 1 and mu:try_lock())"},
		{"assert(mu:try_lock()) mu:unlock()", "mu:unlock()",
			"assert(outs:load() == 1 and mu:try_lock())"},
		{"goroutine.mutex():try_lock() mu:unlock()", "mu:unlock()",
			"assert(outs:load() == 1 and mu:try_lock())"},
	};
	char text[sizeof(body) + 256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), body, rows[i][0], rows[i][1], rows[i][2]);
		task_ok(text);
	}
}
END_TEST

/* Writes travel where goroutines meet, by each of these. */
START_TEST(what_is_written_before_a_meeting_is_seen_after_it)
{
	task_ok("local mu, n, wg = goroutine.mutex(), 0, goroutine.wait_group() wg:add(10)\n"
		"for i = 1, 10 do goroutine.spawn(function() for k = 1, 100 do\n"
		"  mu:lock() n = n + 1 mu:unlock() end wg:done() end) end\n"
		"wg:wait() assert(n == 1000, n)");
	task_ok("local t, ch = {}, goroutine.channel()\n"
		"goroutine.spawn(function() t.x = 1 ch:send(true) t.y = 2 ch:close() end)\n"
		"ch:receive() assert(t.x == 1) ch:receive() assert(t.y == 2)");
	task_ok("local t, ch = {}, goroutine.channel()\n"
		"goroutine.spawn(function() t.x = 1\n"
		"  goroutine.select{{channel = ch, send = 1}} end)\n"
		"goroutine.select{{channel = ch, receive = true}} assert(t.x == 1)");
	task_ok("local t, ch = {}, goroutine.channel(1)\n"
		"goroutine.spawn(function() t.x = 1 ch:send(t) end)\n"
		"assert(ch:receive() == t and t.x == 1)");
	task_ok("local cond = goroutine.cond() local mu, ready = cond:get_mutex(), false\n"
		"local h = goroutine.async(function()\n"
		"  mu:lock() while not ready do cond:wait() end mu:unlock() return ready end)\n"
		"goroutine.sleep(5) mu:lock() ready = 'yes' cond:signal() mu:unlock()\n"
		"local ok, v = goroutine.await(h) assert(v == 'yes')");
	task_ok("local rw, n = goroutine.rwmutex(), 0\n"
		"local h = goroutine.async(function() rw:lock() n = 5 rw:unlock() end)\n"
		"while true do rw:rlock() local v = n rw:runlock()\n"
		"  if v == 5 then break end goroutine.sleep(1) end");
	task_ok("local sem, n = goroutine.semaphore(1), 0 sem:acquire()\n"
		"goroutine.spawn(function() n = 7 sem:release() end)\n"
		"sem:acquire() assert(n == 7)");
	task_ok("local once, config = goroutine.once()\n"
		"local wg = goroutine.wait_group() wg:add(5)\n"
		"for i = 1, 5 do goroutine.spawn(function()\n"
		"  once:call(function() config = {host = 'h'} end)\n"
		"  assert(config.host == 'h') wg:done() end) end\n"
		"wg:wait() assert(config.host == 'h')");
	task_ok("local flag, t = goroutine.atomic_int(), {}\n"
		"goroutine.spawn(function() t.x = 3 flag:store(1) end)\n"
		"while flag:load() == 0 do goroutine.sleep(1) end assert(t.x == 3)");
}
END_TEST

/* The rarer of the calls that publish and take in, each as the only one of its side. */
START_TEST(each_call_that_meets_does)
{
	static const char *const rows[] = {
		"local wg = g.wait_group() wg:add(2)\n"
		"g.spawn(function() t.x = 1 wg:add(-2) end) wg:wait()",
		"local cond = g.cond() local mu = cond:get_mutex()\n"
		"mu:lock() g.spawn(function() mu:lock() mu:unlock() t.x = 1 cond:broadcast() "
		"end)\n"
		"cond:wait()",
		"local ch = g.channel(1) g.spawn(function() t.x = 1 ch:try_send(1) end)\n"
		"while not select(2, ch:try_receive()) do g.sleep(1) end",
		"local ch = g.channel() g.spawn(function() t.x = 1 ch:close() end)\n"
		"g.select{{channel = ch, receive = true}}",
		"local ch = g.channel() g.spawn(function() t.x = 1 ch:close() end)\n"
		"ch:range(print)",
		"local ch = g.channel(1) g.spawn(function() t.x = 1 ch:send(1) end)\n"
		"for v in ch:iter() do break end",
		"local ch = g.channel() g.spawn(function() t.x = 1\n"
		"  g.select_timeout(5000, {{channel = ch, send = 1}}) end)\n"
		"g.select_timeout(5000, {{channel = ch, receive = true}})",
		"local mu = g.mutex() mu:lock() g.spawn(function() t.x = 1 mu:unlock() end)\n"
		"while not mu:try_lock() do g.sleep(1) end",
		"local rw = g.rwmutex() rw:lock() g.spawn(function() t.x = 1 rw:unlock() end)\n"
		"while not rw:try_rlock() do g.sleep(1) end",
		"local rw = g.rwmutex() rw:rlock() g.spawn(function() t.x = 1 rw:runlock() "
		"end)\n"
		"while not rw:try_lock() do g.sleep(1) end",
		"local s = g.semaphore(1) s:acquire() g.spawn(function() t.x = 1 s:release() "
		"end)\n"
		"while not s:try_acquire() do g.sleep(1) end",
		"local n = g.atomic_int() g.spawn(function() t.x = 1 n:inc() end)\n"
		"while not n:cas(1, 2) do g.sleep(1) end",
		"local n = g.atomic_int() g.spawn(function() t.x = 1 n:swap(5) end)\n"
		"while n:add(0) == 0 do g.sleep(1) end",
		"local once, inside = g.once(), g.atomic_int()\n"
		"g.spawn(function() once:call(function() inside:inc() g.sleep(5) t.x = 1 "
		"end)\n"
		"  g.sleep(50) end)\n"
		"while inside:load() == 0 do g.sleep(1) end once:call(print)",
		"g.await(g.async(function() t.x = 1 end))",
		"g.await_all({g.async(function() t.x = 1 end)})",
		"g.timeout(5000, function() t.x = 1 end)",
		"g.context():run(function() t.x = 1 end)",
		"local ctx = g.context() g.spawn(function() t.x = 1 ctx:cancel() end)\n"
		"while not ctx:is_cancelled() do g.sleep(1) end",
		"local ctx = g.context() g.spawn(function() t.x = 1 ctx:cancel() end)\n"
		"ctx:done():receive()",
		"g.pool_create('p') g.pool_submit('p', function() t.x = 1 end)\n"
		"g.pool_wait('p') g.pool_close('p')",
		"g.pool_create('p') g.pool_submit('p', function() t.x = 1 end)\n"
		"g.pool_close('p')",
		/* Towards a new one: it sees what was written up to then. */
		"local ch = g.channel() local function see() assert(t.y == 1) ch:send(t.y) "
		"end\n"
		"local a = g.async(function() g.sleep(1) end) t.y = 1 t.x = 1\n"
		"g.spawn(see) ch:receive()",
		"t.x = 1 assert(g.await(g.async(function() return assert(t.x) end)))",
		"t.x = 1 assert(g.timeout(5000, function() return assert(t.x) end))",
		"t.x = 1 assert(g.context():run(function() return assert(t.x) end))",
		"t.x = 1 g.pool_create('p') g.pool_submit('p', function() assert(t.x) end)\n"
		"assert(select(2, g.pool_wait('p'))[1].success) g.pool_close('p')",
	};
	char text[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "local g, t = goroutine, {}\n%s\nassert(t.x == 1)",
			rows[i]);
		task_ok(text);
	}
}
END_TEST

/* Captured alone and in a table, as an argument, a result and a message. */
START_TEST(a_method_goes_by_name_like_any_standard_function)
{
	task_ok("local g, seen = goroutine, 0\n"
		"local ch = g.channel(1)\n"
		"local all = {g.mutex(), g.rwmutex(), g.cond(), g.once(), g.semaphore(1), ch,\n"
		"  g.atomic_int(), g.context(), g.wait_group()}\n"
		"local function crosses(f)\n"
		"  local t = {f = f}\n"
		"  local ok, a, b, c = g.await(g.async(function(x) return x, f, t end, f))\n"
		"  assert(ok, a) assert(a == f and b == f and c.f == f)\n"
		"  ch:send(f) assert(ch:receive() == f) seen = seen + 1\n"
		"end\n"
		"for _, handle in ipairs(all) do\n"
		"  for _, f in pairs(debug.getmetatable(handle).__index) do crosses(f) end\n"
		"end\n"
		"crosses((ch:iter())) assert(seen > 45, seen)");
	task_ok("local mu = goroutine.mutex() local lock, unlock = mu.lock, mu.unlock\n"
		"local n, wg = 0, goroutine.wait_group() wg:add(10)\n"
		"local done = wg.done\n"
		"goroutine.spawn_many(10, function()\n"
		"  for i = 1, 100 do lock(mu) n = n + 1 unlock(mu) end done(wg) end)\n"
		"wg:wait() assert(n == 1000, n) assert(goroutine.await(goroutine.async(lock, "
		"mu)))");
}
END_TEST

START_TEST(misuse_raises_and_says_what)
{
	static const char *const rows[][2] = {
		{"goroutine.once():call()",
			"bad argument #1 to 'call' (function expected, got no value)"},
		{"local o = goroutine.once() o:call(function() o:call(print) end)",
			"once:call() from inside of what it runs"},
		{"goroutine.cond():wait()", "cond:wait() while its mutex is not locked"},
		{"goroutine.cond(5)", "bad argument #1 to 'cond' (mutex expected, got number)"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		task_raises(rows[i][0], rows[i][1]);
}
END_TEST

SL_CHECK_MAIN("lua/sync", once_runs_the_first_function_and_the_others_wait,
	an_error_passes_through_once_and_counts_as_a_run,
	if_the_runner_is_stopped_another_one_runs, a_run_that_finalizes_its_own_call_raises,
	a_cond_wakes_one_or_all, a_bounded_queue_loses_and_doubles_nothing,
	a_stopped_wait_leaves_the_mutex_alone, a_deadlock_leaves_the_mutex_with_who_waited,
	a_mutex_that_nobody_gives_back_is_not_waited_for,
	a_stopped_wait_never_unlocks_what_others_hold,
	what_is_written_before_a_meeting_is_seen_after_it, each_call_that_meets_does,
	a_method_goes_by_name_like_any_standard_function, misuse_raises_and_says_what)
