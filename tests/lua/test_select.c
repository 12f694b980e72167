/* SPDX-License-Identifier: MIT */

/*
 * One choice between several channels.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

START_TEST(what_is_ready_happens_and_its_handler_runs)
{
	task_ok("local a, b = goroutine.channel(1), goroutine.channel(1)\n"
		"b:send('x') local seen\n"
		"local i, v, ok = goroutine.select{\n"
		"  {channel = a, receive = true, handler = function() error() end},\n"
		"  {channel = b, receive = true, handler = function(...) seen = {...} end}}\n"
		"assert(i == 2 and v == 'x' and ok == true and seen[1] == 'x' and seen[2] == "
		"true)\n"
		"i, v = goroutine.select{{channel = a, send = 5, handler = function(...)\n"
		"  assert(select('#', ...) == 0) goroutine.sleep(1) seen = 'sent' end}}\n"
		"assert(i == 1 and v == nil and seen == 'sent' and a:receive() == 5)\n"
		"a:send(1) i, v = goroutine.select{{channel = a, receive = true}} "
		"assert(v == 1)\n"
		"a:send(1) local ok, e = pcall(goroutine.select, {{channel = a, receive = "
		"true,\n"
		"  handler = function() error('mine', 0) end}}) assert(not ok and e == "
		"'mine')\n"
		"i = goroutine.select{{channel = a, send = false}} assert(a:receive() == "
		"false)");
}
END_TEST

START_TEST(without_default_it_waits)
{
	task_ok("local a, b = goroutine.channel(), goroutine.channel()\n"
		"goroutine.spawn(function() goroutine.sleep(10) b:send('late') end)\n"
		"local i, v = goroutine.select{{channel = a, receive = true}, {channel = b, "
		"receive = true}}\n"
		"assert(i == 2 and v == 'late')\n"
		"goroutine.spawn(function() goroutine.sleep(10) assert(a:receive() == 9) end)\n"
		"i = goroutine.select{{channel = b, receive = true}, {channel = a, send = 9}}\n"
		"assert(i == 2)\n"
		"assert(b:try_send(1) == false and select(2, a:try_receive()) == false)");
}
END_TEST

START_TEST(default_is_for_when_nothing_is_ready)
{
	task_ok("local a, n = goroutine.channel(1), 0\n"
		"local cases = {{channel = a, receive = true}, {default = true, handler = "
		"function(...) n = n + 1 end}}\n"
		"assert(goroutine.select(cases) == 2 and n == 1)\n"
		"a:send(3) local i, v = goroutine.select(cases) assert(i == 1 and v == 3 and n "
		"== 1)\n"
		"assert(goroutine.select{{default = true}} == 1)");
}
END_TEST

START_TEST(a_closed_channel_is_ready)
{
	task_ok("local a, b = goroutine.channel(), goroutine.channel()\n"
		"a:close() local args\n"
		"local i, v, ok = goroutine.select{{channel = b, receive = true},\n"
		"  {channel = a, receive = true, handler = function(v, ok) args = {v, ok} "
		"end}}\n"
		"assert(i == 2 and v == nil and ok == false and args[2] == false)\n"
		"goroutine.spawn(function() goroutine.sleep(5) b:close() end)\n"
		"i, v, ok = goroutine.select{{channel = b, receive = true}} assert(i == 1 and "
		"ok == false)");
}
END_TEST

START_TEST(select_timeout_says_whether_time_was_over)
{
	task_ok("local a, t = goroutine.channel(1), os.clock()\n"
		"local out, i = goroutine.select_timeout(20, {{channel = a, receive = true}})\n"
		"assert(out == true and i == nil and os.clock() - t >= 0.02)\n"
		"a:send('v') local v\n"
		"out, i, v = goroutine.select_timeout(5000, {{channel = a, receive = true}})\n"
		"assert(out == false and i == 1 and v == 'v')\n"
		"out = goroutine.select_timeout(0, {{channel = a, receive = true}}) assert(out "
		"== true)\n"
		"a:send('w') out, i, v = goroutine.select_timeout(-1, {{channel = a, receive = "
		"true}})\n"
		"assert(out == false and v == 'w')\n"
		"out, i = goroutine.select_timeout(5, {{channel = a, receive = true}, {default "
		"= true}})\n"
		"assert(out == false and i == 2)");
}
END_TEST

START_TEST(misuse_raises_and_says_what)
{
	static const char *const rows[][2] = {
		{"goroutine.select()",
			"bad argument #1 to 'select' (table expected, got no value)"},
		{"goroutine.select{}", "select: there is no case: nothing would ever happen"},
		{"goroutine.select{5}", "select: case #1 is a number, not a table"},
		{"goroutine.select{{default = true}, {default = true}}",
			"select: there are two default cases, #1 and #2"},
		{"local cases = {} for i = 1, 65537 do cases[i] = {default = true} end\n"
		 "goroutine.select(cases)",
			"select: 65537 cases are more than 65536"},
		{"goroutine.select{{receive = true}}", "select: case #1: its channel is a nil"},
		{"goroutine.select{{channel = goroutine.channel()}}",
			"select: case #1 must have either receive = true or send = VALUE"},
		{"goroutine.select{{channel = goroutine.channel(), receive = true, send = 1}}",
			"select: case #1 must have either receive = true or send = VALUE"},
		{"goroutine.select{{channel = goroutine.channel(), receive = true, handler = "
		 "5}}",
			"select: case #1: its handler is a number, not a function"},
		{"local ch = goroutine.channel(1) ch:close() goroutine.select{{channel = ch, "
		 "send = 1}}",
			"select: case #1: send on a closed channel"},
		{"goroutine.select{{channel = goroutine.channel(1, 'send'), receive = true}}",
			"receive from a channel that is for sending only"},
		{"goroutine.select{{channel = goroutine.context():done(), send = 1}}",
			"send to a channel that is for receiving only"},
		{"goroutine.select_timeout('x', {})",
			"bad argument #1 to 'select_timeout' (number expected, got string)"},
		{"goroutine.select_timeout(5)",
			"bad argument #2 to 'select_timeout' (table expected, got no value)"},
		{"goroutine.select{{channel = goroutine.channel(), send = io.tmpfile()}}",
			"cannot send value through a channel: open file"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		task_raises(rows[i][0], rows[i][1]);
}
END_TEST

START_TEST(no_case_is_favoured)
{
	task_ok("local chs, cases, n = {}, {}, {}\n"
		"for i = 1, 4 do chs[i] = goroutine.channel(1) n[i] = 0\n"
		"  cases[i] = {channel = chs[i], receive = true, handler = function()\n"
		"    n[i] = n[i] + 1 end} end\n"
		"for k = 1, 4000 do\n"
		"  for i = 1, 4 do chs[i]:try_send(k) end\n"
		"  goroutine.select(cases)\n"
		"end\n"
		"for i = 1, 4 do assert(n[i] > 700 and n[i] < 1300, n[i]) end");
}
END_TEST

START_TEST(two_selects_meet)
{
	task_ok("local a, b = goroutine.channel(), goroutine.channel()\n"
		"local N, wg, got = 2000, goroutine.wait_group(), goroutine.channel(4000)\n"
		"wg:add(4)\n"
		"for s = 1, 2 do goroutine.spawn(function() for i = 1, N do\n"
		"  goroutine.select{{channel = a, send = s * 10000 + i}, {channel = b, send = "
		"s "
		"* 10000 + i}}\n"
		"end wg:done() end) end\n"
		"for r = 1, 2 do goroutine.spawn(function() for i = 1, N do\n"
		"  local _, v, ok = goroutine.select{{channel = b, receive = true}, {channel = "
		"a, receive = true}}\n"
		"  assert(ok) got:send(v) end wg:done() end) end\n"
		"wg:wait() got:close() local seen, n = {}, 0\n"
		"for v in got:iter() do assert(not seen[v]) seen[v] = true n = n + 1 end\n"
		"assert(n == 2 * N, n)");
}
END_TEST

START_TEST(it_never_meets_itself)
{
	task_ok("local a = goroutine.channel()\n"
		"local both = {{channel = a, receive = true}, {channel = a, send = 1}}\n"
		"assert(goroutine.select_timeout(5, both) == true)\n"
		"goroutine.spawn(function() assert(a:receive() == 1) end)\n"
		"assert(goroutine.select(both) == 2)");
}
END_TEST

START_TEST(a_select_that_is_stopped_takes_nothing)
{
	task_ok("local a, b = goroutine.channel(), goroutine.channel()\n"
		"for i = 1, 20 do\n"
		"  assert(not goroutine.timeout(1, function()\n"
		"    goroutine.select{{channel = a, receive = true}, {channel = b, send = i}} "
		"end))\n"
		"end\n"
		"assert(select(2, b:try_receive()) == false and a:try_send(1) == false)");
}
END_TEST

/* Each value that the model's producers send, in whatever way, is received exactly once, while
 * selects time out and are stopped all around. */
START_TEST(every_value_arrives_exactly_once)
{
	static const char body[] =
		"local seed = %d math.randomseed(seed)\n"
		"local K, P, C, N = math.random(2, 4), math.random(1, 6), math.random(1, 6), "
		"150\n"
		"local chs, out = {}, goroutine.channel(100000)\n"
		"for k = 1, K do chs[k] = goroutine.channel(math.random(0, 2)) end\n"
		"local quit = goroutine.channel()\n"
		"local producers, consumers = goroutine.wait_group(), goroutine.wait_group()\n"
		"producers:add(P) consumers:add(C)\n"
		"for p = 1, P do goroutine.spawn(function()\n"
		"  math.randomseed(seed, p)\n"
		"  for i = 1, N do\n"
		"    local v, cases, sent = p * 1000 + i, {}, false\n"
		"    for k = 1, K do cases[k] = {channel = chs[k], send = v} end\n"
		"    while not sent do\n"
		"      if math.random(4) == 1 then\n"
		"        sent = not goroutine.select_timeout(math.random() / 5, cases)\n"
		"      else goroutine.select(cases) sent = true end\n"
		"    end\n"
		"  end producers:done() end) end\n"
		"for c = 1, C do goroutine.spawn(function()\n"
		"  math.randomseed(seed, -c)\n"
		"  local cases, over = {}, false\n"
		"  for k = 1, K do cases[k] = {channel = chs[k], receive = true,\n"
		"    handler = function(v, ok) if ok then out:send(v) end end} end\n"
		"  cases[K + 1] = {channel = quit, receive = true, handler = function() over = "
		"true end}\n"
		"  while not over do\n"
		"    if math.random(4) == 1 then goroutine.select_timeout(math.random() / 5, "
		"cases)\n"
		"    else goroutine.select(cases) end\n"
		"  end consumers:done() end) end\n"
		"producers:wait()\n"
		"for k = 1, K do while chs[k]:len() > 0 do goroutine.sleep(0.2) end end\n"
		"quit:close() consumers:wait() out:close()\n"
		"local seen, n = {}, 0\n"
		"for v in out:iter() do assert(not seen[v], v) seen[v] = true n = n + 1 end\n"
		"assert(n == P * N, n)";
	char text[sizeof(body) + 16];

	for (int seed = 1; seed <= 5; seed++) {
		snprintf(text, sizeof(text), body, seed);
		task_ok(text);
	}
}
END_TEST

SL_CHECK_MAIN("lua/select", what_is_ready_happens_and_its_handler_runs,
	without_default_it_waits, default_is_for_when_nothing_is_ready,
	a_closed_channel_is_ready, select_timeout_says_whether_time_was_over,
	misuse_raises_and_says_what, no_case_is_favoured, two_selects_meet,
	it_never_meets_itself, a_select_that_is_stopped_takes_nothing,
	every_value_arrives_exactly_once)
