from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets.records import BadInput, FrameSource, MachineSpec, MemoryRange, Source
from kmemwidgets.sim import KernelBug, Machine, Page
from kmemwidgets.sim.frames import FREE, HOLE, KEPT, LABELS, USED
from kmemwidgets.sim.history import SPACING
from kmemwidgets.sim.presets import PRESETS, preset


def free_frames(machine: Machine) -> set[int]:
    found = set()
    for live in machine.page_alloc.zones:
        for (_mt, order), blocks in live.free_area.lists().items():
            for pfn in blocks:
                block = set(range(pfn, pfn + (1 << order)))
                assert not block & found, "a frame on two lists"
                found |= block
    return found


@pytest.mark.parametrize(
    "machine",
    [
        {"memory": "64M"},
        {"memory": "300M", "nodes": ["100M", "60M", "140M"]},
        {"memory": "256M", "cmdline": "movablecore=100M"},
        {"memory": "1G", "arch": "x86_32", "cpus": 1},
        {"memory": "128M", "arch": "arm64", "kernel": "6.18"},
        {"memory": "128M", "arch": "arm", "kernel": "5.6"},
        {"memory": "64M", "arch": "x86_32", "kernel": "2.4", "cpus": 1},
        {"memory": "64M", "arch": "x86_32", "kernel": "2.6.11", "cpus": 1},
    ],
    ids=str,
)
def test_every_frame_that_is_left_is_handed_over_once(machine: dict[str, object]) -> None:
    m = Machine.boot(**machine)  # type: ignore[arg-type]
    left = {frame for start, end, _nid in m.memblock.free_pfn_ranges() for frame in range(start, end)}
    assert free_frames(m) == left
    assert sum(zone.managed for zone in m.zones) == len(left)
    for zone in m.zones:
        assert zone.spanned >= zone.present >= zone.managed >= 0
        assert zone.wmark_min <= zone.wmark_low <= zone.wmark_high
    for live in m.page_alloc.zones:
        assert live.nr_free_pages == live.zone.managed


def test_first_blocks_come_from_where_the_version_takes_them() -> None:
    low = Machine.boot(memory="256M", kernel="6.1").alloc_pages("GFP_KERNEL", 10)
    high = Machine.boot(memory="256M", kernel="5.6").alloc_pages("GFP_KERNEL", 10)
    assert low is not None
    assert high is not None
    assert low < high


def test_presets_boot_at_once_and_in_little_memory() -> None:
    code = (
        "import resource, time\n"
        "from kmemwidgets.sim import Machine\n"
        "from kmemwidgets.sim.presets import PRESETS\n"
        "for name in PRESETS:\n"
        "    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    Machine.boot(name)\n"
        "    print(name, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == list(PRESETS)
    assert max(int(row[2]) for row in rows) < 300 * 1024
    # The bound of a second is generous here; on an idle machine it is a few milliseconds.
    assert max(float(row[1]) for row in rows) < 5


def test_presets_are_what_they_say() -> None:
    server = preset("server-4-nodes")
    assert sorted(set(server.cpu_node)) == [0, 1, 2]
    assert {entry.nid for entry in server.nodes} == {0, 1, 2, 3}
    assert sum(entry.end - entry.start for entry in preset("server-1t").memory if entry.kind == "usable") > 1023 << 30
    high = Machine.boot("x86-32-highmem")
    sizes = {zone.name: zone.managed for zone in high.zones}
    assert sizes["HighMem"] > sizes["Normal"]
    with pytest.raises(BadInput, match="laptop"):
        Machine.boot("no such machine")


@pytest.mark.parametrize(
    "arguments",
    [
        {"memory": "much"}, {"memory": 0}, {"memory": "1M"}, {"memory": "100E"}, {"memory": -5}, {"memory": True},
        {"nodes": 0}, {"nodes": []}, {"nodes": ["1K"]}, {"nodes": [("1G", 0)]}, {"cpus": 0}, {"cpus": 10**6},
        {"arch": "sparc"}, {"arch": "arm", "memory": "4G"},
    ],
    ids=str,
)  # fmt: skip
def test_bad_arguments_are_value_errors(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Machine.boot(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", ["3.10", "5.5", "2.6.18", "2.2"])
def test_kernels_without_rules_are_refused(kernel: str) -> None:
    with pytest.raises(BadInput, match="any release from 5"):
        Machine.boot(kernel=kernel)


@pytest.mark.parametrize(
    "kernel", ["2.4", "2.6.11", "5.6", "5.7", "5.10.0", "5.15", "6.1.0", "6.6", "6.9", "6.12", "6.18"]
)
def test_every_supported_kernel_boots(kernel: str) -> None:
    m = Machine.boot(kernel=kernel, arch="x86_32" if kernel.startswith("2") else "x86_64", memory="512M", cpus=1)
    page = m.alloc_pages("GFP_KERNEL")
    assert page is not None
    m.free_pages(page)
    assert any(rule.checked_by for rule in m.unchecked_rules()) or m.unchecked_rules()


def test_rules_that_nobody_checked_are_listed() -> None:
    names = {rule.name for rule in Machine.boot(kernel="6.1", memory="64M").unchecked_rules()}
    assert "movable_is_capped" in names
    assert "marks" not in names


def test_a_machine_is_a_source() -> None:
    m = Machine.boot(memory="64M", cpus=1)
    assert isinstance(m, Source)
    assert isinstance(m, FrameSource)
    assert {"alloc_pages", "free_pages", "undo", "reset"} <= set(m.verbs)
    shown = m.snapshot()
    assert shown.instant
    assert shown.frames is not None
    assert len(shown.frames.codes) == shown.zones[1].start_pfn + shown.zones[1].spanned  # type: ignore[operator]
    free = sum(zone.free or 0 for zone in shown.zones)
    assert bytes(shown.frames.codes).count(FREE) == free
    assert shown.meminfo is not None
    assert shown.meminfo["MemFree"] == free * 4
    assert shown.meminfo["MemAvailable"] < shown.meminfo["MemFree"]
    assert shown.layout


def test_frames_tell_what_they_are() -> None:
    m = Machine.boot(memory="64M", cpus=1)
    page = m.alloc_pages("GFP_KERNEL", 3)
    assert isinstance(page, Page)
    frame = m.frame(page + 5)
    assert (frame.head, frame.order, frame.zone, frame.nid, frame.state) == (page, 3, "DMA32", 0, LABELS[USED])
    assert m.frame(0).state == LABELS[HOLE]
    assert m.frame(1).state == LABELS[KEPT]
    untouched = m.frame(free_block(m))
    assert (untouched.state, untouched.order) == (LABELS[FREE], 10)
    with pytest.raises(IndexError):
        m.frame(1 << 30)
    with pytest.raises(IndexError):
        m.frame(-1)


def free_block(m: Machine) -> int:
    return next(
        blocks[-1]
        for live in m.page_alloc.zones
        for (_mt, order), blocks in live.free_area.lists().items()
        if order == 10
    )


def test_changes_name_the_frames_and_only_those() -> None:
    m = Machine.boot(memory="1G", cpus=1)
    seen = m.changes(0).seq
    assert m.changes(seen).ranges == ()
    assert not m.changes(seen).other
    before = bytes(m.frame_table().codes)  # type: ignore[union-attr]
    page = m.alloc_pages("GFP_KERNEL", 6)
    assert page is not None
    after = m.changes(seen)
    assert after.ranges
    assert after.other
    told = {frame for start, length in after.ranges for frame in range(start, start + length)}
    now = bytes(m.frame_table().codes)  # type: ignore[union-attr]
    assert {at for at in range(len(now)) if now[at] != before[at]} <= told
    assert len(told) <= 4096
    m.free_pages(page, 6)
    assert m.changes(after.seq).ranges
    assert set(m.changes(seen).ranges or ()) >= set()
    assert m.changes(10**6).ranges is None


def test_changes_of_long_ago_are_forgotten() -> None:
    m = Machine.boot(memory="64M", cpus=1)
    for _ in range(100):
        m.alloc_pages("GFP_KERNEL")
        m.changes(0)
    assert m.changes(1).ranges is None
    assert m.changes(m.changes(0).seq - 5).ranges is not None


def test_listeners_hear_of_every_verb() -> None:
    m = Machine.boot(memory="64M", cpus=1)
    heard: list[int] = []
    stop = m.subscribe(lambda: heard.append(m.now))
    page = m.alloc_pages("GFP_KERNEL")
    assert page is not None
    m.free_pages(page)
    m.undo()
    stop()
    m.alloc_pages("GFP_KERNEL")
    assert heard == [1, 2, 1]
    stop()


def test_one_who_comes_while_another_leaves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widgets subscribe from a thread of their own, so the two may overlap."""
    m = Machine.boot(memory="64M", cpus=1)
    heard: list[int] = []
    stop = m.subscribe(lambda: None)
    told = m.page_alloc.take_the_whole_way

    def overlapped(always: bool) -> None:
        if not always and not heard:
            m.subscribe(lambda: heard.append(m.now))
        told(always)

    monkeypatch.setattr(m.page_alloc, "take_the_whole_way", overlapped)
    stop()
    m.alloc_pages("GFP_KERNEL")
    assert heard == [1]


def test_mistakes_change_nothing() -> None:
    m = Machine.boot(memory="64M", cpus=1)
    page = m.alloc_pages("GFP_KERNEL", 1)
    assert page is not None
    state = picture(m)
    for wrong in (
        lambda: m.free_pages(page, 2), lambda: m.free_pages(page + 1, 0), lambda: m.free_pages(1 << 40, 0),
    ):  # fmt: skip
        with pytest.raises(KernelBug):
            wrong()
    for bad in (
        lambda: m.alloc_pages("GFP_KERNEL", -1), lambda: m.alloc_pages("GFP_KERNEL", node=7),
        lambda: m.alloc_pages("GFP_KERNEL", cpu=9), lambda: m.alloc_pages("GFP_KERNAL"),
        lambda: m.sysctl("vm.swappiness", 10), lambda: m.goto(99),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r".+"):
            bad()
    assert picture(m) == state
    assert m.now == 1


def picture(m: Machine) -> tuple[object, ...]:
    shown = m.snapshot()
    assert shown.frames is not None
    return shown.zones, shown.meminfo, bytes(shown.frames.codes)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("alloc"), st.integers(0, 5)),
        st.tuples(st.just("free"), st.integers(0, 30)),
        st.tuples(st.just("undo"), st.just(0)),
        st.tuples(st.just("goto"), st.integers(0, 60)),
        st.tuples(st.just("sysctl"), st.integers(1000, 4000)),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_time_travel_leads_where_the_commands_lead(steps: list[tuple[str, int]]) -> None:
    m = Machine.boot(memory="32M", cpus=1)
    pages: list[tuple[Page, int]] = []
    for what, number in steps:
        if what == "alloc":
            page = m.alloc_pages("GFP_KERNEL", number)
            if page is not None:
                pages.append((page, number))
        elif what == "free" and pages:
            page, order = pages[number % len(pages)]
            try:
                m.free_pages(page, order)
            except KernelBug:
                continue
        elif what == "undo":
            m.undo()
        elif what == "goto":
            m.goto(min(number, len(m.history.commands)))
        elif what == "sysctl":
            m.sysctl("min_free_kbytes", number)
    again = Machine.boot(memory="32M", cpus=1)
    for name, arguments in m.history.commands[: m.now]:
        again._do(name, *arguments)
    assert picture(again) == picture(m)


def test_checkpoints_serve_long_histories() -> None:
    m = Machine.boot(memory="256M", cpus=1)
    page = None
    for number in range(2 * SPACING + 100):
        if number % 2:
            assert page is not None
            m.free_pages(page)
        else:
            page = m.alloc_pages("GFP_KERNEL")
    end = picture(m)
    m.goto(SPACING + 7)
    assert m.now == SPACING + 7
    m.goto(3)
    early = picture(m)
    assert m.redo()
    assert m.undo()
    assert picture(m) == early
    m.goto(2 * SPACING + 100)
    assert picture(m) == end
    m.reset()
    assert picture(m) == picture(Machine.boot(memory="256M", cpus=1))
    assert not m.undo()
    m.goto(5)
    m.alloc_pages("GFP_KERNEL", 2)
    assert len(m.history.commands) == 6
    assert not m.redo()


def test_save_and_load(tmp_path: Path) -> None:
    m = Machine.boot(memory="64M", cpus=2, cmdline="movablecore=16M", seed=7)
    page = m.alloc_pages("GFP_KERNEL | __GFP_ZERO", 2, cpu=1)
    m.alloc_pages("GFP_HIGHUSER_MOVABLE", 0, node=0)
    assert page is not None
    m.free_pages(page, 2)
    m.sysctl("vm.min_free_kbytes", 2048)
    path = tmp_path / "a machine.json"
    m.save(path)
    again = Machine.load(path)
    assert picture(again) == picture(m)
    assert (again.seed, again.spec()) == (7, m.spec())
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.update(format="other"),
        lambda raw: raw.pop("seed"),
        lambda raw: raw.update(extra=1),
        lambda raw: raw.update(seed="x"),
        lambda raw: raw.update(commands=[["__init__"]]),
        lambda raw: raw.update(commands=[["free_pages", 0, 0, 0]]),
        lambda raw: raw.update(commands=[["alloc_pages", [1], 0]]),
        lambda raw: raw.update(commands=[["alloc_pages", 1, 0, 0, 0, 0, 0, 0]]),
        lambda raw: raw.update(commands="alloc_pages"),
        lambda raw: raw["spec"].update(colour="red"),
        lambda raw: raw["spec"].update(arch="sparc"),
        lambda raw: raw["spec"].update(memory=[]),
        lambda raw: raw["spec"].update(memory=[{"start": 5, "end": 1}]),
        lambda raw: raw["spec"].update(kernel=[3, 2]),
        lambda raw: raw["spec"].update(cpus=0),
        lambda raw: raw["spec"].update(cpu_node=[0, 0, 0, 0]),
        lambda raw: raw["spec"].update(page_size=17),
        lambda raw: raw["spec"].update(memory=[{"start": 0, "end": 1 << 50}]),
        lambda raw: raw["spec"].update(sysctl=[["watermark_scale_factor", "0"]]),
    ],
)
def test_damaged_machines_are_refused_in_one_line(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "m.json"
    Machine.boot(memory="64M").save(path)
    raw = json.loads(path.read_text())
    damage(raw)  # type: ignore[operator]
    path.write_text(json.dumps(raw))
    with pytest.raises(BadInput) as error:
        Machine.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "[", "null", "[]", "{" * 100_000, "\x00"])
def test_what_is_no_machine_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(BadInput):
        Machine.load(path)
    with pytest.raises(BadInput):
        Machine.load(tmp_path / "none")
    with pytest.raises(BadInput):
        Machine.boot(memory="64M").save(tmp_path / "no folder" / "m.json")


def test_a_description_can_be_given_in_every_way() -> None:
    spec = MachineSpec(memory=(MemoryRange(0, 64 << 20),), name="mine")
    assert (
        Machine.boot(spec).spec() == Machine.boot(spec=spec).spec() == Machine.boot(Machine.boot(spec)).spec() == spec
    )
    with pytest.raises(ValueError, match="describes no machine"):
        Machine.boot(3.5)
    assert repr(Machine.boot(spec)).startswith("<Machine mine: Linux 6.1.192, x86_64")


def test_little_memory_is_told_of() -> None:
    with pytest.raises(BadInput, match="memory"):
        Machine.boot(MachineSpec(memory=(MemoryRange(0, 1 << 20),)))


def test_four_million_frames_in_use_take_less_than_16_bytes_each() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    m = Machine.boot(memory="4G", cpus=1)
    start = time.perf_counter()
    count = 0
    while m.page_alloc.alloc_pages(0xCC0, 0) >= 0:
        count += 1
    assert count > 990_000
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert used < 16 * count, f"{used / count:.1f} bytes a frame"
    assert time.perf_counter() - start < 60


def test_orders_and_types_of_all_frames() -> None:
    m = Machine.boot(memory="64M", nodes=["24M", "40M"], cpus=2)
    page = m.alloc_pages("GFP_KERNEL", 3)
    loose = m.alloc_pages("GFP_KERNEL")
    assert page is not None
    assert loose is not None
    m.free_pages(page, 3)
    orders = m.frame_table("order")
    types = m.frame_table("migratetype")
    assert orders is not None
    assert types is not None
    for pfn in range(0, len(orders.codes), 7):
        known = m.frame(pfn)
        if known.order is not None:
            assert orders[pfn] == known.order, hex(pfn)
        if known.migratetype is not None:
            assert types.labels[types.codes[pfn]] == known.migratetype
        else:
            assert types.labels[types.codes[pfn]] == "no memory here"
    # A block of eight frames on a per-CPU list is one block.
    assert [orders[page + at] for at in range(8)] == [3] * 8
    assert orders[loose] == 0
    assert orders[1] == -1
    assert m.frame_table("wishes") is None


def test_all_tables_of_a_very_large_machine() -> None:
    m = Machine.boot("server-1t")
    page = m.alloc_pages("GFP_KERNEL", 3)
    assert page is not None
    last = m.snapshot().zones[-1]
    untouched = next(
        pfn
        for zone in m.snapshot().zones
        if zone.start_pfn is not None and zone.present
        for pfn in range(zone.start_pfn, zone.start_pfn + zone.spanned, 1 << 20)
        if m.frame(pfn).state == "free"
    )
    assert last.name
    shown = {}
    for kind in m.frame_kinds():
        table = m.frame_table(kind)
        assert table is not None
        assert len(table.codes) == table.end_pfn > 1 << 28
        shown[kind] = [table.labels[table.codes[pfn]] if table.labels else table[pfn] for pfn in (page, untouched)]
    assert shown == {
        "flags": ["in use", "free"],
        "order": [3, 10],
        "migratetype": ["Unmovable", "Movable"],
        "owner": ["alloc_pages", "free"],
        "age": ["the last command", "free"],
    }
    assert m.taken_by(page + 7) == 1
    assert m.taken_by(untouched) is None


def test_what_nobody_outside_has_checked_is_said_in_words() -> None:
    machine = Machine.boot(memory="64M", kernel="5.6")
    (words,) = machine.snapshot().notes
    assert words.startswith(f"simulated: {len(machine.unchecked_rules())} of the ")
    assert len(machine.unchecked_rules()) > len(Machine.boot(memory="64M", kernel="6.1").unchecked_rules())
