"""How soon a course is there, against bare JupyterLab, and how much memory its chapters' kernels take.

A start is from the command, as a process, to the animation frame after the one that paints the first widget in a new
page, which is opened as soon as the server answers. Absolute times are printed, only the ratio is asserted.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "browser"))

from harness import Notebook, browser, chromium, free_port, notebook  # noqa: E402, F401

COURSE = ROOT.parent / "course"
CHAPTERS = sorted(COURSE.glob("*.ipynb"))

REPEATS = 3

#: The most that a chapter's kernel may take: Binder gives 1 to 2 GB to a whole session.
MOST_MB = 500

#: The test speaks to the page's JupyterLab.
SPOKEN_TO = ("--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True")

EMPTY = """
import anywidget

class Empty(anywidget.AnyWidget):
    _esm = "export default { render({ el }) { el.classList.add('empty'); el.textContent = 'painted'; } }"

Empty()
"""


def kmem_lab(folder: Path, port: int) -> list[str]:
    """Return the learner's command."""
    words = ["-m", "kmemwidgets.cli", "lab", str(folder), "--no-browser", "--port", str(port)]
    return [sys.executable, *words, "--", *SPOKEN_TO]


def bare_lab(folder: Path, port: int) -> list[str]:
    """Return JupyterLab's own command, in a folder with one notebook of one cell."""
    (folder / "empty.ipynb").write_text(json.dumps(notebook(EMPTY)))
    words = ["-m", "jupyterlab", "--no-browser", f"--port={port}", "--allow-root", *SPOKEN_TO]
    return [sys.executable, *words, "--LabApp.default_url=/lab/tree/empty.ipynb"]


@contextmanager
def started(command: list[str], folder: Path, port: int) -> Iterator[str]:
    """Start a server with settings of its own; give its address as soon as it answers."""
    apart = {f"JUPYTER_{name}_DIR": str(folder / "jupyter" / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    apart |= {f"JUPYTERLAB_{name}_DIR": str(folder / "jupyter" / name) for name in ("SETTINGS", "WORKSPACES")}
    url = f"http://127.0.0.1:{port}/"
    # All cells in the page, also those far from the last one that ran.
    tracker = folder / "jupyter/SETTINGS/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **apart}, cwd=folder,
            start_new_session=True,
        )  # fmt: skip
    try:
        pause = threading.Event()
        end = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(f"{url}api/status", timeout=2):
                    break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                pause.wait(0.05)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def painted(browser: Any, url: str, widget: str) -> None:  # noqa: F811
    """Open the server's first page as a new visitor, run all cells of its notebook, wait for the widget's paint."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        Notebook.at(page, url, "")
        page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
        page.locator(widget).first.wait_for()
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    finally:
        context.close()


def test_the_first_widget_of_the_course_is_there_soon(tmp_path: Path, browser: Any) -> None:  # noqa: F811
    ways = {
        "kmem lab": (kmem_lab, ".kmem-framemap canvas"),
        "bare JupyterLab": (bare_lab, ".empty"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(REPEATS):
        for name, (command, widget) in ways.items():
            folder = tmp_path / f"{name} {turn}"
            folder.mkdir()
            port = free_port()
            words = command(folder, port)
            begun = time.monotonic()
            with started(words, folder, port) as url:
                painted(browser, url, widget)
                seconds[name].append(time.monotonic() - begun)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratio = medians["kmem lab"] / medians["bare JupyterLab"]
    told = ", ".join(f"{name} {median:.2f} s" for name, median in medians.items())
    print(f"\nfrom the command to the first painted widget: {told}: {ratio:.2f} times")
    assert ratio <= 1.5


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc of the kernel's process")
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapters_kernel_stays_small(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    client = NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(COURSE)}})
    with client.setup_kernel():
        for place, cell in enumerate(book.cells):
            client.execute_cell(cell, place)
        status = Path(f"/proc/{client.km.provisioner.pid}/status").read_text()
    peak = int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) / 1024
    print(f"\n{path.stem}: {peak:.0f} MB at most")
    assert peak < MOST_MB
