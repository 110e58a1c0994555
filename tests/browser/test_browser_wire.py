"""The front end's shared modules in Chromium, without Jupyter: the receiving end of the wire, and numbers in words."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest

import kmemwidgets.widgets as room
from kmemwidgets.widgets._wire import Wire
from kmemwidgets.widgets._words import count, size

FRONT = Path(room.__file__).parent / "_front"

#: Takes a list of messages in turn; returns what each was, and the state in the end.
TAKE = """
async ([source, messages]) => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { take, blankState } = await import(url);
    const state = blankState();
    const seen = [];
    for (const [message, buffers] of messages) {
        const views = buffers.map((text) => {
            const bytes = Uint8Array.from("x" + atob(text), (c) => c.charCodeAt(0));
            return new DataView(bytes.buffer, 1); // not at an even address, as they come off the wire
        });
        seen.push(await take(state, message, views));
    }
    const bytes = state.bytes && btoa(Array.from(state.bytes, (byte) => String.fromCharCode(byte)).join(""));
    return [seen, state.data, bytes];
}
"""


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    made = browser.new_page()
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(6))
def test_random_changes_with_losses_end_in_the_same_state(page: Any, seed: int) -> None:
    rng = random.Random(seed)
    codes = bytearray(rng.randbytes(20_000))
    data = {"a": 0, "b": 0}
    messages: list[tuple[dict[str, Any], list[bytes]]] = []
    wire = Wire(lambda content, buffers=None: messages.append((content, buffers or [])))
    wire.full(data, codes)
    expected = ["full"]
    lost = False
    for _ in range(40):
        step = rng.choice(["delta", "delta", "large", "data", "full", "renew", "lose", "again"])
        if step == "again":
            messages.append(messages[-1])
            expected.append(expected[-1] if expected[-1] == "gap" else "old")
            continue
        if step in ("full", "renew"):
            if step == "renew":
                wire.renew()
            wire.full(data, codes)
            expected.append("full")
            lost = False
            continue
        starts = sorted(rng.sample(range(0, 20_000, 100), 80 if step == "large" else 3))
        ranges = [(start, rng.randint(1, 99)) for start in starts]
        for start, length in ranges:
            codes[start : start + length] = rng.randbytes(length)
        changed = {rng.choice("ab"): rng.random()} if step == "data" else None
        data.update(changed or {})
        wire.delta(changed, ranges, b"".join(bytes(codes[start : start + length]) for start, length in ranges))
        if step == "lose":
            messages.pop()
            lost = True
        else:
            expected.append("gap" if lost else "delta")
    wire.full(data, codes)
    expected.append("full")
    sent = [(content, [base64.b64encode(part).decode() for part in parts]) for content, parts in messages]
    seen, known, received = page.evaluate(TAKE, [(FRONT / "wire.js").read_text("utf-8"), json.loads(json.dumps(sent))])
    assert seen == expected
    assert known == data
    assert base64.b64decode(received) == codes


def test_numbers_in_words_are_python_s(page: Any) -> None:
    numbers = [0, 1, 999, 1000, 1023, 1024, 1_048_524, 1_048_525, 2**20, 1_610_612_736, 2**40 - 4096, 2**40, 2**50 + 1]
    words = page.evaluate(
        """async ([source, numbers]) => {
            const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
            const { count, sizeWords, address } = await import(url);
            return [numbers.map(count), numbers.map(sizeWords), address(2 ** 40 + 1, 65536)];
        }""",
        [(FRONT / "format.js").read_text("utf-8"), numbers],
    )
    assert words == [
        [count(number) for number in numbers],
        [size(number) for number in numbers],
        hex((2**40 + 1) << 16),
    ]


def test_every_module_loads_by_itself(browser: Any) -> None:
    """They are ordinary modules; the assembler is only a way to bring them to a page."""

    def serve(route: Any) -> None:
        name = route.request.url.split("/front/")[1]
        if name:
            route.fulfill(body=(FRONT.parent / name).read_text("utf-8"), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    page = browser.new_page()
    try:
        page.route("**/front/**", serve)
        page.goto("http://127.0.0.1/front/")
        for path in [*FRONT.glob("*.js"), *(FRONT.parent / "framemap").glob("*.js")]:
            names = page.evaluate("url => import(url).then(Object.keys)", f"/front/{path.parent.name}/{path.name}")
            assert names, path.name
    finally:
        page.close()


DOM = """
async (source) => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { element, fill, keepClicks } = await import(url);
    const root = element("div", {});
    window.heard = [];
    window.draw = (...names) => fill(root, ...names.map((name) => element("button", {
        text: name, style: "display: block; width: 90px; height: 30px",
        on: { click: () => heard.push(name), dblclick: () => heard.push(`${name} twice`) },
    })), null);
    document.body.replaceChildren(root);
    keepClicks(root, new AbortController().signal);
    draw("a", "b");
}
"""


def test_a_click_counts_though_its_target_is_drawn_anew_under_it(page: Any) -> None:
    page.evaluate(DOM, (FRONT / "dom.js").read_text("utf-8"))
    spot = page.locator("button").first.bounding_box()
    middle = spot["x"] + 20, spot["y"] + 15

    def click(*names: str, far: int = 0) -> list[str]:
        """Press the first button, draw others, release; return whose clicks were heard."""
        page.evaluate("() => { draw('a', 'b'); heard.length = 0; }")
        page.mouse.move(*middle)
        page.mouse.down()
        if names:
            page.evaluate("names => draw(...names)", list(names))
        page.mouse.move(middle[0] + far, middle[1])
        page.mouse.up()
        return page.evaluate("() => heard")

    assert click() == ["a"]
    assert click("a", "b") == ["a"]
    # Others have come to its place: what was pressed is meant, not what is there when the finger goes up.
    assert click("new", "a") == ["a"]
    assert click("a", "b", far=30) == [], "a drag"


def test_a_double_click_counts_though_its_target_is_drawn_anew_under_it(page: Any) -> None:
    page.evaluate(DOM, (FRONT / "dom.js").read_text("utf-8"))
    spot = page.locator("button").first.bounding_box()
    page.mouse.move(spot["x"] + 20, spot["y"] + 15)
    for redrawn in (False, True):
        page.evaluate("() => { draw('a', 'b'); heard.length = 0; }")
        for clicks in (1, 2):
            page.mouse.down(click_count=clicks)
            if redrawn and clicks == 2:
                page.evaluate("() => draw('a', 'b')")
            page.mouse.up(click_count=clicks)
        assert page.evaluate("() => heard") == ["a", "a", "a twice"]


def test_the_keyboard_stays_where_it_was_when_all_is_drawn_anew(page: Any) -> None:
    page.evaluate(DOM, (FRONT / "dom.js").read_text("utf-8"))
    page.locator("button", has_text="b").focus()
    page.evaluate("() => draw('c', 'd')")
    assert page.evaluate("() => document.activeElement.textContent") == "d"
    page.evaluate("() => draw('e')")
    assert page.evaluate("() => document.activeElement === document.body")
    assert page.evaluate("() => document.body.textContent") == "e", "null is nothing, not a word"
