"""Whatever happened to a text: it is read and written back as it is, or refused with BadInput; nothing else."""

from __future__ import annotations

import pytest
from casefinder import BUNDLED, DATA
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmemwidgets import procfs
from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput

LINES = 60


def _samples() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in ("amd64-2g-numa2", "i386-pae-2g"):
        capture = Capture.load(BUNDLED / f"{name}.tar.xz")
        for kind, path in {
            "meminfo": "proc/meminfo", "zoneinfo": "proc/zoneinfo", "buddyinfo": "proc/buddyinfo",
            "pagetypeinfo": "proc/pagetypeinfo", "slabinfo": "proc/slabinfo", "vmallocinfo": "proc/vmallocinfo",
            "vmstat": "proc/vmstat", "iomem": "proc/iomem", "maps": "proc/self_maps", "smaps": "proc/self_smaps",
            "node_meminfo": "node/node0.meminfo", "numastat": "node/node0.numastat", "dmesg": "dmesg.txt",
            "freelists": "snap/freelists.after",
        }.items():  # fmt: skip
            if capture.has(path):
                found.setdefault(kind, []).append(capture.text(path))
    for path in sorted((DATA / "procfs").glob("*.txt")):
        found.setdefault(path.name.partition("-")[0], []).append(path.read_text(encoding="utf-8"))
    return found


SAMPLES = _samples()
GARBAGE = st.text(
    alphabet=st.one_of(st.sampled_from("0123456789abcdefNode zone:,-=()[]%s{}\t\r\n"), st.characters()), max_size=30
)


@st.composite
def mutated(draw: st.DrawFn, kind: str) -> str:
    """A sample's text after a few things that happen to files."""
    text = draw(st.sampled_from(SAMPLES[kind]))
    lines = text.split("\n")
    start = draw(st.integers(0, max(0, len(lines) - LINES)))
    lines = lines[start : start + LINES] if draw(st.booleans()) else lines
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(["delete", "swap", "double", "cut", "garbage", "digit", "insert"]))
        if what == "delete" and len(lines) > 1:
            del lines[at]
        elif what == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        elif what == "double":
            lines.insert(at, lines[at])
        elif what == "cut":
            lines = lines[: at + 1]
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif what == "garbage":
            lines[at] = draw(GARBAGE)
        elif what == "digit" and lines[at]:
            column = draw(st.integers(0, len(lines[at]) - 1))
            lines[at] = lines[at][:column] + draw(st.sampled_from("0123456789-x ٣")) + lines[at][column + 1 :]
        elif what == "insert":
            lines.insert(at, draw(GARBAGE))
    return "\n".join(lines)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_text_is_written_back_or_refused(kind: str, data: st.DataObject) -> None:
    text = data.draw(mutated(kind))
    module = getattr(procfs, kind)
    refusal = ""
    try:
        record = module.parse(text, "F")
    except BadInput as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        assert refusal.startswith("F")
    elif hasattr(module, "format"):
        assert module.format(record) == text


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(GARBAGE, st.sampled_from(sorted(SAMPLES)).flatmap(mutated)))
def test_sniffing_gives_a_format_or_bad_input(text: str) -> None:
    try:
        answer = procfs.sniff(text)
    except BadInput as error:
        answer = str(error)
        assert "\n" not in answer
    else:
        assert answer in procfs.__all__
