# SPDX-License-Identifier: MIT
"""What becomes of tasks that depend on others, fail, or are tried again."""
import unittest

from house import Case


class Plan(Case):
    def rows(self, text, *flags, code=0, agents=None):
        agents = agents or [self.agent()]
        result = self.assertExit(
            self.sloth("run", self.workflow(text), "-o", "json", *flags, agents=agents), code)
        self.result = result
        return {(task["task"], task["target"]): task for task in result.json()["tasks"]}

    def test_outputs_reach_those_who_depend_on_them(self):
        agents = [self.agent(name="web-0%d" % i, listen="ipc://%s/%d.sock" % (self.place, i))
                  for i in (1, 2)]
        rows = self.rows('''
local a = task("a"):command(function() return true, "", { n = 1 } end):delegate_to("web-01"):build()
local b = task("b"):command(function(this) return true, "", { n = 2, at = this.agent } end)
  :delegate_to({ "web-01", "web-02" }):build()
local c = task("c"):depends_on({ "a", b }):command(function(this, params, deps)
  return true, "", { sum = deps.a.n + deps.b["web-01"].n, at = deps.b["web-02"].at } end):build()
workflow.define("w"):tasks({ a, b, c })
''', agents=agents)
        self.assertEqual(rows["c", "local"]["outputs"], {"sum": 3, "at": "web-02"})

    def test_a_failed_task_is_tried_again_as_often_as_it_says(self):
        rows = self.rows('''
task("third"):command(function(this) if this.attempt < 3 then error("not yet") end return true, "now" end)
  :retries(2, { backoff = "50ms" }):delegate_to("web-01"):build()
task("never"):command(function(this) return false, "attempt " .. this.attempt end)
  :retries(1, { backoff = "50ms" }):delegate_to("web-01"):build()
''', code=1)
        self.assertEqual(rows["third", "web-01"]["state"], "done")
        self.assertEqual(rows["third", "web-01"]["attempt"], 3)
        self.assertEqual(rows["never", "web-01"]["attempt"], 2)
        self.assertEqual(rows["never", "web-01"]["message"], "attempt 2")

    def test_who_depends_on_a_failed_task_is_skipped_and_others_are_not(self):
        rows = self.rows('''
local bad = task("bad"):command(function() return false end):build()
local next = task("next"):command(function() end):depends_on({ bad }):build()
local last = task("last"):command(function() end):depends_on({ next }):build()
local free = task("free"):command(function() end):build()
workflow.define("w"):tasks({ bad, next, last, free })
''', code=1)
        self.assertEqual([rows[name, "local"]["state"] for name in ("next", "last", "free")],
                         ["skipped", "skipped", "done"])

    def test_fail_fast_stops_what_runs(self):
        rows = self.rows('''
local slow = task("slow"):command(function() goroutine.sleep(30000) end):delegate_to("web-01"):build()
local bad = task("bad"):command(function() goroutine.sleep(200) return false end):build()
workflow.define("w"):tasks({ slow, bad }):config({ fail_fast = true })
''', code=1)
        self.assertEqual(rows["slow", "web-01"]["state"], "stopped")
        self.assertLess(self.result.seconds, 10)

    def test_what_never_had_its_turn_when_time_is_up_timed_out_too(self):
        rows = self.rows('''
local function sleep() goroutine.sleep(30000) end
local first = task("first"):command(sleep):delegate_to("web-01"):build()
local second = task("second"):command(sleep):delegate_to("web-01"):build()
local after = task("after"):command(sleep):depends_on({ first }):build()
workflow.define("w"):tasks({ first, second, after }):config({ max_parallel = 1, timeout = "500ms" })
''', code=4)
        self.assertEqual([row["state"] for row in rows.values()], ["timeout"] * 3)

    def test_hooks_hear_how_it_ended(self):
        self.rows('''
task("good"):command(function() return true, "", { n = 7 } end)
  :on_success(function(this, params, outputs) io.write("good: ", outputs.n, "\\n") end):build()
task("bad"):command(function() return false, "no luck" end)
  :on_failure(function(this, params, what) print("bad: " .. what.error) end):build()
task("slow"):command(function() goroutine.sleep(30000) end):timeout("200ms")
  :on_timeout(function(this) print("slow: " .. this.name) end):build()
''', code=4)
        for line in ("good: 7", "bad: no luck", "slow: slow"):
            self.assertIn(line, self.result.err)

    def test_what_an_agent_cannot_enforce_it_refuses_once(self):
        row = self.rows('''
task("t"):command("true"):limits({ processes = 5 }):retries(3):build()
''', code=5)["t", "local"]
        self.assertEqual((row["state"], row["attempt"]), ("refused", 1))
        self.assertIn("limits.processes: this agent can't limit", row["message"])

    def test_deps_that_are_too_large_to_be_sent_are_no_riddle(self):
        row = self.rows('''
local all = {}
for i = 1, 4 do
  all[i] = task("big" .. i):command(function() return true, "", ("x"):rep(4000000) end):build()
end
task("sum"):command(function(this, params, deps) return true end):depends_on(all):build()
''', code=5)["sum", "local"]
        self.assertEqual(row["state"], "refused")
        self.assertIn("the task would be more than 15728640 bytes", row["message"])

    def test_a_hook_cannot_end_the_run_in_silence(self):
        rows = self.rows('''
local a = task("a"):command("true"):on_success(function() os.exit(0) end):build()
task("b"):command("true"):depends_on({ a }):build()
''', code=1)
        self.assertEqual([row["state"] for row in rows.values()], ["done"] * 2)
        self.assertRegex(self.result.err, r"task 'a': on_success: \S+:2: os\.exit can only be "
                                          r"called inside a task")

    def test_a_check_shows_the_plan_and_runs_nothing(self):
        agent = self.agent()
        marker = self.place / "ran"
        path = self.workflow(
            'local a = task("a"):command(function() io.open("%s", "w"):close() end)'
            ':delegate_to("web-01"):build()\n'
            'task("b"):command(function() end):depends_on({ a }):build()' % marker)
        for argv in (("check", path), ("run", path, "--dry-run")):
            result = self.assertExit(self.sloth(*argv, "-o", "jsonl", agents=[agent]), 0)
            self.assertEqual([(row["task"], row["targets"], row["after"])
                              for row in result.jsonl()],
                             [("a", "web-01", ""), ("b", "local", "a")])
        self.assertFalse(marker.exists())
        self.assertExit(self.sloth("check", path), 2)


class Mistakes(Case):
    """What sloth check says of a file that can't run: where it is, and what to do; nothing ran."""

    # Text of the file; then what is said behind "workflow.sloth:".
    MISTAKES = (
        ("task('a'\n  :command(function() end)", r"2: '\)' expected"),
        ("local function f(x) return x.y.z end\nf({})", r"1: attempt to index .*called from .*:2"),
        ("local x = require('no_such_module')",
         r"1: module 'no_such_module' not found: it is neither beside .* nor installed here"),
        ("os.exit(0)", r"1: os\.exit can only be called inside a task: error\(\"why\"\) ends"),
        ("\x1bLua", r" it is compiled Lua: a workflow is sent as text"),
        ("local x = 1", r" it defines no task: begin one with task"),
        ("TASK\n  :comand(1):build()", r"2: task 'a': unknown method 'comand'; did you mean 'command'"),
        ("TASK:timeout('5 parsecs'):build()", r"1: task 'a': timeout: bad duration '5 parsecs': write 500ms"),
        ("TASK:retries(1, { backof = '1s' }):build()", r"1: task 'a': retries: .*did you mean 'backoff'"),
        ("TASK:limits({ memory = 'lots' }):build()", r"1: task 'a': limits: memory: .*write \"512M\""),
        ("TASK:env({ ['A=B'] = 'x' }):build()", r"1: task 'a': env: 'A=B' can't be a variable's name"),
        ("TASK:delegate_to({}):build()", r"1: task 'a': delegate_to: the list of targets is empty"),
        ("TASK:delegate_to('web-99'):build()", r"1: task 'a': no agent is called 'web-99'.*add it with -a"),
        ("TASK:delegate_to('@web'):build()", r"1: task 'a': no agent is in group '@web'.*agents.yaml"),
        ("task('a'):build()", r"1: task 'a': it has no command: say :command"),
        ("TASK", r"1: task 'a': it is never built: end it with :build"),
        ("TASK:build()\nTASK:build()", r"2: there is a task 'a' already, from .*:1: give one"),
        ("local t = TASK:build()\nt:timeout('1s')", r"2: task 'a': timeout: it is built already"),
        ("local t = TASK\nt.timeout('1s')", r"2: timeout: call it with a colon"),
        ("TASK:depends_on('b'):build()\ntask('b'):command(print_it):depends_on('a'):build()"
         "\nfunction print_it() end", r"2: task 'b': command: expected a function .*got nil"),
        ("TASK:depends_on('b'):build()\ntask('b'):command('true'):depends_on('a'):build()",
         r"1: task 'a': it depends on itself: a -> b -> a"),
        ("TASK:build()\ntask('bb'):command('true'):depends_on('ab'):build()",
         r"2: task 'bb': it depends on 'ab', which is no task; did you mean 'a'"),
        ("local a = TASK:build()\nworkflow.define('w'):tasks({ a }):config({ max_paralel = 1 })",
         r"2: workflow 'w': config: .*did you mean 'max_parallel'"),
        ("local a = TASK:build()\nworkflow.define('w'):tasks({ a, b, a })",
         r"2: workflow 'w': tasks: .*without holes"),
        ("local a = TASK:build()\nworkflow.define('w', { task = { a } })",
         r"2: workflow 'w': unknown method 'task'; did you mean 'tasks'"),
        ("local a = TASK:build()\nworkflow.define('v'):tasks({ a })\nworkflow.define('w'):tasks({ a })",
         r" it defines 2 workflows \(v, w\): choose one with -w"),
        ("local f = io.open('/dev/null')\ntask('a'):command(function() return f end):build()",
         r"2: task 'a': cannot send upvalue 'f' to an agent: open file"),
        ("local big = ('x'):rep(20000000)\ntask('a'):command(function() return #big end):build()",
         r"2: task 'a': the task would be more than 15728640 bytes: it captures too much"),
        ("task('a'):command(function() task('b') end):build()",
         r"1: task 'a': cannot send global 'task' to an agent: it defines tasks"),
        ("task('a'):command(function() return require('broken') end):build()",
         r"1: task 'a': .*broken\.lua:1: unexpected symbol"),
    )

    def test_each_names_its_place_and_a_way_out(self):
        (self.place / "broken.lua").write_text("return }")
        for text, what in self.MISTAKES:
            with self.subTest(text):
                path = self.workflow(text.replace("TASK", "task('a'):command('touch ran')"))
                result = self.assertExit(self.sloth("check", path), 2)
                self.assertRegex(result.err, r"^sloth: \S*workflow\.sloth:" + what)
                self.assertEqual(result.out, "")
                self.assertExit(self.sloth("run", path), 2)
        self.assertFalse((self.place / "ran").exists())

    def test_what_the_command_line_brings_is_checked_too(self):
        path = self.workflow("task('a'):params({ v = values.list[2].name })"
                             ":command(function() end):build()")
        values = self.place / "values.yaml"
        values.write_text("list: [1, { name: x }]\n")
        self.assertExit(self.sloth("check", path, "-v", values, "-p", "k=v"), 0)
        values.write_text("list: [1,\nb: }")
        for flags, what in ((("-v", values), r"values\.yaml:2: "),
                            (("-v", "nowhere.yaml"), "nowhere.yaml"),
                            (("-v", values, "-p", "k"), "--param 'k' is not KEY=VALUE"),
                            ((), r"workflow\.sloth:1: attempt to index")):
            with self.subTest(flags):
                result = self.assertExit(self.sloth("check", path, *flags), 2)
                self.assertRegex(result.err, what)
        path = self.workflow("task('abc'):command(function() end):build()")
        for flags, what in ((("-t", "abd"), "no task is called 'abd'; did you mean 'abc'"),
                            (("-w", "x"), "no workflow 'x' in it"),
                            (("-d", "web-99"), "no agent is called 'web-99'")):
            with self.subTest(flags):
                result = self.assertExit(self.sloth("check", path, *flags), 2)
                self.assertIn(what, result.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
