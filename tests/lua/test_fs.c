/* SPDX-License-Identifier: MIT */
#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

/* Each has a directory d of its own, which it removes. */
#define IN_DIRECTORY(body)                                                                     \
	"local d = assert(fs.tmp())\n"                                                         \
	"local function f(...) return fs.join(d, ...) end\n" body                              \
	"\nassert(fs.remove(d, {recursive = true}) and not fs.exists(d))"

START_TEST(files_are_written_and_read_whole)
{
	task_ok(IN_DIRECTORY(
		"local text = ('x\\0y'):rep(100000)\n"
		"assert(fs.write(f'a', text)) assert(fs.read(f'a') == text)\n"
		"assert(fs.append(f'a', 'end')) assert(fs.append(f'n', 'new'))\n"
		"assert(fs.read(f'a') == text .. 'end' and fs.read(f'n') == 'new')\n"
		"assert(fs.write(f'a', '') and fs.read(f'a') == '')\n"
		"assert(fs.write('/dev/null', 'x') == true)\n"
		"assert(fs.stat('/dev/null').type == 'device')\n"
		"assert(fs == require('fs'))"));
}
END_TEST

START_TEST(a_write_keeps_mode_and_link_and_leaves_nothing_beside)
{
	task_ok(IN_DIRECTORY("assert(fs.write(f'a', '1'))\n"
			     "os.execute('chmod 640 ' .. f'a' .. '; ln -s a ' .. f'l')\n"
			     "assert(fs.write(f'l', '22'))\n"
			     "assert(fs.read(f'a') == '22' and fs.stat(f'a').mode == 416)\n"
			     "assert(fs.copy(f'a', f'c') and fs.stat(f'c').mode == 416)\n"
			     "os.execute('chmod 755 ' .. f'a')\n"
			     "assert(fs.copy(f'a', f'c') and fs.stat(f'c').mode == 493)\n"
			     "assert(table.concat(fs.list(d), ' ') == 'a c l')"));
}
END_TEST

/* A file that is written again and again is read by another one. */
START_TEST(a_write_is_seen_whole_or_not_at_all)
{
	task_ok(IN_DIRECTORY(
		"local p = f'a' assert(fs.write(p, ('a'):rep(200000)))\n"
		"local w = goroutine.async(function()\n"
		"  for i = 1, 50 do fs.write(p, (i % 2 == 0 and 'a' or 'b'):rep(200000))\n"
		"  end end)\n"
		"for i = 1, 200 do local s = fs.read(p)\n"
		"  assert(#s == 200000 and s == s:sub(1, 1):rep(200000)) end\n"
		"assert(goroutine.await(w))"));
}
END_TEST

START_TEST(directories_are_made_and_removed_with_all_in_them)
{
	task_ok(IN_DIRECTORY(
		"assert(fs.mkdir(f'a/b/c/')) assert(fs.mkdir(f'a/b/c'))\n"
		"assert(fs.write(f'a/b/x', '1') and fs.write(f'keep', '2'))\n"
		"os.execute('ln -s ' .. f'keep' .. ' ' .. f'a/b/l; ln -s ' .. d .. ' ' .. "
		"f'a/up')\n"
		"local ok, e = fs.remove(f'a') assert(ok == nil and e:find('not empty'), e)\n"
		"assert(fs.remove(f'a', {recursive = true}) and not fs.exists(f'a'))\n"
		"assert(fs.read(f'keep') == '2')\n"
		"ok, e = fs.mkdir(f'keep/x') assert(ok == nil and e:find('[Nn]ot a dir'), e)\n"
		"assert(fs.remove(f'keep') and #fs.list(d) == 0)"));
}
END_TEST

START_TEST(failures_are_nil_and_what_failed)
{
	task_ok(IN_DIRECTORY(
		"local p = f'none/x'\n"
		"for _, call in ipairs{{fs.read, p}, {fs.write, p, ''}, {fs.append, p, ''},\n"
		"    {fs.stat, p}, {fs.remove, p}, {fs.remove, p, {recursive = true}}, "
		"{fs.list, p},\n"
		"    {fs.copy, p, d}, {fs.rename, p, d}, {fs.read, d}, {fs.write, d, ''}} do\n"
		"  local v, e = call[1](table.unpack(call, 2))\n"
		"  assert(v == nil and e:find(d, 1, true), tostring(e))\n"
		"end\n"
		"assert(fs.exists(p) == false)\n"
		"assert(not pcall(fs.read, 'a\\0b') and not pcall(fs.write, 'a'))"));
}
END_TEST

START_TEST(globs_find_sorted)
{
	task_ok(IN_DIRECTORY(
		"for _, n in ipairs{'b.txt', 'a.txt', 'c.log'} do\n"
		"  fs.write(f(n), n) end\n"
		"local found = fs.glob(f'*.txt')\n"
		"assert(#found == 2 and found[1] == f'a.txt' and found[2] == f'b.txt')\n"
		"assert(#fs.glob(f'{a,c}.*') == 2 and #fs.glob(f'x*') == 0)\n"
		"assert(fs.rename(f'c.log', f'd.txt') and #fs.glob(f'*.txt') == 3)"));
}
END_TEST

START_TEST(paths_are_taken_apart_and_joined)
{
	task_ok("for _, t in ipairs{{'/a/b/c', 'c', '/a/b'}, {'a', 'a', '.'}, {'/a', 'a', "
		"'/'},\n"
		"    {'/', '/', '/'}, {'a/b/', 'b', 'a'}, {'a//b', 'b', 'a'}, {'', '', '.'}} "
		"do\n"
		"  assert(fs.basename(t[1]) == t[2], t[1])\n"
		"  assert(fs.dirname(t[1]) == t[3], t[1])\n"
		"end\n"
		"assert(fs.join('a', 'b', 'c') == 'a/b/c' and fs.join('a/', 'b') == 'a/b')\n"
		"assert(fs.join('a', '/b', 'c') == '/b/c' and fs.join('', 'a', '') == 'a')\n"
		"assert(fs.join() == '')");
}
END_TEST

/* Nobody is at the other end, and nobody waits for anybody. */
START_TEST(what_is_no_file_is_not_read_whole)
{
	task_ok(IN_DIRECTORY(
		"local p = f'pipe' assert(os.execute('mkfifo ' .. p))\n"
		"for path, kind in pairs{[p] = 'a pipe', ['/dev/zero'] = 'a device'} do\n"
		"  local s, e = fs.read(path)\n"
		"  local why = path .. ': it is ' .. kind .. ', not a file: io.open() is for "
		"that'\n"
		"  assert(s == nil and e == why, e)\n"
		"  s, e = fs.copy(path, f'copy') assert(s == nil and e == why, e)\n"
		"end\n"
		"for _, write in ipairs{fs.write, fs.append} do\n"
		"  local ok, e = write(p, 'x')\n"
		"  assert(ok == nil and e == p .. ': nobody reads from this pipe', e)\n"
		"end\n"
		"local f = io.open(p)\n"
		"assert(fs.write(p, 'a') and fs.append(p, 'b') and f:read(2) == 'ab')\n"
		"assert(not fs.write(p, ('x'):rep(1 << 20)))\n"
		"f:close()"));
}
END_TEST

SL_CHECK_MAIN("fs", files_are_written_and_read_whole,
	a_write_keeps_mode_and_link_and_leaves_nothing_beside,
	a_write_is_seen_whole_or_not_at_all, what_is_no_file_is_not_read_whole,
	directories_are_made_and_removed_with_all_in_them, failures_are_nil_and_what_failed,
	globs_find_sorted, paths_are_taken_apart_and_joined)
