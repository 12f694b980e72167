/* SPDX-License-Identifier: MIT */

/*
 * Contexts: what is cancelled with what, and who learns of it.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

START_TEST(it_is_cancelled_by_hand)
{
	task_ok("local ctx = goroutine.context()\n"
		"assert(ctx:is_cancelled() == false and ctx:err() == nil)\n"
		"assert(ctx:done():is_closed() == false)\n"
		"ctx:cancel() ctx:cancel()\n"
		"assert(ctx:is_cancelled() == true and ctx:err() == 'context canceled')\n"
		"local v, ok = ctx:done():receive() assert(v == nil and ok == false)\n"
		"local d, has = ctx:deadline() assert(d == nil and has == false)");
}
END_TEST

START_TEST(children_go_with_their_parents_and_not_the_other_way)
{
	task_ok("local root = goroutine.context()\n"
		"local a, cancel_a = root:with_cancel() local b = root:with_cancel()\n"
		"local aa = a:with_timeout(100000) local aaa = aa:with_value('k', 1)\n"
		"goroutine.spawn(function() cancel_a() end)\n"
		"aaa:done():receive()\n"
		"assert(a:is_cancelled() and aa:err() == 'context canceled' and aaa:err())\n"
		"assert(not root:is_cancelled() and not b:is_cancelled())\n"
		"assert(a:with_cancel():is_cancelled())\n"
		"root:cancel() assert(b:is_cancelled())");
}
END_TEST

START_TEST(time_ends_it)
{
	task_ok("local root, t = goroutine.context(), os.clock()\n"
		"local ctx = root:with_timeout(20) local child = ctx:with_timeout(100000)\n"
		"assert(not root:with_timeout(100000):is_cancelled())\n"
		"local h = goroutine.async(function() return child:done():receive() end)\n"
		"local v, ok = ctx:done():receive()\n"
		"assert(ok == false and os.clock() - t >= 0.02)\n"
		"assert(ctx:err() == 'context deadline exceeded' and ctx:is_cancelled())\n"
		"ctx:cancel() assert(ctx:err() == 'context deadline exceeded')\n"
		"assert(goroutine.await(h)) assert(child:err() == 'context deadline "
		"exceeded')\n"
		"assert(root:err() == nil)\n"
		"assert(root:with_timeout(0):err() == 'context deadline exceeded')\n"
		"assert(root:with_timeout(-5):done():is_closed())\n"
		"local ms = os.time() * 1000 + 60000\n"
		"local late = root:with_deadline(ms) local d, has = late:deadline()\n"
		/* It is told from two clocks, which nobody reads at one moment. */
		"assert(has == true and math.type(d) == 'integer' and math.abs(d - ms) < 5000, "
		"d)\n"
		"assert(root:with_deadline(1000):is_cancelled())\n"
		"assert(math.abs(late:with_timeout(1e9):deadline() - ms) < 5000)\n"
		"late:cancel() assert(late:err() == 'context canceled')");
}
END_TEST

START_TEST(done_is_a_case_of_select)
{
	task_ok("local ctx, ch = goroutine.context():with_timeout(15), goroutine.channel()\n"
		"local i, v, ok = goroutine.select{{channel = ch, receive = true},\n"
		"  {channel = ctx:done(), receive = true}}\n"
		"assert(i == 2 and ok == false and ctx:err() == 'context deadline exceeded')\n"
		"local by_hand, cancel = goroutine.context():with_cancel()\n"
		"goroutine.spawn(function() goroutine.sleep(5) cancel() end)\n"
		"i = goroutine.select{{channel = by_hand:done(), receive = true}, {channel = "
		"ch, send = 1}}\n"
		"assert(i == 1)");
}
END_TEST

START_TEST(values_are_found_upwards)
{
	task_ok("local ctx = goroutine.context():with_value('user', {name = 'ada'})\n"
		"local inner = ctx:with_value('n', 5):with_cancel():with_value(true, false)\n"
		"assert(inner:value('user').name == 'ada' and inner:value('n') == 5)\n"
		"assert(inner:value(true) == false and inner:value('other') == nil)\n"
		"assert(ctx:value('n') == nil and inner:with_value('n', 6):value('n') == 6)\n"
		"local h = goroutine.async(function() return inner:value('user').name end)\n"
		"assert(select(2, goroutine.await(h)) == 'ada')");
}
END_TEST

START_TEST(what_runs_under_it_ends_with_it)
{
	static const char *const waits[] = {
		"goroutine.channel():receive()", "goroutine.channel():send(1)",
		"local mu = goroutine.mutex() mu:lock() mu:lock()",
		"local s = goroutine.semaphore(1) s:acquire() s:acquire()",
		"local c = goroutine.cond() c:get_mutex():lock() c:wait()",
		"local rw = goroutine.rwmutex() rw:rlock() rw:lock()",
		"local rw = goroutine.rwmutex() rw:lock() rw:rlock()",
		"local o = goroutine.once() o:call(function() goroutine.sleep(100000) end)",
		"goroutine.channel():range(print)",
		"for v in goroutine.channel():iter() do end",
		"goroutine.context():done():receive()",
		"goroutine.context():run(goroutine.sleep, 100000)",
		"goroutine.timeout(100000, goroutine.sleep, 100000)",
		"goroutine.await_all({goroutine.async(goroutine.sleep, 100000)})",
		"goroutine.select_timeout(100000, {{channel = goroutine.channel(), send = 1}})",
		"goroutine.pipeline(goroutine.channel(), {print}):receive()",
		"local p = tostring({}) goroutine.pool_create(p)\n"
		"goroutine.pool_submit(p, goroutine.sleep, 100000) goroutine.pool_wait(p)",
		"local p = tostring({}) goroutine.pool_create(p)\n"
		"goroutine.pool_submit(p, goroutine.sleep, 100000) goroutine.pool_close(p)",
		"local p = tostring({}) goroutine.pool_create(p, {workers = 1, queue = 0})\n"
		"goroutine.pool_submit(p, goroutine.sleep, 100000) goroutine.pool_submit(p, "
		"print)",
		"os.execute('sleep 100')", "exec.run('sleep 100')",
		"io.popen('sleep 100'):read('a')",
		"local wg = goroutine.wait_group() wg:add() wg:wait()",
		"goroutine.sleep(100000)",
		"goroutine.select{{channel = goroutine.channel(), receive = true}}",
		"goroutine.await(goroutine.async(function() goroutine.sleep(100000) end))",
		"while true do os.time() end", /* TSan holds signals back */
	};
	char text[1024];

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		snprintf(text, sizeof(text),
			"local root = goroutine.context()\n"
			"local ok, e = root:with_timeout(10):run(function() %s end)\n"
			"assert(ok == false and e == 'context deadline exceeded', e)\n"
			"local ctx, cancel = root:with_cancel()\n"
			"goroutine.spawn(function() goroutine.sleep(10) cancel() end)\n"
			"ok, e = ctx:run(function() %s end)\n"
			"assert(ok == false and e == 'context canceled', e)",
			waits[i], waits[i]);
		task_ok(text);
	}
}
END_TEST

START_TEST(what_ends_before_it_gives_its_results)
{
	task_ok("local ctx, n = goroutine.context(), 0\n"
		"local t = table.pack(ctx:run(function(a) n = a return a, nil end, 3))\n"
		"assert(t.n == 3 and t[1] == true and t[2] == 3 and n == 3)\n"
		"local ok, e, tb = ctx:run(function() error('x', 0) end)\n"
		"assert(ok == false and e == 'x' and tb)\n"
		"ok, e = ctx:run(function() return nil, 'no' end) assert(not ok and e == "
		"'no')\n"
		"ctx:cancel() ok, e = ctx:run(function() n = 100 end)\n"
		"assert(ok == false and e == 'context canceled' and n == 3)");
}
END_TEST

START_TEST(many_read_one_value)
{
	task_ok("local ctx = goroutine.context():with_value('t', {a = {b = {1, 2, 3}}})\n"
		"local wg = goroutine.wait_group() wg:add(16)\n"
		"for g = 1, 16 do goroutine.spawn(function()\n"
		"  for i = 1, 100 do local t = ctx:value('t') assert(#t.a.b == 3) t.a = nil "
		"end\n"
		"  wg:done() end) end wg:wait()");
}
END_TEST

START_TEST(misuse_raises_and_says_what)
{
	static const char *const rows[][2] = {
		{"goroutine.context():with_timeout()",
			"bad argument #1 to 'with_timeout' (number expected, got no value)"},
		{"goroutine.context():with_deadline('x')",
			"bad argument #1 to 'with_deadline' (number expected, got string)"},
		{"goroutine.context():with_timeout(0/0)",
			"bad argument #1 to 'with_timeout' (not a time)"},
		{"goroutine.context():with_value({}, 1)",
			"bad argument #1 to 'with_value' (a key is a string, number or "
			"boolean, not a table)"},
		{"goroutine.context():with_value('k', io.tmpfile())",
			"cannot send value along with a context: open file"},
		{"goroutine.context():run(5)",
			"bad argument #1 to 'run' (function expected, got number)"},
		{"goroutine.context():done():close()",
			"close of a channel that is for receiving only"},
		{"goroutine.context():done():send(1)",
			"send to a channel that is for receiving only"},
		{"local c = goroutine.context() for i = 1, 2000 do c = c:with_cancel() end",
			"contexts are derived from each other more than 1000 deep"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		task_raises(rows[i][0], rows[i][1]);
}
END_TEST

START_TEST(many_come_and_go_while_it_is_cancelled)
{
	task_ok("for round = 1, 20 do\n"
		"  local root = goroutine.context()\n"
		"  local wg = goroutine.wait_group() wg:add(8)\n"
		"  for g = 1, 8 do goroutine.spawn(function()\n"
		"    local kept = {}\n"
		"    for i = 1, 20 do\n"
		"      local c = root:with_cancel():with_timeout(10000)\n"
		"      if i % 3 == 0 then kept[#kept + 1] = c end\n"
		"      if i % 7 == 0 then collectgarbage() end\n"
		"      if g == 1 and i == 10 then root:cancel() end\n"
		"    end\n"
		"    root:done():receive()\n"
		"    for _, c in ipairs(kept) do assert(c:err() == 'context canceled') end\n"
		"    wg:done() end) end\n"
		"  wg:wait()\n"
		"end");
}
END_TEST

SL_CHECK_MAIN("lua/context", it_is_cancelled_by_hand,
	children_go_with_their_parents_and_not_the_other_way, time_ends_it,
	done_is_a_case_of_select, values_are_found_upwards, many_read_one_value,
	what_runs_under_it_ends_with_it, what_ends_before_it_gives_its_results,
	misuse_raises_and_says_what, many_come_and_go_while_it_is_cancelled)
