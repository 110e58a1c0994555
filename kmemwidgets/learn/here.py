"""Cells that show the machine they run on: their stored output must be the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmemwidgets.capture import Capture


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

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self.widget._repr_mimebundle_(**kwargs)
        return {**{kind: value for kind, value in data.items() if "widget" in kind}, "text/plain": repr(self)}, metadata


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
