# SPDX-License-Identifier: MIT
"""What main may do, and what its tasks may: started as root, main becomes another user and
nobody else does."""
import os
import pathlib
import pwd
import signal
import subprocess
import unittest

from house import SLOTH_AGENT, Agent, Case, alive, children, descendants, wait_for

USER = "nobody"
PORT = 1019  # root's to listen on


def status(path):
    """The fields of a /proc/PID/status."""
    lines = pathlib.Path(path).read_text().splitlines()
    return {line.split(":")[0]: line.split(":", 1)[1].split() for line in lines}


def threads(pid):
    return ["/proc/%d/task/%s/status" % (pid, task) for task in os.listdir("/proc/%d/task" % pid)]


def refusal(*flags, **more):
    done = subprocess.run([SLOTH_AGENT, *map(str, flags)], capture_output=True, text=True,
                          timeout=60, **more)
    return done.returncode, done.stderr


@unittest.skipUnless(os.getuid() == 0, "only root has something to give up")
class Privilege(Case):
    def setUp(self):
        super().setUp()
        self.place.chmod(0o755)
        self.entry = pwd.getpwnam(USER)

    def lowered(self, *flags, **more):
        agent = Agent(self.place, "--user", USER, *flags, start=False, **more)
        self.agents.append(agent)
        agent.state.rmdir()  # it is the agent's to make, and to give away
        agent.start()
        return agent

    def test_no_thread_of_main_keeps_any_privilege(self):
        agent = self.lowered()
        user, group = str(self.entry.pw_uid), str(self.entry.pw_gid)
        for path in threads(agent.pid):
            with self.subTest(thread=path):
                now = status(path)
                self.assertEqual(now["Uid"], [user] * 4)
                self.assertEqual(now["Gid"], [group] * 4)
                self.assertNotIn("0", now["Groups"])
                for caps in ["CapInh", "CapPrm", "CapEff", "CapAmb"]:
                    self.assertEqual(int(now[caps][0], 16), 0, caps)
                self.assertEqual(now["NoNewPrivs"], ["1"])

    def test_tasks_are_who_the_agent_was(self):
        agent = self.lowered()
        before, seen = status("/proc/self/status"), self.place / "seen"
        self.assertExit(self.sloth(
            "exec", "web-01", "-e",
            'return os.execute("cat /proc/self/status >%s")' % seen, agents=[agent]), 0)
        inside = status(seen)
        for field in ["Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs"]:
            self.assertEqual(inside[field], before[field], field)
        other = self.workflow("""
            task("other"):command(function() return true end)
              :delegate_to("web-01"):user("%s"):build()""" % USER)
        refused = self.assertExit(self.sloth("run", other, agents=[agent]), 5)
        self.assertIn("runs tasks as 'root'", refused.out + refused.err)

    def test_what_main_may_not_kill_is_killed(self):
        agent = self.lowered()
        here = self.place / "here"
        task = self.start(
            "exec", "web-01", "-e", 'os.execute("setsid sleep 1000 & echo >%s; wait")' % here,
            agents=[agent])
        wait_for(here.exists, "the task runs")
        sleepers = wait_for(lambda: self.sleepers(descendants(agent.pid)), "it has a child")
        task.send_signal(signal.SIGTERM)
        self.assertExit(self.finish(task), 130)
        wait_for(lambda: not any(map(alive, sleepers)), "what the task left behind is gone")
        self.assertExit(self.sloth("exec", "web-01", "-e", "return true", agents=[agent]), 0)

    def sleepers(self, pids):
        def is_sleep(pid):
            try:
                return b"sleep\0" in pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()
            except OSError:
                return False
        return [pid for pid in pids if is_sleep(pid)]

    def test_it_listens_where_only_root_may_and_cleans_up_after_itself(self):
        socket = self.place / "run" / "agent.sock"
        agent = self.lowered("--listen", "tcp://127.0.0.1:%d" % PORT,
                             listen="ipc://%s" % socket)
        self.assertTrue(socket.is_socket())
        for path in [socket.parent, agent.state, agent.key]:
            self.assertEqual(path.stat().st_uid, self.entry.pw_uid, path)
        self.assertEqual(agent.key.stat().st_mode & 0o777, 0o600)
        agent.address = "tcp://127.0.0.1:%d" % PORT
        self.assertExit(self.sloth("exec", "web-01", "-e", "return true", agents=[agent]), 0)
        self.assertEqual(agent.stop(), 0, agent.log())
        self.assertFalse(socket.exists())

    def test_it_reads_its_files_again_as_the_user(self):
        keys = self.place / "authorized_keys"
        config = self.place / "agent.yaml"
        config.write_text("log_level: info\nauthorized_keys: %s\n" % keys)
        agent = self.lowered("--config", config)
        agent.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "configuration read again" in agent.log(), "the reload")
        config.chmod(0o600)
        agent.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "configuration stays as it was: cannot read" in agent.log(),
                 "the file that can't be read is told of")

    def test_a_file_that_a_reload_could_not_read_is_found_at_once(self):
        for name in ["agent.yaml", "authorized_keys"]:
            with self.subTest(file=name):
                path = self.place / name
                path.write_text("")
                path.chmod(0o600)
                flag = "--config" if name == "agent.yaml" else "--authorized-keys"
                code, said = refusal("--user", USER, flag, path, "--state-dir",
                                     self.place / "state", "--listen", "tcp://127.0.0.1:0")
                self.assertEqual(code, 1, said)
                self.assertIn(str(path), said)
                self.assertIn("'%s'" % USER, said)

    def test_without_its_spawner_it_ends_to_be_started_again(self):
        agent = self.lowered()
        here = self.place / "here"
        task = self.start(
            "exec", "web-01", "-e", 'io.open("%s", "w"):close() goroutine.sleep(1e9)' % here,
            agents=[agent])
        wait_for(here.exists, "the task runs")
        workers = descendants(agent.pid)
        os.kill(children(agent.pid)[0], signal.SIGKILL)
        self.assertEqual(agent.process.wait(60), 1, agent.log())
        self.assertIn("lack the rights", agent.log())
        wait_for(lambda: not any(map(alive, workers)), "its workers are gone")
        self.assertExit(self.finish(task), 1)

    def test_an_unknown_user_is_a_mistake(self):
        code, said = refusal("--user", "nobody-knows-me", "--check-config")
        self.assertEqual(code, 2)
        self.assertIn("no user 'nobody-knows-me'", said)

    def test_who_is_not_root_can_be_nobody_else(self):
        # What was built may be out of this user's reach.
        program = self.place / "sloth-agent"
        program.write_bytes(pathlib.Path(SLOTH_AGENT).read_bytes())
        program.chmod(0o755)
        def check(user):
            done = subprocess.run([program, "--user", user, "--check-config"], user=USER,
                                  group=self.entry.pw_gid, extra_groups=[],
                                  capture_output=True, text=True, timeout=60)
            return done.returncode, done.stderr
        self.assertEqual(check(USER), (0, ""))
        code, said = check("root")
        self.assertEqual(code, 2)
        self.assertIn("root alone can become", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
