# SPDX-License-Identifier: MIT
"""Many at once, much to say, and nobody who listens: all of it is there in the end."""
import os
import time
import unittest

from house import SLOW, Case, children, descendants, n_fds, rss_kib, wait_for
from wire import Refused


class Many(Case):
    def test_200_tasks_of_100_goroutines_each(self):
        agent = self.agent(listen="ipc://%s/agent.sock" % self.place)
        text = '''function()
  local handles = {}
  for i = 1, 100 do handles[i] = goroutine.async(function(n) goroutine.sleep(1000) return n end, i) end
  local sum = 0
  for i, r in ipairs(goroutine.await_all(handles)) do sum = sum + r.values[1] end
  return sum == 5050, "sum", { sum = sum }
end'''
        with agent.client() as client:
            client.submit("function() return true end", wait_ms=10000)
            wait_for(lambda: client.call("stat").get("running", 0) == 0, "idle again")
            idle = rss_kib(agent.pid)
            jobs = [client.submit(text, name="t%d" % i)[0] for i in range(200)]
            for job in jobs:
                state, events = client.finish(job)
                self.assertEqual(state, "done", events[-3:])
                self.assertIn("5050", str(events))
            for job in jobs:
                client.call("forget", job=job)
            wait_for(lambda: client.call("stat").get("running", 0) == 0, "all workers gone")
            wait_for(lambda: len(descendants(agent.pid)) <= 1 + 4, "only the stock is left")
        self.assertLess(rss_kib(agent.pid) - idle, 8192, "the agent kept what it carried")

    def test_more_than_it_takes_is_refused_busy_and_comes_back(self):
        agent = self.agent("--max-tasks", 2, "--max-queued", 2,
                           listen="ipc://%s/agent.sock" % self.place)
        with agent.client() as client:
            jobs = [client.submit("function() goroutine.sleep(700) return true end")[0]
                    for _ in range(4)]
            with self.assertRaises(Refused) as refused:
                client.submit("function() return true end")
            self.assertEqual(refused.exception.code, "busy")
            self.assertGreater(refused.exception.reply["retry_ms"], 0)
            self.assertEqual(client.call("stat")["queued"], 2)
            for job in jobs:
                self.assertEqual(client.finish(job)[0], "done")
        path = self.workflow("".join(
            'task("t%d"):command(function() goroutine.sleep(200) end):delegate_to("web-01")'
            ':build()\n' % i for i in range(8)))
        self.assertExit(self.sloth("run", path, agents=[agent]), 0)

    def test_a_known_job_is_never_run_again(self):
        agent = self.agent(listen="ipc://%s/agent.sock" % self.place)
        marker = self.place / "runs"
        text = ("function() local f = io.open('%s', 'a') f:write('x') f:close() "
                "return true, 'once' end" % marker)
        with agent.client() as client:
            job, _ = client.submit(text)
            self.assertEqual(client.finish(job)[0], "done")
            for _ in range(3):
                _, reply = client.submit(text, job=job)
                self.assertEqual(reply["state"], "done")
            self.assertEqual(client.finish(job)[0], "done")
        self.assertEqual(marker.read_text(), "x")

    def test_a_job_that_nobody_reads_waits_and_the_agent_stays_small(self):
        agent = self.agent(listen="ipc://%s/agent.sock" % self.place)
        lines, width = 120000, 500  # 60 MB: less than the cap on a job's log, more than its ring
        text = ("function() for i = 1, %d do log.info(string.format('%%06d', i) .. "
                "string.rep('x', %d)) end return true end" % (lines, width - 6))
        with agent.client() as client:
            job, _ = client.submit(text)
            ring = 8 << 20
            wait_for(lambda: client.call("next", job=job, after=0, wait_ms=0)["last"] * width
                     > ring // 2, "the ring fills")
            stuck = client.call("next", job=job, after=0, wait_ms=0, max_bytes=1)["last"]
            end = time.monotonic() + 1
            while time.monotonic() < end:  # it must not move: nobody took anything
                now = client.call("next", job=job, after=0, wait_ms=100, max_bytes=1)["last"]
                stuck = max(stuck, now)
            self.assertLess(stuck * width, 2 * ring)
            self.assertLess(rss_kib(agent.pid), 65536)
            state, events = client.finish(job)
        self.assertEqual(state, "done")
        logged = [event for event in events if event[1] == 1]
        self.assertEqual(len(logged), lines)
        self.assertIn("%06d" % lines, str(logged[-1]))

    def test_a_log_over_its_cap_says_how_much_went(self):
        agent = self.agent(listen="ipc://%s/agent.sock" % self.place)
        text = ("function() local s = string.rep('x', 60000) for i = 1, 1500 do log.info(s) end "
                "return true, 'said' end")
        with agent.client() as client:
            job, _ = client.submit(text)
            state, events = client.finish(job, timeout_ms=120000)
        self.assertEqual(state, "done")
        self.assertEqual(sum(1 for event in events if event[1] == 6), 1, "no dropped event")
        self.assertIn("said", str(events[-2:]))

    def test_100_tasks_in_a_row_leave_nothing(self):
        agent = self.agent(listen="ipc://%s/agent.sock" % self.place)
        with agent.client() as client:
            def some(n):
                for _ in range(n):
                    job, _ = client.submit("function() return true end")
                    self.assertEqual(client.finish(job)[0], "done")
                    client.call("forget", job=job)
            some(50)
            # the spawner, which all workers are copies of, is main's only child
            pids = [agent.pid] + children(agent.pid)
            self.assertEqual(len(pids), 2)
            # each worker that waits for a task is a descriptor of main's
            wait_for(lambda: client.call("stat")["idle_workers"] == 4, "the stock is full")
            before = [(rss_kib(pid), n_fds(pid)) for pid in pids]
            some(100)
            for pid, (rss, fds) in zip(pids, before):
                self.assertLess(rss_kib(pid) - rss, 1024)
                wait_for(lambda: n_fds(pid) <= fds, "no more descriptors than before")


if __name__ == "__main__":
    unittest.main(verbosity=2)
