# SPDX-License-Identifier: MIT
"""The agent as a service manager sees it: what it is told, and what a reload
does. The manager is the test."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

AGENT = os.environ["SLOTH_AGENT"]
SLOTH = os.environ["SLOTH"]
PATIENCE = 20 * int(os.environ["SLOTH_TEST_SLOW"])
# A sanitizer wants to be loaded before anything else.
NOT_PRELOADED = os.environ["SLOTH_TEST_SANITIZED"] == "1" and "in the plain build alone"
libc = ctypes.CDLL(None, use_errno=True)


class Service(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(self.folder / "notify"))
        self.manager.settimeout(PATIENCE)
        self.config = self.folder / "agent.yaml"
        self.log_path = self.folder / "log"

    def start(self, config, **more):
        self.address = f"ipc://{self.folder}/agent.sock"
        self.config.write_text(
            f"listen: {self.address}\nstate_dir: {self.folder}/state\nname: here\n{config}")
        env = dict(os.environ, NOTIFY_SOCKET=str(self.folder / "notify"), **more)
        with open(self.log_path, "w") as log:
            self.agent = subprocess.Popen([AGENT, "--config", self.config], env=env, stderr=log)
        self.addCleanup(self.stop)
        self.expect("READY=1\nSTATUS=jobs running: 0, waiting: 0")

    def stop(self):
        if self.agent.poll() is None:
            self.agent.kill()
        self.agent.wait()

    def expect(self, text):
        """Waits until the manager is told something that begins with @text."""
        told = []
        while not told or not told[-1].startswith(text):
            try:
                told.append(self.manager.recv(4096).decode())
            except TimeoutError:
                self.fail(f"{text!r} did not come; this came: {told}; the log:\n{self.log()}")
        return told[-1]

    def log(self):
        return self.log_path.read_text()

    def sloth(self, *args):
        return subprocess.Popen(
            [SLOTH, *args, "-a", f"here={self.address}"], stdout=subprocess.PIPE, text=True)

    def reload(self):
        """The number of log lines before it."""
        lines = len(self.log().splitlines())
        self.agent.send_signal(signal.SIGHUP)
        self.assertIn("\nMONOTONIC_USEC=", self.expect("RELOADING=1"))
        self.expect("READY=1")
        return self.log().splitlines()[lines:]

    def test_the_manager_knows_what_goes_on(self):
        self.start("drain: 100ms")
        task = self.sloth("exec", "here", "-e", "goroutine.sleep(1e9)")
        self.expect("STATUS=jobs running: 1, waiting: 0; listening on ipc://")
        self.agent.send_signal(signal.SIGTERM)
        self.expect("STOPPING=1\nSTATUS=stopping; jobs running: 1")
        self.assertEqual(self.agent.wait(PATIENCE), 0)
        task.communicate(timeout=PATIENCE)

    def test_the_watchdog_is_fed(self):
        self.start("", WATCHDOG_USEC="200000")
        for _ in range(3):
            self.expect("WATCHDOG=1")

    def test_a_loop_that_hangs_feeds_no_watchdog(self):
        self.start("", WATCHDOG_USEC="200000")
        self.expect("WATCHDOG=1")
        self.agent.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.agent.pid, os.WSTOPPED | os.WNOWAIT)
        self.assert_starving()

    def assert_starving(self):
        """The dog, which is fed ten times a second, gets nothing any more."""
        self.manager.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                self.manager.recv(4096)
        self.manager.settimeout(0.7)
        with self.assertRaises(TimeoutError):
            self.manager.recv(4096)
        self.manager.settimeout(PATIENCE)

    def wait_log(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.log():
            self.assertLess(time.monotonic(), end, f"{text!r} is not logged:\n{self.log()}")
            time.sleep(0.02)

    def child(self, name):
        children = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children").read_text()
        for pid in map(int, children.split()):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                return pid
        self.fail(f"no {name} among {children}")

    @unittest.skipIf(NOT_PRELOADED, NOT_PRELOADED)
    def test_a_loop_that_does_not_come_back_feeds_no_watchdog(self):
        self.start("", WATCHDOG_USEC="200000", LD_PRELOAD=os.environ["SLOTH_HANG"])
        self.expect("WATCHDOG=1")
        self.agent.send_signal(signal.SIGUSR2)
        time.sleep(0.1)  # for the signal to arrive; what was told before it is read below
        self.assert_starving()

    @unittest.skipIf(NOT_PRELOADED, NOT_PRELOADED)
    def test_a_network_that_hangs_feeds_no_watchdog(self):
        self.start("", WATCHDOG_USEC="200000", LD_PRELOAD=os.environ["SLOTH_HANG"])
        self.expect("WATCHDOG=1")
        n = 0
        for task in Path(f"/proc/{self.agent.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("nng:"):
                self.assertEqual(
                    libc.tgkill(self.agent.pid, int(task.name), int(signal.SIGUSR2)), 0)
                n += 1
        self.assertGreater(n, 0)
        # One of them may have held what the loop wants to have: then that hangs too.
        time.sleep(0.1)
        self.assert_starving()

    def test_a_spawner_that_hangs_feeds_no_watchdog_until_it_goes_on(self):
        self.start("", WATCHDOG_USEC="200000")
        self.expect("WATCHDOG=1")
        spawner = self.child("sloth-spawner")
        os.kill(spawner, signal.SIGSTOP)
        self.wait_log("no progress why=the spawner does not answer")
        self.assert_starving()
        os.kill(spawner, signal.SIGCONT)
        self.expect("WATCHDOG=1")

    def test_a_socket_that_is_gone_feeds_no_watchdog(self):
        self.start("", WATCHDOG_USEC="200000")
        self.expect("WATCHDOG=1")
        os.unlink(self.folder / "agent.sock")
        self.wait_log("no progress why=ipc://")
        self.assert_starving()

    def test_one_address_that_answers_is_progress(self):
        self.start("", WATCHDOG_USEC="200000", SLOTH_AGENT_LISTEN=",".join(
            [f"ipc://{self.folder}/other.sock", f"ipc://{self.folder}/agent.sock"]))
        os.unlink(self.folder / "other.sock")
        for _ in range(3):
            self.expect("WATCHDOG=1")
        self.assertNotIn("no progress", self.log())

    def test_a_task_that_goes_on_while_the_agent_drains_is_progress(self):
        self.start("drain: 1s", WATCHDOG_USEC="200000")
        task = self.sloth("exec", "here", "-e", "goroutine.sleep(1e9)")
        self.expect("STATUS=jobs running: 1")
        self.agent.send_signal(signal.SIGTERM)
        self.expect("STOPPING=1")
        for _ in range(3):
            self.expect("WATCHDOG=1")
        self.assertEqual(self.agent.wait(PATIENCE), 0)
        task.kill()
        task.communicate(timeout=PATIENCE)

    def test_tasks_can_not_speak_for_the_agent(self):
        self.start("")
        task = self.sloth("exec", "here", "-e", "print(os.getenv('NOTIFY_SOCKET'))")
        self.assertIn("nil", task.communicate(timeout=PATIENCE)[0])

    def test_a_reload_changes_what_can_change_and_names_the_rest(self):
        self.start("log_level: notice")
        self.config.write_text(self.config.read_text().replace("notice", "debug")
                               + "\nmax_tasks: 7\n")
        log = "\n".join(self.reload())
        self.assertIn("option needs a restart to change option=max_tasks", log)
        self.assertIn("configuration read again", log)
        # The job's life is logged from here on.
        self.sloth("exec", "here", "-e", "return true").communicate(timeout=PATIENCE)
        self.assertIn(": debug: ", self.log())

    def test_a_reload_with_a_mistake_changes_nothing(self):
        self.start("log_level: notice")
        self.config.write_text("log_level: debug\nlog_levle: debug\n")
        log = "\n".join(self.reload())
        self.assertIn("configuration stays as it was", log)
        self.assertIn("agent.yaml:2: 'log_levle' is no option of the agent; "
                      "did you mean 'log_level'?", log)
        self.sloth("exec", "here", "-e", "return true").communicate(timeout=PATIENCE)
        self.assertNotIn(": debug: ", self.log())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
