"""Every text file of every recording, and of the machine that runs the tests, is written back byte for byte."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets import procfs
from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput

FORMATS = (
    "buddyinfo", "iomem", "maps", "meminfo", "node_meminfo", "numastat", "pagetypeinfo", "slabinfo", "smaps", "swaps",
    "vmallocinfo", "vmstat", "zoneinfo",
)  # fmt: skip
#: What format() writes without a layout is what a kernel of today prints; older ones print these otherwise.
CHANGED_SINCE = {
    "node_meminfo": re.compile(r"File(HugePages|PmdMapped):        "),
    "smaps": re.compile(r"THPeligible:    \d"),
}


def format_of(path: str) -> str | None:
    """Return the module that reads a recorded file, by its name."""
    folder, _, name = path.rpartition("/")
    if folder == "node":
        kind = name.partition(".")[2]
        return {"meminfo": "node_meminfo", "numastat": "numastat", "vmstat": "vmstat"}.get(kind)
    special = {"meminfo_end": "meminfo", "swaps_after": "swaps"}
    base = name.partition(".")[0]
    if base.endswith(("_smaps", "_maps")) and folder == "proc":
        return base.rpartition("_")[2]
    return special.get(base, base if base in FORMATS and not name.endswith(".txt") else None)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a series: ``=== T_NS LABEL FILE`` and the raw text of that file."""
    for part in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        yield head, body


def texts_of(capture: Capture) -> Iterator[tuple[str, str, str]]:
    """Yield format, name and text of every file and every part of a series."""
    for path in capture.files():
        name = path.rpartition("/")[2]
        if kind := format_of(path):
            yield kind, path, capture.text(path)
        elif name in ("maps.txt", "smaps.txt"):
            for head, body in sections(capture.text(path)):
                yield name.removesuffix(".txt"), f"{path} {head}", body
        elif name == "series.txt":
            for head, body in sections(capture.text(path)):
                kind = head.split(" ")[-1].rpartition("/")[2]
                if kind.endswith("numastat"):
                    yield "numastat", f"{path} {head}", body
                elif kind in FORMATS:
                    yield kind, f"{path} {head}", body


def assert_round_trip(kind: str, where: str, text: str) -> None:
    module = getattr(procfs, kind)
    record = module.parse(text, where)
    assert module.format(record) == text
    assert record.unknown == (), f"{where}: counters that the lists of known names lack"


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_every_file_of_a_recording_is_written_back_as_it_was_read(path: Path) -> None:
    capture = Capture.load(path)
    seen: Counter[str] = Counter()
    for kind, where, text in texts_of(capture):
        assert_round_trip(kind, where, text)
        seen[kind] += 1
    assert set(seen) >= {"meminfo", "zoneinfo", "buddyinfo", "slabinfo", "vmstat", "vmallocinfo", "iomem", "swaps"}


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_a_record_without_a_layout_is_written_as_the_recorded_kernel_wrote_it(path: Path) -> None:
    capture = Capture.load(path)
    for name in capture.files():
        kind = format_of(name)
        if kind and not (name.startswith("t_") and kind in ("maps", "smaps")):
            text, module = capture.text(name), getattr(procfs, kind)
            record = module.parse(text, name)
            if hasattr(record, "layout") and not (kind in CHANGED_SINCE and CHANGED_SINCE[kind].search(text)):
                assert module.format(replace(record, layout=())) == text, name


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_a_pasted_file_of_a_recording_is_recognised(path: Path) -> None:
    capture = Capture.load(path)
    for name in capture.files():
        kind = format_of(name)
        if kind and name.startswith(("proc/", "snap/", "node/")):
            text = capture.text(name)
            assert procfs.sniff(text) == kind, name


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_the_lists_of_a_moment_add_up_to_its_free_pages(path: Path) -> None:
    capture = Capture.load(path)
    checked = 0
    for moment in capture.moments():
        if moment != "snap" and not moment.endswith("/before"):
            continue  # the sets after a trace are not all of one moment: swap and writeback go on
        for zone in capture.snapshot(moment).zones:
            if zone.free_area and zone.free is not None and zone.free_area[0].lists is not None:
                assert sum(area.nr_free << area.order for area in zone.free_area) == zone.free
                for area in zone.free_area:
                    assert area.lists is not None
                    assert area.by_type is not None
                    assert {kind: len(pfns) for kind, pfns in area.lists.items()} == {
                        kind: count for kind, count in area.by_type.items() if count
                    }
                checked += 1
    if any(name.rpartition("/")[2] in ("freelists.before", "freelists.after") for name in capture.files()):
        assert checked


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_flags_of_frames_agree_with_the_free_lists(path: Path) -> None:
    capture = Capture.load(path)
    if "snap" not in capture.moments():
        return
    shot = capture.snapshot("snap")
    assert shot.frames is not None
    buddy = sum(
        1 for code in shot.frames.codes if shot.frames.palette[code] >> 10 & 1
    )  # bit 10 of /proc/kpageflags: BUDDY
    free = shot.frame_tables["order"]
    not_free = free.palette.index(-1)
    assert buddy == len(free.codes) - bytes(free.codes).count(not_free)
    assert buddy == sum(zone.free or 0 for zone in shot.zones)


OWN = {
    "meminfo": "/proc/meminfo",
    "zoneinfo": "/proc/zoneinfo",
    "buddyinfo": "/proc/buddyinfo",
    "pagetypeinfo": "/proc/pagetypeinfo",
    "slabinfo": "/proc/slabinfo",
    "vmallocinfo": "/proc/vmallocinfo",
    "vmstat": "/proc/vmstat",
    "iomem": "/proc/iomem",
    "swaps": "/proc/swaps",
    "maps": "/proc/self/maps",
    "smaps": "/proc/self/smaps",
    "node_meminfo": "/sys/devices/system/node/node0/meminfo",
    "numastat": "/sys/devices/system/node/node0/numastat",
}


@pytest.mark.parametrize("kind", sorted(OWN))
def test_the_machine_that_runs_the_tests(kind: str) -> None:
    try:
        text = Path(OWN[kind]).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return  # not Linux, or only root may read it
    module = getattr(procfs, kind)
    try:
        record = module.parse(text, OWN[kind])
    except BadInput as error:
        pytest.fail(f"a live file is refused: {error}")
    assert module.format(record) == text
