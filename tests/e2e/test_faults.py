# SPDX-License-Identifier: MIT
"""Things that die in the middle: what is left, what is said, what is not lost."""
import os
import pathlib
import re
import signal
import threading
import time
import unittest

from house import SANITIZED, SLOW, Case, alive, descendants, wait_for


class Faults(Case):
    SLEEPER = ('task("sleeper"):command(function() log.info("pid " .. '
               'io.open("/proc/self/stat"):read("n")) goroutine.sleep(60000) end)'
               ':delegate_to("web-01"):build()')

    def worker_pid(self, process):
        """The pid that the sleeping task logs, read from sloth's live output."""
        for line in process.stdout:
            found = re.search(r"pid (\d+)", line)
            if found:
                return int(found.group(1))
        raise AssertionError("no pid in the output: " + process.stderr.read())

    def test_a_killed_worker_is_a_failure_that_names_the_signal(self):
        agent = self.agent()
        process = self.start("run", self.workflow(self.SLEEPER), agents=[agent])
        os.kill(self.worker_pid(process), signal.SIGKILL)
        result = self.assertExit(self.finish(process), 1)
        self.assertRegex(result.out + result.err, r"signal 9")
        self.assertExit(self.sloth("exec", "web-01", "-e", "return true", agents=[agent]), 0)

    @unittest.skipIf(SANITIZED, "a sanitizer answers the fault itself")
    def test_a_segfault_is_contained(self):
        agent = self.agent()
        process = self.start("run", self.workflow(self.SLEEPER), agents=[agent])
        os.kill(self.worker_pid(process), signal.SIGSEGV)
        result = self.assertExit(self.finish(process), 1)
        self.assertRegex(result.out + result.err, r"signal 11")

    def test_a_killed_agent_leaves_an_unknown_result_and_no_process(self):
        agent = self.agent()
        process = self.start("run", self.workflow(self.SLEEPER), "--timeout", "5s",
                             agents=[agent])
        worker = self.worker_pid(process)
        everything = descendants(agent.pid)
        self.assertIn(worker, everything)
        agent.process.kill()
        agent.process.wait()
        began = time.monotonic()
        result = self.assertExit(self.finish(process), 3)
        self.assertIn("web-01", result.out + result.err)
        self.assertRegex(result.out + result.err, r"unknown|unreachable|lost")
        wait_for(lambda: not any(map(alive, everything)), "spawner and workers are gone")
        self.assertLess(time.monotonic() - began, 60)

    def test_a_killed_sloth_leaves_its_job_running_and_its_result_waiting(self):
        agent = self.agent()
        path = self.workflow('task("t"):command(function() log.info("begun") '
                             'goroutine.sleep(1500) return true, "finished alone" end)'
                             ':delegate_to("web-01"):build()')
        process = self.start("run", path, agents=[agent])
        for line in process.stdout:
            if "begun" in line:
                break
        process.kill()
        process.communicate()
        with agent.client() as client:
            (row,) = client.call("jobs")["jobs"]
            self.assertEqual(row["state"], "running")
            state, events = client.finish(row["job"])
        self.assertEqual(state, "done")
        self.assertIn("finished alone", str(events))
        job = row["job"].hex()
        result = self.assertExit(self.sloth("attach", "web-01", job, agents=[agent]), 0)
        self.assertIn("finished alone", result.out)

    def brood(self):
        """A command that leaves three processes behind, and where it writes their pids."""
        pids = self.place / "pids"
        script = self.place / "brood.sh"
        script.write_text('#!/bin/sh\nsleep 600 &\necho $! >>%s\n'
                          'setsid sh -c \'sleep 601 & echo $! >>%s\' &\n'
                          'setsid setsid sh -c \'(sleep 602 & echo $! >>%s) &\'\nwait\n'
                          % (pids, pids, pids))
        script.chmod(0o755)
        return pids, ('os.execute("%s & sleep 0.2; while [ $(wc -l <%s) -lt 3 ]; do sleep 0.05; '
                      'done")' % (script, pids))

    def assertGone(self, pids):
        """Not a moment later."""
        brood = [int(word) for word in pids.read_text().split()]
        self.assertEqual([pid for pid in brood if alive(pid)], [])
        self.assertEqual(len(brood), 3)

    def test_children_do_not_survive_their_task(self):
        """Neither a plain child, nor one that left the session, nor a double fork."""
        agent = self.agent()
        pids, command = self.brood()
        path = self.workflow('task("t"):command(function() %s goroutine.sleep(60000) end)'
                             ':delegate_to("web-01"):timeout("2s"):build()' % command)
        self.assertExit(self.sloth("run", path, agents=[agent]), 4)
        self.assertGone(pids)

    def test_what_a_task_left_behind_is_gone_when_it_is_done(self):
        agent = self.agent(listen="ipc://%s/agent.sock" % self.place)
        client = agent.client()
        self.addCleanup(client.close)
        pids, command = self.brood()
        job, _ = client.submit("function() %s return true end" % command, wait_ms=10000)
        self.assertEqual(client.finish(job)[0], "done")
        self.assertGone(pids)

    def test_a_cancel_ends_the_job_and_says_who_asked(self):
        agent = self.agent()
        process = self.start("run", self.workflow(self.SLEEPER), agents=[agent])
        worker = self.worker_pid(process)
        with agent.client() as client:
            (row,) = client.call("jobs")["jobs"]
        self.assertExit(self.sloth("cancel", "web-01", row["job"].hex(), agents=[agent]), 0)
        result = self.finish(process)
        self.assertIn(result.code, (1, 130), str(result))
        self.assertIn("cancel", result.out + result.err)
        wait_for(lambda: not alive(worker), "the worker is gone")

    def test_a_restarted_agent_does_not_know_the_job_and_it_is_not_run_again(self):
        agent = self.agent(listen="ipc://%s/agent.sock" % self.place)
        marker = self.place / "runs"
        path = self.workflow('task("t"):command(function() local f = io.open("%s", "a") '
                             'f:write("x") f:close() goroutine.sleep(60000) end)'
                             ':delegate_to("web-01"):build()' % marker)
        process = self.start("run", path, "--timeout", "20s", agents=[agent])
        wait_for(marker.exists, "the task has begun")
        agent.process.kill()
        agent.process.wait()
        agent.start()
        self.assertExit(self.finish(process), 3)
        self.assertEqual(marker.read_text(), "x")

    def test_a_term_drains_and_a_second_one_does_not_wait(self):
        agent = self.agent("--drain", "30s")
        path = self.workflow('task("t"):command(function() log.info("begun") '
                             'goroutine.sleep(1000) return true, "drained" end)'
                             ':delegate_to("web-01"):build()')
        process = self.start("run", path, agents=[agent])
        line = next(line for line in process.stdout if "begun" in line)
        self.assertTrue(line)
        agent.process.send_signal(signal.SIGTERM)
        result = self.assertExit(self.finish(process), 0)
        self.assertIn("drained", result.out)
        self.assertEqual(agent.process.wait(20), 0, agent.log())

        agent.start()
        process = self.start("run", self.workflow(self.SLEEPER), "--timeout", "5s",
                             agents=[agent])
        worker = self.worker_pid(process)
        begun = agent.log().count("notice: draining")
        agent.process.send_signal(signal.SIGTERM)
        # Two at once would be one: the kernel doesn't count them.
        wait_for(lambda: agent.log().count("notice: draining") > begun, "the first was heard")
        agent.process.send_signal(signal.SIGTERM)
        wait_for(lambda: agent.process.poll() is not None, "the agent is gone", 5)
        wait_for(lambda: not alive(worker), "its worker too", 5)
        process.kill()
        process.communicate()


class Orphans(Case):
    """An agent has two processes beside its workers; whichever of them dies, and when, and in
    which order: nothing stays."""

    BUSY = ('function() exec.run("setsid sh -c \'sleep 600 & sleep 601\' & sleep 602") end')

    def setUp(self):
        super().setUp()
        self.mark = "SLOTH_ORPHAN=%d-%d" % (os.getpid(), time.monotonic_ns())
        name, value = self.mark.split("=")
        os.environ[name] = value
        self.addCleanup(os.environ.pop, name)

    def family(self):
        """All that the agent started or that came of it: its environment is theirs."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                pid = int(path.parts[2])
                if pid != os.getpid() and self.mark.encode() in path.read_bytes() \
                        and alive(pid):
                    found.append(pid)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
        return found

    def named(self, name):
        found = []
        for pid in self.family():
            try:
                if pathlib.Path("/proc/%d/comm" % pid).read_text().strip() == name:
                    found.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def busy_agent(self):
        """One whose task has begun processes, two of which left it; and the spawner's pid."""
        agent = self.agent("--prefork", 4)
        with agent.client() as client:
            job, _ = client.submit(self.BUSY)
        wait_for(lambda: len(self.named("sleep")) == 3, "the task's processes run")
        self.assertEqual(len(self.named("sloth-worker")), 4)
        (spawner,) = self.named("sloth-spawner")
        return agent, spawner, job

    def assertNoneLeft(self, seconds=10):
        wait_for(lambda: not self.family(), "none of the agent's processes is left", seconds)

    def test_a_killed_spawner_takes_all_along_and_another_one_comes(self):
        agent, spawner, job = self.busy_agent()
        before = [pid for pid in self.family() if pid != agent.pid]
        os.kill(spawner, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, before)), "they have gone with it")
        with agent.client() as client:
            state, events = client.finish(job)
            self.assertEqual(state, "crashed")
            self.assertIn("spawner", str(events[-1]))
            job, _ = client.submit("function() return true end", wait_ms=10000)
            self.assertEqual(client.finish(job)[0], "done")
        self.assertEqual(agent.stop(), 0)
        self.assertNoneLeft()

    def test_a_killed_main_takes_all_along(self):
        agent, _, _ = self.busy_agent()
        agent.process.kill()
        self.assertNoneLeft()

    def test_a_stopped_spawner_sees_that_main_is_gone(self):
        agent, spawner, _ = self.busy_agent()
        os.kill(spawner, signal.SIGSTOP)
        agent.process.kill()
        self.assertNoneLeft()

    def test_the_kernel_ends_workers_whose_spawner_dies(self):
        agent, spawner, _ = self.busy_agent()
        for pid in [agent.pid] + self.named("sloth-worker"):
            os.kill(pid, signal.SIGSTOP)
        self.assertEqual(len(self.named("sloth-worker")), 4)
        os.kill(spawner, signal.SIGKILL)
        try:
            wait_for(lambda: not self.named("sloth-worker"), "the kernel has ended them")
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        self.assertEqual(agent.stop(), 0)
        self.assertNoneLeft()

    def test_whoever_dies_while_workers_are_made_none_is_left(self):
        for i in range(12):
            agent = self.agent("--prefork", 16, name="a%d" % i, start=False)
            starts = threading.Thread(target=self.start_or_not, args=[agent])
            starts.start()
            wait_for(lambda: self.named("sloth-spawner"), "the spawner runs")
            time.sleep(0.004 * i * SLOW)
            victims = self.named("sloth-spawner") + [agent.process.pid]
            self.kill(victims if i % 2 else reversed(victims))
            starts.join()
            agent.process.wait()
            self.assertNoneLeft()

    @staticmethod
    def kill(pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    @staticmethod
    def start_or_not(agent):
        try:
            agent.start()
        except AssertionError:
            pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
