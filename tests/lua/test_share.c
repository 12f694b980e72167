/* SPDX-License-Identifier: MIT */

/*
 * What goroutines captured in common is merged where they meet.
 */

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

START_TEST(keys_of_a_captured_table_arrive_from_all_sides)
{
	task_ok("local wg, results = goroutine.wait_group(), {kept = 1}\n"
		"wg:add(3)\n"
		"goroutine.spawn(function() goroutine.sleep(6) results.download = 'OK' "
		"wg:done() end)\n"
		"goroutine.spawn(function() goroutine.sleep(4) results.process = 'OK' "
		"wg:done() end)\n"
		"goroutine.spawn(function() goroutine.sleep(2) results.upload = 'OK'\n"
		"  results.kept = nil wg:done() end)\n"
		"wg:wait()\n"
		"assert(results.download == 'OK' and results.process == 'OK' and "
		"results.upload == 'OK')\n"
		"assert(results.kept == nil)");
}
END_TEST

START_TEST(captured_locals_are_merged)
{
	task_ok("local n, s = 0, 'x'\n"
		"assert(goroutine.await(goroutine.async(function() n = n + 1 s = s .. n "
		"end)))\n"
		"assert(n == 1 and s == 'x1', n)\n"
		"goroutine.await(goroutine.async(function() n = n + 1 end)) assert(n == 2)\n"
		"n = 10\n"
		"local h = goroutine.async(function() n = n * 2 return n end)\n"
		"local _, v = goroutine.await(h) assert(v == 20 and n == 20)");
}
END_TEST

START_TEST(what_the_parent_assigns_reaches_the_child)
{
	task_ok("local ready, t, go = false, {}, goroutine.wait_group() go:add()\n"
		"local h = goroutine.async(function() local before = ready go:wait()\n"
		"  return before, ready, t.x end)\n"
		"ready = true t.x = 'late' go:done()\n"
		"local _, before, after, x = goroutine.await(h)\n"
		"assert(before == false and after == true and x == 'late')");
}
END_TEST

START_TEST(nested_tables_and_new_ones_travel)
{
	task_ok("local t, wg = {list = {1, 2}, deep = {a = {b = {}}}}, goroutine.wait_group()\n"
		"local list, b = t.list, t.deep.a.b wg:add(2)\n"
		"goroutine.spawn(function() t.list[3] = 3 t.deep.a.b.c = 'deep' wg:done() "
		"end)\n"
		"goroutine.spawn(function() t.new = {inner = {n = 1}} t.new.self = t.new\n"
		"  t.new.list = t.list wg:done() end)\n"
		"wg:wait()\n"
		"assert(#list == 3 and b.c == 'deep' and t.list == list)\n"
		"assert(t.new.inner.n == 1 and t.new.self == t.new and t.new.list == list)\n"
		"local h = goroutine.async(function() t.new.inner.n = t.new.inner.n + 1 end)\n"
		"goroutine.await(h) assert(t.new.inner.n == 2)");
}
END_TEST

START_TEST(table_keys_functions_and_metatables_travel)
{
	task_ok("local t, key = {}, {name = 'key'} t[key] = 1\n"
		"goroutine.await(goroutine.async(function() t[key] = 2 t.f = function() return "
		"'f' end\n"
		"  t.s = string t.up = string.upper\n"
		"  t.o = setmetatable({v = 1}, {__index = function(_, k) return k .. '!' end}) "
		"end))\n"
		"assert(t[key] == 2 and t.f() == 'f' and t.s == string and t.up == "
		"string.upper)\n"
		"assert(t.o.v == 1 and t.o.x == 'x!')");
}
END_TEST

START_TEST(two_closures_over_one_local_stay_so)
{
	task_ok("local n = 0 local function inc() n = n + 1 end local function get() return n "
		"end\n"
		"goroutine.await(goroutine.async(function() inc() inc() assert(get() == 2) "
		"end))\n"
		"assert(n == 2 and get() == 2) inc()\n"
		"goroutine.await(goroutine.async(function() assert(get() == 3) inc() end))\n"
		"assert(get() == 4)");
}
END_TEST

START_TEST(a_captured_table_that_comes_back_is_the_same_one)
{
	task_ok("local t, u = {}, {}\n"
		"local _, a, b = goroutine.await(goroutine.async(function()\n"
		"  t.x = 1 return t, {u} end))\n"
		"assert(a == t and b[1] == u and t.x == 1)\n"
		"local r = goroutine.await_all({goroutine.async(function() return u end)})\n"
		"assert(r[1].values[1] == u)");
}
END_TEST

START_TEST(arguments_are_copies)
{
	task_ok("local t = {n = 1}\n"
		"goroutine.await(goroutine.async(function(x) x.n = 2 end, t)) assert(t.n == "
		"1)");
}
END_TEST

START_TEST(globals_that_the_code_names_are_merged)
{
	task_ok("counter, table_of = 0, {}\n"
		"function bump() counter = counter + 1 table_of[counter] = 'x' end\n"
		"for i = 1, 5 do goroutine.await(goroutine.async(function() bump() end)) end\n"
		"assert(counter == 5 and #table_of == 5, counter)");
}
END_TEST

START_TEST(one_that_dies_publishes_nothing)
{
	task_ok("local t, n = {}, 1\n"
		"goroutine.await(goroutine.async(function() t.x = 1 n = 2 error('e') end))\n"
		"assert(t.x == nil and n == 1)\n"
		"goroutine.timeout(10, function() t.y = 1 goroutine.sleep(10000) end)\n"
		"assert(t.y == nil)\n"
		"goroutine.timeout(10000, function() t.y = 2 end) assert(t.y == 2)\n"
		"goroutine.await(goroutine.async(function() t.z = 1 return nil, 'failed' "
		"end))\n"
		"assert(t.z == 1)");
}
END_TEST

START_TEST(pool_tasks_fill_what_they_captured)
{
	task_ok("local out, sum = {}, 0 goroutine.pool_create('p', {workers = 4, stream = "
		"false})\n"
		"for i = 1, 200 do goroutine.pool_submit('p', function() out[i] = {n = i * i} "
		"end) end\n"
		"goroutine.pool_wait('p') goroutine.pool_close('p')\n"
		"for i = 1, 200 do assert(out[i] and out[i].n == i * i, 'no ' .. i) end");
}
END_TEST

START_TEST(a_later_release_wins_and_values_are_whole)
{
	task_ok("local t = {v = {a = 0, b = 0}} local wg = goroutine.wait_group() wg:add(20)\n"
		"goroutine.spawn_many(20, function(id) t.v = {a = id, b = id} wg:done() end)\n"
		"wg:wait() assert(t.v.a == t.v.b and t.v.a >= 1)");
}
END_TEST

START_TEST(generations_pass_it_on)
{
	task_ok("local t = {n = 0}\n"
		"local function down(k) t.n = t.n + 1\n"
		"  if k > 0 then assert(goroutine.await(goroutine.async(down, k - 1))) end "
		"end\n"
		"assert(goroutine.await(goroutine.async(down, 9))) assert(t.n == 10, t.n)");
}
END_TEST

START_TEST(loops_keep_their_own_variables)
{
	task_ok("local h, out = {}, {}\n"
		"for i = 1, 100 do local name = 'n' .. i\n"
		"  h[i] = goroutine.async(function() out[name] = i return name .. i end) end\n"
		"for i, r in ipairs(goroutine.await_all(h)) do assert(r.values[1] == 'n' .. i "
		".. i)\n"
		"  assert(out['n' .. i] == i) end");
}
END_TEST

START_TEST(a_counter_under_a_mutex_counts_exactly)
{
	task_ok("local mu, wg, n = goroutine.mutex(), goroutine.wait_group(), 0 wg:add(20)\n"
		"for g = 1, 20 do goroutine.spawn(function()\n"
		"  for i = 1, 100 do mu:lock() n = n + 1 mu:unlock() end wg:done() end) end\n"
		"wg:wait() assert(n == 2000, n)");
}
END_TEST

START_TEST(a_bounded_queue_under_mutex_and_cond_loses_nothing)
{
	task_ok("local mu = goroutine.mutex() local changed = goroutine.cond(mu)\n"
		"local queue, out, wg = {}, {}, goroutine.wait_group() wg:add(6)\n"
		"for p = 1, 3 do goroutine.spawn(function() for i = 1, 40 do\n"
		"  mu:lock() while #queue >= 4 do changed:wait() end\n"
		"  queue[#queue + 1] = {p = p, i = i} changed:broadcast() mu:unlock() end "
		"wg:done() end) end\n"
		"for c = 1, 3 do goroutine.spawn(function() for i = 1, 40 do\n"
		"  mu:lock() while #queue == 0 do changed:wait() end\n"
		"  local x = table.remove(queue, 1) out[x.p * 100 + x.i] = (out[x.p * 100 + "
		"x.i] or 0) + 1\n"
		"  changed:broadcast() mu:unlock() end wg:done() end) end\n"
		"wg:wait() local n = 0 for _, v in pairs(out) do assert(v == 1) n = n + 1 end\n"
		"assert(n == 120 and #queue == 0, n)");
}
END_TEST

START_TEST(channels_and_atomics_are_meetings)
{
	task_ok("local ch, t, ready = goroutine.channel(), {}, goroutine.atomic_int(0)\n"
		"goroutine.spawn(function() t.x = 1 ch:send(t) t.y = 2 ready:store(1) end)\n"
		"local got = ch:receive() assert(got == t and t.x == 1)\n"
		"while ready:load() == 0 do goroutine.sleep(1) end assert(t.y == 2)\n"
		"local done = goroutine.channel()\n"
		"goroutine.spawn(function() t.z = 3 done:close() end)\n"
		"done:receive() assert(t.z == 3)");
}
END_TEST

START_TEST(once_and_semaphores_are_meetings)
{
	task_ok("local once, conf, wg = goroutine.once(), {}, goroutine.wait_group() "
		"wg:add(10)\n"
		"local sem, sum = goroutine.semaphore(1), 0\n"
		"for i = 1, 10 do goroutine.spawn(function()\n"
		"  once:call(function() conf.n = (conf.n or 0) + 1 end) assert(conf.n == 1)\n"
		"  sem:acquire() sum = sum + i sem:release() wg:done() end) end\n"
		"wg:wait() assert(conf.n == 1 and sum == 55, sum)");
}
END_TEST

START_TEST(whatever_is_done_in_turn_arrives)
{
	task_ok("local mu, t, ops, wg = goroutine.mutex(), {}, {}, goroutine.wait_group()\n"
		"for i = 1, 40 do t[i] = i t['key' .. i] = i end\n"
		"local long = string.rep('long', 20)\n"
		"local function key(r) local k = r(12)\n"
		"  local kinds = {k, -k, k + 0.5, 'key' .. r(40), long .. k, k % 2 == 0, "
		"r(60), "
		"1 << 40 | k}\n"
		"  return kinds[r(#kinds)] end\n"
		"local function value(r, i) local kinds = {i, i + 0.5, 'v' .. i, long .. i, i "
		"% 2 "
		"== 0, {n = i}}\n"
		"  return kinds[r(8)] end\n"
		"wg:add(6)\n"
		"for g = 1, 6 do goroutine.spawn(function()\n"
		"  math.randomseed(g) local r = math.random\n"
		"  for i = 1, 150 do\n"
		"    t['own' .. g] = i\n"
		"    mu:lock()\n"
		"    for n = 1, r(3) do local k, v = key(r), value(r, g * 1000 + i)\n"
		"      t[k] = v ops[#ops + 1] = {k = k, v = v} end\n"
		"    if r(4) == 1 then collectgarbage() end\n"
		"    mu:unlock() if r(5) == 1 then collectgarbage('step') end end\n"
		"  wg:done() end) end wg:wait()\n"
		"local want = {} for i = 1, 40 do want[i] = i want['key' .. i] = i end\n"
		"for _, op in ipairs(ops) do want[op.k] = op.v end\n"
		"for g = 1, 6 do want['own' .. g] = 150 end\n"
		"local function same(a, b) return a == b or type(a) == 'table' and type(b) == "
		"'table'\n"
		"  and a.n == b.n end\n"
		"assert(#ops >= 6 * 150, #ops)\n"
		"for k, v in pairs(want) do assert(same(t[k], v), tostring(k)) end\n"
		"for k, v in pairs(t) do assert(same(want[k], v), tostring(k)) end");
}
END_TEST

START_TEST(a_value_that_took_the_place_of_another_is_told_apart)
{
	task_ok("local mu, t = goroutine.mutex(), {keep = 1}\n"
		"local h = goroutine.async(function() local seen = 0\n"
		"  for i = 1, 300 do mu:lock() t.x = {i} mu:unlock()\n"
		"    mu:lock() t.x = nil mu:unlock() collectgarbage()\n"
		"    mu:lock() t.x = {-i} mu:unlock()\n"
		"    goroutine.await(goroutine.async(function() assert(t.x[1] == -i, t.x[1]) "
		"end)) "
		"end\n"
		"  return 'all' end)\n"
		"local ok, v = goroutine.await(h) assert(ok and v == 'all', v) assert(t.x[1] "
		"== "
		"-300)");
}
END_TEST

START_TEST(what_comes_in_beside_a_change_of_ones_own_stays)
{
	task_ok("local mu, t = goroutine.mutex(), {}\n"
		"for i = 1, 100 do t[i] = 0 end\n"
		"local go, back = goroutine.channel(), goroutine.channel()\n"
		"goroutine.spawn(function() for i = 1, 100 do\n"
		"  go:receive() mu:lock() t[i] = t[i] + 1 t.a = {i} mu:unlock() back:send(i) "
		"end "
		"end)\n"
		"for i = 1, 100 do\n"
		"  t.mine = {i} go:send(i) t[101 - i] = t[101 - i] + 1 collectgarbage() "
		"back:receive()\n"
		"  assert(t.a[1] == i and t.mine[1] == i) t.other = i mu:lock() assert(t.other "
		"== "
		"i) mu:unlock() end\n"
		"for i = 1, 100 do assert(t[i] >= 1 and t[i] <= 2, t[i]) end assert(t.other == "
		"100)");
}
END_TEST

START_TEST(a_release_of_many_changes_arrives)
{
	task_ok("local mu, t, wg = goroutine.mutex(), {}, goroutine.wait_group() wg:add(2)\n"
		"for i = 1, 500 do t['k' .. i] = 0 end\n"
		"for g = 1, 2 do goroutine.spawn(function() for n = 1, 10 do mu:lock()\n"
		"  for i = 1, 500 do t['k' .. i] = t['k' .. i] + 1 end mu:unlock() end "
		"wg:done() "
		"end) end\n"
		"wg:wait() for i = 1, 500 do assert(t['k' .. i] == 20) end");
}
END_TEST

SL_CHECK_MAIN("share", keys_of_a_captured_table_arrive_from_all_sides,
	captured_locals_are_merged, what_the_parent_assigns_reaches_the_child,
	nested_tables_and_new_ones_travel, table_keys_functions_and_metatables_travel,
	two_closures_over_one_local_stay_so, a_captured_table_that_comes_back_is_the_same_one,
	arguments_are_copies, globals_that_the_code_names_are_merged,
	one_that_dies_publishes_nothing, pool_tasks_fill_what_they_captured,
	a_later_release_wins_and_values_are_whole, generations_pass_it_on,
	loops_keep_their_own_variables, a_counter_under_a_mutex_counts_exactly,
	a_bounded_queue_under_mutex_and_cond_loses_nothing, channels_and_atomics_are_meetings,
	once_and_semaphores_are_meetings, whatever_is_done_in_turn_arrives,
	a_value_that_took_the_place_of_another_is_told_apart,
	what_comes_in_beside_a_change_of_ones_own_stays, a_release_of_many_changes_arrives)
