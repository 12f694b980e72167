# SPDX-License-Identifier: MIT
"""Tasks that ask web services, in a network of their own: only what the test starts listens."""
import ctypes
import fcntl
import http.server
import os
import re
import socket
import struct
import sys
import threading
import time
import unittest

from house import Case

SKIPPED = 77  # what Meson takes for it
PORTS = range(8080, 8085)

# Five services asked side by side; what each came to is in the log and in the outputs.
HEALTH = """
local services = {
  {name = "gateway", url = "http://localhost:8080/health"},
  {name = "auth", url = "http://localhost:8081/health"},
  {name = "database", url = "http://localhost:8082/health"},
  {name = "cache", url = "http://localhost:8083/health"},
  {name = "queue", url = "http://localhost:8084/health"},
}
task("check"):command(function(this, params)
  local goroutine = require("goroutine")
  local http = require("http")
  local handles = {}
  for _, service in ipairs(services) do
    table.insert(handles, goroutine.async(function()
      local began = os.clock()
      local ok, response = pcall(function()
        return http.get(service.url, {timeout = 2, headers = {["User-Agent"] = "Health/1.0"}})
      end)
      local ms = (os.clock() - began) * 1000
      if ok and response and response.status_code == 200 then
        return service.name, "healthy", ms, response.body or ""
      end
      return service.name, "unhealthy", ms,
        response and (response.error or response.status) or "Connection failed"
    end))
  end
  local counts = {healthy = 0, unhealthy = 0, total = #services}
  for _, result in ipairs(goroutine.await_all(handles)) do
    assert(result.success, result.error)
    local name, state, ms, text = table.unpack(result.values, 1, 4)
    counts[state] = counts[state] + 1
    log.info(name .. ": " .. state .. " - " .. text .. " - " .. math.floor(ms))
  end
  return counts.unhealthy == 0, "checked", counts
end):delegate_to("web-01"):timeout("30s"):build()
"""

# Three sources fetched side by side; the message of a failure is what http.get() said.
FETCH = """
task("fetch"):command(function(this, params)
  local goroutine = require("goroutine")
  local http = require("http")
  local handles = {}
  for i = 1, 3 do
    handles[i] = goroutine.async(function()
      return http.get("http://%s:" .. 8079 + i .. "/data")
    end)
  end
  local all = true
  for i, result in ipairs(goroutine.await_all(handles)) do
    if result.success then
      log.info("source " .. i .. " said " .. result.values[1].json().from)
    else
      log.error("source " .. i .. " failed: " .. result.error)
      all = false
    end
  end
  return all
end):delegate_to("web-01"):timeout("30s"):build()
"""


def enter_a_network():
    """Gives this process, and what it starts, a network with a loopback alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:  # CLONE_NEWNET
        print("skipped: no network namespace: " + os.strerror(ctypes.get_errno()))
        sys.exit(SKIPPED)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # up, running


class Service:
    """A web service on loopback that behaves in one way."""

    def __init__(self, port, way):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service.asked.append((self.path, dict(self.headers)))
                getattr(service, way)(self)

            def log_message(self, *args):
                pass

        self.asked = []
        self.over = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler, status, body):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def healthy(self, handler):
        port = handler.server.server_address[1]
        self.answer(handler, 200, b'{"from": "%d"}' % port)

    def broken(self, handler):
        self.answer(handler, 500, b"broken")

    def slow(self, handler):
        self.over.wait(60)
        handler.close_connection = True

    def half(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True


class Services(Case):
    def serve(self, **ways):
        """Starts a service for each p8080="healthy" and its like."""
        services = {}
        for port, way in ways.items():
            service = Service(int(port[1:]), way)
            self.addCleanup(service.stop)
            services[int(port[1:])] = service
        return services

    def run_task(self, text):
        return self.sloth("run", self.workflow(text), "-o", "json", agents=[self.agent()])

    def lines(self, result):
        return {name: (state, text, int(ms)) for name, state, text, ms in
                re.findall(r"(\w+): (healthy|unhealthy) - (.*?) - (\d+)", str(result))}

    def test_all_are_healthy(self):
        services = self.serve(**{"p%d" % port: "healthy" for port in PORTS})
        result = self.assertExit(self.run_task(HEALTH), 0)
        (task,) = result.json()["tasks"]
        self.assertEqual(task["outputs"], {"healthy": 5, "unhealthy": 0, "total": 5})
        for service in services.values():
            ((path, headers),) = service.asked
            self.assertEqual((path, headers["User-Agent"]), ("/health", "Health/1.0"))

    def test_with_nothing_listening_each_connection_fails(self):
        result = self.assertExit(self.run_task(HEALTH), 1)
        (task,) = result.json()["tasks"]
        self.assertEqual(task["outputs"], {"healthy": 0, "unhealthy": 5, "total": 5})
        lines = self.lines(result)
        self.assertEqual(len(lines), 5, str(result))
        for state, text, _ in lines.values():
            self.assertEqual((state, text), ("unhealthy", "Connection failed"))

    def test_each_way_to_be_ill_is_told_apart(self):
        self.serve(p8080="healthy", p8082="broken", p8083="slow", p8084="half")
        result = self.assertExit(self.run_task(HEALTH), 1)
        lines = self.lines(result)
        self.assertEqual(lines["gateway"][0], "healthy", str(result))
        self.assertEqual(lines["auth"][:2], ("unhealthy", "Connection failed"))
        self.assertEqual(lines["database"][1], "500 Internal Server Error")
        self.assertEqual(lines["cache"][1], "Connection failed")
        self.assertGreaterEqual(lines["cache"][2], 1900)
        self.assertEqual(lines["queue"][1], "Connection failed")

    def test_sources_that_answer_are_fetched(self):
        self.serve(p8080="healthy", p8081="healthy", p8082="healthy")
        result = self.assertExit(self.run_task(FETCH % "127.0.0.1"), 0)
        for port in (8080, 8081, 8082):
            self.assertIn("said %d" % port, str(result))

    def test_sources_that_cannot_be_had_fail_the_task(self):
        for host, why in (("127.0.0.1", "onnect"), ("no-such-host.invalid", "resolve")):
            with self.subTest(host):
                result = self.assertExit(self.run_task(FETCH % host), 1)
                failed = re.findall(r'source (\d) failed: [^"]*%s' % why, str(result))
                self.assertEqual(set(failed), {"1", "2", "3"}, str(result))

    def test_a_deadline_closes_the_connection(self):
        (service,) = self.serve(p8080="slow").values()
        began = time.monotonic()
        result = self.run_task("""
            task("t"):command(function() return require("http").get("http://127.0.0.1:8080/") end)
              :delegate_to("web-01"):timeout("500ms"):build()""")
        self.assertExit(result, 4)
        self.assertEqual(len(service.asked), 1)
        self.assertLess(time.monotonic() - began, 20)


if __name__ == "__main__":
    enter_a_network()
    unittest.main(verbosity=2)
