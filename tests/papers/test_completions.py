# SPDX-License-Identifier: MIT
"""What the shells complete, against what the program says."""

import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

COMPLETIONS = Path(os.environ["SLOTH_SOURCE_ROOT"]) / "controller/completions"
SLOTH = os.environ["SLOTH"]
BASH = """
source "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_sloth
printf '%s\\n' "${COMPREPLY[@]}"
"""


def run(*args, **more):
    return subprocess.run(
        args, check=True, capture_output=True, text=True, timeout=60, **more).stdout


def commands():
    return re.findall(r"^  sloth ([a-z]+) ", run(SLOTH, "help"), re.M)


@unittest.skipUnless(shutil.which("bash"), "bash is not installed")
class Bash(unittest.TestCase):
    def complete(self, *words):
        env = dict(os.environ, SLOTH_AGENTS="web-01=tcp://127.0.0.1:1,db-01=ipc:///x",
                   XDG_CONFIG_HOME="/nonexistent")
        return run("bash", "-c", BASH, "bash", COMPLETIONS / "sloth.bash", SLOTH, *words,
                   env=env).split()

    def test_commands(self):
        self.assertEqual(sorted(self.complete("")), sorted(commands() + ["help"]))
        self.assertEqual(self.complete("at"), ["attach"])

    def test_flags_of_each_command(self):
        for command in commands():
            with self.subTest(command=command):
                text = run(SLOTH, command, "--help")
                flags = re.findall(r"^  (?:-., |    )(--[a-z-]+)", text, re.M)
                self.assertIn("--help", flags)
                self.assertEqual(self.complete(command, "--"), flags)

    def test_agents(self):
        self.assertEqual(self.complete("ping", "web"), ["web-01"])
        self.assertLessEqual({"web-01", "db-01", "local"}, set(self.complete("exec", "")))


class Others(unittest.TestCase):
    def test_zsh_and_fish_can_read_theirs(self):
        for shell, name in [("zsh", "_sloth"), ("fish", "sloth.fish")]:
            with self.subTest(shell=shell):
                if not shutil.which(shell):
                    self.skipTest(f"{shell} is not installed")
                run(shell, "-n", COMPLETIONS / name)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
