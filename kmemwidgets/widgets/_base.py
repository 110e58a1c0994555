"""What all widgets have in common."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import anywidget
import ipywidgets
import traitlets

from kmemwidgets.records import Snapshot, Source

from . import glossary
from ._picture import image
from ._turn import InTurn
from ._wire import Pace, Wire
from .focus import Focus
from .source import as_source
from .strings import text


@dataclass(frozen=True, slots=True)
class Gesture:
    """Something a user can do, and the three ways to do it.

    Attributes
    ----------
    name : str
        The front end's handler has this name.
    says : str
        What it does.
    mouse : str
        How with a mouse, in words.
    keys : tuple of str
        As KeyboardEvent.key names them.
    method : str
        The Python method that does the same; empty where it is only about the screen.
    verb : str
        The source's verb it needs; where the source doesn't have it, the gesture is disabled and says so.
    """

    name: str
    says: str
    mouse: str
    keys: tuple[str, ...]
    method: str = ""
    verb: str = ""


HELP = Gesture("help", "Show this table", "click ?", ("?",))
UNDO = Gesture("undo", "Take the last step back", "click ↶", ("u",), "undo", "undo")
RESET = Gesture("reset", "Back to the start", "click |◀", ("r",), "reset", "reset")


class KmemWidget(InTurn, anywidget.AnyWidget):
    """A view of a Source.

    A subclass sets the class attributes below, says what the front end draws
    (`data`, and `send_changes` where bytes go along), what it shows in words
    (`summary`) and as a picture (`picture`), and keeps its front end in its folder.

    Parameters
    ----------
    source : Machine, Capture, Snapshot, Source or str
        What to show; a str is the text of a /proc file.
    on_select : callable, optional
        Called with the Focus when something is chosen in this widget. What it raises is shown beside the widget.
    width, height : int, optional
        CSS pixels; otherwise as wide as the page.
    theme : {None, "light", "dark"}
        None follows the page.
    """

    #: What the front end calls it; also its CSS class, ``kmem-NAME``.
    NAME: ClassVar[str] = ""
    #: Shown above it.
    TITLE: ClassVar[str] = ""
    #: All that can be done with it.
    GESTURES: ClassVar[tuple[Gesture, ...]] = (HELP,)
    #: The /proc files whose text it understands.
    TAKES: ClassVar[tuple[str, ...]] = ()
    #: Words of the glossary that it explains on hover and on focus (``data-term``), in lower case.
    TERMS: ClassVar[tuple[str, ...]] = ()

    # Also for a widget whose making failed: ipywidgets closes it all the same.
    _pace: Pace | None = None

    about = traitlets.Dict(help="what never changes: name, title, gestures, terms").tag(sync=True)
    theme = traitlets.Enum([None, "light", "dark"], default_value=None, help="None follows the page").tag(sync=True)
    width = traitlets.Int(None, allow_none=True, help="CSS pixels; None: the page's").tag(sync=True)
    height = traitlets.Int(None, allow_none=True, help="CSS pixels of the picture; None: its own").tag(sync=True)
    _kmem_id = traitlets.Unicode("", help="its own model_id, the origin of places chosen in it").tag(sync=True)
    error = traitlets.Unicode("", help="what went wrong last, in one line").tag(sync=True)
    focus = traitlets.Instance(Focus, help="what is looked at").tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(
        self,
        source: object,
        /,
        *,
        on_select: Callable[[Focus], object] | None = None,
        width: int | None = None,
        height: int | None = None,
        theme: str | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(_advice(type(self), unknown))
        self._source: Source = as_source(source, takes=self.TAKES, widget=type(self).__name__)
        self.on_select = on_select
        self._seen = 0
        super().__init__(width=width, height=height, theme=theme, about=self._about(), focus=Focus())
        self._kmem_id = self.model_id
        self._wire = Wire(self.send)
        self.on_msg(self._receive)

    # What a subclass says -------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        """Return, as JSON, all that the front end draws (apart from bytes)."""
        return {}

    def summary(self) -> str:
        """Return in words what is shown; deterministic, as notebooks are compared by it."""
        return f"{type(self).__name__} of {self.snapshot.name}"

    def picture(self) -> str:
        """Return an SVG of what is shown, for a reader without a kernel; empty: none."""
        return ""

    def terms(self) -> dict[str, str]:
        """Return the words that it explains, with their meanings."""
        meanings = glossary.words()
        return {term: meanings[term] for term in self.TERMS}

    def send_all(self) -> None:
        """Send everything to the front end."""
        self._wire.full(self.data())

    def send_changes(self) -> None:
        """Send the entries of `data` that changed since the last time; nothing where none did."""
        known = self._wire.known
        changed = {key: value for key, value in self.data().items() if key not in known or known[key] != value}
        if changed:
            self._wire.delta(changed)

    # What everybody may use -----------------------------------------------------------

    @property
    def source(self) -> Source:
        """Where it reads."""
        return self._source

    @property
    def snapshot(self) -> Snapshot:
        """The source's state now."""
        return self._source.snapshot()

    @property
    def watched(self) -> bool:
        """Whether a page has asked for its state."""
        return self._pace is not None

    def select(self, **place: Any) -> None:
        """Choose a place, as a click would: node, zone, start and count, cache, address, event."""
        self.focus.at(origin=self.model_id, **place)

    def clear_selection(self) -> None:
        """Choose nothing."""
        self.focus.clear()

    def undo(self) -> None:
        """Take the source's last step back."""
        self._verb("undo")

    def reset(self) -> None:
        """Bring the source back to its start."""
        self._verb("reset")

    def refresh(self) -> None:
        """Send the front end everything once more."""
        self._wire.renew()
        self.send_all()

    def close(self) -> None:
        """Remove it from the page, and stop following its source."""
        if self._pace is not None:
            self._pace.stop()
            self._pace = None
        super().close()

    def __repr__(self) -> str:
        """Say what is shown."""
        return self.summary()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        data["text/plain"] = self.summary()
        picture = self.picture()
        if picture:
            data["text/html"] = image(picture, self.summary())
        return data, metadata

    # Inside ---------------------------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        verbs = self._source.verbs
        return {
            "widget": self.NAME,
            "title": self.TITLE,
            "gestures": [
                {**asdict(gesture), "off": bool(gesture.verb and gesture.verb not in verbs)}
                for gesture in self.GESTURES
            ],
            "terms": self.terms(),
        }

    def _receive(self, _widget: object, content: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
        """Take a message of the front end; what goes wrong is shown there."""
        try:
            if content.get("kmem") == "ask":
                self._follow()
                self.send_all()
            elif content.get("kmem") == "do":
                self._do(str(content["gesture"]), content.get("args", {}))
            else:
                self._answer(content)
        except Exception as error:  # whatever it is, the user shall see it
            self._tell(error)

    def _answer(self, content: Mapping[str, Any]) -> None:
        """Take a message of a kind that only this widget has."""
        raise ValueError(f"unknown message {dict(content)!r}")

    def _verb(self, name: str, **args: Any) -> Any:
        verb = self._source.verbs.get(name)
        if verb is None:
            raise ValueError(text("shell.noverb", verb=name))
        return verb(**args)

    def _do(self, name: str, args: Mapping[str, Any]) -> None:
        for gesture in self.GESTURES:
            if gesture.name == name and gesture.method:
                getattr(self, gesture.method)(**args)
                return
        raise ValueError(f"{type(self).__name__} has no gesture {name!r} that Python carries out")

    def _follow(self) -> None:
        """Begin to follow the source: only a widget that somebody sees costs anything."""
        if self._pace is None:
            self._pace = Pace(self._source.subscribe, self._flush)

    def _flush(self) -> None:
        try:
            self.send_changes()
        except Exception as error:  # whatever it is, the user shall see it
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        self.error = f"{type(error).__name__}: {error}"

    @traitlets.observe("focus")
    def _refocus(self, change: Mapping[str, Any]) -> None:
        old = change["old"]
        if isinstance(old, Focus):
            old.unobserve(self._chosen, "place")
        change["new"].observe(self._chosen, "place")

    def _chosen(self, change: Mapping[str, Any]) -> None:
        if self.on_select is None or change["new"].get("origin") != self.model_id:
            return
        try:
            self.on_select(self.focus)
        except Exception as error:  # whatever it is, the user shall see it
            self._tell(error)


def _advice(cls: type, unknown: Mapping[str, object]) -> str:
    known: list[str] = []
    for base in cls.__mro__:
        if issubclass(base, KmemWidget) and "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            known += [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in known]
    name = min(unknown)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known))}"
    return f"{cls.__name__} has no option {name!r}; {hint}"
