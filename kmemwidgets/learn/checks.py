"""Exercises that answer: a check says right, names a known slip, or gives a hint. It is the same every time.

The right answers are not written down. Each exercise works its own out, from a
recording that ships with the package or from the simulator, so a wrong rule
there shows up here.
"""

from __future__ import annotations

import ast
import importlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kmemwidgets.records import BadInput


@dataclass(frozen=True, slots=True)
class Slip:
    """A wrong answer that tells what went wrong.

    Attributes
    ----------
    answer : callable
        From the right answer to this wrong one.
    says : str
        What to tell the learner: what they computed, not what is right.
    """

    answer: Callable[[Any], Any]
    says: str


@dataclass(frozen=True, slots=True)
class Exercise:
    """A question with its answer.

    Attributes
    ----------
    id : str
        Chapter and name: ``"zones.low"``.
    right : callable
        Works the answer out.
    because : str
        Why it is right; ``{right}`` stands for it.
    hint : str
        For all answers that are neither right nor a slip.
    slips : tuple of Slip
        Asked in order.
    """

    id: str
    right: Callable[[], Any]
    because: str
    hint: str
    slips: tuple[Slip, ...] = ()


def plain(value: Any) -> Any:
    """Make answers comparable that mean the same: numpy numbers, upper case, lists for sets."""
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    if isinstance(value, Mapping):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(plain(entry) for entry in value)
    if isinstance(value, set | frozenset):
        return frozenset(plain(entry) for entry in value)
    if isinstance(value, bool):
        return value
    try:
        return operator.index(value)
    except TypeError:
        return value


def same(answer: Any, right: Any) -> bool:
    """Compare an answer: a set takes a list in any order, a share of 1 is right to half a percent of it."""
    answer, right = plain(answer), plain(right)
    if isinstance(right, frozenset) and isinstance(answer, tuple):
        answer = frozenset(answer)
    if isinstance(right, bool) or isinstance(answer, bool):
        return answer is right
    if isinstance(right, float) and isinstance(answer, int | float):
        return abs(answer - right) <= 0.005
    return bool(answer == right)


def quoted_wrong(answer: Any, right: Any) -> str:
    """Say that a right answer has quotes too many or none; empty where that is not what is wrong."""
    if isinstance(right, str):
        number = isinstance(answer, int | float) and same(str(answer), right)
        return "Write it as a text, in quotes." if number else ""
    try:
        meant = ast.literal_eval(answer) if isinstance(answer, str) else None
    except (SyntaxError, ValueError):
        return ""
    return "That is a text. Write it without the quotes." if meant is not None and same(meant, right) else ""


def find_exercise(name: str) -> Exercise:
    """Return an exercise by its id."""
    chapter = name.partition(".")[0].replace("-", "_")
    try:
        exercises = importlib.import_module(f".exercises.{chapter}", __package__).EXERCISES
    except ModuleNotFoundError:
        raise BadInput(f"no chapter {chapter!r} has exercises", todo="copy the name from the exercise's cell") from None
    for exercise in exercises:
        if exercise.id == name:
            found: Exercise = exercise
            return found
    known = ", ".join(exercise.id for exercise in exercises)
    raise BadInput(f"no exercise {name!r}", todo=f"this chapter has {known}")


def judge(exercise: Exercise, answer: Any) -> str:
    """Return what to say to an answer, in one line."""
    if answer is ...:
        return f"No answer yet. {exercise.hint}"
    right = exercise.right()
    if same(answer, right):
        return f"Right. {exercise.because.format(right=right)}"
    for slip in exercise.slips:
        wrong = slip.answer(right)
        if not same(wrong, right) and same(answer, wrong):
            return f"Almost. {slip.says}"
    if says := quoted_wrong(answer, right):
        return f"Almost. {says}"
    return f"Not yet. {exercise.hint}"


def check(name: str, answer: Any = ...) -> None:
    """Print what an exercise says to an answer.

    Examples
    --------
    >>> check("your-machine.frames")
    No answer yet. MemTotal is in kB, and a frame has 4 of them.
    """
    print(judge(find_exercise(name), answer))


def solution(name: str) -> None:
    """Print an exercise's answer and why."""
    exercise = find_exercise(name)
    right = exercise.right()
    print(f"{right!r}. {exercise.because.format(right=right)}")


#: Slips that many exercises share.
IN_KILOBYTES = Slip(lambda pages: pages * 4, "That is in kB. The question asks for pages, and a page has 4 kB.")
IN_BYTES = Slip(lambda pages: pages * 4096, "That is in bytes. The question asks for pages, and a page has 4096 bytes.")
ONE_TOO_MANY = Slip(lambda right: right + 1, "One too many: the end of a range is the first that is not in it.")
ONE_TOO_FEW = Slip(lambda right: right - 1, "One too few: do not forget the first one of the range.")
