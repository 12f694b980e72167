# SPDX-License-Identifier: MIT
"""The terms on which sloth leaves: Ctrl-C, signals, deadlines, a reader who has gone."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from house import SLOTH, SLOTH_AGENT, Case, alive, children, descendants, wait_for

SLEEP = "log.info('begun') goroutine.sleep(%d) return true, 'slept'"


class Terms(Case):
    def begin(self, target, *flags, agents=(), ms=60000):
        """A job that sleeps, begun: its process, after its first line of output."""
        process = self.start("exec", target, "-e", SLEEP % ms, *flags, agents=agents)
        for line in process.stdout:
            if "begun" in line:
                return process
        raise AssertionError("it didn't begin: " + process.stderr.read())

    def state(self, agent):
        result = self.assertExit(self.sloth("jobs", "web-01", "-o", "jsonl", agents=[agent]), 0)
        return result.jsonl()[0]

    def test_one_interrupt_leaves_the_job_and_says_how_to_come_back(self):
        agent = self.agent()
        process = self.begin("web-01", agents=[agent], ms=4000)
        process.send_signal(signal.SIGINT)
        result = self.assertExit(self.finish(process), 130)
        job = self.state(agent)
        self.assertEqual(job["state"], "running")
        self.assertIn("sloth attach web-01 " + job["job"], result.out)
        result = self.assertExit(
            self.sloth("attach", "web-01", job["job"][:8], agents=[agent]), 0)
        self.assertIn("slept", result.out)

    def test_two_interrupts_stop_the_job(self):
        agent = self.agent()
        process = self.begin("web-01", agents=[agent])
        process.send_signal(signal.SIGINT)
        self.assertIn("again", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        self.assertExit(self.finish(process), 130)
        self.assertEqual(self.state(agent)["state"], "cancelled")

    def test_a_term_stops_the_job_at_once(self):
        agent = self.agent()
        process = self.begin("web-01", agents=[agent])
        process.send_signal(signal.SIGTERM)
        self.assertExit(self.finish(process), 130)
        self.assertEqual(self.state(agent)["state"], "cancelled")

    def test_a_private_agent_ends_with_its_run(self):
        process = self.begin("local")
        family = descendants(process.pid)
        self.assertGreaterEqual(len(family), 2)
        process.send_signal(signal.SIGINT)
        self.assertExit(self.finish(process), 130)
        wait_for(lambda: not any(map(alive, family)), "the agent and its workers are gone")

    def test_a_private_agent_ends_with_a_killed_run_and_the_next_one_cleans_up(self):
        self.runtime = self.place / "runtime"
        self.runtime.mkdir()
        process = self.begin("local")
        family = descendants(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda: not any(map(alive, family)), "the agent and its workers are gone")
        self.assertEqual(len(list(self.runtime.iterdir())), 1)
        self.assertExit(self.sloth("exec", "local", "-e", "return true"), 0)
        self.assertEqual(list(self.runtime.iterdir()), [])

    def environment(self, agents=()):
        env = super().environment(agents)
        if hasattr(self, "runtime"):
            env["XDG_RUNTIME_DIR"] = str(self.runtime)
        return env

    def test_a_private_agent_that_is_killed_makes_its_task_lost(self):
        process = self.begin("local")
        (agent,) = children(process.pid)
        os.kill(agent, signal.SIGKILL)
        result = self.assertExit(self.finish(process), 3)
        self.assertIn("lost", result.out)

    def test_the_time_of_the_whole_run_is_bounded(self):
        agent = self.agent()
        began = time.monotonic()
        result = self.assertExit(self.sloth(
            "exec", "web-01,local", "-e", SLEEP % 60000, "--timeout", "700ms", "-o", "json",
            agents=[agent]), 4)
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual([task["state"] for task in result.json()["tasks"]], ["timeout"] * 2)
        self.assertEqual(self.state(agent)["state"], "cancelled")

    def test_an_agent_that_stays_away_leaves_an_unknown_result(self):
        agent = self.agent()
        process = self.begin("web-01", "--reconnect", "1s", agents=[agent])
        agent.process.kill()
        result = self.assertExit(self.finish(process), 3)
        self.assertRegex(result.out, r"unknown .*[Rr]efused")
        self.assertIn("sloth attach web-01", result.out)

    def test_a_frozen_agent_is_out_of_reach_when_time_is_up(self):
        agent = self.agent()
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            result = self.assertExit(self.sloth(
                "exec", "web-01", "-e", "return true", "--timeout", "1s", agents=[agent]), 3)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        self.assertIn("unreachable", result.out)

    def test_a_reader_who_leaves_ends_it(self):
        process = subprocess.Popen(
            [SLOTH, "exec", "local", "-e", "for i = 1, 1e6 do print(i) end"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment(), cwd=self.place)
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(60), 130)
        process.stderr.close()

    def test_an_interrupt_is_heard_though_nobody_reads_the_output(self):
        process = subprocess.Popen(
            [SLOTH, "exec", "local", "-e", "for i = 1, 1e6 do print(i) end"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment(), cwd=self.place)
        process.stdout.readline()
        # The first one may be heard before the pipe is full: then the summary can't be written.
        # A person presses again.
        for _ in range(10):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(2)
                break
            except subprocess.TimeoutExpired:
                pass
        self.assertIn(process.returncode, (-signal.SIGINT, 130))
        process.stdout.close()
        process.stderr.close()

    def test_a_full_disk_is_no_success(self):
        for argv in ((SLOTH, "agents", "-a", "a=tcp://127.0.0.1:1"), (SLOTH, "help"),
                     (SLOTH_AGENT, "--dump-config"), (SLOTH_AGENT, "--help")):
            with self.subTest(argv), open("/dev/full", "w") as full:
                process = subprocess.Popen(argv, stdout=full, stderr=subprocess.PIPE, text=True,
                                           env=self.environment(), cwd=self.place)
                _, err = process.communicate(timeout=20)
                self.assertEqual(process.returncode, 1)
                self.assertIn("No space left", err)

    def test_who_asks_for_what_is_not_there_hears_of_it(self):
        result = self.assertExit(self.sloth("help", "exce"), 2)
        self.assertIn("no command 'exce'; did you mean sloth exec?", result.err)
        result = self.assertExit(self.sloth("agents"), 0)
        self.assertEqual(result.out, "")
        self.assertIn("no agents are known: name some with -a", result.err)

    def test_what_a_full_disk_swallows_stops_no_task(self):
        marker = self.place / "ran"
        chunk = "print('x') goroutine.sleep(300) io.open('%s', 'w'):close()" % marker
        for flags in ((), ("-o", "json"), ("-o", "jsonl")):
            with self.subTest(flags), open("/dev/full", "w") as full:
                process = subprocess.Popen([SLOTH, "exec", "local", "-e", chunk, *flags],
                                           stdout=full, stderr=subprocess.PIPE, text=True,
                                           env=self.environment(), cwd=self.place)
                _, err = process.communicate(timeout=20)
                self.assertEqual(process.returncode, 1, err)
                self.assertEqual(err.count("No space left"), 1, err)
                self.assertTrue(marker.exists())
                marker.unlink()

    def test_standard_files_may_be_closed(self):
        marker = self.place / "ran"
        chunk = "print('x') io.open('%s', 'w'):close() return false, 'as asked'" % marker
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed):
                process = subprocess.run(
                    ["sh", "-c", 'exec "$@" ' + closed, "sh", SLOTH, "exec", "local", "-e",
                     chunk], capture_output=True, text=True, timeout=20,
                    env=self.environment(), cwd=self.place)
                self.assertEqual(process.returncode, 1, process)
                self.assertEqual("as asked" in process.stdout, ">&-" not in closed.split())
                self.assertTrue(marker.exists())
                marker.unlink()

    def test_a_command_has_no_flags_that_do_nothing(self):
        for argv in (("keygen", "--timeout", "1s", "k"), ("keygen", "-a", "a=tcp://b:1", "k"),
                     ("agents", "--reconnect", "1s"), ("check", "--connect", "1s", "f")):
            with self.subTest(argv):
                result = self.assertExit(self.sloth(*argv), 2)
                self.assertIn("unknown flag '%s'" % next(a for a in argv if a[0] == "-"),
                              result.err)
        self.assertFalse((self.place / "k").exists())

    def test_what_a_task_prints_can_not_act_on_the_terminal(self):
        pid, fd = os.forkpty()
        if pid == 0:
            os.chdir(self.place)
            os.execve(SLOTH, [SLOTH, "exec", "local", "-e",
                              "print('\\27[2Jspoof\\rlocal')"],
                      dict(self.environment(), TERM="xterm"))
        seen = b""
        try:
            while True:
                seen += os.read(fd, 4096)
        except OSError:
            pass
        os.waitpid(pid, 0)
        os.close(fd)
        self.assertIn(rb"\x1b[2Jspoof\x0dlocal", seen)
        self.assertNotIn(b"\033[2J", seen)

    def test_json_lines_come_as_things_happen(self):
        process = self.start("exec", "local", "-e", SLEEP % 1500, "-o", "jsonl")
        events = []
        for line in process.stdout:
            events.append((json.loads(line), time.monotonic()))
        self.assertExit(self.finish(process), 0)
        log = next(at for event, at in events if event["event"] == "log")
        summary, end = events[-1]
        self.assertEqual(summary["event"], "summary")
        self.assertEqual(summary["tasks"][0]["message"], "slept")
        self.assertGreater(end - log, 1)


class Shell(Case):
    def test_a_command_runs_and_its_status_counts(self):
        result = self.assertExit(self.sloth("sh", "local", "--", "echo", "a  b", "it's"), 0)
        self.assertIn("local │ a  b it's\n", result.out)
        result = self.assertExit(self.sloth("sh", "local", "--", "echo out | tr o x; exit 3"), 1)
        self.assertIn("local │ xut\n", result.out)
        self.assertIn("exit status 3", result.out)


class Keys(Case):
    def test_a_new_key_is_refused_until_it_is_authorized(self):
        agent = self.agent()
        key = self.place / "key"
        made = self.assertExit(self.sloth("keygen", key, "-c", "me"), 0)
        refused = self.sloth("exec", "web-01", "-e", "return true", "--key-file", key,
                             agents=[agent])
        self.assertExit(refused, 5)
        self.assertIn(made.out.split()[1], refused.out)
        with open(agent.state / "authorized_keys", "a") as trusted:
            trusted.write(made.out)
        agent.stop()
        agent.flags += ["--authorized-keys", str(agent.state / "authorized_keys")]
        agent.start()
        self.assertExit(self.sloth("exec", "web-01", "-e", "return true", "--key-file", key,
                                   agents=[agent]), 0)

    def test_a_key_is_never_overwritten(self):
        self.assertExit(self.sloth("keygen"), 0)
        path = pathlib.Path(self.place) / "config" / "sloth" / "id_ed25519"
        before = path.read_bytes()
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertNotEqual(self.sloth("keygen").code, 0)
        self.assertEqual(path.read_bytes(), before)


class GoneReader(Case):
    def test_a_reader_that_has_seen_enough_is_no_error(self):
        path = self.workflow('task("t"):command(function() for i = 1, 2000 do log.info(i) end '
                             'end):build()')
        process = self.start("run", path, "-o", "jsonl")
        process.stdout.readline()
        process.stdout.close()
        self.assertNotIn("can't write", process.stderr.read())
        process.stderr.close()
        process.wait()


if __name__ == "__main__":
    unittest.main(verbosity=2)
