"""Promises about the whole tree: what loads what, what is named where, what must not be in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kmemwidgets
from kmemwidgets.widgets import KmemWidget

ROOT = Path(__file__).resolve().parents[3]
JUPYTER = {"ipywidgets", "anywidget", "traitlets", "IPython", "ipykernel", "jupyter_client", "notebook", "jupyterlab"}
HEAVY = {"bqplot", "numpy", "pandas"}


def loaded(statement: str) -> set[str]:
    """Return the top-level modules that a fresh Python has after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import kmemwidgets",
        "import kmemwidgets.sim, kmemwidgets.classic, kmemwidgets.arch",
        "import kmemwidgets.procfs, kmemwidgets.tracefs, kmemwidgets.records",
        "import kmemwidgets.capture, kmemwidgets.capture.command",
        "import kmemwidgets.explain, kmemwidgets.replay",
        "from kmemwidgets import Machine, Capture, Snapshot, diff, explain_gfp, explain_flags",
        "import kmemwidgets.cli; kmemwidgets.cli.build_parser('lab')",
    ],
)
def test_the_floors_below_the_widgets_load_no_jupyter(statement: str) -> None:
    assert loaded(statement) & (JUPYTER | HEAVY) == set()


def test_the_package_itself_loads_nothing_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, kmemwidgets; print(*[m for m in sys.modules if m.startswith('kmem')])"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.split() == ["kmemwidgets"]


def test_a_frame_map_loads_no_plotting_library() -> None:
    assert loaded("from kmemwidgets import FrameMap") & HEAVY == set()


def test_every_public_name_loads_and_is_described_in_the_contract() -> None:
    contract = (ROOT / "course" / "reference" / "contract.md").read_text(encoding="utf-8")
    for name in kmemwidgets.__all__:
        value = getattr(kmemwidgets, name)
        if name.startswith("__"):
            continue
        assert value.__doc__, name
        if not (isinstance(value, type) and issubclass(value, KmemWidget)):  # which the contract speaks of as a family
            assert re.search(rf"\b{name}\b", contract), f"contract.md does not name {name}"
    for line in re.findall(r"^from kmemwidgets import (.*)$", contract, flags=re.MULTILINE):
        assert {name.strip() for name in line.split(",")} <= set(kmemwidgets.__all__)
    assert dir(kmemwidgets) == sorted(kmemwidgets.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Framemap'"):
        kmemwidgets.Framemap  # noqa: B018


def texts(*folders: str, kinds: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the files of some kinds with their text; folders of data and of tools are left out."""
    apart = {"data", "__pycache__", ".ipynb_checkpoints", "_out", "bundled"}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in kinds and path.is_file() and not apart & set(path.parts):
                yield path, path.read_text(encoding="utf-8")


def found(pattern: str, *folders: str, kinds: tuple[str, ...]) -> list[str]:
    expression = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in texts(*folders, kinds=kinds)
        if path != Path(__file__).resolve()
        for match in expression.finditer(text)
    ]


def test_nothing_that_ships_names_a_host_to_fetch_from() -> None:
    hosts = r"(?i)https?://[\w.-]*(cdn|unpkg|jsdelivr|esm\.sh|fonts\.google|gstatic)"
    kinds = (".py", ".js", ".css", ".svg", ".ipynb", ".html")
    assert found(hosts, "kmemwidgets", "course", kinds=kinds) == []


def test_the_front_end_makes_no_request_and_no_markup_from_data() -> None:
    calls = (
        r"\bfetch\(|XMLHttpRequest|new WebSocket|importScripts|\bimport\(|innerHTML|insertAdjacentHTML|document\.write"
    )
    assert found(calls, "kmemwidgets", kinds=(".js",)) == []


def test_style_stays_inside_the_widgets() -> None:
    """Every rule of our style sheets begins with a class of ours: nothing of it reaches the notebook."""
    for path, text in texts("kmemwidgets", kinds=(".css",)):
        bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for selectors in re.findall(r"(?:^|[{}])\s*([^{}@;]+?)\s*\{", bare):
            for selector in re.split(r",(?![^()]*\))", selectors):
                inside = re.match(r"\s*(\.kmem|:where\(\.kmem|:is\(\.kmem|from\b|to\b|\d+%|body\[data-jp)", selector)
                assert inside, f"{path.name}: {selector.strip()!r}"


def test_no_test_is_switched_off() -> None:
    """A case that a recording lacks may skip itself and say why; a test that is off for all says nothing."""
    marks = r"mark\.skip\b|mark\.xfail|unittest\.skip|allow_module_level"
    assert found(marks, "tests", kinds=(".py",)) == []


def test_no_test_waits_by_the_clock() -> None:
    assert found(r"time\.sleep\(|wait_for_timeout\(", "tests", kinds=(".py",)) == []


def test_no_path_of_somebodys_machine_is_written_down() -> None:
    kinds = (".py", ".js", ".css", ".md", ".toml", ".ipynb", ".cfg", ".yml")
    paths = r"(?<![\w.~])/(?:root|work)/[\w.-]+"
    assert found(paths, "kmemwidgets", "course", "tests", "binder", kinds=kinds) == []


def test_the_changelog_speaks_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert re.search(rf"^## {re.escape(kmemwidgets.__version__)}\b", text, flags=re.MULTILINE) or len(heads) == 1
