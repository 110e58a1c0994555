#!/usr/bin/env python3
"""Do all the set-up and run all tests, the browser's included: ``python3 tests/run.py``.

Name parts to run only these: ``python3 tests/run.py unit browser``. Parts are
lint, format, types, mutations, unit, oracles, captures, course and browser;
what follows ``--`` goes to pytest. The exit code is 0 only if all of them pass.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "course"))

from environment import prepare, say  # noqa: E402

#: Names under which systems install Chromium and what is made from it.
BROWSERS = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"]
SUITES = ["unit", "oracles", "captures", "course", "browser"]
CHECKS = ["lint", "format", "types", "mutations"]

NO_BROWSER = """no Chromium found, so the browser's tests cannot run. One of these helps:
    sudo apt-get install chromium            on Debian
    sudo apt-get install chromium-browser    on Ubuntu
    export KMEM_BROWSER=/path/to/chrome      where it is elsewhere"""


def find_browser():
    """Return the path of a Chromium, or None. KMEM_BROWSER is asked first, and believed only if it is there."""
    named = os.environ.get("KMEM_BROWSER")
    if named:
        return shutil.which(named)
    found = [path for path in map(shutil.which, BROWSERS) if path]
    return found[0] if found else None


def may_install():
    """Tell whether this is a Debian where we are root: there, a missing browser can simply be installed."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return root and Path("/etc/debian_version").exists() and bool(shutil.which("apt-get"))


def get_browser():
    """Find a Chromium or install one; None, said plainly, where neither works."""
    browser = find_browser()
    if browser is None and not os.environ.get("KMEM_BROWSER") and may_install():
        say("installing Chromium with apt-get, for the browser's tests")
        environ = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "chromium"]):
            subprocess.call(["apt-get", *words], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        browser = find_browser()
    if browser is None:
        say(NO_BROWSER)
    return browser


def commands(python, parts, more):
    """Return (name, command) of each process that the parts need; pytest is one and comes last."""
    tool = [python, "-m"]
    rows = {
        "lint": [*tool, "ruff", "check", "."],
        "format": [*tool, "ruff", "format", "--check", "."],
        "types": [*tool, "mypy"],
        # Other ten every day, and the same ones all day long.
        "mutations": [python, "tests/mutate.py", "--draw", "10", "--seed", str(int(time.time() // 86400))],
    }
    result = [(name, rows[name]) for name in CHECKS if name in parts]
    folders = ["tests/" + name for name in SUITES if name in parts]
    if folders:
        result.append(("pytest " + " ".join(folders), [*tool, "pytest", *folders, *more]))
    return result


def main(words):
    """Run the parts that were asked for, all without an argument; return the exit code."""
    cut = words.index("--") if "--" in words else len(words)
    asked, more = words[:cut], words[cut + 1 :]
    if "-h" in asked or "--help" in asked:
        print(__doc__)
        return 0
    unknown = sorted(set(asked) - set(SUITES + CHECKS))
    if unknown:
        say("no part is called " + ", ".join(unknown) + "; there are " + ", ".join(CHECKS + SUITES))
        return 2
    parts = asked or CHECKS + SUITES
    python = str(prepare("test"))
    failed = []
    environ = dict(os.environ)
    if "browser" in parts:
        browser = get_browser()
        if browser:
            environ["KMEM_BROWSER"] = browser
        else:
            failed.append("browser (no Chromium)")
            parts = [part for part in parts if part != "browser"]
    for name, command in commands(python, parts, more):
        began = time.monotonic()
        say(name)
        code = subprocess.call(command, cwd=str(ROOT), env=environ, stdin=subprocess.DEVNULL)
        if code != 0:
            failed.append(name)
            say(f"{name}: failed with exit code {code}")
        if not name.startswith("pytest"):
            say(f"{name} took {time.monotonic() - began:.0f} s")
    if failed:
        say("failed: " + "; ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
