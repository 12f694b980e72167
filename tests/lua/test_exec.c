/* SPDX-License-Identifier: MIT */

/*
 * Commands: what comes of them, and that nothing of them is left.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

START_TEST(a_line_is_for_the_shell_and_words_are_not)
{
	task_ok("local r = exec.run('echo a b; echo c >&2; exit 3')\n"
		"assert(r.stdout == 'a b\\n' and r.stderr == 'c\\n')\n"
		"assert(r.exit_code == 3 and r.success == false and r.signal == nil)\n"
		"assert(r.timed_out == false and r.truncated == false)\n"
		"assert(math.type(r.exit_code) == 'integer' and r.duration_ms > 0)\n"
		"r = exec.run({'printf', '%s|', 'a b', '$HOME', ';', 7})\n"
		"assert(r.stdout == 'a b|$HOME|;|7|' and r.success, r.stdout)\n"
		"r = exec.run('-e')\n"
		"assert(r.exit_code == 127)\n"
		"assert(exec == require('exec'))");
}
END_TEST

START_TEST(a_missing_program_is_127_and_says_so)
{
	task_ok("local r = exec.run({'no-such-program', 'x'})\n"
		"assert(r.exit_code == 127 and not r.success)\n"
		"assert(r.stderr:find('no%-such%-program'), r.stderr)\n"
		"r = exec.run('no-such-program')\n"
		"assert(r.exit_code == 127 and r.stderr:find('no%-such%-program'))\n"
		"r = exec.run({'/etc/passwd'})\n"
		"assert(r.exit_code == 126 and r.stderr:find('ermission'))");
}
END_TEST

START_TEST(it_gets_input_environment_and_a_place)
{
	task_ok("local text = ('0123456789'):rep(100000) .. '\\0end'\n"
		"local r = exec.run({'cat'}, {stdin = text, stream = false})\n"
		"assert(r.stdout == text and r.success)\n"
		"assert(exec.run({'true'}, {stdin = text}).success)\n"
		"assert(exec.run('cat').stdout == '')\n"
		"r = exec.run('pwd; echo $A-$B-${HOME-none}', {workdir = '/usr', env = {A = 1, "
		"B = 'b c', HOME = false}})\n"
		"assert(r.stdout == '/usr\\n1-b c-none\\n', r.stdout)\n"
		"local r, e = exec.run('true', {workdir = '/no/such'})\n"
		"assert(r == nil and e:find('/no/such'), e)");
}
END_TEST

START_TEST(another_user_is_for_who_may)
{
	if (getuid() != 0) {
		printf("skipped: only root may become another user\n");
		return;
	}
	task_ok("local r = exec.run('id -un; id -gn', {user = 'nobody', workdir = '/'})\n"
		"assert(r.stdout == 'nobody\\nnogroup\\n', r.stdout)\n"
		"local r, e = exec.run('true', {user = 'no-such-user'})\n"
		"assert(r == nil and e:find('no%-such%-user'))");
}
END_TEST

START_TEST(wrong_arguments_raise)
{
	task_raises("exec.run()",
		"bad argument #1 to 'run' (string or table expected, got no value)");
	task_raises("exec.run({})", "bad argument #1 to 'run' (a command without words)");
	task_raises("exec.run('a', {time_out = 3})",
		"bad argument #2 to 'run' (there is no option 'time_out')");
	task_raises("exec.run('a', {workdir = {}})",
		"bad argument #2 to 'run' (workdir: string expected, got table)");
	task_raises("exec.run('a\\0b')", "bad argument #1 to 'run' (has a zero in it)");
}
END_TEST

START_TEST(output_streams_by_lines_while_it_runs)
{
	task_run(&run, "exec.run('printf one; printf \" more\\ntw\"; echo e >&2; printf o')\n"
		       "exec.run('echo quiet', {stream = false})");
	ck_assert_int_eq(run.state, SL_STATE_DONE);
	task_seen(&run, "out 1: one more\n");
	task_seen(&run, "out 1: two\n");
	task_seen(&run, "out 2: e\n");
	ck_assert_ptr_null(strstr(run.events.data, "quiet"));
	task_finish(&run);
}
END_TEST

START_TEST(what_is_kept_is_bounded)
{
	task_ok("local r = exec.run('head -c 20000000 /dev/zero; echo end >&2',\n"
		"  {stream = false})\n"
		"assert(#r.stdout == 16 * 1024 * 1024 and r.truncated == true)\n"
		"assert(r.stderr == 'end\\n' and r.success)");
}
END_TEST

START_TEST(a_signal_has_a_name)
{
	task_ok("local r = exec.run('kill -9 $$')\n"
		"assert(r.signal == 'SIGKILL' and r.exit_code == -1 and not r.success)\n"
		"assert(not r.timed_out)");
}
END_TEST

/* Leaves the session and the group, and loses its parent. */
#define STRAY "(setsid sh -c '\" .. nap .. \" & exec \" .. nap .. \"' &) ; "

START_TEST(a_timeout_ends_all_that_came_of_it)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	task_ok(NAP "local r = exec.run(\"" STRAY "trap '' TERM; \" .. nap .. \" & \" .. nap,\n"
		    "  {timeout = '300ms'})\n"
		    "assert(r.timed_out and not r.success and r.signal == 'SIGKILL')\n"
		    "assert(r.duration_ms < 5000)\n"
		    "assert(naps() == '', naps())");
}
END_TEST

START_TEST(a_stopped_goroutine_takes_its_command_along)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	task_ok(NAP
		"local ok, e = goroutine.timeout(300, function()\n"
		"  exec.run(\"" STRAY "\" .. nap .. \"; true\") end)\n"
		"assert(not ok and e == 'timeout exceeded')\n"
		"ok, e = goroutine.timeout(100, function() os.execute(nap .. '; true') end)\n"
		"assert(not ok and e == 'timeout exceeded')\n"
		"assert(naps() == '', naps())");
}
END_TEST

/* Not a moment later: not even dead and unreaped. */
START_TEST(what_was_stopped_is_gone_when_that_is_told)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	task_ok(BROOD "for i, body in ipairs{\n"
		      "  function() exec.run(brood) end,\n"
		      "  function() os.execute(brood) end,\n"
		      "  function() io.popen(brood):read('a') end,\n"
		      "  function() io.popen(brood, 'w'):close() end,\n"
		      "  function() local f = io.popen(brood) goroutine.sleep(1e9) end,\n"
		      "  function() table.sort({2, 1}, function() exec.run(brood) end) end,\n"
		      "  function() goroutine.await(goroutine.async(exec.run, brood)) end,\n"
		      "} do\n"
		      "  local ctx = goroutine.context()\n"
		      "  goroutine.spawn(function()\n"
		      "    while not is_full() do goroutine.sleep(5) end ctx:cancel() end)\n"
		      "  ctx:run(body)\n"
		      "  local left = stays()\n"
		      "  assert(left == '', i .. ': ' .. left)\n"
		      "end\n"
		      "fs.remove(den, {recursive = true})");
}
END_TEST

START_TEST(what_a_timeout_killed_is_gone_when_it_returns)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	task_ok(BROOD "local ms, full = 100, false\n"
		      "repeat\n"
		      "  local r = exec.run(brood, {timeout = ms .. 'ms'})\n"
		      "  full = is_full()\n"
		      "  local left = stays()\n"
		      "  assert(r.timed_out and left == '', left)\n"
		      "  ms = ms * 2\n"
		      "until full\n"
		      "fs.remove(den, {recursive = true})");
}
END_TEST

/* That of the task, when nothing but a death is to be waited for. */
START_TEST(what_was_cancelled_is_gone_when_the_task_is_over)
{
	static const struct sl_runtime_config config = {.threads = 2};
	pthread_t thread;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	task_prepare(&run, &config,
		BROOD "goroutine.spawn(exec.run, brood)\n"
		      "while not is_full() do goroutine.sleep(5) end\n"
		      "log.info('on') goroutine.sleep(1e9)");
	pthread_create(&thread, NULL, task_cancel_after_log, &run);
	run.state = sl_runtime_run(run.runtime, &run.task);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	pthread_join(thread, NULL);
	ck_assert_int_eq(run.state, SL_STATE_CANCELLED);
	task_finish(&run);
}
END_TEST

/* A program that becomes root, which nobody may kill; NULL where that can't be had. */
static const char *make_climber(void)
{
	static char path[] = "/tmp/sloth-climb-XXXXXX";
	char line[400];

	if (getuid() != 0 || !mkdtemp(path))
		return NULL;
	snprintf(line, sizeof(line),
		"chmod 755 %s && cp \"$(command -v setpriv)\" %s/climb && chmod 4755 %s/climb "
		"&& "
		"setpriv --reuid 65534 %s/climb --reuid 0 sh -c 'test $(id -ru) = 0'",
		path, path, path, path);
	return system(line) == 0 ? path : NULL;
}

START_TEST(what_can_not_be_killed_is_left_and_told_of)
{
	const char *place = make_climber();
	char body[600];

	if (!place) {
		printf("skipped: it takes root, setpriv, and a /tmp with setuid\n");
		return;
	}
	ck_assert_int_eq(setresuid(65534, 65534, 0), 0);
	snprintf(body, sizeof(body),
		"local climb = {'%s/climb', '--reuid', '0', 'sh', '-c', 'sleep %d'}\n"
		"local r = exec.run(climb, {timeout = '0.5s'})\n"
		"assert(r.timed_out and not r.success and r.duration_ms < %d)\n"
		"local ok, e = goroutine.timeout(500, exec.run, climb)\n"
		"assert(not ok and e == 'timeout exceeded')",
		place, SL_SLOWNESS * 3, SL_SLOWNESS * 3000 + 500);
	task_run(&run, body);
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_ptr_nonnull(strstr(run.log.data, "can't be killed"));
	ck_assert_ptr_nonnull(
		strstr(strstr(run.log.data, "can't be killed") + 1, "can't be killed"));
	task_finish(&run);
	ck_assert_int_eq(setresuid(0, 0, 0), 0);
	snprintf(body, sizeof(body), "rm -r %s", place);
	ck_assert_int_eq(system(body), 0);
}
END_TEST

START_TEST(what_it_leaves_behind_is_not_waited_for)
{
	task_ok("local t = os.clock()\n"
		"local r = exec.run('sleep 30 & echo $!')\n"
		"assert(os.clock() - t < 10 and r.success)\n"
		"assert(exec.run('kill ' .. r.stdout).success)");
}
END_TEST

START_TEST(those_that_wait_hold_no_thread)
{
	struct sl_runtime_config config = {.threads = 2};

	task_run_with(&run, &config,
		"local t, hs = os.clock(), {}\n"
		"for i = 1, 40 do hs[i] = goroutine.async(function()\n"
		"  return i % 2 == 0 and os.execute('sleep 1')\n"
		"    or exec.run({'sleep', '1'}).success end) end\n"
		"for _, r in ipairs(goroutine.await_all(hs)) do assert(r.values[1] == true) "
		"end\n"
		"t = os.clock() - t\n"
		"assert(t < 10, t)\n"
		"local n = 0\n"
		"for line in io.lines('/proc/self/status') do\n"
		"  n = tonumber(line:match('^Threads:%s*(%d+)')) or n end\n"
		"assert(n > 0 and n < 10, n)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

START_TEST(os_execute_says_what_standard_lua_says)
{
	task_ok("assert(os.execute() == true)\n"
		"local ok, how, code = os.execute('exit 0')\n"
		"assert(ok == true and how == 'exit' and code == 0)\n"
		"ok, how, code = os.execute('exit 7')\n"
		"assert(ok == nil and how == 'exit' and code == 7)\n"
		"ok, how, code = os.execute('kill -15 $$')\n"
		"assert(ok == nil and how == 'signal' and code == 15)");
}
END_TEST

static void *drain_until_over(void *arg)
{
	struct task_run *task = arg;
	bool over = false;

	while (!over) {
		usleep(1000);
		sl_runtime_drained(task->runtime);
		pthread_mutex_lock(&task->lock);
		over = task->result.duration_ms > 0;
		pthread_mutex_unlock(&task->lock);
	}
	return NULL;
}

START_TEST(output_waits_until_there_is_room)
{
	struct sl_runtime_config config = {.threads = 2};
	pthread_t thread;

	task_prepare(&run, &config,
		"local r = exec.run('yes | head -n 500000')\n"
		"assert(#r.stdout == 1000000 and r.success)");
	run.full = true;
	pthread_create(&thread, NULL, drain_until_over, &run);
	run.state = sl_runtime_run(run.runtime, &run.task);
	pthread_join(thread, NULL);
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	ck_assert_uint_gt(run.events.size, 1000000);
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("exec", a_line_is_for_the_shell_and_words_are_not,
	a_missing_program_is_127_and_says_so, it_gets_input_environment_and_a_place,
	another_user_is_for_who_may, wrong_arguments_raise,
	output_streams_by_lines_while_it_runs, what_is_kept_is_bounded, a_signal_has_a_name,
	what_was_stopped_is_gone_when_that_is_told,
	what_a_timeout_killed_is_gone_when_it_returns,
	what_was_cancelled_is_gone_when_the_task_is_over,
	what_can_not_be_killed_is_left_and_told_of, a_timeout_ends_all_that_came_of_it,
	a_stopped_goroutine_takes_its_command_along, what_it_leaves_behind_is_not_waited_for,
	those_that_wait_hold_no_thread, os_execute_says_what_standard_lua_says,
	output_waits_until_there_is_room)
