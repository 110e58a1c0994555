"""A section of `kmem explain`: what is read, what is predicted from it, and what was recorded.

The three are kept apart on purpose. `inputs` reads from a recording what may be known beforehand, `predict` is given
only that and the machine's description, and `recorded` reads the answers. So no prediction can look at an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput, MachineSpec
from kmemwidgets.sim.zone_sizes import NoMemoryError

#: A figure: a number, a list of numbers, or a name.
Value: TypeAlias = "int | str | tuple[int, ...] | tuple[str, ...] | None"
#: Figures by what they are of, in words: "node 0 zone DMA min".
Figures: TypeAlias = Mapping[str, Value]


class AtLeast(int):
    """A figure that the kernel raises, and lowers again to this, while it runs: when it was recorded decides."""


class OnceUsed(AtLeast):
    """Such a figure, and 0 until something is used for the first time; nothing in a recording says when that was."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section.

    Attributes
    ----------
    name : str
    inputs : function
        ``(Capture, MachineSpec) -> inputs``: a frozen record of what the section may read, see CONTRACT.
    predict : function
        ``(MachineSpec, inputs) -> figures``.
    recorded : function
        ``Capture -> figures`` that were recorded.
    unknowable : function
        ``(MachineSpec, recorded figures) -> names`` of figures that nothing in a recording determines.
    """

    name: str
    inputs: Callable[[Capture, MachineSpec], Any]
    predict: Callable[[MachineSpec, Any], Figures]
    recorded: Callable[[Capture], Figures]
    unknowable: Callable[[MachineSpec, Figures], Collection[str]] = lambda _spec, _figures: ()


@dataclass(frozen=True, slots=True)
class Miss:
    """A recorded figure that was predicted otherwise, or not at all (None)."""

    what: str
    predicted: Value
    recorded: Value


@dataclass(frozen=True, slots=True)
class Result:
    """A section's outcome.

    Attributes
    ----------
    name : str
    predicted : int
        Figures that were predicted as they were recorded.
    of : int
        Figures that were recorded, without the unknowable ones.
    unknowable : int
    misses : tuple of Miss
    """

    name: str
    predicted: int
    of: int
    unknowable: int
    misses: tuple[Miss, ...]

    @property
    def percent(self) -> float:
        """How much of the section was predicted; 100 where nothing was recorded."""
        return 100.0 * self.predicted / self.of if self.of else 100.0


def agrees(predicted: Value, recorded: Value) -> bool:
    """Tell whether a prediction came true."""
    if isinstance(predicted, AtLeast) and isinstance(recorded, int):
        return recorded >= predicted or (isinstance(predicted, OnceUsed) and recorded == 0)
    return predicted == recorded


def compare(name: str, predicted: Figures, recorded: Figures, unknowable: Collection[str] = ()) -> Result:
    """Lay predictions beside what was recorded."""
    hidden = {what for what in recorded if what in set(unknowable)}
    misses = tuple(
        Miss(what, predicted.get(what), value)
        for what, value in recorded.items()
        if what not in hidden and not agrees(predicted.get(what), value)
    )
    of = len(recorded) - len(hidden)
    return Result(name, of - len(misses), of, len(hidden), misses)


def run(section: Section, capture: Capture) -> Result:
    """Predict a section of a recording and compare."""
    spec = capture.spec()
    recorded = section.recorded(capture)
    try:
        predicted = section.predict(spec, section.inputs(capture, spec))
        unknowable = section.unknowable(spec, recorded)
    except NoMemoryError:
        # Where the firmware's map couldn't be read nothing follows from it: misses, not an error.
        predicted, unknowable = {}, ()
    except ValueError as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"section {section.name}: {error}", where=capture.name) from error
    return compare(section.name, predicted, recorded, unknowable)
