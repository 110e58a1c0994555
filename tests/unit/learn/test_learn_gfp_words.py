"""explain_gfp: requests in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.learn.gfp_words import WORDS, explain_gfp, masks
from kmemwidgets.records import BadInput
from kmemwidgets.sim.gfp import FLAGS, WITHOUT_EFFECT

OOM = "oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0"
FAILURE = "swapper/0: page allocation failure: order:4, mode:0x40a20(GFP_ATOMIC|__GFP_COMP), nodemask=(null)"
TRACE = "mm_page_alloc: page=0xffffea pfn=0x1b2 order=0 migratetype=0 gfp_flags=GFP_KERNEL|__GFP_ZERO"


def test_every_flag_has_words() -> None:
    assert set(FLAGS) | set(WITHOUT_EFFECT) == set(WORDS)


def test_kernel_request() -> None:
    told = explain_gfp("0xcc0")
    assert told.title == "0xcc0 = GFP_KERNEL (Linux 6.1.192)"
    assert told.names == ("__GFP_IO", "__GFP_FS", "__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM")
    assert dict(told.effects) == {
        "highest zone": "Normal, then DMA32, then DMA",
        "migrate type": "Unmovable",
        "may sleep": "yes, it may reclaim and wait",
        "reclaim": "wakes kswapd, reclaims itself, with disk I/O and file systems",
        "watermark": "free > low + protection at first; free > min + protection in the slow path",
        "on failure": "tries again while reclaim makes progress, then calls the OOM killer",
        "nodes": "by distance, within the task's memory policy",
    }


@pytest.mark.parametrize(
    ("request_text", "kernel", "part"),
    [("GFP_ATOMIC", "5.6", "3/8"), ("GFP_ATOMIC", "6.12", "3/8"), ("GFP_KERNEL|__GFP_HIGH", "6.12", "1/2"),
     ("GFP_NOWAIT", "6.12", "> min"), ("GFP_KERNEL", "6.18", "> min")],
)  # fmt: skip
def test_how_deep_it_may_go(request_text: str, kernel: str, part: str) -> None:
    assert part in explain_gfp(request_text, kernel=kernel).effect("watermark")


def test_atomic_differs_by_kernel() -> None:
    assert "__GFP_ATOMIC" in explain_gfp("GFP_ATOMIC", kernel="6.1").names
    assert "__GFP_ATOMIC" not in explain_gfp("GFP_ATOMIC", kernel="6.12").names
    assert explain_gfp(0x200, kernel="6.12").names == ("unknown",)
    assert "__GFP_NOWARN" in explain_gfp("GFP_NOWAIT", kernel="6.12").names


@pytest.mark.parametrize(
    ("line", "names"),
    [(OOM, ("__GFP_MOVABLE", "__GFP_COMP")), (FAILURE, ("__GFP_HIGH", "__GFP_ATOMIC", "__GFP_COMP")),
     (TRACE, ("__GFP_ZERO",)), ("gfp_mask=0x400dc0", ("__GFP_ACCOUNT",))],
)  # fmt: skip
def test_lines_of_a_log(line: str, names: tuple[str, ...]) -> None:
    told = explain_gfp(line)
    assert set(names) <= set(told.names)
    assert not told.notes


def test_a_line_of_another_kernel_is_noticed() -> None:
    assert "another kernel" in explain_gfp(FAILURE, kernel="6.12").notes[0]


def test_names_whose_bits_depend_on_the_configuration_are_kept() -> None:
    told = explain_gfp("gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE|__GFP_SKIP_KASAN)")
    assert "__GFP_SKIP_KASAN" in told.names
    assert explain_gfp(0x1000000).names == ("unknown",)


@given(st.integers(0, 0xFFFFFF))
def test_the_parts_add_up(bits: int) -> None:
    told = explain_gfp(bits)
    assert sum(int(word.bit, 16) for word in told.words) == bits
    assert told == explain_gfp(hex(bits))


@pytest.mark.parametrize("kernel", ["5.6", "6.1", "6.12", "6.18"])
def test_masks_are_explained_by_their_own_name(kernel: str) -> None:
    for name, bits in masks(kernel).items():
        if name != "__GFP_RECLAIM":  # the kernel's text calls these bits GFP_NOIO
            assert f"= {name} (" in explain_gfp(bits, kernel=kernel).title


def test_bugs_are_told() -> None:
    assert "bug" in explain_gfp("__GFP_DMA|__GFP_HIGHMEM").effect("highest zone")
    assert "bug" in explain_gfp("__GFP_MOVABLE|__GFP_RECLAIMABLE").effect("migrate type")


@pytest.mark.parametrize(("order", "word"), [(0, "calls the OOM killer"), (4, "costly")])
def test_costly_orders(order: int, word: str) -> None:
    assert word in explain_gfp("GFP_KERNEL", order=order).effect("on failure")


@pytest.mark.parametrize("bad", ["", "garbage", "GFP_KERNEL|__GFP_NONSENSE", "mode:", -1, 1 << 32, None, True, 1.0])
def test_garbage_is_one_clear_line(bad: object) -> None:
    with pytest.raises(BadInput) as error:
        explain_gfp(bad)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kernel", ["2.4", "2.6.11", "no kernel"])
def test_kernels_whose_bits_are_not_known(kernel: str) -> None:
    with pytest.raises(BadInput):
        explain_gfp("GFP_KERNEL", kernel=kernel)


@given(st.text(max_size=60))
def test_any_text_is_explained_or_refused(text: str) -> None:
    try:
        told = explain_gfp(text)
    except BadInput:
        return
    assert told == explain_gfp(text)
