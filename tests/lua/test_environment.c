/* SPDX-License-Identifier: MIT */

/*
 * A task's environment variables.
 */

#include <stdlib.h>

#include "lua/modules/environment.h"
#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

START_TEST(what_is_set_is_seen_by_the_task_and_what_it_starts)
{
	task_ok("assert(os.getenv('SLOTH_T') == nil)\n"
		"assert(os.setenv('SLOTH_T', 'one = 1') == true)\n"
		"assert(os.getenv('SLOTH_T') == 'one = 1')\n"
		"assert(exec.run('echo $SLOTH_T').stdout == 'one = 1\\n')\n"
		"assert(exec.run({'printenv', 'SLOTH_T'}).stdout == 'one = 1\\n')\n"
		"assert(io.popen('echo $SLOTH_T'):read('a') == 'one = 1\\n')\n"
		"assert(os.execute('[ \"$SLOTH_T\" = \"one = 1\" ]'))\n"
		"local seen\n"
		"goroutine.await(goroutine.async(function() seen = os.getenv('SLOTH_T') end))\n"
		"assert(seen == 'one = 1')\n"
		"os.setenv('SLOTH_T', 2) assert(os.getenv('SLOTH_T') == '2')\n"
		"os.setenv('SLOTH_T', '') assert(os.getenv('SLOTH_T') == '')");
}
END_TEST

START_TEST(what_is_removed_is_gone_wherever_it_came_from)
{
	setenv("SLOTH_OURS", "inherited", 1);
	task_ok("assert(os.getenv('SLOTH_OURS') == 'inherited')\n"
		"assert(exec.run('echo $SLOTH_OURS').stdout == 'inherited\\n')\n"
		"os.setenv('SLOTH_OURS')\n"
		"assert(os.getenv('SLOTH_OURS') == nil)\n"
		"assert(exec.run('echo ${SLOTH_OURS-none}').stdout == 'none\\n')\n"
		"os.setenv('SLOTH_OURS', 'again')\n"
		"assert(exec.run('echo $SLOTH_OURS').stdout == 'again\\n')\n"
		"os.setenv('SLOTH_OURS', nil) assert(os.getenv('SLOTH_OURS') == nil)\n"
		"assert(os.getenv('') == nil and os.getenv('SLOTH_OURS=again') == nil)");
	/* The next task begins anew, and the process itself never had it. */
	ck_assert_str_eq(getenv("SLOTH_OURS"), "inherited");
	task_ok("assert(os.getenv('SLOTH_OURS') == 'inherited')");
}
END_TEST

START_TEST(a_command_can_have_others)
{
	task_ok("os.setenv('SLOTH_A', 'a') os.setenv('SLOTH_B', 'b') os.setenv('SLOTH_C', "
		"'c')\n"
		"local r = exec.run('echo $SLOTH_A ${SLOTH_B-none} $SLOTH_C',\n"
		"  {env = {SLOTH_A = 'other', SLOTH_B = false}})\n"
		"assert(r.stdout == 'other none c\\n', r.stdout)\n"
		"assert(os.getenv('SLOTH_A') == 'a' and os.getenv('SLOTH_B') == 'b')\n"
		"local r = exec.run('env', {env = {SLOTH_A = 'x'}, stream = false})\n"
		"local _, n = r.stdout:gsub('SLOTH_A=', '') assert(n == 1)");
}
END_TEST

START_TEST(programs_are_found_along_the_path_that_was_set)
{
	task_ok("local place = fs.tmp() assert(fs.remove(place)) assert(fs.mkdir(place))\n"
		"local file = place .. '/sloth-here'\n"
		"assert(fs.write(file, '#!/bin/sh\\necho found $1\\n'))\n"
		"assert(os.execute('chmod +x ' .. file))\n"
		"assert(exec.run({'sloth-here'}).exit_code == 127)\n"
		"os.setenv('PATH', '/nowhere:' .. place .. ':' .. os.getenv('PATH'))\n"
		"assert(exec.run({'sloth-here', 'it'}).stdout == 'found it\\n')\n"
		"assert(exec.run({'sloth-here'}, {env = {PATH = '/nowhere'}}).exit_code == "
		"127)\n"
		"assert(os.execute('chmod -x ' .. file))\n"
		"assert(exec.run({'sloth-here'}).exit_code == 126)\n"
		"assert(fs.remove(place, {recursive = true}))");
}
END_TEST

START_TEST(new_directories_are_made_where_it_says)
{
	unsetenv("TMPDIR");
	task_ok("local place = fs.tmp() assert(place:find('^/tmp/sloth'), place)\n"
		"os.setenv('TMPDIR', place)\n"
		"local inner = fs.tmp() assert(fs.dirname(inner) == place, inner)\n"
		"os.setenv('TMPDIR', '/no/such') assert(not fs.tmp())\n"
		"assert(fs.remove(place, {recursive = true}))");
}
END_TEST

START_TEST(names_and_values_are_texts)
{
	task_raises(
		"os.setenv()", "bad argument #1 to 'setenv' (string expected, got no value)");
	task_raises("os.setenv('')", "bad argument #1 to 'setenv' (a variable has a name)");
	task_raises("os.setenv('A=B', 'c')", "bad argument #1 to 'setenv' (has a '=' in it)");
	task_raises(
		"os.setenv('A\\0B', 'c')", "bad argument #1 to 'setenv' (has a zero in it)");
	task_raises("os.setenv('A', 'b\\0')", "bad argument #2 to 'setenv' (has a zero in it)");
	task_raises("os.setenv('A', {})",
		"bad argument #2 to 'setenv' (string expected, got table)");
}
END_TEST

START_TEST(there_is_a_limit_to_them)
{
	task_ok("local ok, e = os.setenv('LONG', ('x'):rep(128 * 1024))\n"
		"assert(ok == nil and e:find('at most 128 KiB'), e)\n"
		"for i = 1, 4096 do assert(os.setenv('N' .. i, i)) end\n"
		"assert(os.setenv('N7', 'another'))\n"
		"local ok, e = os.setenv('N4097', 1)\n"
		"assert(ok == nil and e:find('4096'), e)\n"
		"for i = 1, 4096 do assert(os.getenv('N' .. i) == (i == 7 and 'another' or "
		"tostring(i))) end");
}
END_TEST

START_TEST(goroutines_set_them_at_the_same_time)
{
	task_ok("local hs = {}\n"
		"for i = 1, 8 do hs[i] = goroutine.async(function()\n"
		"  for n = 1, 200 do\n"
		"    os.setenv('SHARED', ('v'):rep(n)) os.setenv('G' .. i, n)\n"
		"    local v = os.getenv('SHARED')\n"
		"    assert(not v or v:find('^v+$')) assert(os.getenv('G' .. i) == "
		"tostring(n))\n"
		"    if n % 4 == 0 then os.setenv('SHARED') end\n"
		"  end\n"
		"end) end\n"
		"for i, r in ipairs(goroutine.await_all(hs)) do assert(r.success, r.error) "
		"end");
}
END_TEST

SL_CHECK_MAIN("environment", what_is_set_is_seen_by_the_task_and_what_it_starts,
	what_is_removed_is_gone_wherever_it_came_from, a_command_can_have_others,
	programs_are_found_along_the_path_that_was_set, new_directories_are_made_where_it_says,
	names_and_values_are_texts, there_is_a_limit_to_them,
	goroutines_set_them_at_the_same_time)
