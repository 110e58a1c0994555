"""How fast the panels of kernel objects and addresses are; ratios and frames are asserted, times only printed."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "browser"))

from harness import Lab, browser, chromium, server  # noqa: E402, F401

REPEATS = 7

#: A source with SLUB alone: so many caches, and at least so many slabs in all.
PREPARE = f"""
import sys; sys.path.insert(0, {str(ROOT / "unit" / "slabpanel")!r})
from slab_source import SlabBox
from kmemwidgets import AddressMap, Machine, SlabPanel

def filled(caches, slabs):
    box = SlabBox()
    more = range(caches - len(box.slub.slab_caches))
    made = [box.slub.kmem_cache_create(f"cache-{{n}}", 6000 + 64 * (n % 8), 0, ("no_merge",)) for n in more]
    for cache in made:
        while cache.num_slabs() * len(made) < slabs:
            box.slub.kmem_cache_alloc(cache)
    return box
"""


@pytest.fixture(scope="module")
def page(server: Any, browser: Any) -> Iterator[Lab]:  # noqa: F811
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    yield Lab(server, context.new_page())
    context.close()


@pytest.fixture(scope="module")
def book(page: Lab) -> Any:
    made = page.open("bench-panels.ipynb", "")
    made.execute(PREPARE)
    made.execute("few, many = filled(10, 100), filled(300, 100_000)")
    return made


def test_a_slab_panel_of_many_slabs_opens_as_fast_as_one_of_few(book: Any) -> None:
    """From the statement that makes the widget to the frame in which its slabs are painted."""
    assert book.python("(len(few.snapshot().slabs), len(many.snapshot().slabs))") == "(10, 300)"
    assert int(book.python("sum(c.slabs for c in many.snapshot().slabs)")) >= 100_000
    seconds: dict[str, list[float]] = {"few": [], "many": []}
    for _ in range(REPEATS):
        for name, taken in seconds.items():
            before = book.page.evaluate("() => performance.now()")
            output = book.run(f"s = SlabPanel({name}, cache='cache-0'); s", wait=False)
            output.locator(".kmem-slab-stage .kmem-slab-cell").first.wait_for()
            done = book.page.evaluate("() => new Promise(r => requestAnimationFrame(() => r(performance.now())))")
            taken.append(done - before)
            book.execute("s.close()")
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratio = medians["many"] / medians["few"]
    print(
        f"\n10 caches {medians['few']:.0f} ms, 300 caches and 100,000 slabs {medians['many']:.0f} ms: {ratio:.2f} times"
    )
    assert ratio < 2


@pytest.mark.parametrize("how", ["wheel", "keys"])
def test_the_address_map_zooms_within_an_animation_frame(book: Any, how: str) -> None:
    output = book.run("AddressMap(Machine.boot(memory='4G'), beside=Machine.boot(memory='1G', arch='arm64'))")
    root = output.locator(".kmem-addressmap")
    root.locator(".kmem-address-label").first.wait_for()
    times = root.evaluate(
        """async (root, how) => {
            const stage = root.querySelector(".kmem-address-stage");
            const box = stage.getBoundingClientRect();
            const at = { clientX: box.left + 120, clientY: box.top + 120, bubbles: true, cancelable: true };
            const frames = [];
            let before = 0;
            for (let i = 0; i < 200; i += 1) {
                const now = await new Promise(requestAnimationFrame);
                if (before) frames.push(now - before);
                before = now;
                const closer = i % 100 < 50;
                if (how === "wheel") {
                    stage.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY: closer ? -40 : 40 }));
                } else if (i % 10 === 0) {
                    const key = closer ? "+" : "-";
                    stage.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
                }
            }
            return frames.slice(10).sort((a, b) => a - b);
        }""",
        how,
    )
    median, p95 = times[len(times) // 2], times[len(times) * 95 // 100]
    print(f"\nan animation frame while zooming by {how}: median {median:.1f} ms, 95 % {p95:.1f} ms")
    assert median < 1.1 * 1000 / 60
