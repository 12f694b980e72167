# SPDX-License-Identifier: MIT
"""The examples of the manual pages, run as they are written: what somebody copies from a page
works. Only ports, paths and ids that the test can't have are put in their place."""

import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(os.environ["SLOTH_SOURCE_ROOT"]) / "tests/e2e"))

from house import SLOTH, SLOTH_AGENT, Case, wait_for  # noqa: E402

ROOT = Path(os.environ["SLOTH_SOURCE_ROOT"])


def blocks(name):
    """What stands between two lines of ```, as a reader sees it."""
    text = (ROOT / f"man/{name}.scd").read_text()
    found = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    return [block.replace("\\\\", "\\") for block in found]


class Examples(Case):
    def setUp(self):
        super().setUp()
        programs = self.place / "bin"
        programs.mkdir()
        (programs / "sloth").symlink_to(SLOTH)
        (programs / "sloth-agent").symlink_to(SLOTH_AGENT)
        self.extra = {"PATH": "%s:%s" % (programs, os.environ["PATH"])}

    def environment(self, agents=()):
        return dict(super().environment(agents), **self.extra)

    def shell(self, line, agents=()):
        return self.finish(subprocess.Popen(
            ["sh", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=self.environment(agents), cwd=self.place))

    def deploy(self):
        """The workflow of sloth-workflow(5)."""
        block, = [b for b in blocks("sloth-workflow.5") if b.startswith("local names")]
        return self.workflow(block, "deploy.sloth")

    def test_lua_of_the_goroutine_pages(self):
        for name in ["sloth-goroutine.7", "pt_BR/sloth-goroutine.7"]:
            found = blocks(name)
            self.assertTrue(found)
            for block in found:
                with self.subTest(page=name, block=block):
                    result = self.assertExit(self.sloth("exec", "local", "-e", block), 0)
                    self.assertIn("api ", result.out)

    def test_the_workflow(self):
        agent = self.agent()
        result = self.assertExit(self.sloth(
            "run", self.deploy(), "-p", "version=1.4", agents=[agent]), 0)
        self.assertIn("deployed", result.out)

    def test_commands_of_sloth(self):
        config, commands = [b for b in blocks("sloth.1") if re.match("agents:|sloth ", b)]
        one = self.agent()
        two = self.agent(name="web-02", listen="ipc://%s/web-02.sock" % self.place)
        def mapped(text):
            return (text.replace("tcp://127.0.0.1:7117", one.address)
                    .replace("ipc:///run/web-02.sock", two.address))
        folder = self.place / "config/sloth"
        folder.mkdir(parents=True)
        (folder / "agents.yaml").write_text(mapped(config))
        self.extra["SLOTH_KEY_FILE"] = str(one.key)
        self.deploy()
        lines = commands.splitlines()
        self.assertGreaterEqual(len(lines), 5)
        for line in lines:
            with self.subTest(line=line):
                if "| jq" in line and not shutil.which("jq"):
                    line = line.split("|")[0]
                if "7f3a" in line:
                    jobs = self.assertExit(self.sloth("jobs", "web-01", "-o", "jsonl"), 0)
                    line = line.replace("7f3a", jobs.jsonl()[0]["job"][:8])
                self.assertExit(self.shell(mapped(line)), 0)

    def test_the_configuration(self):
        block, = [b for b in blocks("sloth-agent.yaml.5") if b.startswith("name:")]
        config = self.place / "agent.yaml"
        config.write_text(block)
        self.assertExit(self.shell("sloth-agent --config agent.yaml --check-config"), 0)
        shown = self.assertExit(self.shell("sloth-agent --config agent.yaml --dump-config"), 0)
        self.assertIn("max_tasks: 64  # agent.yaml:", shown.out)

    def test_agents_by_hand(self):
        commands = [b.strip() for b in blocks("sloth-agent.8") if b.startswith("sloth-agent ")]
        self.assertGreaterEqual(len(commands), 2)
        home = self.place / "home"
        home.mkdir()
        self.extra.update(HOME=str(home), XDG_RUNTIME_DIR=str(self.place))
        for command in commands:
            with self.subTest(command=command):
                command = command.replace("/tmp/agent", str(self.place / "agent"))
                log = self.place / "log"
                with open(log, "w") as out:
                    agent = subprocess.Popen(
                        ["sh", "-c", "exec " + command], stdin=subprocess.DEVNULL, stdout=out,
                        stderr=out, env=self.environment(), cwd=self.place)
                self.addCleanup(agent.wait)
                self.addCleanup(agent.kill)
                wait_for(lambda: " ready name=" in log.read_text(), "it is ready")
                agent.terminate()
                self.assertEqual(agent.wait(20), 0)
                if "--ready-fd 1" in command:
                    self.assertRegex(log.read_text(), r"(?m)^tcp://127\.0\.0\.1:\d+$")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
