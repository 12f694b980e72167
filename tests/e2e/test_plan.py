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
  :on_success(function(this, params, outputs) print("good: " .. outputs.n) end):build()
task("bad"):command(function() return false, "no luck" end)
  :on_failure(function(this, params, what) print("bad: " .. what.error) end):build()
task("slow"):command(function() goroutine.sleep(30000) end):timeout("200ms")
  :on_timeout(function(this) print("slow: " .. this.name) end):build()
''', code=4)
        for line in ("good: 7", "bad: no luck", "slow: slow"):
            self.assertIn(line, self.result.err)

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
