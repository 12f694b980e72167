# SPDX-License-Identifier: MIT
"""The manual pages against the programs and the code: what is there is in the
pages, and what is in the pages is there.

A page documents something by a line that begins with it in bold: an option
(*--listen*), a key (*max_tasks*:), a function (*goroutine.spawn*().
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["SLOTH_SOURCE_ROOT"])
SLOTH = os.environ["SLOTH"]
AGENT = os.environ["SLOTH_AGENT"]
PAGES = ["sloth-agent.8", "sloth-agent.yaml.5", "sloth-goroutine.7", "sloth-workflow.5", "sloth.1",
         "pt_BR/sloth-goroutine.7"]

# What the manual of Lua 5.4 has.
STANDARD = {
    "_G": "_G _VERSION assert collectgarbage dofile error getmetatable ipairs load loadfile next"
          " pairs pcall print rawequal rawget rawlen rawset require select setmetatable tonumber"
          " tostring type warn xpcall coroutine debug io math os package string table utf8",
    "coroutine": "close create isyieldable resume running status wrap yield",
    "debug": "debug gethook getinfo getlocal getmetatable getregistry getupvalue getuservalue"
             " sethook setlocal setmetatable setupvalue setuservalue traceback upvalueid"
             " upvaluejoin",
    "io": "close flush input lines open output popen read stderr stdin stdout tmpfile type write",
    "math": "abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min"
            " mininteger modf pi rad random randomseed sin sqrt tan tointeger type ult",
    "os": "clock date difftime execute exit getenv remove rename setlocale time tmpname",
    "package": "config cpath loaded loadlib path preload searchers searchpath",
    "string": "byte char dump find format gmatch gsub len lower match pack packsize rep reverse"
              " sub unpack upper",
    "table": "concat insert move pack remove sort unpack",
    "utf8": "char charpattern codepoint codes len offset",
}
# What Lua has besides where it is built to be compatible.
OLD = {"debug": "setcstacklimit", "math": "atan2 cosh frexp ldexp log10 pow sinh tanh"}


def run(*args, **more):
    return subprocess.run(
        args, check=True, capture_output=True, text=True, timeout=60, **more
    ).stdout


def source(path):
    return (ROOT / path).read_text()


def page(name):
    return source(f"man/{name}.scd")


def section(text, title):
    """What is under the heading, up to the next one that is as high or higher."""
    found = re.search(rf"^(#+) {re.escape(title)}.*$", text, re.M)
    assert found, f"no section {title}"
    rest = text[found.end():]
    after = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.M)
    return rest[: after.start()] if after else rest


def before_subsections(text):
    return re.split(r"^## ", text, maxsplit=1, flags=re.M)[0]


def headwords(text):
    """The bold words of the lines that begin with one and explain it below."""
    lines = [l for l in text.split("\n") if l.startswith("*")]
    return [w for l in lines for w in re.findall(r"\*([^*]+)\*", l)]


def flags_of_page(text):
    return {w for w in headwords(text) if w.startswith("-")}


def flags_of_help(text):
    lines = [l for l in text.splitlines() if re.match(r"\s+-", l)]
    return {w for l in lines for w in re.findall(r"(?:^|[ ,])(--?[a-z][a-z-]*)\b", l[:30])}


def flags_in_common(text, command):
    """Those under the headings that include @command: "All but agents", "run, exec and sh"."""
    parts = re.split(r"^## (.*)$", section(text, "FLAGS OF SEVERAL COMMANDS"), flags=re.M)
    flags = set()
    for heading, body in zip(parts[1::2], parts[2::2]):
        named = command in re.findall(r"[a-z]+", re.sub(r"^All( but)?", "", heading))
        if named != heading.startswith("All"):
            flags |= flags_of_page(body)
    return flags


def table(path, name):
    """The body of an array in C."""
    found = re.search(rf"\b{name}\[\] = {{(.*?)}};", source(path), re.S)
    assert found, f"no {name} in {path}"
    return found[1]


class Pages(unittest.TestCase):
    def same(self, in_code, in_page, name):
        self.assertTrue(in_code, "the test itself found nothing")
        self.assertEqual(
            sorted(set(in_code) - set(in_page)), [], f"these are missing in man/{name}.scd")
        self.assertEqual(
            sorted(set(in_page) - set(in_code)), [], f"man/{name}.scd has these, the code doesn't")

    def test_flags_of_the_agent(self):
        self.same(
            flags_of_help(run(AGENT, "--help")),
            flags_of_page(section(page("sloth-agent.8"), "OPTIONS")), "sloth-agent.8")

    def test_keys_of_the_agents_file(self):
        keys = re.findall(r'{"([a-z_]+)", (?:true|false),', table("agent/options.c", "table"))
        text = section(page("sloth-agent.yaml.5"), "KEYS")
        self.same(keys, headwords_with_colon(text), "sloth-agent.yaml.5")

    def test_each_key_of_the_file_is_a_flag(self):
        flags = {f[2:].replace("-", "_") for f in flags_of_page(page("sloth-agent.8"))}
        keys = set(headwords_with_colon(section(page("sloth-agent.yaml.5"), "KEYS")))
        self.assertEqual(sorted(keys - flags), [])

    def test_keys_of_the_file_that_is_installed(self):
        keys = set(headwords_with_colon(section(page("sloth-agent.yaml.5"), "KEYS")))
        in_file = re.findall(r"^#?([a-z_]+):", source("agent/agent.yaml"), re.M)
        # A descriptor makes sense on a command line only.
        self.assertEqual(sorted(in_file), sorted(keys - {"ready_fd"}))

    def test_ids_of_log_lines(self):
        ids = re.findall(r'"([0-9a-f]{32})"', table("agent/journal.c", "ids"))
        in_page = re.findall(r"^\|  ([0-9a-f]{32})$", section(page("sloth-agent.8"), "LOG"), re.M)
        self.same(ids, in_page, "sloth-agent.8")
        self.assertEqual(len(set(ids)), len(ids))

    def test_commands_of_sloth(self):
        in_page = re.findall(r"^## sloth ([a-z]+)", page("sloth.1"), re.M)
        self.same(commands(), in_page, "sloth.1")

    def test_flags_of_sloth(self):
        text = page("sloth.1")
        for name in commands():
            with self.subTest(command=name):
                own = flags_of_page(section(text, f"sloth {name}"))
                # What an entry with several flags says goes on in the next line.
                self.same(flags_of_help(run(SLOTH, name, "--help")),
                          own | flags_in_common(text, name), "sloth.1")

    def test_what_a_run_writes_as_json(self):
        text = section(page("sloth.1"), "JSON")
        document, lines = json_of_a_run()
        self.same(document, headwords_with_colon(section(text, "The document")), "sloth.1")
        for task in document["tasks"]:
            self.same(set(task) - {"logs_dropped"},
                      headwords_with_colon(section(text, "A task in it")), "sloth.1")
        events = {}
        for line in lines:
            if line["event"] != "summary":
                events.setdefault(line["event"], set()).update(line)
        summary = lines[-1]
        self.assertEqual(set(summary) - {"event"}, set(document))
        self.assertEqual(set(summary["tasks"][0]), set(document["tasks"][0]) - {"logs"})
        in_page = fields_of_lines(section(text, "Lines of jsonl"))
        # What takes a lost connection, or more output than a test should make.
        self.assertEqual(set(in_page) - set(events), {"note", "dropped"})
        for name, keys in events.items():
            with self.subTest(event=name):
                always = {"event", "task", "target"}
                if name != "ended":
                    always |= {"job", "time", "number"}
                self.same(keys - always, in_page[name], "sloth.1")

    def test_environment(self):
        known = page("sloth.1") + page("sloth-agent.8")
        names = set()
        for folder in ["agent", "controller", "common", "proto", "lua"]:
            for path in (ROOT / folder).rglob("*.c"):
                names |= set(re.findall(r'getenv\("([A-Z_]+)"\)', path.read_text()))
        self.assertIn("SLOTH_AGENTS", names)
        self.assertEqual([n for n in sorted(names) if f"*{n}*" not in known], [])

    def test_methods_of_tasks_and_workflows(self):
        text = page("sloth-workflow.5")
        for path, name, title in [
            ("lua/workflow/dsl_task.c", "sl_dsl_task_methods", "TASKS"),
            ("lua/workflow/dsl_workflow.c", "sl_dsl_workflow_methods", "WORKFLOWS"),
        ]:
            rows = re.findall(r'{"([a-z_]+)", (\w+),', table(path, name))
            # One without a setter is not supported.
            methods = [m for m, setter in rows if setter != "NULL"]
            in_page = called(before_subsections(section(text, title)))
            self.same(methods, [w for w in in_page if w not in ("task", "workflow.define")],
                      "sloth-workflow.5")

    def test_keys_of_tasks_and_workflows(self):
        text = page("sloth-workflow.5")
        for function, title in [("set_limits", "LIMITS"), ("set_backoff_key", "RETRIES")]:
            body = source("lua/workflow/dsl_task.c").split(f"static void {function}(")[1]
            keys = re.findall(r'"([a-z_]+)"', re.search(r"keys\[\] = {(.*?)}", body, re.S)[1])
            self.same(keys, headwords_with_colon(section(text, title)), "sloth-workflow.5")
        keys = re.findall(r'"([a-z_]+)"', table("lua/workflow/dsl_workflow.c", "config_keys"))
        self.same(keys, headwords_with_colon(section(text, "CONFIG")), "sloth-workflow.5")

    def test_what_modules_have(self):
        documented = {
            "goroutine": called(page("sloth-goroutine.7")),
            "": called(section(page("sloth-workflow.5"), "MODULES")),
        }
        modules = modules_of_a_task()
        ours = {m: keys for m, keys in modules.items() if m not in STANDARD}
        self.assertEqual(modules["goroutine"]["spawn"], "function")
        for part, name in [("goroutine", "sloth-goroutine.7"), ("", "sloth-workflow.5")]:
            there = {f"{m}.{k}" for m, keys in ours.items() for k, type in keys.items()
                     if type == "function" and (m == "goroutine") == (part == "goroutine")}
            in_page = {w for w in documented[part] if "." in w}
            replaced = {"os.clock", "os.execute", "os.exit", "os.getenv", "os.setenv", "io.open",
                        "io.popen", "io.write"} if not part else set()
            self.same(there | replaced, in_page, name)
        constants = {f"{m}.{k}" for m, keys in ours.items() for k, type in keys.items()
                     if type != "function"}
        self.assertEqual([c for c in sorted(constants) if f"*{c}*" not in page("sloth-workflow.5")],
                         [])

    def test_standard_modules_are_as_in_the_manual(self):
        modules = modules_of_a_task()
        globals = set(modules["_G"]) - {m for m in modules if m not in STANDARD} - {"values"}
        self.assertEqual(sorted(globals ^ set(STANDARD["_G"].split())), [])
        for name, keys in STANDARD.items():
            if name == "_G":
                continue
            with self.subTest(module=name):
                there = set(modules[name]) - set(OLD.get(name, "").split())
                there ^= {"os": {"setenv"}, "debug": {"sethook"}}.get(name, set())
                self.assertEqual(sorted(there ^ set(keys.split())), [])

    def test_methods_of_handles(self):
        methods = set()
        for path in (ROOT / "lua").rglob("*.c"):
            if path.name == "mod_io.c":
                continue  # files, as in standard Lua
            text = path.read_text()
            for body in re.findall(r"luaL_Reg \w*methods\[\] = {(.*?)};", text, re.S):
                methods |= {m for m in re.findall(r'{"([a-z_]+)", \w+}', body)}
        lines = [l for l in page("sloth-goroutine.7").split("\n") if l.startswith("*")]
        in_page = re.findall(r"\*\w+:(\w+)\*\(", "\n".join(lines))
        self.same(methods, in_page, "sloth-goroutine.7")

    def test_the_translation_has_what_the_page_has(self):
        name = "sloth-goroutine.7"
        original, translation = page(name), page(f"pt_BR/{name}")
        for what, pattern in [
            ("signatures", r"^\*\w+[.:]\w+\*\(.*$"), ("options", r"^\t?(_\w+_):"),
            ("headings", r"^#+ "), ("examples", r"^```$"),
        ]:
            with self.subTest(what=what):
                found = re.findall(pattern, original, re.M)
                self.assertTrue(found)
                self.assertEqual(re.findall(pattern, translation, re.M), found)
        # What a program reads is in no language.
        said = [w for w in re.findall(r'"([a-z][^"]*)"', original) if "NAME" not in w]
        words = " ".join(translation.split())
        self.assertEqual([w for w in said if " ".join(w.split()) not in words], [])

    def test_the_debian_package_is_built_with_what_quickstart_installs(self):
        text = source("packaging/quickstart")
        needed = set(re.findall(r"\S+-dev|check", re.search(r"packages='(.*?)'", text, re.S)[1]))
        built_with = set(re.findall(r"^ (\S+?),", source("packaging/debian/control"), re.M))
        self.assertEqual(sorted(needed - built_with - {"libc6-dev"}), [])

    def test_pages_can_be_read(self):
        if not shutil.which("scdoc"):
            self.skipTest("scdoc is not installed")
        for name in PAGES:
            with self.subTest(page=name):
                made = subprocess.run(
                    ["scdoc"], input=page(name), capture_output=True, text=True)
                self.assertEqual((made.returncode, made.stderr), (0, ""))
                self.lint(name, made.stdout)

    def lint(self, name, text):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed: the pages are not linted")
        with tempfile.NamedTemporaryFile("w", suffix=Path(name).name) as file:
            file.write(text)
            file.flush()
            found = subprocess.run(
                ["mandoc", "-T", "lint", "-W", "warning", file.name],
                capture_output=True, text=True).stdout
        # scdoc writes more paragraphs than are needed.
        bad = [l for l in found.splitlines() if "skipping paragraph macro" not in l]
        self.assertEqual(bad, [])


def headwords_with_colon(text):
    lines = re.findall(r"^(\*[a-z_]+\*(?:, \*[a-z_]+\*)*):", text, re.M)
    return [word for line in lines for word in re.findall(r"[a-z_]+", line)]


def fields_of_lines(text):
    """event → the fields, in italics, that the page has under it."""
    parts = re.split(r"^\*([a-z]+)\*$", text, flags=re.M)
    return {event: set(re.findall(r"\b_([a-z_]+)_(?![a-z])", body.split("\n\n")[0]))
            for event, body in zip(parts[1::2], parts[2::2])}


def json_of_a_run():
    """The document and the lines of a run in which everything happens."""
    chunk = """
        print("out") log.info("line", { field = 1 })
        goroutine.pool_create("p", { workers = 1 })
        goroutine.pool_submit("p", function() return 1 end)
        goroutine.pool_wait("p") goroutine.pool_close("p")
        goroutine.await(goroutine.async(function() error("e") end))
        return true, "m", { n = 1 }"""
    env = dict(os.environ, SLOTH_AGENT_PROGRAM=AGENT)
    argv = [SLOTH, "exec", "local", "-e", chunk, "-o"]
    return (json.loads(run(*argv, "json", env=env)),
            [json.loads(line) for line in run(*argv, "jsonl", env=env).splitlines()])


def called(text):
    """The functions that the lines of @text begin with: *name*(, several with commas."""
    lines = [l for l in text.split("\n") if l.startswith("*")]
    return [w for l in lines for w in re.findall(r"\*([a-z_.]+)\*\(", l)]


def commands():
    return re.findall(r"^  sloth ([a-z]+) ", run(SLOTH, "help"), re.M)


def modules_of_a_task():
    """MODULE → KEY → its type, for all that a task finds."""
    chunk = """
        local found = {}
        for module, content in pairs(package.loaded) do
          found[module] = {}
          for key, value in pairs(content) do found[module][tostring(key)] = type(value) end
        end
        return true, "", found"""
    env = dict(os.environ, SLOTH_AGENT_PROGRAM=AGENT)
    out = json.loads(run(SLOTH, "exec", "local", "-o", "json", "-e", chunk, env=env))
    return out["tasks"][0]["outputs"]


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
