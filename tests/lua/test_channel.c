/* SPDX-License-Identifier: MIT */

/*
 * Channels, and the choice between several of them.
 */

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "lua/sync/channel.h"
#include "lua/transfer/message.h"
#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

START_TEST(values_arrive_in_order_and_whole)
{
	task_ok("local ch = goroutine.channel(3)\n"
		"goroutine.spawn(function()\n"
		"  for i = 1, 100 do assert(ch:send(i) == true) end\n"
		"  ch:send('a\\0b') ch:send(2.5) ch:send(false) ch:send(nil)\n"
		"  local t = {x = {1, 2}} t.self = t ch:send(t)\n"
		"  ch:send(function(a) return a + 1 end) ch:send(string.format)\n"
		"  ch:close()\n"
		"end)\n"
		"for i = 1, 100 do local v, ok = ch:receive() assert(v == i and ok == true) "
		"end\n"
		"assert(ch:receive() == 'a\\0b') assert(ch:receive() == 2.5)\n"
		"local v, ok = ch:receive() assert(v == false and ok == true)\n"
		"v, ok = ch:receive() assert(v == nil and ok == true)\n"
		"v = ch:receive() assert(v.self == v and v.x[2] == 2)\n"
		"assert(ch:receive()(1) == 2) assert(ch:receive() == string.format)\n"
		"v, ok = ch:receive() assert(v == nil and ok == false)\n"
		"v, ok = ch:receive() assert(v == nil and ok == false)");
}
END_TEST

START_TEST(without_capacity_a_send_waits_for_its_receiver)
{
	task_run(&run, "local ch = goroutine.channel()\n"
		       "goroutine.spawn(function() ch:send('x') log.info('sent') end)\n"
		       "goroutine.sleep(20) log.info('now') assert(ch:len() == 0)\n"
		       "assert(ch:receive() == 'x') goroutine.sleep(20)\n"
		       "goroutine.spawn(function() goroutine.sleep(10) ch:send('y') end)\n"
		       "assert(ch:receive() == 'y')");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "now\nsent\n");
	task_finish(&run);
}
END_TEST

START_TEST(a_full_channel_makes_senders_wait_in_line)
{
	task_run_in_turn(&run, "local ch = goroutine.channel(1) ch:send(0)\n"
			       "for i = 1, 20 do goroutine.spawn(function() ch:send(i) end) "
			       "goroutine.sleep(0) end\n"
			       "for i = 0, 20 do log.info(ch:receive()) end\n"
			       "assert(select(2, ch:try_receive()) == false)");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert(strncmp(run.log.data, "0\ttrue\n1\ttrue\n2\ttrue\n", 21) == 0);
	task_seen(&run, ": 19\ttrue\n");
	task_finish(&run);
}
END_TEST

START_TEST(a_place_that_gets_free_is_for_who_waits_to_send)
{
	task_ok("local ch = goroutine.channel(2) ch:send(1) ch:send(2)\n"
		"for i = 3, 30 do\n"
		"  local h = goroutine.async(function() return ch:send(i) end)\n"
		"  assert(not goroutine.await(h, 1)) assert(ch:receive() == i - 2)\n"
		"  assert(select(2, goroutine.await(h)) == true and ch:len() == 2)\n"
		"end");
}
END_TEST

START_TEST(receivers_are_served_in_line)
{
	task_run_in_turn(&run, "local ch = goroutine.channel()\n"
			       "for i = 1, 5 do goroutine.spawn(function()\n"
			       "  log.info(i, (ch:receive())) end) goroutine.sleep(0) end\n"
			       "for v = 1, 5 do ch:send(v) end");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	ck_assert_str_eq(run.log.data, "1\t1\n2\t2\n3\t3\n4\t4\n5\t5\n");
	task_finish(&run);
}
END_TEST

START_TEST(try_send_and_try_receive_never_wait)
{
	task_ok("local ch = goroutine.channel(2)\n"
		"assert(ch:cap() == 2 and ch:len() == 0 and ch:is_closed() == false)\n"
		"assert(ch:try_send('a') == true and ch:try_send('b') == true)\n"
		"assert(ch:try_send('c') == false and ch:len() == 2)\n"
		"local v, ok = ch:try_receive() assert(v == 'a' and ok == true)\n"
		"ch:close() assert(ch:is_closed() == true)\n"
		"v, ok = ch:try_receive() assert(v == 'b' and ok == true)\n"
		"v, ok = ch:try_receive() assert(v == nil and ok == false)\n"
		"local u = goroutine.channel() assert(u:cap() == 0 and u:try_send(1) == "
		"false)\n"
		"goroutine.spawn(function() assert(u:receive() == 7) end)\n"
		"while not u:try_send(7) do goroutine.sleep(1) end\n"
		"goroutine.spawn(function() u:send(8) end) local v, ok\n"
		"repeat goroutine.sleep(1) v, ok = u:try_receive() until ok assert(v == 8)");
}
END_TEST

START_TEST(misuse_raises_and_says_what)
{
	static const char *const rows[][2] = {
		{"goroutine.channel(-1)", "bad argument #1 to 'channel' (the capacity must be "
					  "from 0 to 1048576, not -1)"},
		{"goroutine.channel(1e9)",
			"bad argument #1 to 'channel' (the capacity must be from 0 to 1048576, "
			"not 1000000000)"},
		{"goroutine.channel('x')",
			"bad argument #1 to 'channel' (number expected, got string)"},
		{"goroutine.channel(1, 'up')",
			"bad argument #2 to 'channel' (invalid option 'up')"},
		{"goroutine.channel(1):send()", "bad argument #1 to 'send' (value expected)"},
		{"goroutine.channel_send(5, 1)",
			"bad argument #1 to 'channel_send' (channel expected, got number)"},
		{"local ch = goroutine.channel(1) ch:close() ch:send(1)",
			"send on a closed channel"},
		{"local ch = goroutine.channel(1) ch:close() ch:try_send(1)",
			"send on a closed channel"},
		{"local ch = goroutine.channel()\n"
		 "goroutine.spawn(function() goroutine.sleep(10) ch:close() end) ch:send(1)",
			"send on a closed channel"},
		{"goroutine.channel(1, 'receive'):send(1)",
			"send to a channel that is for receiving only"},
		{"goroutine.channel(1, 'send'):receive()",
			"receive from a channel that is for sending only"},
		{"goroutine.channel(1, 'send'):range(print)",
			"receive from a channel that is for sending only"},
		{"goroutine.channel(1, 'receive'):close()",
			"close of a channel that is for receiving only"},
		{"goroutine.channel(1):range(1)",
			"bad argument #1 to 'range' (function expected, got number)"},
		{"goroutine.channel(1):send(io.tmpfile())",
			"cannot send value through a channel: open file"},
		{"local ch = goroutine.channel(1) ch:send(nil) for v in ch:iter() do end",
			"nil was sent: a loop over ch:iter() would end at it; use ch:range() "
			"or ch:receive()"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		task_raises(rows[i][0], rows[i][1]);
	task_ok("local ch = goroutine.channel() assert(ch:close() == true)\n"
		"local ok, e = ch:close()\n"
		"assert(ok == false and e == 'the channel is closed already')");
}
END_TEST

START_TEST(range_and_iter_end_when_it_is_closed)
{
	task_ok("local function filled()\n"
		"  local ch = goroutine.channel(2)\n"
		"  goroutine.spawn(function() for i = 1, 50 do ch:send(i) end ch:close() end)\n"
		"  return ch\n"
		"end\n"
		"local sum, n = 0, 0\n"
		"filled():range(function(v) sum = sum + v\n"
		"  if v % 10 == 0 then goroutine.sleep(1) end return v end)\n"
		"assert(sum == 1275)\n"
		"for v in filled():iter() do n = n + 1 assert(v == n) end assert(n == 50)\n"
		"local ok, e = pcall(function() filled():range(function(v) error('at ' .. v, "
		"0) end) end)\n"
		"assert(not ok and e == 'at 1', e)\n"
		"goroutine.channel_range(filled(), function(v) n = n + v end) assert(n == "
		"1325)");
}
END_TEST

START_TEST(range_waits_where_lua_cannot_yield)
{
	task_ok("local ch, n = goroutine.channel(), 0\n"
		"goroutine.spawn(function() for i = 1, 3000 do ch:send(i) end ch:close() end)\n"
		"table.sort({2, 1}, function(a, b)\n"
		"  ch:range(function(v) n = n + 1 end) return a < b end)\n"
		"assert(n == 3000, n)");
}
END_TEST

START_TEST(the_twins_do_the_same)
{
	task_ok("local g = goroutine local ch = g.channel(2)\n"
		"assert(g.channel_send(ch, 1) and g.channel_try_send(ch, 2))\n"
		"assert(g.channel_len(ch) == 2 and g.channel_cap(ch) == 2)\n"
		"assert(g.channel_receive(ch) == 1 and g.channel_try_receive(ch) == 2)\n"
		"assert(g.channel_close(ch) and g.channel_is_closed(ch))\n"
		"for v in g.channel_iter(ch) do error() end");
}
END_TEST

START_TEST(closing_wakes_all_who_wait)
{
	task_ok("local ch, wg = goroutine.channel(), goroutine.wait_group()\n"
		"wg:add(20)\n"
		"for i = 1, 20 do goroutine.spawn(function()\n"
		"  local v, ok = ch:receive() assert(v == nil and ok == false) wg:done() end) "
		"end\n"
		"goroutine.sleep(10) ch:close() wg:wait()\n"
		"local full = goroutine.channel() wg:add(20)\n"
		"for i = 1, 20 do goroutine.spawn(function()\n"
		"  local ok, e = pcall(full.send, full, i)\n"
		"  assert(not ok and e == 'send on a closed channel', e) wg:done() end) end\n"
		"goroutine.sleep(10) full:close() wg:wait()");
}
END_TEST

START_TEST(channels_go_through_channels)
{
	task_ok("local ch = goroutine.channel(1)\n"
		"goroutine.spawn(function() local reply = ch:receive() reply:send(42) end)\n"
		"local reply = goroutine.channel() ch:send(reply) assert(reply:receive() == "
		"42)\n"
		"ch:send(ch) assert(ch:receive() == ch)\n"
		"ch:send({ch, reply})"); /* left in itself: the leak checker looks */
}
END_TEST

START_TEST(a_long_chain_of_channels_is_freed)
{
	task_ok("local last\n"
		"for i = 1, 20000 do\n"
		"  local ch = goroutine.channel(1) if last then ch:send(last) end last = ch\n"
		"end last = nil collectgarbage()");
}
END_TEST

START_TEST(messages_weigh_in_the_tasks_memory)
{
	struct sl_runtime_config config = {.threads = 2, .task_memory_bytes = 64 << 20};

	task_run_with(&run, &config,
		"local ch = goroutine.channel(1000000)\n"
		"local s = ('x'):rep(1 << 20)\n"
		"local ok, e = pcall(function() for i = 1, 1000 do ch:send(s) end end)\n"
		"assert(not ok and e:find('not enough memory'), e)\n"
		"assert(ch:len() > 10 and ch:len() < 64)\n"
		"while ch:len() > 0 do ch:receive() collectgarbage() end\n"
		"ch:send(s)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s %s", run.message, run.error);
	task_finish(&run);
}
END_TEST

START_TEST(a_wait_that_is_stopped_takes_nothing)
{
	task_ok("local ch = goroutine.channel()\n"
		"for i = 1, 30 do\n"
		"  local ok, e = goroutine.timeout(2, function() return ch:receive() end)\n"
		"  assert(not ok and e == 'timeout exceeded')\n"
		"  ok, e = goroutine.timeout(2, function() ch:send('lost') end)\n"
		"  assert(not ok and e == 'timeout exceeded')\n"
		"end\n"
		"assert(select(2, ch:try_receive()) == false)\n"
		"goroutine.spawn(function() ch:send('x') end)\n"
		"assert(ch:receive() == 'x')");
}
END_TEST

START_TEST(a_deadlock_names_the_channel)
{
	task_run(&run, "goroutine.channel():receive()");
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_msg(strstr(run.error, "deadlock: all goroutines are asleep; goroutine 0 "
					"waits for a channel (to receive)") ||
			      strstr(run.error,
				      "deadlock: all goroutines are asleep; goroutine 1 waits "
				      "for a channel (to receive)"),
		"%s", run.error);
	task_finish(&run);
}
END_TEST

START_TEST(every_value_arrives_exactly_once)
{
	static const char body[] =
		"local seed = %d math.randomseed(seed)\n"
		"local P, C, N = math.random(1, 12), math.random(1, 12), 300\n"
		"local ch, out = goroutine.channel(math.random(0, 5)), goroutine.channel(16)\n"
		"local producers, consumers = goroutine.wait_group(), goroutine.wait_group()\n"
		"producers:add(P) consumers:add(C)\n"
		"for p = 1, P do goroutine.spawn(function()\n"
		"  math.randomseed(seed, p)\n"
		"  for i = 1, N do\n"
		"    local v = p * 1000 + i\n"
		"    if math.random(3) > 1 or not ch:try_send(v) then ch:send(v) end\n"
		"    if math.random(20) == 1 then goroutine.sleep(math.random() / 5) end\n"
		"  end producers:done() end) end\n"
		"for c = 1, C do goroutine.spawn(function()\n"
		"  math.randomseed(seed, -c)\n"
		"  while true do\n"
		"    local v, ok\n"
		"    if math.random(3) == 1 then v, ok = ch:try_receive() end\n"
		"    if not ok then v, ok = ch:receive() end\n"
		"    if not ok then break end\n"
		"    out:send(v)\n"
		"  end consumers:done() end) end\n"
		"goroutine.spawn(function() producers:wait() ch:close() consumers:wait() "
		"out:close() end)\n"
		"local seen, n = {}, 0\n"
		"for v in out:iter() do assert(not seen[v], v) seen[v] = true n = n + 1 end\n"
		"assert(n == P * N, n)\n"
		"for p = 1, P do for i = 1, N do assert(seen[p * 1000 + i]) end end";
	char text[sizeof(body) + 16];

	for (int seed = 1; seed <= 6; seed++) {
		snprintf(text, sizeof(text), body, seed);
		task_ok(text);
	}
}
END_TEST

/* ---- without Lua ---- */

enum {
	N_SENDERS = 4,
	N_RECEIVERS = 4,
	N_EACH = 2000,
};

static struct sl_channel *channel;
static _Atomic int arrived[N_SENDERS * N_EACH], n_left, n_wrong;

/* Sends, until it is done. */
static void send_integer(int64_t integer)
{
	struct sl_message *message = calloc(1, sizeof(*message));
	enum sl_channel_answer answer;

	message->value = (struct sl_value){.kind = SL_VALUE_INTEGER, .integer = integer};
	while ((answer = sl_channel_try_send(channel, NULL, message)) == SL_CHANNEL_BUSY)
		sched_yield();
	if (answer != SL_CHANNEL_DONE)
		atomic_fetch_add(&n_wrong, 1);
}

static void *send_many(void *arg)
{
	int64_t first = (int64_t)(intptr_t)arg * N_EACH;

	for (int i = 0; i < N_EACH; i++)
		send_integer(first + i);
	if (atomic_fetch_sub(&n_left, 1) == 1 && !sl_channel_close(channel))
		atomic_fetch_add(&n_wrong, 1);
	return NULL;
}

/* The values of each sender come in order. */
static void *receive_many(void *arg)
{
	int64_t last[N_SENDERS] = {-1, -1, -1, -1};
	enum sl_channel_answer answer;
	struct sl_message *message;

	(void)arg;
	while ((answer = sl_channel_try_receive(channel, NULL, &message)) !=
		SL_CHANNEL_CLOSED) {
		int64_t value;

		if (sl_channel_length(channel) > sl_channel_capacity(channel))
			atomic_fetch_add(&n_wrong, 1);
		if (answer == SL_CHANNEL_BUSY) {
			sched_yield();
			continue;
		}
		value = message->value.integer;
		if (value <= last[value / N_EACH])
			atomic_fetch_add(&n_wrong, 1);
		last[value / N_EACH] = value;
		atomic_fetch_add(&arrived[value], 1);
		sl_message_free(message);
	}
	return NULL;
}

START_TEST(threads_lose_and_double_nothing)
{
	struct sl_runtime_config config = {.threads = 1};
	pthread_t threads[N_SENDERS + N_RECEIVERS];

	task_prepare(&run, &config, "");
	channel = sl_channel_new(run.runtime, 3, SL_CHANNEL_BOTH, 0);
	ck_assert_ptr_nonnull(channel);
	n_left = N_SENDERS;
	for (intptr_t i = 0; i < N_SENDERS + N_RECEIVERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
					 i < N_SENDERS ? send_many : receive_many, (void *)i),
			0);
	for (int i = 0; i < N_SENDERS + N_RECEIVERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(n_wrong, 0);
	for (int i = 0; i < N_SENDERS * N_EACH; i++)
		ck_assert_int_eq(arrived[i], 1);
	sl_handle_unref(sl_channel_handle(channel));
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("lua/channel", threads_lose_and_double_nothing, values_arrive_in_order_and_whole,
	without_capacity_a_send_waits_for_its_receiver,
	a_full_channel_makes_senders_wait_in_line,
	a_place_that_gets_free_is_for_who_waits_to_send, receivers_are_served_in_line,
	try_send_and_try_receive_never_wait, misuse_raises_and_says_what,
	range_and_iter_end_when_it_is_closed, range_waits_where_lua_cannot_yield,
	the_twins_do_the_same, closing_wakes_all_who_wait, channels_go_through_channels,
	a_long_chain_of_channels_is_freed, messages_weigh_in_the_tasks_memory,
	a_wait_that_is_stopped_takes_nothing, a_deadlock_names_the_channel,
	every_value_arrives_exactly_once)
