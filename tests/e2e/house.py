# SPDX-License-Identifier: MIT
"""What every end-to-end test needs: the built programs, run for real, and a place for them.

The two programs come from the environment (SLOTH, SLOTH_AGENT), set by Meson.
"""
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

from wire import Client

SLOTH = os.environ["SLOTH"]
SLOTH_AGENT = os.environ["SLOTH_AGENT"]
SOURCE = pathlib.Path(__file__).resolve().parents[2]

# Sanitizers make everything several times slower; deadlines (never measurements) scale with it.
SLOW = float(os.environ.get("SLOTH_TEST_SLOW", "1"))
# They also keep what is freed, and answer a fault themselves: memory and signals are judged in
# the plain build.
SANITIZED = os.environ.get("SLOTH_TEST_SANITIZED") == "1"


# What a shell runs in the background ignores interrupts, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def deadline(seconds):
    return time.monotonic() + seconds * SLOW


def wait_for(condition, what, seconds=20):
    """Waits until condition() is true and returns it; fails with @what at the deadline."""
    end = deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("still not so after %g s: %s" % (seconds * SLOW, what))
        time.sleep(0.01)


def rss_kib(pid):
    """Resident memory of a process; 0 in a sanitizer's build, where it says nothing."""
    if SANITIZED:
        return 0
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    return 0


def n_fds(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def alive(pid):
    """Whether @pid runs: a zombie doesn't."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    """The children of @pid: none, if it ends while it is looked at."""
    found = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as children_of_task:
                found += [int(word) for word in children_of_task.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


class Agent:
    """A running sloth-agent on loopback, with a state directory of its own."""

    def __init__(self, place, *flags, name="web-01", listen=None, start=True):
        self.place = pathlib.Path(place)
        self.name = name
        self.state = self.place / ("state-" + name)
        self.state.mkdir(parents=True, exist_ok=True)
        self.flags = [str(flag) for flag in flags]
        self.listen = listen or "tcp://127.0.0.1:0"
        self.log_path = self.place / (name + ".log")
        self.process = None
        if start:
            self.start()

    def start(self):
        read_end, write_end = os.pipe()
        argv = [SLOTH_AGENT, "--listen", self.listen, "--name", self.name, "--state-dir",
                str(self.state), "--ready-fd", str(write_end), *self.flags]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, pass_fds=[write_end])
        os.close(write_end)
        ready, _, _ = select.select([read_end], [], [], 20 * SLOW)
        self.address = os.read(read_end, 4096).decode().strip() if ready else ""
        os.close(read_end)
        assert self.address, "the agent did not get ready; its log:\n" + self.log()
        self.key = self.state / "local.key"

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def client(self, hello=True, **more):
        client = Client(self.address, timeout=30 * SLOW, **more)
        if hello:
            client.hello(None if self.address.startswith("ipc:") else self.key)
        return client

    def stop(self, sig=signal.SIGTERM, seconds=20):
        """Ends the agent and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the agent did not stop; its log:\n" + self.log())


class Result:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def json(self):
        return json.loads(self.out)

    def jsonl(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __str__(self):
        return "exit %s after %.2f s\n--- stdout\n%s\n--- stderr\n%s" % (
            self.code, self.seconds, self.out, self.err)


class Case(unittest.TestCase):
    """A test with a directory of its own and helpers to run sloth; agents end with it."""

    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="sloth-e2e."))
        self.agents = []
        if SANITIZED:
            self.collect_reports()
        self.addCleanup(self.clean_up)

    def collect_reports(self):
        """What a sanitizer finds in a worker would go into its task's log, if it is still read."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sloth-reports."))
        folder.chmod(0o1777)  # an agent gives up root
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            options = [os.environ[name]] if os.environ.get(name) else []
            self.enterContext(mock.patch.dict(
                os.environ, {name: ":".join(options + ["log_path=%s/report" % folder])}))
        self.addCleanup(self.read_reports, folder)

    def read_reports(self, folder):
        reports = [path.read_text(errors="replace") for path in sorted(folder.iterdir())]
        shutil.rmtree(folder)
        if reports:
            self.fail("\n".join(["a sanitizer found:"] + reports))

    def clean_up(self):
        for agent in self.agents:
            if agent.process and agent.process.poll() is None:
                agent.process.kill()
                agent.process.wait()
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            for agent in self.agents:
                sys.stderr.write("--- log of %s\n%s\n" % (agent.name, agent.log()[-8000:]))
        shutil.rmtree(self.place, ignore_errors=True)

    def agent(self, *flags, **more):
        agent = Agent(self.place, *flags, **more)
        self.agents.append(agent)
        return agent

    def environment(self, agents=()):
        env = dict(os.environ, HOME=str(self.place), XDG_CONFIG_HOME=str(self.place / "config"),
                   SLOTH_AGENT_PROGRAM=SLOTH_AGENT)
        env.pop("SLOTH_AGENTS", None)
        if agents:
            env["SLOTH_AGENTS"] = ",".join("%s=%s" % (a.name, a.address) for a in agents)
            env["SLOTH_KEY_FILE"] = str(agents[0].key)
        return env

    def start(self, *argv, agents=(), **more):
        return subprocess.Popen([SLOTH, *map(str, argv)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                errors="replace", env=self.environment(agents),
                                cwd=self.place, **more)

    def finish(self, process, seconds=60):
        began = time.monotonic()
        try:
            out, err = process.communicate(timeout=seconds * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError("sloth did not end within %g s\n%s\n%s"
                                 % (seconds * SLOW, out, err))
        return Result(process.returncode, out, err, time.monotonic() - began)

    def sloth(self, *argv, agents=(), seconds=60):
        return self.finish(self.start(*argv, agents=agents), seconds)

    def workflow(self, text, name="workflow.sloth"):
        path = self.place / name
        path.write_text(text)
        return path

    def assertExit(self, result, code):
        self.assertEqual(result.code, code, str(result))
        return result
