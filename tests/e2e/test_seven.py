# SPDX-License-Identifier: MIT
"""The seven shapes of workflow that users begin with, each by what it shows, with every branch of
it seen; those that ask web services ask real ones."""
import re
import unittest

from house import Case, wait_for
from services import (TRUSTED, Service, enter_a_network, make_certificate, name_hosts, trust,
                      unmount)

POOL_OF_FILES = """
task("process_files"):description("Process files in parallel"):command(function(this, params)
  local goroutine = require("goroutine")
  goroutine.pool_create("files", { workers = 5 })
  for _, file in ipairs({ "a.txt", "b.txt", "c.txt", "d.txt", "e.txt" }) do
    goroutine.pool_submit("files", function()
      log.info("processing " .. file)
      goroutine.sleep(500)
      if params.spoil == file then error("cannot read " .. file) end
      return "processed " .. file
    end)
  end
  goroutine.pool_wait("files")
  local stats = goroutine.pool_stats("files")
  log.info("completed: " .. stats.completed .. ", failed: " .. stats.failed)
  goroutine.pool_close("files")
  return stats.failed == 0
end):delegate_to("web-01"):build()
"""

FETCH = """
task("fetch_data"):description("Fetch from three sources at once"):command(function(this, params)
  local goroutine = require("goroutine")
  local http = require("http")
  local h1 = goroutine.async(function() return http.get("https://api1.example.com/data") end)
  local h2 = goroutine.async(function() return http.get("https://api2.example.com/data") end)
  local h3 = goroutine.async(function() return http.get("https://api3.example.com/data") end)
  local all = true
  for i, result in ipairs(goroutine.await_all({ h1, h2, h3 })) do
    if result.success then
      log.info("API " .. i .. " said " .. result.values[1].body)
    else
      log.error("API " .. i .. " failed: " .. result.error)
      all = false
    end
  end
  return all
end):delegate_to("web-01"):timeout("2s"):build()
"""

WAIT_GROUP = """
task("parallel_tasks"):description("Three steps at once"):command(function(this, params)
  local goroutine = require("goroutine")
  local wg = goroutine.wait_group()
  local results = {}
  wg:add(3)
  for name, ms in pairs({ download = 600, process = 400, upload = 200 }) do
    goroutine.spawn(function()
      goroutine.sleep(ms)
      results[name] = "OK"
      wg:done()
    end)
  end
  log.info("waiting")
  wg:wait()
  log.info("download: " .. results.download)
  log.info("process: " .. results.process)
  log.info("upload: " .. results.upload)
  return true
end):delegate_to("web-01"):build()
"""

TIME_LIMIT = """
task("critical_operation"):description("One step with a limit"):command(function(this, params)
  local goroutine = require("goroutine")
  local in_time, result = goroutine.timeout(1000, function()
    log.info("begins")
    goroutine.sleep(tonumber(params.takes))
    if params.raise then error("it broke") end
    return "done"
  end)
  if in_time then
    log.info("result: " .. result)
    return true
  end
  log.error("no result: " .. result)
  return false
end):delegate_to("web-01"):build()
"""

DEPLOYMENT = """
local deploy = task("deploy"):command(function(this, params)
  local goroutine = require("goroutine")
  local servers = {
    { name = "web-01", host = "192.168.1.10" }, { name = "web-02", host = "192.168.1.11" },
    { name = "web-03", host = "192.168.1.12" }, { name = "api-01", host = "192.168.1.20" },
    { name = "api-02", host = "192.168.1.21" }, { name = "db-01", host = "192.168.1.30" },
  }
  local handles = {}
  for _, server in ipairs(servers) do
    table.insert(handles, goroutine.async(function()
      for _, step in ipairs({ "upload", "install", "restart", "check" }) do
        log.info(server.name .. ": " .. step)
        goroutine.sleep(100)
        if server.name == params.broken and step == "restart" then error("it is gone") end
      end
      return server.name, server.host, "success", os.date("%Y-%m-%d %H:%M:%S")
    end))
  end
  local good, bad = 0, 0
  for i, result in ipairs(goroutine.await_all(handles)) do
    if result.success then
      good = good + 1
      log.info(result.values[1] .. " deployed at " .. result.values[4])
    else
      bad = bad + 1
      log.error("failed: " .. (result.error or "unknown"))
    end
  end
  return good == #servers, "deployment completed", { total = #servers, success = good, failed = bad }
end):timeout("2m"):build()
workflow.define("parallel_deployment"):version("1.0.0"):tasks({ deploy }):config({ timeout = "5m" })
"""

HEALTH = """
local check = task("check_health"):command(function(this, params)
  local goroutine = require("goroutine")
  local http = require("http")
  local services = {
    { name = "gateway", url = "http://localhost:8080/health" },
    { name = "auth", url = "http://localhost:8081/health" },
    { name = "database", url = "http://localhost:8082/health" },
    { name = "cache", url = "http://localhost:8083/health" },
    { name = "queue", url = "http://localhost:8084/health" },
  }
  local handles = {}
  for _, service in ipairs(services) do
    table.insert(handles, goroutine.async(function()
      local began = os.clock()
      local ok, response = pcall(function()
        return http.get(service.url, { timeout = 2, headers = { ["User-Agent"] = "Health/1.0" } })
      end)
      local ms = (os.clock() - began) * 1000
      if ok and response and response.status_code == 200 then
        return service.name, "healthy", ms, response.body or ""
      end
      return service.name, "unhealthy", ms,
        response and (response.error or response.status) or "Connection failed"
    end))
  end
  local counts = { healthy = 0, unhealthy = 0, total = #services }
  for _, result in ipairs(goroutine.await_all(handles)) do
    assert(result.success, result.error)
    local name, state, ms, text = table.unpack(result.values, 1, 4)
    counts[state] = counts[state] + 1
    log.info(name .. ": " .. state .. " - " .. text .. " - " .. math.floor(ms))
  end
  return counts.unhealthy == 0, "checked", counts
end):timeout("30s"):build()
workflow.define("health_check"):description("Five services at once"):tasks({ check })
"""

POOL_OF_MANY = """
local process = task("process_many"):command(function(this, params)
  local goroutine = require("goroutine")
  goroutine.pool_create("many", { workers = 5 })
  local items = {}
  for i = 1, 50 do items[i] = { id = i, data = "item #" .. i, priority = math.random(1, 3) } end
  for _, item in ipairs(items) do
    goroutine.pool_submit("many", function()
      log.info("processing " .. item.data)
      goroutine.sleep(20 * item.priority)
      if params.spoil and item.id % 10 == 0 then error("spoilt: " .. item.data) end
      return { id = item.id, status = "completed", at = os.date("%H:%M:%S") }
    end)
  end
  goroutine.pool_wait("many")
  local stats = goroutine.pool_stats("many")
  log.info("workers: " .. stats.workers)
  goroutine.pool_close("many")
  return true, "all processed", { total = #items, completed = stats.completed,
    failed = stats.failed }
end):timeout("5m"):build()
workflow.define("pool_workflow"):description("Many items, few workers"):version("1.0.0")
  :tasks({ process })
"""


class Seven(Case):
    def go(self, text, code, *flags):
        """Runs the workflow: its one task, and what it logged itself, as lines."""
        result = self.assertExit(self.sloth("run", self.workflow(text), "-o", "json", *flags,
                                            agents=[self.agent()]), code)
        (task,) = result.json()["tasks"]
        log = [line["message"] for line in task["logs"] if line["event"] == "log"]
        return task, [line for line in log if not re.match(r"goroutine \d+ failed: ", line)]

    def serve(self, port, way, *more):
        service = Service(port, way, *more)
        self.addCleanup(service.stop)
        return service

    def test_1_a_pool_works_through_files(self):
        task, log = self.go(POOL_OF_FILES, 0)
        self.assertEqual(task["state"], "done")
        self.assertEqual(sorted(log[:5]), ["processing %s.txt" % c for c in "abcde"])
        self.assertEqual(log[5:], ["completed: 5, failed: 0"])
        _, log = self.go(POOL_OF_FILES, 1, "-p", "spoil=c.txt")
        self.assertEqual(log[5:], ["completed: 4, failed: 1"])

    def sources(self, *ways):
        """api1 to api3.example.com on port 443, whom the system trusts; None: nobody listens."""
        certificate = make_certificate(
            self.place, *("api%d.example.com" % i for i in range(1, 4)))
        name_hosts(self.place, {"api%d.example.com" % i: "127.0.0.%d" % (i + 1)
                                for i in range(1, 4)})
        self.addCleanup(unmount, "/etc/hosts")
        trust(certificate[0])
        self.addCleanup(unmount, TRUSTED)
        return [way and self.serve(443, way, "127.0.0.%d" % (i + 2), certificate)
                for i, way in enumerate(ways)]

    def test_2_sources_that_answer_are_fetched_whatever_they_say(self):
        services = self.sources("healthy", "healthy", "broken")
        task, log = self.go(FETCH, 0)
        self.assertEqual(task["state"], "done")
        self.assertEqual(log, ['API 1 said {"from": "443"}', 'API 2 said {"from": "443"}',
                               "API 3 said broken"])
        for service in services:
            self.assertEqual([path for path, _ in service.asked], ["/data"])

    def test_2_sources_that_refuse_or_break_off_fail_by_themselves(self):
        self.sources("healthy", None, "half")
        task, log = self.go(FETCH, 1)
        self.assertEqual(task["state"], "failed")
        self.assertEqual(log[0], 'API 1 said {"from": "443"}')
        self.assertRegex(log[1], r"^API 2 failed: GET https://api2\.example\.com/data: .*onnect")
        self.assertRegex(log[2], r"^API 3 failed: GET https://api3\.example\.com/data: .*"
                                 r"(closed|ended|EOF|eof)")

    def test_2_a_source_that_nobody_vouches_for_fails(self):
        self.sources("healthy", "healthy", "healthy")
        self.serve(443, "healthy", "127.0.0.5", make_certificate(self.place, "other.example"))
        name_hosts(self.place, {"api1.example.com": "127.0.0.2", "api2.example.com": "127.0.0.5",
                                "api3.example.com": "127.0.0.4"})
        self.addCleanup(unmount, "/etc/hosts")
        _, log = self.go(FETCH, 1)
        self.assertRegex(log[1], "^API 2 failed: .*certificate")

    def test_2_names_that_mean_nothing_fail(self):
        _, log = self.go(FETCH, 1)
        for i, line in enumerate(log, 1):
            self.assertRegex(line, r"^API %d failed: .*resolve.*api%d\.example\.com" % (i, i))
        self.assertEqual(len(log), 3)

    def test_2_a_source_that_never_answers_takes_the_task_to_its_deadline(self):
        _, slow, _ = self.sources("healthy", "slow", "healthy")
        task, log = self.go(FETCH, 4)
        self.assertEqual((task["state"], log), ("timeout", []))
        wait_for(slow.left.is_set, "the connection is closed")

    def test_3_a_wait_group_waits_for_all(self):
        _, log = self.go(WAIT_GROUP, 0)
        self.assertEqual(log, ["waiting", "download: OK", "process: OK", "upload: OK"])

    def test_4_a_limit_stops_what_takes_too_long_and_nothing_else(self):
        _, log = self.go(TIME_LIMIT, 0, "-p", "takes=200")
        self.assertEqual(log, ["begins", "result: done"])
        _, log = self.go(TIME_LIMIT, 1, "-p", "takes=60000")
        self.assertEqual(log, ["begins", "no result: timeout exceeded"])
        _, log = self.go(TIME_LIMIT, 1, "-p", "takes=10", "-p", "raise=yes")
        self.assertRegex(log[1], r"^no result: .*workflow\.sloth:7: it broke")

    def test_5_servers_are_deployed_to_side_by_side(self):
        task, log = self.go(DEPLOYMENT, 0)
        self.assertEqual(task["outputs"], {"total": 6, "success": 6, "failed": 0})
        self.assertEqual(len([line for line in log if " deployed at 20" in line]), 6)
        # Steps of all come before the last step of any.
        self.assertEqual({line.split(": ")[1] for line in log[:6]}, {"upload"})
        task, log = self.go(DEPLOYMENT, 1, "-p", "broken=api-02")
        self.assertEqual(task["outputs"], {"total": 6, "success": 5, "failed": 1})
        self.assertRegex(log[-2], r"^failed: .*workflow\.sloth:15: it is gone")

    def health(self, code):
        task, log = self.go(HEALTH, code)
        found = [re.fullmatch(r"(\w+): (healthy|unhealthy) - (.*) - (\d+)", line) for line in log]
        return task["outputs"], {name: (state, text, int(ms))
                                 for name, state, text, ms in map(re.Match.groups, found)}

    def test_6_services_that_are_well(self):
        services = [self.serve(port, "healthy") for port in range(8080, 8085)]
        counts, _ = self.health(0)
        self.assertEqual(counts, {"healthy": 5, "unhealthy": 0, "total": 5})
        for service in services:
            ((path, headers),) = service.asked
            self.assertEqual((path, headers["User-Agent"]), ("/health", "Health/1.0"))

    def test_6_each_way_to_be_ill_is_told_apart(self):
        for port, way in ((8080, "healthy"), (8082, "broken"), (8083, "slow"), (8084, "half")):
            self.serve(port, way)
        counts, found = self.health(1)
        self.assertEqual(counts, {"healthy": 1, "unhealthy": 4, "total": 5})
        self.assertEqual(found["gateway"][:2], ("healthy", '{"from": "8080"}'))
        self.assertEqual(found["auth"][:2], ("unhealthy", "Connection failed"))
        self.assertEqual(found["database"][1], "500 Internal Server Error")
        self.assertEqual(found["cache"][1], "Connection failed")
        self.assertGreaterEqual(found["cache"][2], 1900)
        self.assertEqual(found["queue"][1], "Connection failed")
        self.assertLess(found["queue"][2], 1900)

    def test_6_with_nothing_listening_each_connection_fails(self):
        counts, found = self.health(1)
        self.assertEqual(counts, {"healthy": 0, "unhealthy": 5, "total": 5})
        self.assertEqual({one[:2] for one in found.values()}, {("unhealthy", "Connection failed")})

    def test_7_a_pool_works_through_more_than_it_has_workers(self):
        task, log = self.go(POOL_OF_MANY, 0)
        self.assertEqual(task["outputs"], {"total": 50, "completed": 50, "failed": 0})
        self.assertEqual(set(log[:50]), {"processing item #%d" % i for i in range(1, 51)})
        self.assertEqual(log[50:], ["workers: 5"])
        task, _ = self.go(POOL_OF_MANY, 0, "-p", "spoil=yes")
        self.assertEqual(task["outputs"], {"total": 50, "completed": 45, "failed": 5})


if __name__ == "__main__":
    enter_a_network()
    unittest.main(verbosity=2)
