# SPDX-License-Identifier: MIT
"""sloth run, as a user sees it: live lines, summary, JSON, exit status."""
import re
import unittest

from house import SOURCE, Case


class Examples(Case):
    """The shipped examples do what their comments promise."""

    def example(self, name, *flags):
        agent = self.agent()
        return self.sloth("run", SOURCE / "examples" / name, *flags, agents=[agent])

    def test_a_parallel_deployment_takes_as_long_as_one(self):
        result = self.assertExit(self.example("parallel_deployment.sloth"), 0)
        # 6 servers of 4 steps of 0.5 s: 2 s side by side, 12 s one after the other.
        self.assertLess(result.seconds, 8, str(result))
        for server in ("web-01", "web-02", "web-03", "api-01", "api-02", "db-01"):
            self.assertRegex(result.out, r"web-01 │ .*%s" % server)

    def test_a_worker_pool_completes_all_of_it(self):
        result = self.assertExit(self.example("worker_pool.sloth", "-o", "json"), 0)
        (task,) = result.json()["tasks"]
        self.assertEqual(task["state"], "done")
        self.assertEqual(task["outputs"]["completed"], 50)
        self.assertEqual(task["outputs"]["failed"], 0)

    def test_each_other_example_succeeds(self):
        names = {path.name for path in (SOURCE / "examples").glob("*.sloth")}
        for name in sorted(names - {"parallel_deployment.sloth", "worker_pool.sloth"}):
            with self.subTest(name):
                self.assertExit(self.example(name), 0)


class Outcomes(Case):
    def run_body(self, body, *flags, builder="", **more):
        agent = self.agent()
        path = self.workflow(
            'task("t"):command(function(this, params)\n%s\nend):delegate_to("web-01")%s:build()\n'
            % (body, builder))
        return self.sloth("run", path, *flags, agents=[agent], **more)

    def test_nothing_returned_is_success(self):
        self.assertExit(self.run_body("log.info('hi')"), 0)

    def test_false_and_a_message_is_failure(self):
        result = self.assertExit(self.run_body("return false, 'disk is full'"), 1)
        self.assertIn("disk is full", result.out + result.err)

    def test_nil_and_a_message_is_failure_too(self):
        result = self.assertExit(self.run_body("return nil, 'no such thing'"), 1)
        self.assertIn("no such thing", result.out + result.err)

    def test_an_error_has_the_workflow_files_name_and_line(self):
        result = self.assertExit(self.run_body("local t = nil\nreturn t.x"), 1)
        self.assertRegex(result.out + result.err, r"workflow\.sloth:3: attempt to index")

    def test_a_deadline_ends_the_task_and_says_so(self):
        result = self.assertExit(
            self.run_body("goroutine.sleep(60000)", builder=':timeout("300ms")'), 4)
        self.assertIn("300ms", result.out + result.err)

    def test_a_loop_without_end_is_stopped_at_its_deadline(self):
        self.assertExit(self.run_body("while true do end", builder=':timeout("300ms")'), 4)

    def test_exit_zero_is_done_and_any_other_status_failed(self):
        self.assertExit(self.run_body("os.exit(0)"), 0)
        result = self.assertExit(self.run_body("os.exit(7)"), 1)
        self.assertIn("exit status 7", result.out + result.err)

    def test_outputs_come_back_as_they_were(self):
        result = self.assertExit(self.run_body(
            "return true, 'ok', { int = 9007199254740993, float = 1.0, list = {1, 2, 3},"
            " nested = { yes = true }, text = 'ação' }", "-o", "json"), 0)
        (task,) = result.json()["tasks"]
        self.assertEqual(task["message"], "ok")
        self.assertEqual(task["outputs"], {"int": 9007199254740993, "float": 1.0,
                                           "list": [1, 2, 3], "nested": {"yes": True},
                                           "text": "ação"})

    def test_print_and_both_streams_arrive(self):
        result = self.assertExit(self.run_body(
            "print('printed') io.write('written\\n') io.stderr:write('complained\\n')"), 0)
        for word in ("printed", "written", "complained"):
            self.assertRegex(result.out, r"web-01 │ .*" + word)

    def test_a_table_that_a_log_line_ends_with_is_its_fields(self):
        result = self.assertExit(self.run_body("""
local inside = {}
inside.inside = inside
log.info("text", 1, nil, { host = "web 1", n = 7, f = 1.0, list = { 1, { x = false } } })
log.warn({ only = "fields" })
log.error("e", setmetatable({ 1 }, { __tostring = function() return "a word" end }))
log.debug("d", { null = json.null, inside = inside, f = print, ["a key"] = math.huge })
log.print("no fields", {})
log.info(("x"):rep(70000), { after = "a long line" })
log.info("large", { large = ("x"):rep(70000), small = 1 })""", "-o", "jsonl"), 0)
        lines = [line for line in result.jsonl() if line["event"] == "log"]
        self.assertEqual([line["level"] for line in lines],
                         ["info", "warning", "error", "info", "info", "info"])
        text, only, word, empty, long_line, large = lines
        self.assertEqual(text["message"], "text\t1\tnil")
        self.assertEqual(text["fields"], {"host": "web 1", "n": 7, "f": 1.0,
                                          "list": [1, {"x": False}]})
        self.assertEqual((only["message"], only["fields"]), ("", {"only": "fields"}))
        self.assertEqual(word["message"], "e\ta word")
        for line in (word, empty):
            self.assertNotIn("fields", line)
        self.assertEqual((len(long_line["message"]), long_line["fields"]),
                         (70000, {"after": "a long line"}))
        self.assertEqual(large["fields"], {"large": "<too large>", "small": 1})

        result = self.assertExit(self.run_body("""
local inside = {}
inside.inside = inside
log.debug("d", { null = json.null, inside = inside, f = print, ["a key"] = 0.5 })
log.warn({ only = "fields" })""", "--log-level", "debug"), 0)
        self.assertRegex(result.out, r'web-01 │ debug: d "a key"=0.5 f="function: \S+" '
                                     r'inside={"inside":"<cycle>"} null=null')
        self.assertIn('web-01 │ warning:  only="fields"', result.out)

    def test_a_task_knows_what_it_is(self):
        agent = self.agent()
        path = self.workflow("""
task("t"):delegate_to("web-01"):retries(1, { backoff = "20ms" }):command(function(this)
  if this.attempt == 1 then error("again") end
  return true, "", this
end):on_success(function(this) print("here: " .. this.job .. " " .. this.agent .. " " .. this.attempt) end)
  :build()""")
        result = self.assertExit(self.sloth("run", path, "-o", "json", agents=[agent]), 0)
        (task,) = result.json()["tasks"]
        workdir = task["outputs"].pop("workdir")
        self.assertTrue(workdir.startswith("/"), workdir)
        self.assertEqual(task["outputs"], {"name": "t", "agent": "web-01", "attempt": 2,
                                           "job": task["job"]})
        self.assertIn("here: %s web-01 2" % task["job"], result.err)
        jobs = self.sloth("jobs", "web-01", "-o", "jsonl", agents=[agent]).jsonl()
        self.assertEqual(jobs[0]["job"], task["job"])

    def test_a_task_is_what_dies_when_memory_runs_out(self):
        with open("/proc/self/oom_score_adj") as score:
            usual = int(score.read())
        result = self.assertExit(self.run_body("""
local function score(pid)
  local file <close> = assert(io.open("/proc/" .. pid .. "/oom_score_adj"))
  return file:read("n")
end
local file <close> = assert(io.open("/proc/self/stat"))
local ppid = file:read("a"):match("^%d+ %b() %S (%d+)")
local until_time = os.time() + 10
while score(ppid) == 500 and os.time() < until_time do goroutine.sleep(1) end
return true, "", { own = score("self"), spawner = score(ppid) }""", "-o", "json"), 0)
        (task,) = result.json()["tasks"]
        self.assertEqual(task["outputs"], {"own": 500, "spawner": usual})

    def test_json_null_stays_null(self):
        path = self.workflow("""
local a = task("a"):delegate_to("web-01"):command(function()
  return true, "", { null = json.null, list = { json.null, 1 } } end)
  :on_success(function(this, params, outputs)
    assert(outputs.null == json.null and outputs.list[1] == json.null) end):build()
local b = task("b"):delegate_to("web-01"):depends_on(a):command(function(this, params, deps)
  assert(deps.a.null == json.null and deps.a.list[1] == json.null and deps.a.list[2] == 1)
  return true, json.encode(deps.a.list) end):build()
workflow.define("w"):tasks({ a, b })""")
        result = self.assertExit(
            self.sloth("run", path, "-o", "json", agents=[self.agent()]), 0)
        a, b = result.json()["tasks"]
        self.assertEqual(a["outputs"], {"null": None, "list": [None, 1]})
        self.assertEqual(b["message"], "[null,1]")

    def test_what_a_child_process_prints_arrives(self):
        result = self.assertExit(self.run_body("os.execute('echo from a child')"), 0)
        self.assertRegex(result.out, r"web-01 │ .*from a child")

    def test_captured_locals_and_helpers_go_along(self):
        agent = self.agent()
        path = self.workflow('''
local greeting = "hello"
local function double(x) return x * 2 end
local config = { ports = { 80, 443 } }
task("t"):command(function()
  log.info(greeting .. " " .. double(21) .. " " .. config.ports[2])
end):delegate_to("web-01"):build()
''')
        result = self.assertExit(self.sloth("run", path, agents=[agent]), 0)
        self.assertIn("hello 42 443", result.out)

    def test_a_task_without_a_target_runs_here_and_leaves_no_agent_behind(self):
        path = self.workflow('task("here"):command(function() log.info("on " .. this_is()) end)'
                             ':build()\nfunction this_is() return "this machine" end\n')
        result = self.assertExit(self.sloth("run", path), 0)
        self.assertIn("on this machine", result.out)

    def test_nothing_is_cut_of_what_the_file_logs(self):
        path = self.workflow('log.warn(("x"):rep(2000) .. ("€"):rep(500))\n'
                             'task("here"):command(function() end):build()\n')
        result = self.assertExit(self.sloth("run", path), 0)
        self.assertEqual((result.err.count("x"), result.err.count("€")), (2000, 500))


class BeforeAnythingRuns(Case):
    """Exit status 2: nothing was started, and the message says where to look."""

    def refused(self, text, pattern, *flags):
        marker = self.place / "ran"
        path = self.workflow(text.replace("MARK", "io.open('%s', 'w'):close()" % marker))
        agent = self.agent()
        result = self.assertExit(self.sloth("run", path, *flags, agents=[agent]), 2)
        self.assertRegex(result.err, pattern)
        self.assertFalse(marker.exists(), "a task ran")

    def test_a_target_nobody_knows(self):
        self.refused('task("a"):command(function() MARK end):delegate_to("web-01"):build()\n'
                     'task("b"):command(function() end):delegate_to("web-99"):build()\n',
                     r"workflow\.sloth:2: task 'b': no agent is called 'web-99'.*-a web-99=")

    def test_a_syntax_error(self):
        self.refused("task('a'\n:command(function( end)", r"workflow\.sloth:2")

    def test_an_unknown_method(self):
        self.refused('task("a")\n  :comand(function() end)\n  :build()\n',
                     r"workflow\.sloth:2: .*comand.*did you mean.*command")

    def test_a_bad_duration(self):
        self.refused('task("a"):command(function() end):timeout("5 parsecs"):build()',
                     r"workflow\.sloth:1: .*5 parsecs")

    def test_a_capture_that_can_not_go(self):
        self.refused('local co = coroutine.create(print)\n'
                     'task("a"):command(function() MARK return co end)'
                     ':delegate_to("web-01"):build()', r"'co'.*(coroutine|thread)")

    def test_a_missing_file_and_an_unknown_flag(self):
        self.assertExit(self.sloth("run", "no-such.sloth"), 2)
        result = self.assertExit(self.sloth("run", "--frobnicate", "x.sloth"), 2)
        self.assertIn("--frobnicate", result.err)


class Exec(Case):
    def test_a_chunk_runs_on_a_target(self):
        agent = self.agent()
        result = self.assertExit(
            self.sloth("exec", "web-01", "-e", "print(6 * 7) return true, 'fine'",
                       agents=[agent]), 0)
        self.assertRegex(result.out, r"web-01 │ .*42")

    def test_several_targets_run_it_each(self):
        agents = [self.agent(name="web-%02d" % i, listen="ipc://%s/%d.sock" % (self.place, i))
                  for i in (1, 2, 3)]
        result = self.assertExit(
            self.sloth("exec", "web-01,web-02,web-03", "-e", "log.info('here')", agents=agents),
            0)
        for i in (1, 2, 3):
            self.assertRegex(result.out, r"web-0%d │ .*here" % i)

    def test_ping_stats_and_jobs_answer_in_json(self):
        agent = self.agent()
        self.assertExit(self.sloth("exec", "web-01", "-e", "return true", agents=[agent]), 0)
        for command in ("ping", "stats", "jobs"):
            result = self.assertExit(
                self.sloth(command, "web-01", "-o", "json", agents=[agent]), 0)
            self.assertIn("web-01", str(result.json()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
