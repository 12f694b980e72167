# SPDX-License-Identifier: MIT
"""http for real: who a server is, what it speaks, and connections that end when nobody waits."""
import unittest

from house import Case, wait_for
from services import Http2, Service, enter_a_network, make_certificate


class Http(Case):
    def serve(self, service):
        self.addCleanup(service.stop)
        return service

    def ask(self, body, code=0, agents=None, builder=""):
        """Runs @body as a task: its outputs."""
        path = self.workflow(
            'task("t"):command(function()\n%s\nend):delegate_to("web-01")%s:build()'
            % (body, builder))
        result = self.assertExit(self.sloth("run", path, "-o", "json",
                                            agents=agents or [self.agent()]), code)
        (task,) = result.json()["tasks"]
        return task

    # What each call came to: its body, or what it said.
    GET = """
local found = {}
local function get(name, url, options)
  local answer, why = http.get(url, options)
  found[name] = answer and answer.body or why
end
"""


class Tls(Http):
    def test_a_server_is_who_its_certificate_says_or_nobody(self):
        ours = make_certificate(self.place, "localhost")
        others = make_certificate(self.place, "other.example")
        self.serve(Service(8443, "healthy", certificate=ours))
        self.serve(Service(8444, "healthy", certificate=others))
        self.serve(Service(8080, "healthy"))
        task = self.ask(self.GET + """
local ours, others = "%s", "%s"
get("unknown", "https://localhost:8443/")
get("known", "https://localhost:8443/", { ca_file = ours })
get("wrong_ca", "https://localhost:8443/", { ca_file = others })
get("wrong_name", "https://localhost:8444/", { ca_file = others })
get("not_its_name", "https://127.0.0.1:8443/", { ca_file = ours })
get("unverified", "https://localhost:8444/", { verify = false })
get("verified_again", "https://localhost:8444/")
get("no_ca", "https://localhost:8443/", { ca_file = "/nonexistent" })
get("no_tls", "https://localhost:8080/")
get("no_ca_but_another", "https://localhost:8443/", { ca_file = ours })
return true, "", found""" % (ours[0], others[0]))
        found = task["outputs"]
        answer = '{"from": "%d"}'
        for name, port in (("known", 8443), ("unverified", 8444), ("no_ca_but_another", 8443)):
            self.assertEqual(found[name], answer % port, name)
        for name, why in (("unknown", "self.signed certificate"),
                          ("wrong_ca", "certificate"),
                          ("wrong_name", "(does not match|no alternative).*'localhost'"),
                          ("not_its_name", "'127.0.0.1'"),
                          ("verified_again", "certificate"),
                          ("no_ca", "/nonexistent"),
                          ("no_tls", "SSL")):
            self.assertRegex(found[name], r"^GET https://[a-z0-9.]+:[0-9]+/: .*(%s)" % why, name)

    def test_http_2_is_spoken_where_the_server_does(self):
        certificate = make_certificate(self.place, "localhost")
        server = self.serve(Http2(8445, certificate))
        task = self.ask("""
local handles = {}
for i = 1, 10 do
  handles[i] = goroutine.async(function()
    return assert(http.get("https://localhost:8445/" .. i, { ca_file = "%s" })).body end)
end
for _, result in ipairs(goroutine.await_all(handles)) do
  assert(result.success and result.values[1] == "two", result.error) end""" % certificate[0])
        self.assertEqual(task["state"], "done")
        self.assertEqual(server.n_asked, 10)


class Ends(Http):
    def test_a_deadline_closes_the_connection(self):
        service = self.serve(Service(8080, "slow"))
        self.ask('return http.get("http://127.0.0.1:8080/")', 4, builder=':timeout("500ms")')
        wait_for(service.left.is_set, "the connection is closed")
        self.assertEqual(len(service.asked), 1)

    def test_a_cancelled_job_closes_the_connection(self):
        service = self.serve(Service(8080, "slow"))
        agent = self.agent()
        run = self.start("exec", "web-01", "-e", 'http.get("http://127.0.0.1:8080/")',
                         agents=[agent])
        wait_for(lambda: service.asked, "it has asked")
        (job,) = self.sloth("jobs", "web-01", "-o", "jsonl", agents=[agent]).jsonl()
        self.assertFalse(service.left.is_set())
        self.assertExit(self.sloth("cancel", "web-01", job["job"], agents=[agent]), 0)
        self.assertExit(self.finish(run), 130)
        wait_for(service.left.is_set, "the connection is closed")

    def test_a_request_that_times_out_closes_its_own_and_no_other(self):
        slow, healthy = (self.serve(Service(8080, "slow")), self.serve(Service(8081, "healthy")))
        task = self.ask(self.GET + """
get("slow", "http://127.0.0.1:8080/", { timeout = 0.3 })
get("healthy", "http://127.0.0.1:8081/")
return true, "", found""")
        self.assertIn("timed out", task["outputs"]["slow"])
        self.assertEqual(task["outputs"]["healthy"], '{"from": "8081"}')
        wait_for(slow.left.is_set, "the connection is closed")
        self.assertFalse(healthy.left.is_set())


if __name__ == "__main__":
    enter_a_network()
    unittest.main(verbosity=2)
