"""A real JupyterLab (and Notebook 7) server and a real Chromium, once a session.

`lab` opens notebooks; each test fails if the page reported an error or asked for
anything outside this machine. Nothing here sleeps: all waits are for a state.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

playwright_api = pytest.importorskip("playwright.sync_api")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--force-color-profile=srgb",
)  # fmt: skip

#: What a page may say that is not ours: Notebook 7 says the first two for an empty notebook too, JupyterLab
#: the third of its own requests when a kernel restarts or a notebook is closed.
NOT_OURS = ("reading 'schema'", "'filebrowser:open-path' not registered", "Canceled future for")

#: Milliseconds until a wait is given up. Only patience: a machine may be slow, and what is waited for comes or doesn't.
PATIENCE = 60_000

expect = playwright_api.expect
expect.set_options(timeout=PATIENCE)


def find_chromium() -> str | None:
    """Return the Chromium to use: KMEM_BROWSER, or one on the path."""
    told = os.environ.get("KMEM_BROWSER")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return told or next((path for name in names if (path := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def chromium() -> str:
    found = find_chromium()
    if found is None:
        message = "no Chromium: set KMEM_BROWSER or install one"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS), headless=True)
        yield running
        running.close()


class Server:
    """A Jupyter server of its own: folder, port, settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = folder / "settings" / "@jupyterlab"
        for name, values in {
            # All cells in the page, also those far below; no greeting, no news.
            "notebook-extension/tracker": {"windowingMode": "none"},
            "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        }.items():
            path = settings / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
        }
        self.log = (folder / "server.log").open("w")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={self.port}", "--ServerApp.port_retries=0",
                "--ip=127.0.0.1", "--allow-root", "--IdentityProvider.token=", "--ServerApp.password=",
                "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True",
                f"--ServerApp.root_dir={self.root}",
                # As with kmem lab.
                "--ServerApp.jpserver_extensions=kmemwidgets.learn.nodelay=True",
                "--ServerApp.disable_check_xsrf=True",
            ],
            stdout=self.log, stderr=subprocess.STDOUT, env=environment, cwd=folder,
        )  # fmt: skip
        self.wait()

    def wait(self) -> None:
        end = time.monotonic() + 90
        pause = threading.Event()
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended:\n{(self.folder / 'server.log').read_text()[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/api/status", timeout=2):
                    return
            except OSError:
                pause.wait(0.1)
        raise RuntimeError("the server doesn't answer")

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("jupyter"))
    yield running
    running.close()


class Watch:
    """What a page complained about, what it asked for, and its last words whatever they were."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.heard: deque[str] = deque(maxlen=40)
        page.on("console", self.console)
        page.on("pageerror", lambda error: self.note(f"error: {error}"))
        page.on("request", self.request)

    def console(self, message: Any) -> None:
        self.heard.append(f"{message.type}: {message.text}")
        if message.type == "error":
            self.note(f"console: {message.text}")

    def note(self, text: str) -> None:
        if not any(known in text for known in NOT_OURS):
            self.complaints.append(text)

    def request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost"):
            self.complaints.append(f"asked {request.url}")

    def take(self) -> list[str]:
        complaints, self.complaints = self.complaints, []
        return complaints


def notebook(*cells: str) -> dict[str, Any]:
    """Return a notebook of code cells."""
    made = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": cell, "outputs": [], "execution_count": None}
        for i, cell in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


class Notebook:
    """The notebook in front of a page of JupyterLab or Notebook 7."""

    def __init__(self, page: Any, name: str) -> None:
        self.page = page
        self.name = name

    @classmethod
    def at(cls, page: Any, url: str, name: str) -> Notebook:
        """Load a notebook's own address, and wait for its kernel."""
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        book = cls(page, name)
        book.ready()
        return book

    def ready(self) -> None:
        """Wait until the page shows the notebook, and its kernel answers."""
        self.page.wait_for_function("() => window.jupyterapp && jupyterapp.shell?.currentWidget?.sessionContext")
        self.page.evaluate(
            """async () => {
                const panel = jupyterapp.shell.currentWidget;
                await panel.context.ready;
                await panel.sessionContext.ready;
                await panel.sessionContext.session.kernel.info;
            }"""
        )

    @property
    def panel(self) -> Any:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def run(self, code: str, *, wait: bool = True) -> Any:
        """Run code in a new last cell; return the cell's outputs (a locator)."""
        index = self.page.evaluate(
            """async ([code, wait]) => {
                const panel = jupyterapp.shell.currentWidget;
                const shared = panel.content.model.sharedModel;
                shared.insertCell(shared.cells.length, {cell_type: "code", source: code});
                const index = shared.cells.length - 1;
                panel.content.activeCellIndex = index;
                const done = jupyterapp.commands.execute("notebook:run-cell");
                if (wait) await done;
                return index;
            }""",
            [code, wait],
        )
        cell = self.panel.locator(".jp-Cell").nth(index)
        if wait:
            wrong = cell.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
            assert wrong.count() == 0, wrong.first.inner_text()
        return cell.locator(".jp-Cell-outputArea")

    def python(self, expression: str) -> str:
        """Return repr(expression) in the notebook's kernel."""
        reply = self.ask(expression)
        assert reply["status"] == "ok", reply
        return reply["data"]["text/plain"]

    def ask(self, expression: str) -> dict[str, Any]:
        """Return the kernel's answer, which may be an error."""
        return self.page.evaluate(
            """async (expression) => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const asked = {code: "", user_expressions: {r: expression}, store_history: false};
                const future = kernel.requestExecute(asked);
                return (await future.done).content.user_expressions.r;
            }""",
            expression,
        )

    def execute(self, code: str) -> None:
        """Run code in the kernel without a cell."""
        reply = self.page.evaluate(
            """async (code) => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                return (await kernel.requestExecute({code, store_history: false}).done).content;
            }""",
            code,
        )
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", [str(reply)]))

    def wait_python(self, expression: str, value: str) -> None:
        """Wait until repr(expression) is `value`."""

        def say() -> str:
            """Answer, or say what is wrong: what is asked for may not be there yet."""
            reply = self.ask(expression)
            return reply["data"]["text/plain"] if reply["status"] == "ok" else f"{reply['ename']}: {reply['evalue']}"

        until(self.page, say, value, expression)


def until(page: Any, ask: Callable[[], Any], wanted: Any, what: str) -> None:
    """Ask, a frame of the screen apart, until the answer is the one that is wanted."""
    end = time.monotonic() + PATIENCE / 1000
    while (seen := ask()) != wanted:
        if time.monotonic() > end:
            raise AssertionError(f"{what} is {seen}, not {wanted}")
        # A page that nobody sees has no frames.
        page.evaluate("() => new Promise(done => { requestAnimationFrame(done); setTimeout(done, 100); })")


def wait_in(element: Any, true: str, arg: Any = None) -> None:
    """Wait until the JavaScript function `true`, of an element (a locator) and an argument, is true."""
    element.page.wait_for_function(f"([element, arg]) => ({true})(element, arg)", arg=[element.element_handle(), arg])


def box_of(element: Any) -> dict[str, float]:
    """Return where an element (a locator) is, once it is on the screen and has come to rest."""
    element.scroll_into_view_if_needed()
    box: dict[str, float] = element.evaluate(
        """async (element) => {
            const frame = () => new Promise(done => { requestAnimationFrame(done); setTimeout(done, 100); });
            const read = () => {
                const { x, y, width, height } = element.getBoundingClientRect();
                return { x, y, width, height };
            };
            for (let before = "", same = 0; same < 3; same += 1) {
                const now = JSON.stringify(read());
                if (now !== before) same = 0;
                before = now;
                await frame();
            }
            return read();
        }"""
    )
    return box


def wait_theme(root: Any, name: str) -> None:
    """Wait until a widget is "light" or "dark"."""
    wait_in(root, "(root, name) => root.dataset.theme === name", name)


class Lab:
    """A JupyterLab page."""

    def __init__(self, server: Server, page: Any) -> None:
        self.server = server
        self.page = page
        self.watch = Watch(page)
        page.set_default_timeout(PATIENCE)
        self.load()

    def load(self) -> None:
        self.page.goto(f"{self.server.url}/lab?reset")
        self.page.wait_for_function("() => window.jupyterapp && jupyterapp.started")
        self.page.evaluate("() => jupyterapp.restored")
        self.page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area').catch(() => 0)")

    def open(self, name: str, *cells: str, beside: bool = False) -> Notebook:
        """Write a notebook, open it, and wait for its kernel; the others are closed, unless it is to be beside them."""
        if not beside:
            self.close_all()
        (self.server.root / name).write_text(json.dumps(notebook(*cells)))
        return self.show(name)

    def show(self, name: str) -> Notebook:
        """Open a notebook of the server's folder, and wait for its kernel."""
        self.page.evaluate(
            """async (path) => {
                const panel = await jupyterapp.commands.execute("docmanager:open", {path, factory: "Notebook"});
                await panel.context.ready;
                await panel.sessionContext.ready;
                await panel.sessionContext.session.kernel.info;
                jupyterapp.shell.activateById(panel.id);
            }""",
            name,
        )
        return Notebook(self.page, name)

    def close_all(self) -> None:
        """Close all notebooks, and end their kernels."""
        self.page.evaluate(
            """async () => {
                for (const panel of [...jupyterapp.shell.widgets('main')]) {
                    await panel.context?.save?.();
                    await panel.sessionContext?.shutdown?.();
                    panel.close();
                }
            }"""
        )

    def run_all(self) -> None:
        """Run all cells of the notebook in front."""
        self.page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")

    def theme(self, name: str) -> None:
        """Switch JupyterLab's theme: "JupyterLab Light", "JupyterLab Dark"."""
        self.page.evaluate("(theme) => jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        light = "true" if "Light" in name else "false"
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{light}'")
        # JupyterLab's curtain; a second change while it fades makes JupyterLab remove it twice.
        self.page.wait_for_function("() => !document.getElementById('jupyterlab-splash')")


@pytest.fixture(scope="session")
def lab_session(server: Server, browser: Any) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Lab(server, context.new_page())
    context.close()


@pytest.fixture
def lab(lab_session: Lab) -> Iterator[Lab]:
    """The session's JupyterLab page; fails the test if the page complained."""
    lab_session.watch.take()
    yield lab_session
    complaints = lab_session.watch.take()
    assert not complaints, complaints


@pytest.fixture
def apart(browser: Any) -> Iterator[Watch]:
    """A page in a window of its own, and what is heard of it; fails the test if it complained."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    watch = Watch(page)
    yield watch
    complaints = watch.take()
    page.close()
    assert not complaints, complaints
