"""Every figure of every recording, and the proof that no prediction looks at an answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.capture.archive import FolderFiles, load_tar, logical, unpack
from kmemwidgets.explain import run, sections
from kmemwidgets.explain.memblock_log import read_log, replay
from kmemwidgets.explain.meminfo import figures_of, read_sets
from kmemwidgets.procfs import dmesg
from kmemwidgets.sim.zone_sizes import lowmem_end, node_memory

OURS = ("zones", "min_free_kbytes", "watermarks", "protection", "pcp", "layout", "meminfo", "boot")
BY_NAME = {section.name: section for section in sections()}
CASES = captures()


@cache
def load(path: Path) -> Capture:
    return Capture.load(path)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_every_figure_is_predicted(path: Path, name: str) -> None:
    result = run(BY_NAME[name], load(path))
    assert result.misses == ()
    assert result.of > 0


class Blanked:
    """A recording's files with some texts changed."""

    def __init__(self, path: Path, change: Callable[[str, str], str]) -> None:
        self.files = FolderFiles(path) if path.is_dir() else load_tar(path)
        self.change = change

    def names(self) -> frozenset[str]:
        return self.files.names()

    def read(self, path: str) -> bytes:
        data = self.files.read(path)
        name = logical(path)
        if "trace" in name or not name.rpartition("/")[2].startswith(
            ("zoneinfo", "vm_sysctl", "meminfo", "kcore", "dmesg")
        ):
            return data
        text = unpack(data, path, path).decode("utf-8", "surrogateescape")
        changed = self.change(name, text)
        assert name == path or changed == text, "a packed file would have to be packed again"
        return changed.encode("utf-8", "surrogateescape")


def blank_zoneinfo(text: str) -> str:
    """Put other numbers where the answers stand."""
    text = re.sub(r"^( +(?:min|low|high|promo) +)\d+$", r"\g<1>7", text, flags=re.MULTILINE)
    text = re.sub(r"^( +(?:spanned|present) +)([1-9]\d*)$", r"\g<1>999999999", text, flags=re.MULTILINE)
    text = re.sub(r"(start_pfn: +)\d+", r"\g<1>5", text)
    text = re.sub(r"protection: \(([^)]*)\)", lambda m: f"protection: ({re.sub(chr(92) + 'd+', '3', m[1])})", text)
    return re.sub(r"^( +(?:high|batch): +)\d+$", r"\g<1>11", text, flags=re.MULTILINE)


def blank_reserves(name: str, text: str) -> str:
    if name == "proc/zoneinfo":
        return blank_zoneinfo(text)
    if name == "sys/vm_sysctl":
        return re.sub(r"^min_free_kbytes=.*\n", "", text, flags=re.MULTILINE)
    return text


def blank_boot(name: str, text: str) -> str:
    if name != "dmesg.txt":
        return text
    answers = (
        "Zone ranges", "Movable zone start", "Early memory node ranges", "Initmem setup", r"Built \d+ zonelists",
        "Fallback order", "Policy zone", r"\] Memory: ", r"\]   (?:DMA|DMA32|Normal|HighMem|Movable|Device) ",
        r"\]   node +\d+: ", r"\]   Node \d+: ",
    )  # fmt: skip
    return re.sub(rf"^.*(?:{'|'.join(answers)}).*\n", "", text, flags=re.MULTILINE)


def blank_layout(name: str, text: str) -> str:
    return "" if name == "kcore.txt" else text


@pytest.mark.parametrize(
    ("name", "blank"),
    [
        ("zones", blank_reserves), ("min_free_kbytes", blank_reserves), ("watermarks", blank_reserves),
        ("protection", blank_reserves), ("pcp", blank_reserves), ("boot", blank_boot),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_blanked_answers_change_no_prediction(path: Path, name: str, blank: Callable[[str, str], str]) -> None:
    section = BY_NAME[name]
    whole = load(path)
    blanked = Capture(Blanked(path, blank), whole.name)
    inputs = section.inputs(blanked, blanked.spec())
    assert section.predict(blanked.spec(), inputs) == section.predict(whole.spec(), section.inputs(whole, whole.spec()))
    # The blanking must have blanked something, else this test proves nothing.
    assert section.recorded(blanked) != section.recorded(whole)


@pytest.mark.parametrize("path", [path for path in CASES if load(path).meta.get("kaslr") is False], ids=capture_id)
def test_layouts_without_kaslr_need_no_kcore(path: Path) -> None:
    section = BY_NAME["layout"]
    whole, blanked = load(path), Capture(Blanked(path, blank_layout), load(path).name)
    assert section.predict(blanked.spec(), None) == section.predict(whole.spec(), None)
    assert not section.recorded(blanked)


@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_predictors_of_meminfo_are_given_no_field_that_they_predict(path: Path) -> None:
    capture = load(path)
    for entry in read_sets(capture, capture.spec()):
        if entry.vmstat is not None:
            assert not set(entry.given) & figures_of(entry)
        else:
            # A file read by itself: sums are predicted from their parts, never from themselves.
            assert not set(entry.given) & {"MemTotal", "MemAvailable", "Active", "Inactive", "Slab", "CommitLimit"}


@pytest.mark.parametrize(
    "path", [path for path in CASES if "memblock=debug" in str(load(path).meta.get("cmdline"))], ids=capture_id
)
def test_the_early_allocator_puts_things_where_the_kernel_did(path: Path) -> None:
    capture = load(path)
    spec = capture.spec()
    memory = node_memory(spec)
    limit = lowmem_end(spec, memory[0].start_pfn, memory[-1].end_pfn) * spec.page_size
    log = read_log(dmesg.parse(capture.text("dmesg.txt")).lines)
    assert log.complete
    _memblock, places = replay(log, spec.page_size, limit, memory)
    shown = [(mine, its) for mine, its in places if mine is not None]
    assert len(shown) > 20
    assert [mine for mine, _its in shown] == [its for _mine, its in shown]
    # A search that the log doesn't show can't be predicted; NODE_DATA's is one.
    assert len(places) - len(shown) <= 2 + len({entry.nid for entry in memory})


def test_a_wrong_prediction_is_a_miss() -> None:
    path = next(path for path in CASES if path.name.startswith("amd64-512m"))
    spoiled = Capture(Blanked(path, blank_reserves), "spoiled")
    result = run(BY_NAME["protection"], spoiled)
    assert result.predicted < result.of
    assert len(result.misses) == result.of - result.predicted
