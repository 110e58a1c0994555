"""explain_flags: pages and memory areas in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.learn.flag_words import KPF_WORDS, PAGE_WORDS, VMA_WORDS, explain_flags
from kmemwidgets.records import KPF, KPF_NAMES, TREES, BadInput, flag_names
from kmemwidgets.sim.rules import page_flags
from kmemwidgets.sim.rules.table import pick

BAD_PAGE = (
    "[ 1024.1] page:ffffea0000400000 refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x10000\n"
    "[ 1024.1] flags: 0x17ffffc0010200(slab|head|node=0|zone=2|lastcpupid=0x1fffff)\n"
)


def test_every_name_of_kpageflags_has_words() -> None:
    assert set(KPF_WORDS) == set(KPF)


@pytest.mark.parametrize("series", TREES)
def test_every_flag_of_every_kernel_has_words(series: str) -> None:
    rules = pick(page_flags.PageFlagRules, page_flags.TABLE, TREES[series])
    assert {name for name in rules.names if name} <= set(PAGE_WORDS)
    assert {name for name, _ in rules.aliases} <= set(rules.names)
    used = [name for name in rules.names if name]
    assert len(set(used)) == len(used)


@given(st.integers(0, (1 << len(KPF_NAMES)) - 1))
def test_a_kpageflags_word_is_taken_apart_as_records_do(word: int) -> None:
    known = tuple(name for name in explain_flags(word).names if name != "unknown")
    assert known == flag_names(word)
    assert sum(int(part.bit, 16) for part in explain_flags(word).words) == word


def test_unknown_bits_are_told() -> None:
    assert explain_flags(1 << 50 | 1 << 10).names == ("BUDDY", "unknown")
    assert explain_flags("VmFlags: rd zz").names == ("VM_READ", "unknown")


def test_a_line_of_a_log() -> None:
    told = explain_flags(BAD_PAGE)
    assert told.names == ("slab", "head")
    assert told.effect("zone") == "zone index 2"
    assert told.effect("node") == "node 0"
    assert not any("another kernel" in note for note in told.notes)


def test_a_line_of_another_kernel_is_noticed() -> None:
    told = explain_flags(BAD_PAGE, kernel="6.12")
    assert any("another kernel" in note for note in told.notes)
    assert "slab" in told.names


@pytest.mark.parametrize(
    ("series", "names"),
    [
        ("2.4", ("uptodate", "lru")),
        ("2.6.11", ("uptodate", "active")),
        ("6.1", ("dirty", "workingset")),
        ("6.12", ("uptodate", "head")),
    ],
)
def test_the_same_bits_differ_by_kernel(series: str, names: tuple[str, ...]) -> None:
    assert explain_flags(0x48, kind="page", kernel=series).names == names


def test_letters_names_and_numbers() -> None:
    assert explain_flags("rd wr mr").names == ("VM_READ", "VM_WRITE", "VM_MAYREAD")
    assert explain_flags("0x400").names == ("BUDDY",)
    assert explain_flags("0000000000000400").names == ("BUDDY",)
    assert explain_flags("lru,active").names == ("LRU", "ACTIVE")
    assert len({name for name, _ in VMA_WORDS.values()}) == len(VMA_WORDS)


@pytest.mark.parametrize(
    ("word", "short"),
    [
        (KPF["BUDDY"], "free"),
        (KPF["LRU"] | KPF["MMAP"] | KPF["ANON"] | KPF["SWAPBACKED"], "anonymous"),
        (KPF["LRU"] | KPF["UPTODATE"], "page cache of a file"),
        (KPF["SLAB"] | KPF["COMPOUND_HEAD"], "slab"),
    ],
)
def test_in_short(word: int, short: str) -> None:
    assert explain_flags(word).effect("in short") == short


@pytest.mark.parametrize("bad", ["", "garbage!", "<b>flags</b>", "VmFlags: ", "VmFlags: read", "flags: 0xzz"])
def test_garbage_is_one_clear_line(bad: str) -> None:
    with pytest.raises(BadInput) as error:
        explain_flags(bad)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [-1, 1 << 64, True, None, 1.5, b"0x1"])
def test_no_flags_at_all(bad: object) -> None:
    with pytest.raises(BadInput):
        explain_flags(bad)  # type: ignore[arg-type]


@given(st.text(max_size=80))
def test_any_text_is_explained_or_refused(text: str) -> None:
    try:
        told = explain_flags(text)
    except BadInput:
        return
    bundle = told._repr_mimebundle_()
    assert bundle["text/plain"] == repr(told)


def test_markup_shows_as_text() -> None:
    told = explain_flags("flags: 0x0(<img src=x>|node=<b>)")
    assert "<img" not in told.to_html()
    assert "&lt;img" in told.to_html()
    assert "<b>" not in told.to_html()
