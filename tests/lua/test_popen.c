/* SPDX-License-Identifier: MIT */

/*
 * io.popen() and named pipes: what standard Lua makes of them, and that nobody's thread waits.
 */

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

START_TEST(output_is_read_in_each_format)
{
	task_ok("local f = assert(io.popen('echo one; echo two; printf \"12 0x1f "
		"1.5z\\nrest\\nend\"'))\n"
		"assert(io.type(f) == 'file' and tostring(f):find('^file %('))\n"
		"assert(f:read() == 'one' and f:read('L') == 'two\\n')\n"
		"local a, b, c = f:read('n', 'n', 'n')\n"
		"assert(a == 12 and b == 31 and c == 1.5)\n"
		"assert(f:read(1) == 'z' and f:read('l') == '' and f:read(2) == 're')\n"
		"assert(f:read('a') == 'st\\nend' and f:read('a') == '' and f:read('l') == "
		"nil)\n"
		"assert(f:read(0) == nil)\n"
		"local ok, how, code = f:close()\n"
		"assert(ok == true and how == 'exit' and code == 0)\n"
		"assert(io.type(f) == 'closed file' and not pcall(f.read, f))\n"
		"assert(not pcall(f.close, f))");
}
END_TEST

START_TEST(lines_go_by_as_they_come)
{
	task_ok("local n, f = 0, io.popen('for i in 1 2 3; do echo line $i; sleep 0.05; "
		"done')\n"
		"for line in f:lines() do n = n + 1 assert(line == 'line ' .. n) end\n"
		"assert(n == 3 and f:close())\n"
		"f = io.popen('printf aabbcc')\n"
		"local t = {} for s in f:lines(2) do t[#t + 1] = s end\n"
		"assert(table.concat(t, ' ') == 'aa bb cc' and f:close())");
}
END_TEST

/* A number leaves a byte with the FILE, and a FILE with a buffer leaves many. */
START_TEST(formats_follow_each_other_in_any_order)
{
	task_ok("local f = io.popen('printf \"ab\\n\\n12 c\\nd\\nef\"')\n"
		"assert(f:read(1) == 'a' and f:read('*l') == 'b' and f:read('L') == '\\n')\n"
		"assert(f:read('n') == 12 and f:read() == ' c' and select(2, f:read('l', 1)) "
		"== 'e')\n"
		"f:close()\n"
		"f = io.popen('yes x | head -n 50000; echo 7e; printf last')\n"
		"for i = 1, 20000 do assert(f:read() == 'x') end\n"
		"f:setvbuf('full', 4096)\n"
		"for i = 1, 10000 do assert(f:read('l') == 'x') end\n"
		"assert(f:read(0) == '')\n"
		"for i = 1, 10000 do assert(f:read('L') == 'x\\n') end\n"
		"for i = 1, 10000 do assert(f:read(2) == 'x\\n') end\n"
		"assert(f:read('n') == nil and f:read() == '' and f:read() == 'last')\n"
		"assert(f:read() == nil and f:close())\n"
		"assert(not pcall(f.read, io.popen('echo'), 1.5))\n"
		"assert(not pcall(f.read, io.popen('echo'), nil))");
}
END_TEST

START_TEST(much_is_read_and_written_whole)
{
	task_ok("local f = io.popen('yes | head -n 1000000')\n"
		"assert(f:read('a') == ('y\\n'):rep(1000000) and f:close())\n"
		"local d = fs.tmp() local p = d .. '/x'\n"
		"f = io.popen('sleep 0.2; cat > ' .. p, 'w')\n"
		"local text = ('0123456789'):rep(100000)\n"
		"assert(f:write(text, 7, '\\0', 1.5) == f)\n"
		"assert(f:close() == true and fs.read(p) == text .. '7\\0001.5')\n"
		"fs.remove(d, {recursive = true})");
}
END_TEST

START_TEST(close_says_how_it_ended)
{
	task_ok("local ok, how, code = io.popen('exit 3'):close()\n"
		"assert(ok == nil and how == 'exit' and code == 3)\n"
		"ok, how, code = io.close(io.popen('kill -9 $$'))\n"
		"assert(ok == nil and how == 'signal' and code == 9)\n"
		"local f = io.popen('true', 'w') goroutine.sleep(100)\n"
		"local ok, e = f:write(('x'):rep(100000))\n"
		"assert(ok == nil and e:find('roken'), e)\n"
		"assert(not pcall(io.popen, 'true', 'rw'))\n"
		"do local f <close> = io.popen('exit 0') end");
}
END_TEST

START_TEST(those_that_wait_hold_no_thread)
{
	struct sl_runtime_config config = {.threads = 2};

	task_run_with(&run, &config,
		"local t, hs = os.clock(), {}\n"
		"for i = 1, 30 do hs[i] = goroutine.async(function()\n"
		"  local f = io.popen('sleep 0.5; echo x; sleep 0.5')\n"
		"  local s = f:read() return s, f:close() end) end\n"
		"for _, r in ipairs(goroutine.await_all(hs)) do\n"
		"  assert(r.values[1] == 'x' and r.values[2] == true) end\n"
		"t = os.clock() - t\n"
		"assert(t < 10, t)\n"
		"local n = tonumber(fs.read('/proc/self/status'):match('Threads:%s*(%d+)'))\n"
		"assert(n < 10, n)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

/* Whatever it waits in, and through whichever file. */
START_TEST(a_stopped_goroutine_takes_its_command_along)
{
	task_ok(NAP
		"local function command(mode) return io.popen(nap .. '; true', mode) end\n"
		"local text = ('x'):rep(1 << 18)\n"
		"for i, body in ipairs{\n"
		"  function() command():read() end,\n"
		"  function() command():close() end,\n"
		"  function() for l in command():lines() do end end,\n"
		"  function() command('w'):write(text) end,\n"
		"  function() local f = command('w') f:setvbuf('full', 1 << 20)\n"
		"    f:write(text) f:flush() end,\n"
		"  function() command('w'):close() end,\n"
		"  function() local f <close> = command() goroutine.sleep(1e9) end,\n"
		"  function() table.sort({2, 1}, function() command():read() end) end,\n"
		"  function() io.input(command()) io.read() end,\n"
		"  function() io.input(command()) for l in io.lines() do end end,\n"
		"  function() io.output(command('w')) io.write(text) end,\n"
		"  function() io.output(command('w')) io.close() end,\n"
		"  function() while true do pcall(function() command():read() end) end end,\n"
		"} do\n"
		"  local ok, e = goroutine.timeout(50, body)\n"
		"  assert(not ok and e == 'timeout exceeded', i .. tostring(e))\n"
		"end\n"
		"assert(naps() == '', naps())");
}
END_TEST

/* More than is fetched without a thread: the FILE waits for the rest, and can be stopped too.
 */
START_TEST(a_read_of_very_much_can_be_stopped)
{
	task_ok(NAP "local ok, e = goroutine.timeout(1000, function()\n"
		    "  io.popen('head -c 17000000 /dev/zero; ' .. nap):read('a') end)\n"
		    "assert(not ok and e == 'timeout exceeded')");
}
END_TEST

START_TEST(it_can_be_the_file_that_io_has_when_none_is_named)
{
	task_ok("io.input(io.popen('sleep 0.1; echo first; echo second; echo 3 4'))\n"
		"assert(io.read() == 'first' and io.read('L') == 'second\\n')\n"
		"for a, b in io.lines(nil, 'n', 'n') do assert(a == 3 and b == 4) break end\n"
		"assert(io.read('a') == '\\n')\n"
		"io.close(io.input())\n"
		"assert(not pcall(io.read))\n"
		"io.input(io.stdin)\n"
		"io.output(io.popen('exit 7', 'w'))\n"
		"assert(io.write('') == io.output())\n"
		"local ok, how, code = io.close()\n"
		"assert(not ok and how == 'exit' and code == 7)\n"
		"io.output(io.stdout)");
}
END_TEST

#define FIFO                                                                                   \
	"local place = fs.tmp() local p = place .. '/pipe'\n"                                  \
	"assert(os.execute('mkfifo ' .. p))\n"

START_TEST(a_named_pipe_that_nobody_writes_to_can_be_left)
{
	struct sl_runtime_config config = {.threads = 1};

	task_run_with(&run, &config,
		FIFO "for i, body in ipairs{\n"
		     "  function() io.open(p):read() end,\n"
		     "  function() local f <close> = io.open(p, 'rb') f:read('a') end,\n"
		     "  function() for l in io.lines(p) do end error('over') end,\n"
		     "  function() io.input(p) io.read('n') error('over') end,\n"
		     "  function() table.sort({2, 1}, function() io.open(p):read() end) end,\n"
		     "} do\n"
		     "  local others = goroutine.async(goroutine.sleep, 1)\n"
		     "  local ok, e = goroutine.timeout(50, function()\n"
		     "    goroutine.spawn(body)\n"
		     "    assert(goroutine.await(others)) goroutine.sleep(1e9) end)\n"
		     "  assert(not ok and e == 'timeout exceeded', i .. tostring(e))\n"
		     "end\n"
		     "fs.remove(place, {recursive = true})");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_str_eq(run.log.data ? run.log.data : "", "");
	task_finish(&run);
}
END_TEST

START_TEST(a_named_pipe_is_read_to_the_end_of_its_writer)
{
	struct sl_runtime_config config = {.threads = 1};

	task_run_with(&run, &config,
		FIFO "for i, body in ipairs{\n"
		     "  function() local f, t = io.open(p), {}\n"
		     "    for l in f:lines('L') do t[#t + 1] = l end\n"
		     "    assert(f:close() == true) return table.concat(t) end,\n"
		     "  function() local t = ''\n"
		     "    for l in io.lines(p, 'L') do t = t .. l end return t end,\n"
		     "  function() io.input(p) return io.read('L') .. io.read('a') end,\n"
		     "} do\n"
		     "  local h = goroutine.async(body)\n"
		     "  assert(exec.run('(echo a; sleep 0.1; echo b) > ' .. p).success)\n"
		     "  local ok, text = goroutine.await(h)\n"
		     "  assert(ok and text == 'a\\nb\\n', i .. tostring(text))\n"
		     "end\n"
		     "fs.remove(place, {recursive = true})");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

START_TEST(a_named_pipe_that_is_written_to_has_a_reader)
{
	task_ok(FIFO "local f, e = io.open(p, 'w')\n"
		     "assert(f == nil and e == p .. ': nobody reads from this pipe', e)\n"
		     "assert(not pcall(io.output, p))\n"
		     "f, e = io.open(p, 'r+') assert(f == nil and e:find('not both'), e)\n"
		     "assert(not pcall(io.open, p, 'rw'))\n"
		     "local h = goroutine.async(function()\n"
		     "  return exec.run({'cat', p}, {stream = false}).stdout end)\n"
		     "repeat goroutine.sleep(5) f = io.open(p, 'w') until f\n"
		     "local text = ('x'):rep(1 << 18)\n"
		     "assert(f:write(text, 1) == f and f:close() == true)\n"
		     "local ok, got = goroutine.await(h)\n"
		     "assert(ok and got == text .. '1')\n"
		     "fs.remove(place, {recursive = true})");
}
END_TEST

SL_CHECK_MAIN("popen", output_is_read_in_each_format, lines_go_by_as_they_come,
	formats_follow_each_other_in_any_order, much_is_read_and_written_whole,
	close_says_how_it_ended, those_that_wait_hold_no_thread,
	a_stopped_goroutine_takes_its_command_along, a_read_of_very_much_can_be_stopped,
	it_can_be_the_file_that_io_has_when_none_is_named,
	a_named_pipe_that_nobody_writes_to_can_be_left,
	a_named_pipe_is_read_to_the_end_of_its_writer,
	a_named_pipe_that_is_written_to_has_a_reader)
