"""Where the tests' cases come from: folders, so that a new recording is tested without touching code.

``tests/data/captures`` and ``tests/data/oracles``, the recordings that ship with the package, and every folder
named in ``KMEM_CAPTURES`` and ``KMEM_ORACLES`` (colon-separated).
"""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
BUNDLED = Path(__file__).parent.parent / "kmemwidgets" / "capture" / "bundled"


def _named(variable: str) -> list[Path]:
    return [Path(entry) for entry in os.environ.get(variable, "").split(":") if entry]


def _is_capture(path: Path) -> bool:
    return (path / "meta.json").is_file() or path.name.endswith(".tar.xz")


def captures() -> list[Path]:
    """Every recording once: folders that hold a meta.json, and .tar.xz files.

    A recording found twice under one name (as a folder and packed) is listed where it is found last, so that
    ``KMEM_CAPTURES`` wins over what ships with the tests.
    """
    found: dict[str, Path] = {}
    for folder in (BUNDLED, DATA / "captures", *_named("KMEM_CAPTURES")):
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        if _is_capture(folder):
            entries = [folder]
        found.update((capture_id(entry), entry) for entry in entries if _is_capture(entry))
    return [found[name] for name in sorted(found)]


def capture_id(path: Path) -> str:
    """Name a recording in test output."""
    return path.name.removesuffix(".tar.xz")


def oracles(pattern: str = "*") -> list[Path]:
    """Every file of answers whose name, without .json or .json.xz, matches a glob."""
    found: dict[str, Path] = {}
    for folder in (DATA / "oracles", *_named("KMEM_ORACLES")):
        for suffix in (".json.xz", ".json"):
            found.update((oracle_id(path), path) for path in sorted(folder.glob(pattern + suffix)))
    return [found[name] for name in sorted(found)]


def oracle_id(path: Path) -> str:
    """Name a file of answers in test output."""
    return path.name.removesuffix(".xz").removesuffix(".json")


def load_oracle(path: Path) -> Any:
    """Read a file of answers, packed or not."""
    raw = path.read_bytes()
    return json.loads(lzma.decompress(raw) if path.suffix == ".xz" else raw)
