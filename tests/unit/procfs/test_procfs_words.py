"""Words of frames are put into codes block by block; where the blocks end must not show."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.procfs.kpageflags import distinct, translated

RUNS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 1200)), max_size=12)


@given(RUNS)
def test_blocks_change_nothing(runs: list[tuple[int, int]]) -> None:
    words = array("Q", [word << 40 for word, times in runs for _ in range(times)])
    palette = distinct(words)
    assert palette == tuple(dict.fromkeys(words))
    code = {word: place for place, word in enumerate(palette)}
    assert translated(words, code) == bytes(code[word] for word in words)
