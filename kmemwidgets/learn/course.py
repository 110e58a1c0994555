"""The course as data: where its files are, and its chapters as ``toc.toml`` numbers them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from kmemwidgets.records import BadInput

_HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter of the course.

    Attributes
    ----------
    number : int
        Its place in the whole course; never changes.
    id : str
        A short name that other chapters refer to.
    title : str
        What its first heading says.
    part : str
        Title of the part of the course it stands in.
    file : str
        Name of its notebook in the course's folder.
    there : bool
        Whether it is written; the others are planned.
    needs : tuple of str
        Ids of the chapters to read first.
    minutes : int
        About how long it takes.
    """

    number: int
    id: str
    title: str
    part: str
    file: str
    there: bool
    needs: tuple[str, ...]
    minutes: int


def course_folder() -> Path:
    """Return the folder of the course: in an installed package its copy, in a clone the source itself.

    Raises
    ------
    BadInput
        Where an installation has lost it.
    """
    for folder in (_HERE / "_course", _HERE.parent / "course"):
        if (folder / "toc.toml").is_file():
            return folder
    raise BadInput(
        "the course's files are missing from this installation",
        where=str(_HERE / "_course"),
        todo="reinstall with: pip install --force-reinstall 'kmemwidgets[course]'",
    )


def chapters(folder: Path | None = None) -> tuple[Chapter, ...]:
    """Return all chapters in order, the planned ones too."""
    table = tomllib.loads(((folder or course_folder()) / "toc.toml").read_text(encoding="utf-8"))
    return tuple(
        Chapter(
            number=entry["number"],
            id=entry["id"],
            title=entry["title"],
            part=part["title"],
            file=entry["file"],
            there=entry["status"] == "there",
            needs=tuple(entry["needs"]),
            minutes=entry["minutes"],
        )
        for part in table["part"]
        for entry in part["chapter"]
    )
