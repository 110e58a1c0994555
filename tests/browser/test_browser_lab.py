"""`kmem lab` as a learner starts it: a real JupyterLab opens the first chapter, and its websocket has Nagle off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Watch, free_port


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Path]]:
    folder = tmp_path_factory.mktemp("a learner")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    apart = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    apart |= {f"JUPYTERLAB_{name}_DIR": str(folder / name) for name in ("SETTINGS", "WORKSPACES")}
    words = ["lab", str(folder / "my course"), "--no-browser", "--port", str(port)]
    words += ["--", "--IdentityProvider.token=", "--ServerApp.log_level=INFO"]
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "kmemwidgets.cli", *words],
            stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **apart}, cwd=folder, start_new_session=True,
        )  # fmt: skip
    pause = threading.Event()
    end = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/status", timeout=2):
                break
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            pause.wait(0.1)
    yield url, folder / "my course", log
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(20)


def test_it_opens_the_first_chapter_and_asks_nobody_else(started: tuple[str, Path, Path], apart: Watch) -> None:
    url, course, _ = started
    assert (course / "01-your-machine.ipynb").is_file()
    page = apart.page
    page.goto(f"{url}/")
    page.locator(".jp-NotebookPanel h1", has_text="1. Your machine, at a glance").wait_for()
    page.locator(".jp-NotebookPanel img[src^='data:image/svg+xml']").first.wait_for()
    assert page.locator(".jp-Dialog").count() == 0


def test_it_says_that_small_messages_go_out_at_once(started: tuple[str, Path, Path]) -> None:
    told = started[2].read_text()
    assert "TCP_NODELAY is set on kernel websockets" in told
    assert f"the course is in {started[1]}" in told


def test_what_a_page_says_is_carried_out_in_the_main_thread(lab: Any) -> None:
    """JupyterLab has a kernel take messages of widgets beside its cells; ours wait for their turn."""
    book = lab.open("turn.ipynb")
    book.run(
        "import threading\n"
        "from kmemwidgets import FrameMap\n"
        "from kmemwidgets.sim import Machine\n"
        "threads = []\n"
        "f = FrameMap(Machine.boot(memory='64M'))\n"
        "f.observe(lambda change: threads.append(threading.current_thread().name), 'camera')\n"
        "f"
    )
    closer = book.panel.locator("[data-gesture=zoom_in]").first
    for clicks in range(1, 5):
        closer.click()
        book.wait_python(f"len(threads) >= {clicks}", "True")
    assert book.python("set(threads)") == "{'MainThread'}"
