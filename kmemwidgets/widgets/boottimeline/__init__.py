"""BootTimeline: start_kernel's memory steps, with what each does to physical memory."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import traitlets

from kmemwidgets.records import BadInput, BootStep, MachineSpec, format_version

from .._assemble import assemble, styles
from .._base import HELP, Gesture, KmemWidget
from .._picture import svg, tag, words
from .._words import size
from ..strings import text

GESTURES = (
    Gesture("next", "Next step", "click a step, or ▶", ("ArrowDown", "ArrowRight"), "go"),
    Gesture("previous", "Step before", "click a step, or ◀", ("ArrowUp", "ArrowLeft"), "go"),
    Gesture("next_change", "Next step that changes memory", "button ▶▶", ("PageDown",), "go"),
    Gesture("previous_change", "Last step before that changed memory", "button ◀◀", ("PageUp",), "go"),
    Gesture("first", "Before the first step", "button |◀", ("Home",), "go"),
    Gesture("last", "After the last step", "button ▶|", ("End",), "go"),
    Gesture("next_piece", "Follow the next piece of memory", "click a piece of the bars", ("]",), "select"),
    Gesture("previous_piece", "Follow the piece below it", "click a piece of the bars", ("[",), "select"),
    HELP,
)


@runtime_checkable
class BootSource(Protocol):
    """A source that can tell how it booted (a simulated machine)."""

    def boot_steps(self) -> tuple[BootStep, ...]:
        """Return the steps in order."""

    def spec(self) -> MachineSpec:
        """Return what was booted."""


class BootTimeline(KmemWidget):
    """From the firmware's map to the page allocator, step by step.

    Parameters
    ----------
    source : Machine
        A machine that was booted. For a recording, boot one from it: ``Machine.boot(capture)``.
    on_select, width, height, theme
        See `KmemWidget`.

    Attributes
    ----------
    step : int
        How many steps are done.
    """

    NAME: ClassVar[str] = "boottimeline"
    TITLE: ClassVar[str] = text("boottimeline.title")
    GESTURES: ClassVar[tuple[Gesture, ...]] = GESTURES
    _esm = assemble(__file__)
    _css = styles(__file__)

    step = traitlets.Int(0, min=0, help="how many steps are done").tag(sync=True)

    def __init__(self, source: object, /, **options: Any) -> None:
        if not isinstance(source, BootSource):
            raise BadInput(
                f"{type(source).__name__} doesn't tell how it booted", todo="give it Machine.boot(what you have)"
            )
        self._steps = source.boot_steps()
        self._spec = source.spec()
        super().__init__(source, **options)

    @property
    def steps(self) -> tuple[BootStep, ...]:
        """The steps in order."""
        return self._steps

    def go(self, step: int | str) -> BootStep | None:
        """Go behind a step, by number (0: before the first) or by the function's name; return the step.

        Raises
        ------
        ValueError
            Where this boot has no such step.
        """
        if isinstance(step, str):
            for number, each in enumerate(self._steps, 1):
                if step in (each.name, each.name.rpartition(": ")[2]):
                    step = number
                    break
        if not isinstance(step, int) or not 0 <= step <= len(self._steps):
            raise ValueError(f"no step {step!r}; there are {len(self._steps)}")
        self.step = step
        return self._steps[step - 1] if step else None

    def data(self) -> dict[str, Any]:
        """Return the steps with their calls; addresses as text."""
        return {
            "subtitle": f"{self._spec.name}: {self._spec.arch}, Linux {format_version(self._spec.kernel)}",
            "steps": [
                {
                    "name": step.name,
                    "says": step.says,
                    "source": step.source,
                    "prints": list(step.prints),
                    "calls": [
                        [call.what, hex(call.start), hex(call.end), call.caller, call.estimated] for call in step.calls
                    ],
                }
                for step in self._steps
            ],
            "bootmem": any(call.caller == "bootmem map" for step in self._steps for call in step.calls),
            "page_size": self._spec.page_size,
            "firmware": [[hex(entry.start), hex(entry.end), entry.kind] for entry in self._spec.memory],
        }

    def summary(self) -> str:
        """List the steps; those that change memory with how much."""
        lines = [f"BootTimeline of {self._spec.name} ({self._spec.arch}, Linux {format_version(self._spec.kernel)})"]
        for number, step in enumerate(self._steps, 1):
            moved = ", ".join(
                f"{what} {size(total)}"
                for what in ("add", "reserve", "free", "hand over")
                if (total := sum(call.end - call.start for call in step.calls if call.what == what))
            )
            lines.append(f"  {number:>2} {step.name}{': ' + moved if moved else ''}")
            lines += [f"     | {line}" for line in step.prints]
        return "\n".join(lines)

    def picture(self) -> str:
        """Return the steps as a list; those that change memory with a bar."""
        totals = [sum(call.end - call.start for call in step.calls) for step in self._steps]
        most = max(totals, default=1) or 1
        parts = [words(f"Boot of {self._spec.name}", 10, 20, size=13, font_weight="600")]
        for row, (step, total) in enumerate(zip(self._steps, totals, strict=True)):
            y = 34 + 18 * row
            inner = step.name.count(": ")
            parts.append(words(step.name.rpartition(": ")[2], 14 + 16 * inner, y + 12, size=11))
            if total:
                long = 4 + 240 * total / most
                parts += [
                    tag("rect", x=270, y=y + 2, width=long, height=12, rx=2, fill="#3b78c2"),
                    words(size(total), 280 + long, y + 12, size=11, fill="#454c55"),
                ]
        return svg(640, 44 + 18 * len(self._steps), *parts)
