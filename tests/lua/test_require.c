/* SPDX-License-Identifier: MIT */

/*
 * require in goroutines: what a module is read and compiled for, and that each
 * state runs it for itself.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static char dir[] = "/tmp/sloth-require-XXXXXX";
static struct task_run run;

static void enter_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void leave_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void write_module(const char *file, const char *text)
{
	FILE *stream = fopen(file, "w");

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_ge(fputs(text, stream), 0);
	ck_assert_int_eq(fclose(stream), 0);
}

/* As if it had been written a while ago. */
static void write_old_module(const char *file, const char *text)
{
	struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};

	write_module(file, text);
	ck_assert_int_eq(utimensat(AT_FDCWD, file, times, 0), 0);
}

static void finish_well(void)
{
	ck_assert_msg(run.state == SL_STATE_DONE, "%s\n%s", run.error, run.traceback);
	task_finish(&run);
	leave_dir();
}

static int count_reads(int watch)
{
	char events[65536];
	ssize_t n = read(watch, events, sizeof(events));
	int reads = 0;

	for (ssize_t at = 0; at < n;) {
		struct inotify_event *event = (struct inotify_event *)(events + at);

		reads += (event->mask & IN_ACCESS) != 0;
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	return reads;
}

START_TEST(a_module_is_read_once_and_run_in_each_state)
{
	int watch = inotify_init1(IN_NONBLOCK);
	int reads;

	enter_dir();
	write_old_module("counter.lua",
		"local n = 0\n"
		"return { next = function() n = n + 1 return n end }\n");
	/* Equal events in a row are one: what comes between keeps them apart. */
	ck_assert_int_ge(
		inotify_add_watch(watch, "counter.lua", IN_OPEN | IN_ACCESS | IN_CLOSE), 0);
	task_run_in_turn(&run, "local function twice() local c = require('counter') c.next()\n"
			       "  return c.next(), select(2, require('counter')) end\n"
			       "assert(twice() == 2)\n"
			       "for i = 1, 50 do\n"
			       "  local ok, n, from = goroutine.await(goroutine.async(twice))\n"
			       "  assert(ok and n == 2, n)\n"
			       "end\n"
			       "assert(twice() == 4)");
	reads = count_reads(watch);
	ck_assert_int_ge(reads, 1);
	ck_assert_int_le(reads, 3);
	close(watch);
	finish_well();
}
END_TEST

/* In the next ones a goroutine requires module m and gives what that gives. */
#define GET                                                                                    \
	"local function get(f) local ok, v = goroutine.await(goroutine.async(f or function() " \
	"return require('m') end))\n"                                                          \
	"  return v end\n"                                                                     \
	"local function write(text) local f <close> = io.open('m.lua', 'w') f:write(text) "    \
	"end\n"

START_TEST(a_file_that_changed_is_read_again)
{
	enter_dir();
	write_old_module("m.lua", "return 1");
	task_run_in_turn(&run,
		GET "assert(get() == 1 and get() == 1)\n"
		    "write('return 2') os.execute('touch -d @1000000 m.lua')\n"
		    "assert(get() == 2 and get() == 2)\n"
		    "write('return  3') assert(get() == 3)\n"
		    "os.remove('m.lua') assert(get():find('not found', 1, true))\n"
		    "write('return 4') assert(get() == 4)\n");
	finish_well();
}
END_TEST

START_TEST(one_that_is_being_written_to_is_not_kept)
{
	enter_dir();
	task_run_in_turn(&run, GET "for i = 1, 9 do for k = 1, 9 do\n"
				   "  write('return ' .. i .. k)\n"
				   "  assert(get() == i * 10 + k, i .. k)\n"
				   "end end\n");
	finish_well();
}
END_TEST

START_TEST(a_kept_module_knows_its_lines)
{
	enter_dir();
	write_old_module("m.lua", "local M = {}\n\nfunction M.fail(what)\n  error(what)\nend\n"
				  "return M\n");
	task_run_in_turn(&run,
		GET "for i = 1, 3 do\n"
		    "  local h = goroutine.async(function() require('m').fail('no') end)\n"
		    "  local ok, why, trace = goroutine.await(h)\n"
		    "  assert(why == './m.lua:4: no', why)\n"
		    "  assert(trace:find(\"m.lua:4: in function 'm.fail'\", 1, true), trace)\n"
		    "end\n");
	finish_well();
}
END_TEST

START_TEST(what_does_not_compile_says_so_each_time)
{
	enter_dir();
	write_old_module("m.lua", "return {\n");
	task_run_in_turn(&run,
		GET "for i = 1, 3 do assert(get() == \"error loading module 'm' from file "
		    "'./m.lua':\\n\\t./m.lua:2: unexpected symbol near <eof>\", get()) end\n");
	finish_well();
}
END_TEST

START_TEST(bytecode_that_is_installed_loads_as_in_standard_lua)
{
	enter_dir();
	task_run_in_turn(&run, GET "write(string.dump(load('return 7')))\n"
				   "os.execute('touch -d @1000000 m.lua')\n"
				   "assert(get() == 7 and get() == 7)");
	finish_well();
}
END_TEST

START_TEST(require_is_that_of_standard_lua)
{
	static const char *const rows[] = {
		"local m, from = require('m') assert(m.name == 'm' and from == './m.lua')\n"
		"assert(m.from == './m.lua' and select('#', require('m')) == 1)",
		"local ok, why = pcall(require, 'no.where')\n"
		"assert(why:find(\"^module 'no.where' not found:\\n"
		"\\tno field package.preload%['no.where'%]\\n"
		"\\tno module 'no.where' was sent with the task\\n"
		"\\tno file '.*/no/where.lua'\\n\"), why)\n"
		"assert(why:find(\"\\n\\tno file './no/where.lua'\\n\", 1, true))\n"
		"assert(why:find(\"\\n\\tno file './no/where.so'\\n\", 1, true))\n"
		"assert(why:find(\"\\n\\tno file './no.so'$\"), why)",
		"package.preload.x = function(...) return { ... } end\n"
		"assert(require('x')[1] == 'x' and require('x')[2] == ':preload:')",
		"package.preload.x = function() end assert(require('x') == true)",
		"package.preload.x = function() return false end\n"
		"assert(require('x') == false and package.loaded.x == false)",
		"package.preload.x = function() package.loaded.x = 5 end assert(require('x') "
		"== 5)",
		"package.path = '' assert(not pcall(require, 'm'))",
		"package.path = './?/init.lua;./?.lua' assert(require('m').name == 'm')",
		"package.path = nil local ok, why = pcall(require, 'm')\n"
		"assert(why == \"'package.path' must be a string\", why)",
		"package.searchers = nil local ok, why = pcall(require, 'm')\n"
		"assert(why == \"'package.searchers' must be a table\", why)",
		"package.searchers = { function(n) return 'not I' end, function() end,\n"
		"  function(n) return function(...) return ... end, 9 end }\n"
		"assert(require('y') == 'y')",
		"package.searchers = { function(n) return '\\n\\tnot I' end }\n"
		"assert(select(2, pcall(require, 'y')) == \"module 'y' not "
		"found:\\n\\t\\n\\tnot I\")",
		"assert(not pcall(require) and not pcall(require, {}))\n"
		"local ok, why = pcall(require)\n"
		"assert(why == \"bad argument #1 to 'require' (string expected, got no "
		"value)\")",
		"package.preload['1'] = function(n) return n end assert(require(1) == '1')",
		"local mine = function() end require = mine local p = package.config\n"
		"assert(require == mine and package.searchpath('m', './?.lua') == './m.lua')",
		"assert(package.loaded == debug.getregistry()._LOADED and package.loaded._G == "
		"_G)",
		"package.preload.x = function() return coroutine.isyieldable() end\n"
		"assert(require('x') == false)",
		"package.preload.x = function() goroutine.sleep(1) return 'slept' end\n"
		"assert(require('x') == 'slept')",
	};
	struct sl_buffer body = SL_BUFFER_INIT;

	enter_dir();
	write_module("m.lua", "local name, from = ...\nreturn { name = name, from = from }");
	sl_buffer_printf(&body, "local ok, why\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		sl_buffer_printf(&body,
			"ok, why = goroutine.await(goroutine.async(function()\n%s\nend)) "
			"assert(ok, why)\n",
			rows[i]);
	sl_buffer_append(&body, "", 1);
	task_run_in_turn(&run, body.data);
	sl_buffer_deinit(&body);
	finish_well();
}
END_TEST

START_TEST(a_module_that_waits_holds_no_thread)
{
	enter_dir();
	write_old_module("m.lua", "goroutine.sleep(100) return 1");
	task_run_in_turn(&run, "local handles = {}\n"
			       "for i = 1, 300 do handles[i] = goroutine.async(function()\n"
			       "  return require('m') end) end\n"
			       "for _, r in ipairs(goroutine.await_all(handles)) do\n"
			       "  assert(r.success and r.values[1] == 1, r.error) end");
	finish_well();
}
END_TEST

START_TEST(many_may_require_one_module_at_once)
{
	enter_dir();
	write_old_module("m.lua", "return { sum = function(n) local s = 0\n"
				  "  for i = 1, n do s = s + i end return s end }");
	task_run(&run, "local handles = {}\n"
		       "for i = 1, 500 do handles[i] = goroutine.async(function()\n"
		       "  return require('m').sum(i) end) end\n"
		       "for i, r in ipairs(goroutine.await_all(handles)) do\n"
		       "  assert(r.success and r.values[1] == i * (i + 1) // 2, r.error) end");
	finish_well();
}
END_TEST

SL_CHECK_MAIN("require", a_module_is_read_once_and_run_in_each_state,
	a_file_that_changed_is_read_again, one_that_is_being_written_to_is_not_kept,
	a_kept_module_knows_its_lines, what_does_not_compile_says_so_each_time,
	bytecode_that_is_installed_loads_as_in_standard_lua, require_is_that_of_standard_lua,
	a_module_that_waits_holds_no_thread, many_may_require_one_module_at_once)
