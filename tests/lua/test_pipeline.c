/* SPDX-License-Identifier: MIT */

/*
 * Goroutines between channels: pipeline, fan_out, fan_in.
 */

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

#define NUMBERS                                                                                \
	"local function numbers(n, cap) local ch = goroutine.channel(cap)\n"                   \
	"  goroutine.spawn(function() for i = 1, n do ch:send(i) end ch:close() end)\n"        \
	"  return ch end\n"

START_TEST(values_go_through_all_stages)
{
	task_ok(NUMBERS
		"local function twice(v) return v * 2 end\n"
		"local out = goroutine.pipeline(numbers(200, 5), {\n"
		"  {workers = 3, fn = function(v) goroutine.sleep(0) return v + 1 end},\n"
		"  {workers = 2, fn = function(v) if v % 2 == 0 then return v end end},\n"
		"  {fn = twice}, function(v) return {v = v} end})\n"
		"local n, sum = 0, 0\n"
		"out:range(function(t) n = n + 1 sum = sum + t.v end)\n"
		"assert(n == 100 and sum == 2 * 100 * 101, sum)\n"
		"local k = 0 for v in goroutine.pipeline(numbers(50), {twice}):iter() do\n"
		"  k = k + 1 assert(v == k * 2) end assert(k == 50)");
}
END_TEST

START_TEST(what_a_stage_captures_is_shared)
{
	task_ok(NUMBERS "local mu, n, seen = goroutine.mutex(), 0, {}\n"
			"local out = goroutine.pipeline(numbers(100), {{workers = 4, fn = "
			"function(v)\n"
			"  mu:lock() n = n + 1 seen[v] = true mu:unlock() return v end}})\n"
			"for v in out:iter() do assert(seen[v]) end\n"
			"mu:lock() assert(n == 100, n) mu:unlock()");
}
END_TEST

START_TEST(a_value_whose_stage_raises_is_dropped)
{
	task_run(&run, NUMBERS
		"local out = goroutine.pipeline(numbers(10), {{workers = 2, fn = function(v)\n"
		"  if v == 5 then error('bad five', 0) end return v end}})\n"
		"local n = 0 out:range(function(v) n = n + 1 assert(v ~= 5) end) assert(n == "
		"9)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_seen(&run, "pipeline: stage 1: bad five; the value is dropped");
	task_finish(&run);
}
END_TEST

START_TEST(fan_out_gives_each_value_to_each_output)
{
	task_ok(NUMBERS
		"local outs = goroutine.fan_out(numbers(100), 3) assert(#outs == 3)\n"
		"local h = {}\n"
		"for i = 1, 3 do h[i] = goroutine.async(function() local n = 0\n"
		"  for v in outs[i]:iter() do n = n + 1 assert(v == n) end return n end) "
		"end\n"
		"for _, r in ipairs(goroutine.await_all(h)) do assert(r.values[1] == 100, "
		"r.error) end");
}
END_TEST

START_TEST(fan_out_can_share_the_values_out)
{
	task_ok(NUMBERS
		"local outs = goroutine.fan_out(numbers(300), 4, {mode = 'share', capacity = "
		"1})\n"
		"assert(outs[1]:cap() == 1)\n"
		"local seen, n = {}, 0\n"
		"for v in goroutine.fan_in({outs[1], outs[2], outs[3]}):iter() do\n"
		"  assert(not seen[v]) seen[v] = true n = n + 1\n"
		"  local w, ok = outs[4]:try_receive()\n"
		"  if ok then assert(not seen[w]) seen[w] = true n = n + 1 end\n"
		"end\n"
		"for v in outs[4]:iter() do assert(not seen[v]) seen[v] = true n = n + 1 end\n"
		"assert(n == 300, n)");
}
END_TEST

START_TEST(fan_in_takes_from_all_and_ends_with_the_last)
{
	task_ok(NUMBERS
		"local out = goroutine.fan_in({numbers(50), numbers(70, 3), numbers(0)}, 2)\n"
		"assert(out:cap() == 2) local n, sum = 0, 0\n"
		"for v in out:iter() do n = n + 1 sum = sum + v end\n"
		"assert(n == 120 and sum == 25 * 51 + 35 * 71)\n"
		"assert(goroutine.fan_in({}):is_closed())");
}
END_TEST

START_TEST(they_end_with_what_started_them)
{
	task_ok(NUMBERS
		"local out\n"
		"assert(not goroutine.timeout(20, function()\n"
		"  out = goroutine.pipeline(numbers(1000000), {{workers = 3, fn = function(v) "
		"return v end}})\n"
		"  while true do out:receive() end end))");
}
END_TEST

START_TEST(misuse_raises_and_says_what)
{
	static const char *const rows[][2] = {
		{"goroutine.pipeline(5)",
			"bad argument #1 to 'pipeline' (channel expected, got number)"},
		{"goroutine.pipeline(goroutine.channel())",
			"bad argument #2 to 'pipeline' (table expected, got no value)"},
		{"goroutine.pipeline(goroutine.channel(), {})",
			"bad argument #2 to 'pipeline' (a pipeline has from 1 to 10000 "
			"stages)"},
		{"goroutine.pipeline(goroutine.channel(), {{workers = 2}})",
			"pipeline: stage #1 has no function fn"},
		{"goroutine.pipeline(goroutine.channel(), {{workers = 0, fn = print}})",
			"pipeline: stage #1: workers must be a whole number from 1 to 10000"},
		{"goroutine.fan_out(goroutine.channel(), 0)",
			"bad argument #2 to 'fan_out' (from 1 to 10000 outputs)"},
		{"goroutine.fan_out(goroutine.channel(), 2, {mode = 'x'})",
			"fan_out: the mode is 'copy' or 'share', not 'x'"},
		{"goroutine.fan_in(3)",
			"bad argument #1 to 'fan_in' (table expected, got number)"},
		{"goroutine.fan_in(table.move({}, 1, 0, 1, setmetatable({}, {__len = "
		 "function() return 10001 end})))",
			"bad argument #1 to 'fan_in' (at most 10000 inputs)"},
		{"goroutine.fan_in({goroutine.channel(), 5})",
			"fan_in: input #2 is a number, not a channel"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		task_raises(rows[i][0], rows[i][1]);
}
END_TEST

SL_CHECK_MAIN("lua/pipeline", values_go_through_all_stages, what_a_stage_captures_is_shared,
	a_value_whose_stage_raises_is_dropped, fan_out_gives_each_value_to_each_output,
	fan_out_can_share_the_values_out, fan_in_takes_from_all_and_ends_with_the_last,
	they_end_with_what_started_them, misuse_raises_and_says_what)
