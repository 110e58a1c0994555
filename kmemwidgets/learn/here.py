"""Cells that show the machine they run on: their stored output must be the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmemwidgets.capture import Capture

VIEW = "application/vnd.jupyter.widget-view+json"


def view(widget: Any) -> dict[str, Any]:
    """Return what tells a page which widget to show (Jupyter's widget messaging protocol, version 2.1)."""
    return {"version_major": 2, "version_minor": 1, "model_id": widget.model_id}


class Live:
    """A widget on the running machine that stores nothing of it.

    What the notebook stores, and nbval compares, is one sentence. What the
    learner sees is the widget; where the machine cannot be read, it shows a
    recorded one and says so.
    """

    def __init__(self, widget: Any, name: str) -> None:
        self.widget = widget
        self.name = name

    def __repr__(self) -> str:
        return f"{self.name} of the machine that this notebook runs on. Run the cell to see it."

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        # Not the widget's own bundle: its words and its picture of all frames, which nobody would see, take seconds on
        # a large machine, and the page's other widgets wait for them.
        return {VIEW: view(self.widget), "text/plain": repr(self)}, {}


def live(widget: Callable[..., Any], **options: Any) -> Live:
    """Show a widget of the machine that the notebook runs on.

    Parameters
    ----------
    widget : type
        A widget, such as `FrameMap`.
    **options
        For the widget.
    """
    return Live(widget(Capture.here(), **options), getattr(widget, "__name__", "Widget"))
