"""The widget: what it sends, what it says, what Python can do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import traitlets

from kmemwidgets.records import BadInput, format_version
from kmemwidgets.widgets._assemble import assemble, styles
from kmemwidgets.widgets._base import HELP, Gesture, KmemWidget
from kmemwidgets.widgets._words import count, share, size
from kmemwidgets.widgets.focus import Focus

from .figures import Figure, figures
from .parts import INSIDE, Part, parts
from .picture import draw_parts
from .treemap import squarify

#: Before this a field's age says nothing.
_ALWAYS = (2, 6)
#: From here on (kB) a size is easier to read in MiB.
_MIB = 1024


class MeminfoPanel(KmemWidget):
    """/proc/meminfo: what each field means, how it comes about, and MemTotal as a treemap of its parts.

    Parameters
    ----------
    source : Machine, Capture, Snapshot or str
        What to show; a str is the text of /proc/meminfo.
    field : str, optional
        The field to show first.
    on_select, width, height, theme
        As with every widget.

    Examples
    --------
    >>> from kmemwidgets import Capture, MeminfoPanel
    >>> MeminfoPanel(Capture.bundled("amd64-512m"), field="Cached")                 # doctest: +SKIP
    """

    _esm = assemble(__file__)
    _css = styles(__file__)

    NAME = "meminfopanel"
    TITLE = "/proc/meminfo"
    TAKES = ("meminfo",)
    TERMS: ClassVar[tuple[str, ...]] = ("unaccounted",)
    GESTURES: ClassVar[tuple[Gesture, ...]] = (
        Gesture("next", "The next field", "click it", ("ArrowDown", "j"), "step"),
        Gesture("previous", "The field before", "click it", ("ArrowUp", "k"), "step"),
        Gesture("first", "The first field", "click it", ("Home",), "step"),
        Gesture("last", "The last field", "click it", ("End",), "step"),
        Gesture("next_part", "The next part of the treemap", "click it", ("ArrowRight", "l"), "step_part"),
        Gesture("previous_part", "The part before", "click it", ("ArrowLeft", "h"), "step_part"),
        Gesture("search", "Look for a field", "type in the search box", ("/",), "search_for"),
        Gesture("clear", "Show all fields again, choose none", "empty the search box", ("Escape",), "clear"),
        Gesture("used", "Treemap without free memory, or of all", "click “without free”", ("z",), "toggle_free"),
        HELP,
    )

    field = traitlets.Unicode("", help="name of the field or part that is shown; empty: none").tag(sync=True)
    search = traitlets.Unicode("", help="only fields whose name or meaning has this").tag(sync=True)
    without_free = traitlets.Bool(False, help="whether the treemap leaves free memory out").tag(sync=True)

    def __init__(
        self,
        source: object,
        /,
        *,
        field: str = "",
        on_select: Callable[[Focus], object] | None = None,
        width: int | None = None,
        height: int | None = None,
        theme: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__(source, on_select=on_select, width=width, height=height, theme=theme, **unknown)
        if self.snapshot.meminfo is None:
            raise BadInput(f"{self.snapshot.name} has no meminfo", todo="give a source that shows /proc/meminfo")
        if field:
            self.select_field(field)

    # What is shown --------------------------------------------------------------------

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All fields, with their formulas worked out."""
        return figures(self.snapshot)

    @property
    def parts(self) -> tuple[Part, ...]:
        """MemTotal cut into parts that don't overlap; the last one is what no field counts."""
        return parts(self.snapshot)

    def found(self) -> tuple[Figure, ...]:
        """Return the fields that the search shows."""
        wanted = self.search.casefold()
        return tuple(
            each
            for each in self.figures
            if wanted in each.field.name.casefold() or wanted in each.field.meaning.casefold()
        )

    def data(self) -> dict[str, Any]:
        """Return fields, and parts with their places in both treemaps."""
        snapshot = self.snapshot
        cut = self.parts
        used = [0 if part.group == "free" else part.kb for part in cut]
        boxes = zip(cut, squarify([part.kb for part in cut]), squarify(used), strict=True)
        return {
            "name": snapshot.name,
            "kernel": format_version(snapshot.kernel) if snapshot.kernel else "",
            "parts": [
                {"name": part.name, "kb": part.kb, "group": part.group, "fields": part.fields, "says": part.says,
                 "told": _part_line(part, cut), "all": box, "used": small}
                for part, box, small in boxes
            ],
            "fields": [_field(figure) for figure in self.figures],
            "notes": list(snapshot.notes),
        }  # fmt: skip

    def summary(self) -> str:
        """Say the parts, and the chosen field with its formula."""
        cut = self.parts
        total = sum(part.kb for part in cut)
        lines = [f"MeminfoPanel of {self.snapshot.name}: MemTotal {count(total)} kB"]
        lines += [f"  {_part_line(part, cut)}" for part in cut if part.kb]
        chosen = next((figure for figure in self.figures if figure.field.name == self.field), None)
        return "\n".join([*lines, *([] if chosen is None else _told(chosen))])

    def picture(self) -> str:
        """Draw the treemap."""
        return draw_parts(self.snapshot.name, self.parts)

    # What can be done -----------------------------------------------------------------

    def select_field(self, name: str) -> None:
        """Show a field, or a part of the treemap."""
        known = [figure.field.name for figure in self.figures] + [part.name for part in self.parts]
        if name not in known:
            raise ValueError(f"{self.snapshot.name} has no field {name!r}")
        self.field = name

    def step(self, fields: int) -> None:
        """Go down the list of fields, or up; stops at the ends."""
        self._step([figure.field.name for figure in self.found()], fields)

    def step_part(self, steps: int) -> None:
        """Go to the next part of the treemap, or back; stops at the ends."""
        shown = [part for part in self.parts if part.kb > 0 and not (self.without_free and part.group == "free")]
        self._step([part.name for part in shown], steps)

    def search_for(self, text: str) -> None:
        """List only the fields whose name or meaning has this text."""
        self.search = text

    def clear(self) -> None:
        """List all fields again, and choose none."""
        self.search, self.field = "", ""

    def toggle_free(self) -> None:
        """Leave free memory out of the treemap, or put it in again."""
        self.without_free = not self.without_free

    def _step(self, names: list[str], steps: int) -> None:
        if names:
            at = names.index(self.field) + steps if self.field in names else 0
            self.field = names[min(max(at, 0), len(names) - 1)]


def _part_line(part: Part, cut: tuple[Part, ...]) -> str:
    total = sum(each.kb for each in cut)
    return f"{part.name}: {count(part.kb)} kB, {share(part.kb, total)}"


def _told(figure: Figure) -> list[str]:
    lines = [f"  {figure.field.name} {count(figure.value)} {figure.field.unit}: {figure.field.meaning}"]
    lines.append(f"    {figure.field.formula} ({figure.field.source})")
    if figure.worked:
        lines.append(f"    {figure.worked}, {figure.verdict}")
    return lines


def _field(figure: Figure) -> dict[str, Any]:
    field = figure.field
    value = f"{count(figure.value)} {field.unit}"
    return {
        "name": field.name,
        "group": field.group,
        "value": value,
        "kb": figure.value if field.unit == "kB" else None,
        "size": size(figure.value * 1024) if field.unit == "kB" and figure.value >= _MIB else "",
        "meaning": field.meaning,
        "formula": field.formula,
        "worked": figure.worked,
        "verdict": figure.verdict,
        "agrees": figure.result is None or figure.result == figure.value,
        "source": field.source,
        "since": format_version(field.since) if field.since > _ALWAYS else "",
        "leaves_out": field.leaves_out,
        "inside": INSIDE.get(field.name, ""),
    }
