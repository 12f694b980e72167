# SPDX-License-Identifier: MIT
"""Workflows of several tasks: what depends on what, what is tried again, what the file says."""
import unittest

from house import Case

DIAMOND = '''
-- start, then fourteen tasks on the left and twelve on the right, then a join of each side,
-- then the end: thirty.
local tasks, left, right = {}, {}, {}

local function add(name, agent, depends_on, command)
  local one = task(name):delegate_to(agent):depends_on(depends_on)
    :retries(name == "right_7" and 1 or 2, { backoff = "20ms" }):command(command):build()
  tasks[#tasks + 1] = one
  return one
end

local function agent(i) return ("web-%02d"):format(i % 5 + 1) end

local start = add("start", "web-01", {}, function() return true, "began", { value = 100 } end)
for i = 1, 14 do
  left[i] = add("left_" .. i, agent(i), start, function(this, params, deps)
    if i == 3 and this.attempt < 3 then error("not yet") end
    return true, this.agent, { sum = deps.start.value + i, attempt = this.attempt }
  end)
end
for i = 1, 12 do
  right[i] = add("right_" .. i, agent(i), { "start" }, function(this, params, deps)
    return i ~= 7, "the seventh is broken", { sum = deps.start.value + i }
  end)
end
local function join(prefix)
  return function(this, params, deps)
    local sum, n = 0, 0
    for name, outputs in pairs(deps) do
      assert(name:find(prefix, 1, true) == 1)
      sum, n = sum + outputs.sum, n + 1
    end
    return true, "joined", { sum = sum, n = n }
  end
end
local join_left = add("join_left", "web-01", left, join("left_"))
local join_right = add("join_right", "web-02", right, join("right_"))
add("end", "web-03", { join_left, join_right }, function() return true end)

workflow.define("diamond"):tasks(tasks)
'''


class Dependencies(Case):
    def fleet(self, n):
        return [self.agent(name="web-%02d" % i, listen="ipc://%s/%d.sock" % (self.place, i))
                for i in range(1, n + 1)]

    def tasks(self, text, *flags, agents, code):
        result = self.assertExit(
            self.sloth("run", self.workflow(text), "-o", "json", *flags, agents=agents), code)
        return {(task["task"], task["target"]): task for task in result.json()["tasks"]}

    def test_a_diamond_of_thirty_tasks_over_five_agents(self):
        tasks = self.tasks(DIAMOND, agents=self.fleet(5), code=1)
        self.assertEqual(len(tasks), 30)
        by_name = {name: task for (name, _), task in tasks.items()}
        for i in range(1, 15):
            task = by_name["left_%d" % i]
            self.assertEqual(task["state"], "done")
            self.assertEqual(task["target"], "web-%02d" % (i % 5 + 1))
            self.assertEqual(task["message"], task["target"])
            self.assertEqual(task["outputs"], {"sum": 100 + i, "attempt": 3 if i == 3 else 1})
        self.assertEqual(by_name["left_3"]["attempt"], 3)
        self.assertEqual(by_name["join_left"]["outputs"], {"sum": 1400 + 105, "n": 14})
        self.assertEqual(by_name["right_7"]["state"], "failed")
        self.assertEqual(by_name["right_7"]["attempt"], 2)
        self.assertEqual(by_name["right_8"]["state"], "done")
        for name in ("join_right", "end"):
            self.assertEqual(by_name[name]["state"], "skipped")

    def test_a_late_target_comes_from_what_was_found_out(self):
        tasks = self.tasks('''
local find = task("find"):delegate_to("web-01")
  :command(function() return true, "", { hosts = { "web-02", "web-03" } } end):build()
local use = task("use"):depends_on(find)
  :delegate_to(function(this, params, deps) return deps.find.hosts end)
  :command(function(this) return true, this.agent, { who = this.agent } end):build()
local sum = task("sum"):depends_on(use):delegate_to("web-01")
  :command(function(this, params, deps)
    return true, deps.use["web-02"].who .. deps.use["web-03"].who end):build()
workflow.define("late"):tasks({ find, use, sum })
''', agents=self.fleet(3), code=0)
        self.assertEqual(tasks["use", "web-03"]["message"], "web-03")
        self.assertEqual(tasks["sum", "web-01"]["message"], "web-02web-03")

    def test_the_hooks_are_told_and_run_here(self):
        path = self.workflow('''
local function say(word) return function(this, params, x)
  log.info(word, this.name, this.agent, type(x) == "table" and (x.error or x.n)) end end
task("good"):delegate_to("web-01"):command(function() return true, "", { n = 7 } end)
  :on_success(say("SUCCESS")):on_failure(say("WRONG")):build()
task("bad"):delegate_to("web-01"):command(function() error("oh no") end)
  :on_success(say("WRONG")):on_failure(say("FAILURE")):build()
task("slow"):delegate_to("web-01"):command(function() goroutine.sleep(60000) end)
  :timeout("100ms"):on_timeout(say("TIMEOUT")):on_failure(say("WRONG")):build()
''')
        result = self.assertExit(self.sloth("run", path, agents=self.fleet(1)), 4)
        self.assertRegex(result.err, r"SUCCESS.good.web-01.7")
        self.assertRegex(result.err, r"FAILURE.bad.web-01.*oh no")
        self.assertRegex(result.err, r"TIMEOUT.slow.web-01.*100ms")
        self.assertNotIn("WRONG", result.err)

    def test_the_workflow_is_told_when_all_is_over(self):
        path = self.workflow('''
local a = task("a"):delegate_to("web-01"):command(function() return true, "", { n = 7 } end):build()
local b = task("b"):delegate_to("web-01"):command(function(this, params)
  return params.b ~= "bad" end):build()
workflow.define("w", { tasks = { a, b }, on_complete = function(succeeded, results)
  log.info("COMPLETE", succeeded, results.a.outputs.n, results.b.success)
end })
''')
        agents = self.fleet(1)
        result = self.assertExit(self.sloth("run", path, agents=agents), 0)
        self.assertRegex(result.err, r"COMPLETE.true.7.true")
        result = self.assertExit(self.sloth("run", path, "-p", "b=bad", agents=agents), 1)
        self.assertRegex(result.err, r"COMPLETE.false.7.false")

    def test_a_hook_that_raises_makes_the_run_fail(self):
        path = self.workflow('task("x"):delegate_to("web-01"):command(function() end)\n'
                             ':on_success(function() error("in the hook") end):build()')
        result = self.assertExit(self.sloth("run", path, agents=self.fleet(1)), 1)
        self.assertRegex(result.err, r"on_success: .*workflow\.sloth:2: in the hook")

    def test_conditions_skip_a_task_or_stop_the_run(self):
        text = '''
local a = task("a"):delegate_to("web-01"):run_if(function() return false end)
  :command(function() end):build()
local b = task("b"):depends_on(a):delegate_to("web-01"):command(function() end):build()
local c = task("c"):depends_on(b):delegate_to("web-01")
  :abort_if(function(this, params) return params.stop == "yes" end)
  :command(function() end):build()
local d = task("d"):depends_on(c):delegate_to("web-01"):command(function() end):build()
workflow.define("w"):tasks({ a, b, c, d })
'''
        agents = self.fleet(1)
        tasks = self.tasks(text, agents=agents, code=0)
        states = [tasks[name, "web-01"]["state"] for name in "abcd"]
        self.assertEqual(states, ["skipped", "done", "done", "done"])
        tasks = self.tasks(text, "-p", "stop=yes", agents=agents, code=1)
        self.assertEqual(tasks["b", "web-01"]["state"], "done")
        self.assertIn("abort_if", tasks["c", "web-01"]["message"])
        self.assertNotEqual(tasks["d", "web-01"]["state"], "done")

    def test_some_targets_may_fail_if_the_workflow_says_so(self):
        text = '''
local a = task("a"):delegate_to({ "web-01", "web-02", "web-03" })
  :command(function(this) return this.agent ~= "web-02", "as asked" end):build()
local b = task("b"):depends_on(a):delegate_to("web-01"):command(function() end):build()
workflow.define("w"):tasks({ a, b }):config({ max_fail = MAX })
'''
        agents = self.fleet(3)
        tasks = self.tasks(text.replace("MAX", "1"), agents=agents, code=0)
        self.assertEqual(tasks["a", "web-02"]["state"], "failed")
        self.assertEqual(tasks["b", "web-01"]["state"], "done")
        tasks = self.tasks(text.replace("MAX", "0"), agents=agents, code=1)
        self.assertEqual(tasks["b", "web-01"]["state"], "skipped")

    def test_independent_tasks_run_side_by_side_and_no_more_than_allowed(self):
        text = '''
local tasks = {}
for i = 1, 6 do
  tasks[i] = task("t" .. i):delegate_to("web-01")
    :command(function() goroutine.sleep(1000) end):build()
end
workflow.define("w"):tasks(tasks):config({ max_parallel = MAX })
'''
        agents = self.fleet(1)
        result = self.assertExit(self.sloth(
            "run", self.workflow(text.replace("MAX", "6")), agents=agents), 0)
        self.assertLess(result.seconds, 5, str(result))
        result = self.assertExit(self.sloth(
            "run", self.workflow(text.replace("MAX", "2")), agents=agents), 0)
        self.assertGreaterEqual(result.seconds, 3, str(result))


class Shipping(Case):
    def test_modules_beside_the_file_go_along(self):
        (self.place / "greeting.lua").write_text(
            'local deep = require("deep.words")\nreturn function(who) return deep.hello .. who end\n')
        (self.place / "deep").mkdir()
        (self.place / "deep" / "words.lua").write_text('return { hello = "hello, " }')
        path = self.workflow('''
task("x"):delegate_to("web-01"):command(function()
  local ok, text = goroutine.await(goroutine.async(function() return require("greeting")("you") end))
  return ok, text
end):build()
''')
        result = self.assertExit(self.sloth("run", path, "-o", "json", agents=[self.agent()]), 0)
        self.assertEqual(result.json()["tasks"][0]["message"], "hello, you")

    def test_a_script_that_is_sent_brings_its_modules(self):
        (self.place / "words.lua").write_text('return { hello = "hello, you" }')
        script = self.workflow('#!/usr/bin/env lua\nreturn true, require("words").hello',
                               "script.lua")
        result = self.assertExit(
            self.sloth("exec", "web-01", script, "-o", "json", agents=[self.agent()]), 0)
        self.assertEqual(result.json()["tasks"][0]["message"], "hello, you")

    def test_a_command_line_runs_with_the_tasks_environment(self):
        path = self.workflow('task("x"):delegate_to("web-01"):env({ WHO = "you" }):workdir("/usr")\n'
                             ':command("echo hello $WHO in $PWD; exit 4"):build()')
        result = self.assertExit(self.sloth("run", path, agents=[self.agent()]), 1)
        self.assertRegex(result.out, r"web-01 │ .*hello you in /usr")
        self.assertIn("exit status 4", result.out)

    def test_a_module_that_is_not_there_is_named(self):
        path = self.workflow('task("x"):delegate_to("web-01"):command(function()\n'
                             'return require("no_such_thing") end):build()')
        result = self.assertExit(self.sloth("run", path, agents=[self.agent()]), 1)
        self.assertIn("module 'no_such_thing' not found", result.out + result.err)

    def test_a_captured_module_that_an_agent_lacks_is_named_with_who_needs_it(self):
        # A module in C goes by name; here it is one that only the controller has.
        path = self.workflow("""
package.loaded.no_such_json = { encode = io.stdout.write }
local json = require("no_such_json")
local function show(x) return json.encode(x) end
task("x"):delegate_to("web-01"):command(function() return show({}) end):build()
""")
        result = self.assertExit(self.sloth("run", path, agents=[self.agent()]), 1)
        self.assertIn("module 'no_such_json' is not installed on web-01 "
                      "(needed by upvalue 'json' of task 'x')", result.out)

    def test_params_and_values_arrive(self):
        (self.place / "values.yaml").write_text("db: { host: db-01, ports: [5432, 5433] }\n")
        path = self.workflow('''
local captured = values.db.host
task("x"):params({ a = 1, b = "file" }):delegate_to(values.agent or "web-01")
  :command(function(this, params)
    return true, table.concat({ captured, values.db.ports[2], params.values.db.host,
      params.a, params.b, params.c }, " ")
  end):build()
''')
        result = self.assertExit(self.sloth(
            "run", path, "-o", "json", "-v", self.place / "values.yaml", "-p", "b=flag", "-p",
            "c=3", agents=[self.agent()]), 0)
        self.assertEqual(result.json()["tasks"][0]["message"], "db-01 5433 db-01 1 flag 3")


if __name__ == "__main__":
    unittest.main(verbosity=2)
