"""What all widgets share: options, words, bundle, focus, sources, the assembled front end."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from fake_machine import FakeMachine

import kmemwidgets.widgets as room
from kmemwidgets.records import BadInput, FrameTable, Snapshot, ZoneInfo
from kmemwidgets.widgets import FrameMap, StaticSource, link
from kmemwidgets.widgets._assemble import FrontError, assemble, styles
from kmemwidgets.widgets._base import KmemWidget
from kmemwidgets.widgets._words import count, share, size
from kmemwidgets.widgets.focus import Focus
from kmemwidgets.widgets.source import as_source
from kmemwidgets.widgets.strings import TEXT

ROOM = Path(room.__file__).parent


def snapshot(name: str = "m") -> Snapshot:
    zone = ZoneInfo(nid=0, name="Normal", start_pfn=0, spanned=64, present=64)
    return Snapshot(name=name, arch="x86_64", kernel=(6, 1), zones=(zone,), frames=FrameTable(0, bytes(64), (1 << 10,)))


@pytest.mark.parametrize(
    ("option", "advice"),
    [("colour_by", "did you mean 'color_by'"), ("on_selected", "did you mean 'on_select'"), ("zzz", "it has color_by")],
)
def test_an_unknown_option_is_refused_with_advice(option: str, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        FrameMap(snapshot(), **{option: 1})


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="it has flags"):
        FrameMap(snapshot(), color_by="zone")
    with pytest.raises(Exception, match="theme"):
        FrameMap(snapshot(), theme="blue")
    with pytest.raises(TypeError, match="takes a Machine, a Capture, a Snapshot"):
        FrameMap(17)


def test_the_bundle_has_words_and_picture_and_is_the_same_every_time() -> None:
    first, second = (FrameMap(snapshot('<b>&"')) for _ in range(2))
    data, again = first._repr_mimebundle_()[0], second._repr_mimebundle_()[0]
    assert data["text/plain"] == again["text/plain"] == repr(first)
    assert "0x7f" not in repr(first)
    assert data["text/html"] == again["text/html"]
    found = re.fullmatch(r'<img src="data:image/svg\+xml;base64,([\w+/=]+)" alt="([^"<>]+)">', data["text/html"], re.S)
    assert found
    assert "&lt;b&gt;" in base64.b64decode(found[1]).decode()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == first.model_id


def test_what_on_select_raises_is_shown_beside_the_widget() -> None:
    widget = FrameMap(snapshot(), on_select=lambda focus: 1 // focus.start)
    widget.select(3)
    assert "AttributeError" in widget.error


def test_on_select_hears_what_was_chosen_here_only() -> None:
    heard: list[tuple[str, int | None]] = []
    a = FrameMap(snapshot(), on_select=lambda focus: heard.append(("a", focus.frame)))
    b = FrameMap(snapshot(), on_select=lambda focus: heard.append(("b", focus.frame)))
    focus = link(a, b)
    a.select(5, 2)
    b.select(6)
    focus.at(start=9)
    assert heard == [("a", 5), ("b", 6)]
    assert (a.focus is b.focus, focus.frames, focus.zone) == (True, range(9, 10), None)
    a.select(5)
    assert (focus.node, focus.zone, focus.frames) == (0, "Normal", range(5, 6))
    a.clear_selection()
    assert repr(focus) == "Focus()"


def test_a_focus_keeps_addresses_whole_and_refuses_unknown_words() -> None:
    focus = Focus()
    focus.at(address=0xFFFF_8880_0000_1001, cache="kmalloc-8")
    assert focus.address == 0xFFFF_8880_0000_1001
    assert isinstance(focus.place["address"], str), "2^53 is where a JavaScript number ends"
    with pytest.raises(TypeError, match="no colour"):
        focus.at(colour=1)
    with pytest.raises(TypeError, match="two"):
        link(FrameMap(snapshot()))


def test_sources() -> None:
    machine = FakeMachine()
    assert as_source(machine) is machine
    source = as_source(snapshot())
    assert isinstance(source, StaticSource)
    assert (dict(source.verbs), source.changes(3).ranges) == ({}, ())
    assert source.frame(3).zone == "Normal"
    with pytest.raises(IndexError):
        source.frame(64)
    with pytest.raises(BadInput, match="can't show the text"):
        as_source("MemTotal: 1 kB\n", widget="X")


def test_a_verb_that_is_not_there_is_told() -> None:
    widget = FrameMap(snapshot())
    off = {gesture["name"] for gesture in widget.about["gestures"] if gesture["off"]}
    assert off == {"undo", "reset", "why"}
    widget._receive(widget, {"kmem": "do", "gesture": "undo", "args": {}}, [])
    assert "not possible here" in widget.error
    widget._receive(widget, {"kmem": "do", "gesture": "close", "args": {}}, [])
    assert "no gesture 'close'" in widget.error
    assert not {"undo"} & {g["name"] for g in FrameMap(FakeMachine()).about["gestures"] if g["off"]}


def test_numbers_in_words() -> None:
    assert [size(n) for n in (0, 1023, 1024, 536870912, 1.5 * 2**30, 2**40, 2**40 - 4096)] == [
        "0 B", "1023 B", "1 KiB", "512 MiB", "1.5 GiB", "1 TiB", "1 TiB",
    ]  # fmt: skip
    assert (count(131072), share(1, 8), share(0, 0)) == ("131,072", "12.5 %", "0.0 %")


# The front end ------------------------------------------------------------------------


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def test_assembling_keeps_names_apart_and_order_right(tmp_path: Path) -> None:
    write(
        tmp_path,
        front='import { a } from "./one.js";\nimport { b } from "./two.js";\nexport const widget = [a, b];\n',
        one='import { b } from "./two.js";\nconst x = 1;\nexport function a() { return x + b; }\n',
        two="const x = 2;\nexport const b = x;\n",
    )
    joined = assemble(tmp_path)
    assert joined.index("_two = ") < joined.index("_one = ") < joined.index("_front = ")
    assert joined.count("const x = 2;") == 1
    assert not re.search(r"^import", joined, re.M)


@pytest.mark.parametrize(
    ("one", "error"),
    [
        ("export let a = 1;\n", "not one of the known forms"),
        ("export default 1;\nexport const a = 1;\n", "not one of the known forms"),
        ('import * as z from "./two.js";\nexport const a = 1;\n', "not one of the known forms"),
        ('import { widget } from "./front.js";\nexport const a = 1;\n', "imports itself"),
        ("export const c = 1;\n", "no a"),
    ],
)
def test_forms_that_cannot_be_joined_are_refused(tmp_path: Path, one: str, error: str) -> None:
    write(tmp_path, front='import { a } from "./one.js";\nexport const widget = a;\n', one=one)
    with pytest.raises(FrontError, match=error):
        assemble(tmp_path)


def widgets() -> list[type[KmemWidget]]:
    found = []
    for name in room.__all__:
        value = getattr(room, name)
        if isinstance(value, type) and issubclass(value, KmemWidget) and value is not KmemWidget:
            found.append(value)
    return found


@pytest.mark.parametrize("cls", widgets())
def test_every_widget_keeps_the_house_rules(cls: type[KmemWidget]) -> None:
    assert cls.NAME
    assert cls.TITLE
    names = [gesture.name for gesture in cls.GESTURES]
    keys = [key for gesture in cls.GESTURES for key in gesture.keys]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys), "one key, one gesture"
    for gesture in cls.GESTURES:
        assert gesture.says
        assert gesture.mouse
        assert gesture.keys, f"{gesture.name} can't be done with the keyboard"
        assert not gesture.method or callable(getattr(cls, gesture.method))
    assert f".kmem-{cls.NAME}" in cls._css
    assert "export default" in cls._esm
    assert ".innerHTML" not in cls._esm, "what comes from a file is text"
    assert "http" not in re.sub(r"http://www\.w3\.org/\d+/\w+", "", cls._esm), "nothing is fetched at run time"


def test_every_text_that_the_front_end_asks_for_is_in_the_catalogue() -> None:
    for path in [*ROOM.glob("_front/*.js"), *ROOM.glob("*/*.js")]:
        for key in re.findall(r'\btext\("([\w.]+)"', path.read_text("utf-8")):
            assert key in TEXT, f"{path.name} asks for {key}"


def test_style_sheets_only_touch_our_own_elements() -> None:
    for path in ROOM.glob("**/*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.S)
        for selectors in re.findall(r"([^{}]+)\{", text):
            for selector in selectors.split(","):
                name = selector.strip()
                if name and not name.startswith(("@", "to", "from")) and not re.match(r"^[\d.]+%$", name):
                    assert ".kmem" in name or "kmem" in selectors, f"{path.name}: {name}"
    assert styles(ROOM / "framemap").startswith("/*")
