"""Bring the course into a learner's folder without ever taking away what they wrote.

A notebook counts as changed when the sources of its cells differ from what was
put there; outputs don't count, as running it is what it is for. What was put
there is remembered as a hash for each file in ``.kmem-course.json``.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from kmemwidgets.records import BadInput

MANIFEST = ".kmem-course.json"

#: The course's scripts and its table of contents stay with the project.
NOT_FOR_LEARNERS = frozenset({".py", ".toml"})


class Outcome(enum.Enum):
    """What became of a file of the course in the learner's folder."""

    NEW = "it was not there"
    SAME = "it was there in this version"
    UPDATED = "it was there unchanged in another version"
    KEPT = "the learner changed it, and there is no newer version"
    BESIDE = "the learner changed it; the newer version was put beside it"
    BLOCKED = "the learner changed it, and the file beside it as well"


def fingerprint(path: Path) -> str:
    """Hash what a learner can change in a file: a notebook's cell kinds and sources, else all bytes."""
    data = path.read_bytes()
    if path.suffix == ".ipynb":
        try:
            cells = json.loads(data)["cells"]
            data = json.dumps([(cell["cell_type"], "".join(cell["source"])) for cell in cells]).encode()
        except (ValueError, TypeError, KeyError):
            pass  # no notebook (any more): compare it as it is
    return hashlib.sha256(data).hexdigest()


def course_files(source: Path) -> Iterator[Path]:
    """Yield the files a learner gets, relative to the course's folder."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith((".", "__")) for part in name.parts)
        if path.is_file() and path.suffix not in NOT_FOR_LEARNERS and not hidden:
            yield name


def beside(name: str) -> str:
    """Return where a new version goes when the learner's own stands in its place."""
    path = Path(name)
    return path.with_name(f"{path.stem}.new{path.suffix}").as_posix()


def _put(source: Path, target: Path) -> None:
    """Write a file whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    try:
        draft.write_bytes(source.read_bytes())
        os.replace(draft, target)  # noqa: PTH105
    finally:
        draft.unlink(missing_ok=True)


def _read_manifest(path: Path) -> dict[str, str]:
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(name): str(value) for name, value in files.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # then every file that differs counts as the learner's, which loses nothing


def _bring(source: Path, target: Path, known: dict[str, str], name: str) -> tuple[Outcome, str]:
    """Bring one file; `known` is what was put where so far, and learns what is put now."""
    new = fingerprint(source / name)
    old = known.get(name)
    if not (target / name).exists():
        outcome = Outcome.NEW
    else:
        there = fingerprint(target / name)
        if there == new:
            outcome = Outcome.SAME
        elif there == old:
            outcome = Outcome.UPDATED
        elif new == old:
            return Outcome.KEPT, ""
        else:
            side = beside(name)
            free = not (target / side).exists() or fingerprint(target / side) in (known.get(side), new)
            if free:
                _put(source / name, target / side)
                known[side] = new
            return (Outcome.BESIDE if free else Outcome.BLOCKED), side
    if outcome is not Outcome.SAME:
        _put(source / name, target / name)
    known[name] = new
    return outcome, ""


def copy_course(source: Path, target: Path) -> dict[str, tuple[Outcome, str]]:
    """Bring the course's files into a folder.

    Returns
    -------
    dict
        For each file what became of it, and where the new version went if that is elsewhere.

    Raises
    ------
    BadInput
        Where the folder cannot be made or written.
    """
    manifest = target / MANIFEST
    try:
        target.mkdir(parents=True, exist_ok=True)
        known = _read_manifest(manifest)
        report = {}
        try:
            for path in course_files(source):
                report[path.as_posix()] = _bring(source, target, known, path.as_posix())
        finally:  # what was put must be known, also after Ctrl-C
            draft = target / (MANIFEST + ".part")
            draft.write_text(json.dumps({"files": known}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(draft, manifest)  # noqa: PTH105
    except OSError as error:
        raise BadInput(
            f"cannot write the course: {error.strerror}",
            where=str(error.filename or target),
            todo="name another folder",
        ) from None
    return report
