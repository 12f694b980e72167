# SPDX-License-Identifier: MIT
"""The unit and its profiles, as systemd reads them: no mistake in them, and no
more exposed than they may be."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["SLOTH_SOURCE_ROOT"])
UNITS = Path(os.environ["SLOTH_UNITS"])
AGENT = os.environ["SLOTH_AGENT"]
THRESHOLD = {"default": 4.5, "locked": 1.5}
HAS_SYSTEMD = shutil.which("systemd-analyze") is not None


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def unit(self, profile, extra=""):
        """The unit with the profile, the program being the one that was built."""
        text = (UNITS / "sloth-agent.service").read_text()
        text = re.sub(r"^ExecStart=!\S+", f"ExecStart=!{AGENT}", text, flags=re.M)
        path = Path(self.folder.name) / "sloth-agent.service"
        path.write_text(text + extra)
        drop_ins = Path(self.folder.name) / "sloth-agent.service.d"
        drop_ins.mkdir(exist_ok=True)
        text = (UNITS / f"{profile}.conf").read_text()
        text = re.sub(r"^ExecStart=/\S+", f"ExecStart={AGENT}", text, flags=re.M)
        (drop_ins / "profile.conf").write_text(text)
        return path

    def analyze(self, *args):
        if not HAS_SYSTEMD:
            self.skipTest("systemd-analyze is not installed")
        return subprocess.run(
            ["systemd-analyze", "--no-pager", *args], capture_output=True, text=True,
            env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{self.folder.name}:"), timeout=60)

    def test_systemd_finds_no_mistake(self):
        for profile in THRESHOLD:
            with self.subTest(profile=profile):
                done = self.analyze("verify", "--man=no", str(self.unit(profile)))
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_mistake_would_be_found(self):
        unit = self.unit("default", "\n[Service]\nProtectSytem=yes\n")
        self.assertIn("ProtectSytem", self.analyze("verify", "--man=no", str(unit)).stderr)

    def test_a_reload_is_one_signal_however_systemd_sends_it(self):
        text = (UNITS / "sloth-agent.service").read_text()
        sent = re.findall(r"^(?:ExecReload|ReloadSignal)=.*$", text, flags=re.M)
        kind = re.search(r"^Type=(.*)$", text, flags=re.M)[1]
        self.assertEqual((kind, sent), {
            "notify": ("notify", ["ExecReload=/bin/kill -HUP $MAINPID"]),
            "notify-reload": ("notify-reload", ["ReloadSignal=SIGHUP"]),
        }[kind])

    def test_exposure_stays_below_its_threshold(self):
        for profile, most in THRESHOLD.items():
            with self.subTest(profile=profile):
                done = self.analyze(
                    "security", "--offline=yes", f"--threshold={round(most * 10)}",
                    str(self.unit(profile)))
                summary = done.stdout.strip().splitlines()[-1:]
                self.assertEqual(done.returncode, 0, summary)
                print(f"{profile}: {summary[0]}", file=sys.stderr)

    def test_nothing_is_left_to_fill_in(self):
        for name in ["sloth-agent.service", "default.conf", "locked.conf"]:
            self.assertNotRegex((UNITS / name).read_text(), "@[a-z]+@", name)

    def test_the_profiles_users_exist(self):
        users = re.findall(r"^u (\S+)", (ROOT / "systemd/sysusers.conf").read_text(), re.M)
        for name in ["sloth-agent.service", "default.conf", "locked.conf"]:
            for user in re.findall(r"^User=(\S+)", (UNITS / name).read_text(), re.M):
                self.assertIn(user, users, name)
        config = (ROOT / "agent/agent.yaml").read_text()
        self.assertIn(re.search(r"^user: (\S+)", config, re.M)[1], users)


if __name__ == "__main__":
    if not HAS_SYSTEMD:
        print("systemd-analyze is not installed: the unit is not checked with it")
    unittest.main(argv=[sys.argv[0], "-v"])
