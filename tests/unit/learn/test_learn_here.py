"""A live cell stores one sentence, and makes neither words nor a picture of the machine."""

from __future__ import annotations

from typing import Any

from kmemwidgets import Capture, FrameMap
from kmemwidgets.learn.here import VIEW, Live


class Watched(FrameMap):
    """Fails where it would be put into words or drawn."""

    def summary(self) -> str:
        raise AssertionError("nobody sees these words")

    def picture(self) -> str:
        raise AssertionError("nobody sees this picture")


def test_a_live_cell_stores_the_widget_and_a_sentence_alone() -> None:
    widget = Watched(Capture.bundled("amd64-512m"))
    data, metadata = Live(widget, "FrameMap")._repr_mimebundle_(include=None, exclude=None)
    own: Any = FrameMap._repr_mimebundle_(FrameMap(widget.source))
    assert data == {
        VIEW: {**own[0][VIEW], "model_id": widget.model_id},
        "text/plain": "FrameMap of the machine that this notebook runs on. Run the cell to see it.",
    }
    assert metadata == {}
