# SPDX-License-Identifier: MIT
"""What the agent shows to who looks at it: its numbers, which have to be right to the last one,
and its health. What it writes is read by those who will read it: the parsers of Prometheus's
client library, and promtool where that is installed."""
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
import unittest
from unittest import mock

from house import SANITIZED, SLOW, SOURCE, Case, children, wait_for

try:
    from prometheus_client.openmetrics import parser as openmetrics_parser
    from prometheus_client import parser as text_parser
except ImportError:
    openmetrics_parser = text_parser = None

OPENMETRICS = ("application/openmetrics-text;version=1.0.0,"
               "application/openmetrics-text;version=0.0.1;q=0.75,"
               "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")

# Outcomes of tasks, by the state that they end in: the task, and how many of them.
TASKS = {
    "done": ("for i = 1, 3 do log.info('a line') end log.error('another') print('12345') "
             "io.stderr:write('123') return true", 4),
    "failed": ("log.warn('it fails') return false, 'as it should'", 3),
    "timeout": ("goroutine.sleep(1e9)", 2),
    "crashed": ("log.debug('its last words') goroutine.sleep(50) "
                "os.execute('kill -9 $PPID') goroutine.sleep(1e9)", 2),
    "cancelled": ("log.info('begun') goroutine.sleep(1e9)", 1),
}

MOST_CONNECTIONS = 1024  # proto/limits.h

# Four goroutines beside the first, one of which raises; a pool of two, of whose six tasks two
# fail, and into which one does not fit any more.
BUSY = """
    goroutine.pool_create("mine", { workers = 2, queue = 3, submit_timeout = 0 })
    goroutine.pool_create("other", { workers = 1, queue = 0, submit_timeout = 0 })
    local function work(fails)
      while not fs.exists("%s") do goroutine.sleep(10) end
      if fails then error("a failure of the pool") end
      return true
    end
    goroutine.pool_submit("other", work, true)
    for i = 1, 5 do goroutine.pool_submit("mine", work, i == 1) end
    goroutine.pool_submit("mine", work)
    goroutine.spawn(function() error("raised") end)
    for i = 1, 3 do goroutine.spawn(work) end
    log.info("all begun")
    goroutine.pool_wait("mine")
    goroutine.pool_wait("other")
    while not fs.exists("%s") do goroutine.sleep(10) end
    goroutine.pool_close("mine")
    goroutine.pool_close("other")
    return true
"""


def body(lua):
    return f"function() {lua} end"


OBSERVE = SOURCE / "packaging" / "observe"


def dashboard_expressions():
    """What the dashboard's panels ask for, with values for its variables."""
    board = json.loads((OBSERVE / "grafana.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return [e.replace("$instance", ".*").replace("$__rate_interval", "1m") for e in found]


class Socket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("agent", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))  # with a timeout it would not wait for its turn
        self.sock.settimeout(self.timeout)


class Metrics(Case):
    def watched(self, *flags, **more):
        self.socket = self.place / "metrics.sock"
        return self.agent("--metrics", f"ipc://{self.socket}", *flags, **more)

    def ask(self, path, method="GET", **headers):
        connection = Socket(self.socket, 20 * SLOW)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()

    def text(self, accept=OPENMETRICS):
        status, headers, text = self.ask("/metrics", Accept=accept)
        self.assertEqual(status, 200, text)
        return text

    def values(self):
        """{"name{label}": value}, read by nobody's parser, for who has none."""
        lines = [l for l in self.text().splitlines() if not l.startswith("#")]
        return {name: float(value) for name, value in (l.rsplit(" ", 1) for l in lines)}

    def labelled(self, values, name, label):
        return {re.search(f'{label}="(.*?)"', key)[1]: value for key, value in values.items()
                if key.startswith(name + "{")}

    def wait_values(self, expected):
        def found():
            values = self.values()
            return {name: values[name] for name in expected}
        try:
            wait_for(lambda: found() == expected, "these numbers")
        except AssertionError:
            self.assertEqual(found(), expected)

    def run_them(self, agent):
        """Runs TASKS, several at once; returns when all have ended."""
        client = agent.client()
        jobs = []
        for state, (lua, n) in TASKS.items():
            timeout = {"timeout_ms": 300} if state == "timeout" else {}
            jobs += [(state, client.submit(body(lua), name=state, **timeout)[0]) for _ in range(n)]
        last = 0  # accepted, running, and what it says itself
        while last < 3:
            last = client.call("next", job=jobs[-1][1], after=last, wait_ms=30000)["last"]
        client.call("cancel", job=jobs[-1][1])
        for state, job in jobs:
            self.assertEqual(client.finish(job)[0], state)
        client.close()

    def test_the_numbers_are_right(self):
        agent = self.watched("--prefork", 2)
        before = self.values()
        self.assertEqual(before["sloth_agent_jobs_accepted_total"], 0)
        self.assertEqual(before['sloth_agent_workers{state="idle"}'], 2)
        self.run_them(agent)
        wait_for(lambda: self.values()['sloth_agent_workers{state="busy"}'] == 0, "no worker")
        after = self.values()
        counts = {state: n for state, (_, n) in TASKS.items()}
        n = sum(counts.values())

        ended = self.labelled(after, "sloth_agent_jobs_ended_total", "state")
        self.assertEqual(ended, dict.fromkeys(ended, 0) | counts)
        known = self.labelled(after, "sloth_agent_jobs", "state")
        self.assertEqual(known, dict.fromkeys(known, 0) | counts)
        self.assertEqual(after["sloth_agent_jobs_accepted_total"], n)
        for name in ["dispatch_seconds", "task_seconds"]:
            self.assertEqual(after[f"sloth_agent_{name}_count"], n, name)
            self.assertEqual(after[f'sloth_agent_{name}_bucket{{le="+Inf"}}'], n, name)
        self.assertGreaterEqual(after["sloth_agent_task_seconds_sum"], 2 * 0.3)
        # Who is killed for being late may not have said anything.
        self.assertIn(after["sloth_agent_first_event_seconds_count"], range(n - 2, n + 1))
        lines = self.labelled(after, "sloth_agent_task_log_lines_total", "level")
        self.assertEqual(lines, {"error": 4, "warning": 3, "notice": 0, "info": 13, "debug": 2})
        own = self.labelled(after, "sloth_agent_log_lines_total", "level")
        self.assertEqual({level: agent.log().count(f": {level}: ") for level in own}, own)
        out = self.labelled(after, "sloth_agent_task_output_bytes_total", "stream")
        self.assertEqual(out, {"stdout": 4 * 6, "stderr": 4 * 3})
        self.assertEqual(after["sloth_agent_goroutines_started_total"], n)
        self.assertEqual(after["sloth_agent_workers_started_total"], n + 2)
        self.assertEqual(after["sloth_agent_spawners_started_total"], 1)
        for name in ["goroutines", "pools", "running_tasks", "queued_tasks", "queued_bytes"]:
            self.assertEqual(after["sloth_agent_" + name], 0, name)
        self.assertGreater(after["sloth_agent_event_bytes_total"], 0)
        self.assertGreater(after["sloth_agent_ring_bytes"], 0)

    def test_what_goes_on_inside_of_a_task_is_seen_while_it_does(self):
        agent = self.watched("--max-tasks", 1)
        gate, last_gate = self.place / "gate", self.place / "last_gate"
        client = agent.client()
        job = client.submit(body(BUSY % (gate, last_gate)), name="busy")[0]
        waiting = client.submit(body("return true"), name="waits")[0]
        while_it_runs = {
            'sloth_agent_workers{state="busy"}': 1,
            'sloth_agent_jobs{state="running"}': 1,
            'sloth_agent_jobs{state="accepted"}': 1,
            "sloth_agent_running_tasks": 1,
            "sloth_agent_queued_tasks": 1,
            "sloth_agent_pools": 2,
            'sloth_agent_pool_tasks{state="active"}': 3,
            'sloth_agent_pool_tasks{state="queued"}': 3,
            "sloth_agent_pool_tasks_rejected_total": 1,
            "sloth_agent_goroutines": 1 + 3 + 3,
            "sloth_agent_goroutines_started_total": 1 + 3 + 4,
            "sloth_agent_goroutines_failed_total": 1,
            'sloth_agent_task_log_lines_total{level="info"}': 1,
        }
        self.wait_values(while_it_runs)
        self.assertGreater(self.values()["sloth_agent_queued_bytes"], 0)
        gate.touch()
        # What is over is not there any more, though the task goes on.
        self.wait_values({
            "sloth_agent_pools": 2,
            'sloth_agent_pool_tasks{state="active"}': 0,
            'sloth_agent_pool_tasks{state="queued"}': 0,
            "sloth_agent_pool_tasks_completed_total": 4,
            "sloth_agent_pool_tasks_failed_total": 2,
            "sloth_agent_goroutines": 1,
        })
        last_gate.touch()
        self.assertEqual(client.finish(job)[0], "done")
        self.assertEqual(client.finish(waiting)[0], "done")
        values = self.values()
        self.assertEqual(values["sloth_agent_pool_tasks_completed_total"], 4)
        self.assertEqual(values["sloth_agent_pool_tasks_failed_total"], 2)
        self.assertEqual(values["sloth_agent_goroutines_started_total"], 1 + 6 + 4 + 1)
        for name in ["goroutines", "pools", 'pool_tasks{state="active"}',
                     'pool_tasks{state="queued"}']:
            self.assertEqual(values["sloth_agent_" + name], 0, name)

    def test_a_task_that_is_stopped_has_told_what_it_did(self):
        agent = self.watched()
        client = agent.client()
        job = client.submit(body(BUSY % (2 * (self.place / "never",))), name="busy")[0]
        wait_for(lambda: self.values()["sloth_agent_goroutines"] == 7, "it has begun")
        client.call("cancel", job=job)
        self.assertEqual(client.finish(job)[0], "cancelled")
        wait_for(lambda: self.values()['sloth_agent_workers{state="busy"}'] == 0, "it is gone")
        values = self.values()
        self.assertGreaterEqual(values["sloth_agent_goroutines_started_total"], 8)
        self.assertEqual(values["sloth_agent_pool_tasks_rejected_total"], 1)
        self.assertEqual(values["sloth_agent_goroutines"], 0)

    def test_who_is_turned_away_is_counted_with_the_reason(self):
        agent = self.watched("--max-tasks", 1, "--max-queued", 0)
        client = agent.client()

        def refused(reason, lua="return true", **task):
            with self.assertRaisesRegex(Exception, reason):
                client.submit(body(lua), **task)
        job = client.submit(body("goroutine.sleep(1e9)"), name="sleeps")[0]
        for _ in range(3):
            refused("busy", name="one too many")
        refused("bad_task", name="")
        refused("denied", name="x", user="nobody-here")
        agent.process.send_signal(signal.SIGTERM)
        wait_for(lambda: self.values()["sloth_agent_draining"] == 1, "it drains")
        refused("draining", name="late")
        self.assertEqual(
            self.labelled(self.values(), "sloth_agent_jobs_refused_total", "reason"),
            {"busy": 3, "bad_task": 1, "denied": 1, "draining": 1, "other": 0})
        client.call("cancel", job=job)

    def test_who_is_not_let_in_is_counted_with_the_reason(self):
        agent = self.watched()
        key = self.place / "stranger.key"
        self.assertExit(self.sloth("keygen", key), 0)
        for _ in range(2):
            with agent.client(hello=False) as client, self.assertRaisesRegex(Exception, "denied"):
                client.hello(key)
        with agent.client(hello=False) as client:
            client.sock.sendall(b"\xff" * 9)
            with self.assertRaises((ConnectionError, OSError)):
                client.receive_frame()
        with agent.client(hello=False, greet=False) as client:
            client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while client.sock.recv(4096):
                pass
        expected = {"unknown_key": 2, "broken": 1, "bad_signature": 0, "silent": 0}

        def failures():
            return self.labelled(self.values(), "sloth_agent_hello_failures_total", "reason")
        wait_for(lambda: failures() == expected, f"{failures()} is not {expected}")
        values = self.values()
        self.assertEqual(
            self.labelled(values, "sloth_agent_connections_rejected_total", "reason"),
            {"greeting": 1, "limit": 0})
        self.assertEqual(values["sloth_agent_connections_accepted_total"], 4)
        wait_for(lambda: self.values()["sloth_agent_connections"] == 0, "all have gone")
        with agent.client():
            self.assertEqual(self.values()["sloth_agent_connections"], 1)

    def test_memory_and_descriptors_are_those_of_the_processes(self):
        agent = self.watched("--prefork", 20)  # more than are looked at in one go
        page = os.sysconf("SC_PAGESIZE")
        spawner, = children(agent.pid)

        def resident(pid):
            with open(f"/proc/{pid}/statm") as file:
                return int(file.read().split()[1]) * page

        def is_right():  # workers grow while they make themselves ready
            real = {"main": resident(agent.pid), "spawner": resident(spawner),
                    "workers": sum(map(resident, children(spawner)))}
            said = self.labelled(
                self.values(), "sloth_agent_resident_memory_bytes", "process")
            return all(0.9 < said[name] / real[name] < 1.1 for name in real)
        wait_for(is_right, "the memory of all processes")
        values = self.values()
        self.assertAlmostEqual(
            values["process_open_fds"], len(os.listdir(f"/proc/{agent.pid}/fd")), delta=2)
        self.assertLess(abs(values["process_start_time_seconds"] - time.time()), 60 * SLOW)
        self.assertGreater(values["process_cpu_seconds_total"], 0)

    def test_parsers_read_it(self):
        agent = self.watched()
        self.run_them(agent)
        text = self.text()
        plain = self.text("text/plain")
        self.assertTrue(text.endswith("# EOF\n"))
        self.assertNotIn("# EOF", plain)
        self.assertEqual(len(re.findall("^[a-z]", text, re.M)),
                         len(re.findall("^[a-z]", plain, re.M)))
        if not openmetrics_parser:
            self.skipTest("python3-prometheus-client is not installed")
        families = list(openmetrics_parser.text_string_to_metric_families(text))
        older = list(text_parser.text_string_to_metric_families(plain))
        self.assertEqual(len(families), len(older))
        for family in families:
            self.assertTrue(family.documentation, family.name)
            self.assertRegex(family.name, "^(sloth_agent|process)_[a-z_]+$")
            # A number of tasks, states and levels alone: none of a task's names.
            self.assertLessEqual(len(family.samples), 20, family.name)
        samples = {(s.name, str(s.labels)): s.value for f in families for s in f.samples}
        self.assertEqual(samples["sloth_agent_jobs_accepted_total", "{}"], 12)

    def test_promtool_finds_nothing_to_say(self):
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed (package prometheus, 100 MB)")
        self.run_them(self.watched())
        for accept in ["text/plain", "*/*"]:
            checked = subprocess.run([promtool, "check", "metrics"], input=self.text(accept),
                                     capture_output=True, text=True, timeout=30 * SLOW)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_what_is_shipped_to_observe_names_what_there_is(self):
        self.watched()
        there = set(self.values())
        names = {key.split("{")[0] for key in there}
        for file in ["grafana.json", "alerts.yml"]:
            text = (OBSERVE / file).read_text().replace('\\"', '"')
            used = re.findall(r"\b((?:sloth_agent|process)_[a-z_]+)(?:{([^}]*)})?", text)
            self.assertGreater(len(used), 5, file)
            self.assertEqual(sorted({name for name, _ in used} - names), [], file)
            for name, labels in used:
                for label in re.findall(r'[a-z_]+="[^"]*"', labels or ""):
                    if not label.startswith("job="):
                        self.assertIn(f"{name}{{{label}}}", there, file)
            # What is grouped by is a label that is there.
            for label, name in re.findall(r"by \((\w+)\) \(.*?((?:sloth_agent)_[a-z_]+)", text):
                if label not in ("instance", "le"):
                    self.assertTrue([k for k in there if k.startswith(f"{name}{{{label}=")], name)
        self.assertGreater(len(dashboard_expressions()), 15)

    def test_promtool_accepts_what_is_shipped_to_observe(self):
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed (package prometheus, 100 MB)")
        rules = self.place / "dashboard.yml"
        rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
            {"record": f"panel:{number}", "expr": expression}
            for number, expression in enumerate(dashboard_expressions())]}]}))
        for check, file in [("config", OBSERVE / "prometheus.yml"),
                            ("rules", OBSERVE / "alerts.yml"), ("rules", rules)]:
            checked = subprocess.run([promtool, "check", check, file], capture_output=True,
                                     text=True, timeout=30 * SLOW)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_the_format_is_what_the_client_accepts(self):
        self.watched()
        for accept, kind in [(OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
                             ("text/plain", "text/plain; version=0.0.4"),
                             ("text/html,*/*;q=0.1", "text/plain; version=0.0.4")]:
            _, headers, _ = self.ask("/metrics", Accept=accept)
            self.assertEqual(headers["Content-Type"], kind + "; charset=utf-8")

    def test_other_paths_and_methods_are_refused(self):
        self.watched()
        self.assertEqual(self.ask("/")[0], 404)
        self.assertEqual(self.ask("/metrics/x")[0], 404)
        status, headers, _ = self.ask("/metrics", method="POST")
        self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        status, headers, text = self.ask("/metrics", method="HEAD")
        self.assertEqual((status, text), (200, ""))
        self.assertGreater(int(headers["Content-Length"]), 1000)

    def test_tasks_run_while_the_endpoint_is_besieged(self):
        agent = self.watched()
        silent = []
        for _ in range(64):
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:
                sock.connect(str(self.socket))
                sock.send(b"GET /metrics HTTP/1.1\r\nX: ")
            except BlockingIOError:  # the queue is full: the rest of them waits outside
                pass
            silent.append(sock)
        result = self.sloth("exec", "web-01", "-e", "return true, 'all the same'", agents=[agent])
        self.assertIn("all the same", self.assertExit(result, 0).out)
        for sock in silent:
            sock.close()
        self.assertEqual(self.values()['sloth_agent_jobs{state="done"}'], 1)

    def test_health_is_what_the_whole_way_is_like(self):
        agent = self.watched(listen=f"ipc://{self.place}/agent.sock")
        self.assertEqual(self.ask("/healthz")[::2], (200, "ok\n"))

        spawner, = children(agent.pid)
        os.kill(spawner, signal.SIGSTOP)
        status, _, why = self.ask("/healthz")
        self.assertEqual((status, why), (503, "the spawner does not answer\n"))
        os.kill(spawner, signal.SIGCONT)
        self.assertEqual(self.ask("/healthz")[::2], (200, "ok\n"))

        os.unlink(self.place / "agent.sock")
        status, _, why = self.ask("/healthz")
        self.assertEqual(status, 503)
        self.assertIn(f"ipc://{self.place}/agent.sock: ", why)

    def test_an_agent_with_all_connections_that_it_may_have_is_well(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard < 4096:
            self.skipTest("not enough descriptors for so many connections")
        agent = self.watched(listen=f"ipc://{self.place}/agent.sock")
        clients = [agent.client() for _ in range(MOST_CONNECTIONS)]
        # The agent's own connection is put out at once: it got that far.
        self.assertEqual(self.ask("/healthz")[::2], (200, "ok\n"))
        values = self.values()
        self.assertEqual(values["sloth_agent_connections"], MOST_CONNECTIONS)
        self.assertEqual(values['sloth_agent_connections_rejected_total{reason="limit"}'], 1)
        for client in clients:
            client.close()

    @unittest.skipIf(SANITIZED, "a sanitizer wants to be loaded before anything else")
    def test_a_loop_that_is_late_is_not_well(self):
        faults = {"LD_PRELOAD": os.environ["SLOTH_HANG"], "SLOTH_HANG_MS": "1100"}
        with mock.patch.dict(os.environ, faults):
            agent = self.watched()
        self.assertEqual(self.ask("/healthz")[::2], (200, "ok\n"))
        with agent.client() as client:
            client.call("stat")
        self.assertEqual(self.ask("/healthz")[::2],
                         (503, "the loop was late by more than 1000 ms\n"))
        values = self.values()
        self.assertEqual(values['sloth_agent_loop_round_seconds_bucket{le="+Inf"}']
                         - values['sloth_agent_loop_round_seconds_bucket{le="1.0"}'], 1)

    def test_an_agent_that_drains_says_so(self):
        agent = self.watched()
        client = agent.client()
        job = client.submit(body("goroutine.sleep(1e9)"), name="sleeps")[0]
        agent.process.send_signal(signal.SIGTERM)
        wait_for(lambda: self.values()["sloth_agent_draining"] == 1, "it drains")
        self.assertEqual(self.ask("/healthz")[::2],
                         (503, "draining: no new task is accepted\n"))
        client.call("cancel", job=job)
        self.assertEqual(agent.stop(), 0)
        self.assertFalse(self.socket.exists())

    def test_a_port_on_loopback_is_found_in_the_log(self):
        agent = self.agent("--metrics", "tcp://127.0.0.1:0")
        port = int(re.search(r"metrics address=tcp://127.0.0.1:(\d+)", agent.log())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * SLOW)
        connection.request("GET", "/healthz")
        self.assertEqual(connection.getresponse().status, 200)

    def test_without_the_option_nobody_listens(self):
        agent = self.agent()
        self.assertNotIn("metrics", agent.log())


if __name__ == "__main__":
    unittest.main()
