from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.records import MemoryRange
from kmemwidgets.sim.direct_map import GIB, ISA_END, counted_bytes

MIB = 1 << 20
LOW = (0x1000, 0x9F000)


def test_a_live_machine_of_24_gib_counts_2_gib_twice() -> None:
    # Linux 6.18, RAM to 3 GiB and from 4 to 25: DirectMap4k 28672, 2M 2068480, 1G 25165824 kB.
    ram = [LOW, (MIB, 3 * GIB), (4 * GIB, 25 * GIB)]
    assert counted_bytes(ram, (), gbpages=True) >> 10 == 28672 + 2068480 + 25165824
    assert counted_bytes(ram, (), gbpages=False) == 24 * GIB


@pytest.mark.parametrize("gbpages", [True, False])
def test_a_guest_whose_top_is_no_whole_page_counts_what_there_is(gbpages: bool) -> None:
    ram = [LOW, (MIB, 0x7FFDD000)]
    initrd = MemoryRange(0x7FC08000, 0x7FCD0000, "reserved", "initrd")
    assert counted_bytes(ram, (initrd,), gbpages=gbpages) == 0x7FFDD000


def test_a_guest_of_6_gib_on_a_pc() -> None:
    ram = [LOW, (MIB, 0xBFFDD000), (4 * GIB, 7 * GIB)]
    # Its top GiB is come across three times: 2 MiB, 126 MiB, and the rest.
    assert counted_bytes(ram, (), gbpages=True) == 0xBFFDD000 + 3 * GIB + 2 * GIB
    assert counted_bytes(ram, (), gbpages=False) == 0xBFFDD000 + 3 * GIB


RANGES = st.lists(st.tuples(st.integers(2, 6000), st.integers(1, 3000)), min_size=1, max_size=4)


@given(RANGES, st.booleans())
def test_nothing_is_left_out(pairs: list[tuple[int, int]], gbpages: bool) -> None:
    ram: list[tuple[int, int]] = [LOW]
    at = MIB
    for gap, size in pairs:
        start = at + gap * 0x100000
        ram.append((start, start + size * 0x101000))
        at = ram[-1][1]
    total = sum(end - start for start, end in ram[1:])
    counted = counted_bytes(ram, (), gbpages=gbpages) - ISA_END
    assert counted >= total
    assert counted <= total + (3 * GIB if gbpages else 0) * len(ram) + 4 * MIB * len(ram)
    assert counted % 4096 == 0


def test_a_step_of_512_mib_that_ends_inside_a_gib_counts_it_twice() -> None:
    # 2304 MiB: the second step ends at 2 GiB with 252 MiB mapped, so that the third is no larger and ends at 1.5 GiB.
    ram = [(0x1000, 0x9F000), (MIB, 0x8FFE0000)]
    initrd = MemoryRange(0x8FDE0000, 0x8FFE0000, "reserved", "initrd")
    whole = ISA_END + 0x8FFE0000 - MIB
    assert counted_bytes(ram, [initrd], gbpages=True) == whole + GIB
    assert counted_bytes(ram, [initrd], gbpages=False) == whole
