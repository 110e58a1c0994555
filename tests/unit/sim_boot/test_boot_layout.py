from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.arch import arm64, x86_64
from kmemwidgets.arch.x86_32 import fixed_areas
from kmemwidgets.sim import Machine
from kmemwidgets.sim.describe import describe
from kmemwidgets.sim.rules.layout import address_space, virtual_layout, vmalloc_bytes
from kmemwidgets.sim.zone_sizes import usable_memory

MIB = 1 << 20
GIB = 1 << 30


def space_of(**machine: object) -> object:
    spec = describe(**machine)  # type: ignore[arg-type]
    return address_space(spec, usable_memory(spec))


def test_x86_64_with_four_levels() -> None:
    space = x86_64.address_space()
    bounds = {area.name: (area.start, area.end - 1) for area in space.areas}
    assert bounds["user space"] == (0, 0x00007FFFFFFFEFFF)
    assert bounds["hypervisor hole"] == (0xFFFF800000000000, 0xFFFF87FFFFFFFFFF)
    assert bounds["LDT remap"] == (0xFFFF880000000000, 0xFFFF887FFFFFFFFF)
    assert bounds["direct map"] == (0xFFFF888000000000, 0xFFFFC87FFFFFFFFF)
    assert bounds["vmalloc"] == (0xFFFFC90000000000, 0xFFFFE8FFFFFFFFFF)
    assert bounds["vmemmap"] == (0xFFFFEA0000000000, 0xFFFFEAFFFFFFFFFF)
    assert bounds["cpu_entry_area"] == (0xFFFFFE0000000000, 0xFFFFFE7FFFFFFFFF)
    assert bounds["espfix stacks"] == (0xFFFFFF0000000000, 0xFFFFFF7FFFFFFFFF)
    assert bounds["EFI"] == (0xFFFFFFEF00000000, 0xFFFFFFFEFFFFFFFF)
    assert bounds["modules"] == (0xFFFFFFFFC0000000, 0xFFFFFFFFFEFFFFFF)
    assert bounds["vsyscall"] == (0xFFFFFFFFFF600000, 0xFFFFFFFFFF600FFF)
    assert x86_64.address_space(image_size=512 * MIB).area("modules").start == 0xFFFFFFFFA0000000
    assert x86_64.address_space(kasan=True).area("KASAN shadow").size == 16 << 40


def test_x86_64_with_five_levels() -> None:
    bounds = {area.name: (area.start, area.end - 1) for area in x86_64.address_space(five_levels=True).areas}
    assert bounds["user space"][1] == 0x00FFFFFFFFFFEFFF
    assert bounds["direct map"] == (0xFF11000000000000, 0xFF90FFFFFFFFFFFF)
    assert bounds["vmalloc"] == (0xFFA0000000000000, 0xFFD1FFFFFFFFFFFF)
    assert bounds["vmemmap"] == (0xFFD4000000000000, 0xFFD5FFFFFFFFFFFF)


def test_kaslr_moves_the_bases_and_keeps_their_order() -> None:
    bases = {
        "page_offset_base": 0xFFFF8C5A00000000,
        "vmalloc_base": 0xFFFFD35A40000000,
        "vmemmap_base": 0xFFFFFCB7C0000000,
    }
    space = x86_64.address_space(bases=bases, memory_end=2 * GIB)
    starts = [space.area(name).start for name in ("direct map", "vmalloc", "vmemmap")]
    assert starts == list(bases.values())
    assert space.va(4096) == 0xFFFF8C5A00001000
    assert space.page_of(1) == 0xFFFFFCB7C0000040


@pytest.mark.parametrize(
    ("bits", "page", "linear", "modules", "vmalloc", "vmalloc_end", "vmemmap"),
    [
        (39, 4096, 0xFFFFFF8000000000, 0xFFFFFFC000000000, 0xFFFFFFC080000000, 0xFFFFFFFEBF7FFFFF, 0xFFFFFFFEC0000000),
        (42, 65536, 0xFFFFFC0000000000, 0xFFFFFE0000000000, 0xFFFFFE0080000000, 0xFFFFFFFF3F7FFFFF, 0xFFFFFFFF40000000),
        (47, 16384, 0xFFFF800000000000, 0xFFFFC00000000000, 0xFFFFC00080000000, 0xFFFFFFBFBF7FFFFF, 0xFFFFFFBFC0000000),
        (48, 4096, 0xFFFF000000000000, 0xFFFF800000000000, 0xFFFF800080000000, 0xFFFFFDFFBF7FFFFF, 0xFFFFFDFFC0000000),
        (48, 16384, 0xFFFF000000000000, 0xFFFF800000000000, 0xFFFF800080000000, 0xFFFFFF7FBF7FFFFF, 0xFFFFFF7FC0000000),
        (48, 65536, 0xFFFF000000000000, 0xFFFF800000000000, 0xFFFF800080000000, 0xFFFFFFDFBF7FFFFF, 0xFFFFFFDFC0000000),
        (52, 65536, 0xFFF0000000000000, 0xFFFF800000000000, 0xFFFF800080000000, 0xFFFFFC1FBF7FFFFF, 0xFFFFFC1FC0000000),
        (52, 4096, 0xFFF0000000000000, 0xFFFF800000000000, 0xFFFF800080000000, 0xFFFFC1FFBF7FFFFF, 0xFFFFC1FFC0000000),
    ],
)  # fmt: skip
def test_arm64_from_6_9(
    bits: int, page: int, linear: int, modules: int, vmalloc: int, vmalloc_end: int, vmemmap: int
) -> None:
    shape = arm64.Shape(bits, page)
    bounds = arm64.bounds_from_top(shape)
    assert shape.page_offset == linear
    assert bounds.modules[0] == modules == shape.page_end
    assert (bounds.vmalloc[0], bounds.vmalloc[1] - 1) == (vmalloc, vmalloc_end)
    assert (bounds.vmemmap[0], bounds.vmemmap[1]) == (vmemmap, (1 << 64) - GIB)


def test_arm64_over_time() -> None:
    six_one = arm64.bounds_with_small_modules(arm64.Shape())
    assert six_one.modules == (0xFFFF800000000000, 0xFFFF800008000000)
    assert six_one.vmalloc == (0xFFFF800008000000, 0xFFFFFBFFF0000000)
    assert six_one.vmemmap == (0xFFFFFC0000000000, 0xFFFFFE0000000000)
    assert six_one.pci_io == (0xFFFFFBFFFE800000, 0xFFFFFBFFFF800000)
    assert six_one.fixmap_end == 0xFFFFFBFFFE000000
    five_six = arm64.bounds_with_bpf_area(arm64.Shape())
    assert five_six.vmalloc[1] == 0xFFFFFDFFBFFF0000
    assert five_six.vmemmap == (0xFFFFFDFFFFE00000, 0xFFFFFFFFFFE00000)
    assert five_six.pci_io == (0xFFFFFDFFFEC00000, 0xFFFFFDFFFFC00000)
    assert five_six.fixmap_end == 0xFFFFFDFFFEA00000
    wide = arm64.bounds_with_bpf_area(arm64.Shape(52, 65536))
    assert wide.vmalloc[1] == 0xFFFFF81FFFFF0000
    assert wide.vmemmap[0] == 0xFFFFFC1FFFE00000
    assert arm64.bounds_with_large_modules(arm64.Shape()).modules[1] == 0xFFFF800080000000


@pytest.mark.parametrize(("kernel", "start"), [("5.6", 0xFFFF800010000000), ("6.1", 0xFFFF800008000000),
                                               ("6.6", 0xFFFF800080000000), ("6.18", 0xFFFF800080000000)])  # fmt: skip
def test_arm64_vmalloc_by_version(kernel: str, start: int) -> None:
    space = space_of(arch="arm64", kernel=kernel, memory="1G")
    assert space.area("vmalloc").start == start  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kernel", "memory", "options", "expected"),
    [
        # include/asm-i386/highmem.h, fixmap.h, pgtable.h of each tree.
        ("2.4", "1G", {}, {"direct map": (0xC0000000, 0xF8000000), "vmalloc": (0xF8800000, 0xFDFFE000),
                           "pkmap": (0xFE000000, 0xFE400000), "fixmap": (0xFFFE9000, 0xFFFFE000)}),
        ("2.4", "512M", {}, {"direct map": (0xC0000000, 0xE0000000), "vmalloc": (0xE0800000, 0xFDFFE000)}),
        # One cpu: 11 + 13 + 4 + 1 slots, then 17 that boot uses, then the page table of pkmap.
        ("2.6.11", "1G", {}, {"vmalloc": (0xF8800000, 0xFF7FE000), "pkmap": (0xFF800000, 0xFFC00000),
                              "fixmap": (0xFFFE2000, 0xFFFFF000)}),
        ("2.6.11", "1G", {"cmdline": "vmalloc=256M"}, {"direct map": (0xC0000000, 0xF0000000),
                                                       "vmalloc": (0xF0800000, 0xFF7FE000)}),
        ("5.6", "1G", {}, {"vmalloc": (0xF77FE000, 0xFEFFE000), "pkmap": (0xFF000000, 0xFF400000)}),
    ],
)  # fmt: skip
def test_x86_32_over_time(
    kernel: str, memory: str, options: dict[str, str], expected: dict[str, tuple[int, int]]
) -> None:
    space = space_of(arch="x86_32", kernel=kernel, memory=memory, cpus=1, **options)
    found = {area.name: (area.start, area.end) for area in space.areas}  # type: ignore[attr-defined]
    assert {name: found[name] for name in expected} == expected
    assert ("cpu_entry_area" in found) is (kernel == "5.6")


def test_x86_64_over_time() -> None:
    # Documentation/x86_64/mm.txt of 2.4: what each entry of the top table is for.
    old = space_of(kernel="2.4", memory="1G")
    bounds = {area.name: (area.start, area.end - 1) for area in old.areas}  # type: ignore[attr-defined]
    assert {name: start >> 39 & 511 for name, (start, _end) in bounds.items()} == {
        "user space": 0, "direct map": 2, "I/O mappings": 509, "vmalloc": 510, "kernel text": 511, "modules": 511,
        "fixmap": 511, "vsyscall": 511, "non-canonical": 256,
    }  # fmt: skip
    assert bounds["modules"] == (0xFFFFFFFFA0000000, 0xFFFFFFFFAFFFFFFF)
    # FIXADDR_TOP less the slot of the last I/O APIC: 2048 vsyscall pages, HPET twice, local APIC, 16 I/O APICs.
    assert bounds["fixmap"] == (0xFFFFFFFFFFDFF000 - (2048 + 3 + 16 - 1) * 4096, 0xFFFFFFFFFF5FFFFF)
    later = space_of(kernel="2.6.11", memory="1G")
    bounds = {area.name: (area.start, area.end - 1) for area in later.areas}  # type: ignore[attr-defined]
    assert bounds["direct map"] == (0xFFFF810000000000, 0xFFFFC0FFFFFFFFFF)
    assert bounds["vmalloc"] == (0xFFFFC20000000000, 0xFFFFE1FFFFFFFFFF)
    assert bounds["modules"] == (0xFFFFFFFF88000000, 0xFFFFFFFFFFEFFFFF)
    assert bounds["fixmap"][0] == 0xFFFFFFFFFFDFF000 - (2048 + 3 + 32 - 1) * 4096
    assert bounds["guard hole"] == (0xFFFF800000000000, 0xFFFF80FFFFFFFFFF)
    assert later.pa(0xFFFFFFFF80100000) == 0x100000  # type: ignore[attr-defined]


def test_arm_over_time() -> None:
    old, six, new = (space_of(arch="arm", kernel=kernel, memory="256M") for kernel in ("2.4", "2.6.11", "6.1"))
    assert old.area("vmalloc").end == 0xFF000000  # type: ignore[attr-defined]
    assert "Each board" in old.area("vmalloc").says  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        old.area("modules")  # type: ignore[attr-defined]
    assert six.area("modules").start == 0xBF000000  # type: ignore[attr-defined]
    assert six.area("DMA buffers").start == 0xFFC00000  # type: ignore[attr-defined]
    assert new.area("vmalloc").end == new.area("device tree").start == 0xFF800000  # type: ignore[attr-defined]


@pytest.mark.parametrize("arch", ["x86_64", "x86_32", "arm64", "arm"])
@pytest.mark.parametrize("kernel", ["2.4", "2.6.11", "5.6", "6.1", "6.6", "6.12", "6.18"])
@pytest.mark.parametrize("memory", ["64M", "2G"])
def test_every_layout_is_one_that_can_be(arch: str, kernel: str, memory: str) -> None:
    space = space_of(arch=arch, kernel=kernel, memory=memory)
    whole = 1 << (32 if arch in ("x86_32", "arm") else 64)
    # 2.6.11's modules may have what lies above the fixmap, too.
    inside = {"fixmap", "vsyscall"} if kernel == "2.6.11" and arch == "x86_64" else set()
    for area in space.areas:  # type: ignore[attr-defined]
        assert 0 <= area.start < area.end <= whole, area
    apart = [area for area in space.areas if area.name not in inside]  # type: ignore[attr-defined]
    for before, after in itertools.pairwise(sorted(apart, key=lambda area: area.start)):
        assert before.end <= after.start, (before, after)
    assert space.area("vmalloc").size >= 64 * MIB  # type: ignore[attr-defined]


def test_32_bit_areas_lie_below_one_another() -> None:
    areas = fixed_areas(nr_cpus=32, pae=True)
    assert areas.vmalloc_end == 0xFEFFE000
    assert (areas.pkmap_base, areas.ldt_base, areas.cpu_entry_area) == (0xFF000000, 0xFF200000, 0xFF400000)
    assert fixed_areas(nr_cpus=32, pae=False).vmalloc_end == 0xFEBFE000
    assert fixed_areas(nr_cpus=32, pae=True, highmem=False).vmalloc_end == 0xFF1FE000


def test_x86_32_with_and_without_high_memory() -> None:
    spec = describe(arch="x86_32", memory="2G", pae=True, config={"NR_CPUS": 32}, cpus=1)
    space = address_space(spec, usable_memory(spec))
    assert (space.area("vmalloc").start, space.area("vmalloc").end) == (0xF77FE000, 0xFEFFE000)
    assert vmalloc_bytes(spec, usable_memory(spec)) >> 10 == 122880
    assert space.area("pkmap").size == 2 * MIB
    with pytest.raises(ValueError, match="no place in the direct map"):
        space.va(GIB)
    with pytest.raises(ValueError, match="no fixed place"):
        space.page_of(0)
    small = space_of(arch="x86_32", memory="512M", cpus=1)
    assert small.area("vmalloc").start == 0xC0000000 + 520 * MIB  # type: ignore[attr-defined]


def test_arm_keeps_room_for_vmalloc() -> None:
    space = space_of(arch="arm", memory="1G")
    assert space.area("direct map").size == 760 * MIB  # type: ignore[attr-defined]
    assert space.area("vmalloc").start == 0xF0000000  # type: ignore[attr-defined]
    assert space.area("vmalloc").end == 0xFF800000  # type: ignore[attr-defined]
    assert space.va(GIB) == 0xC0000000  # type: ignore[attr-defined]


MACHINES = st.sampled_from(
    [
        {"arch": "x86_64", "memory": "8G"}, {"arch": "arm64", "memory": "6G"},
        {"arch": "arm64", "memory": "2G", "kernel": "5.6"}, {"arch": "arm64", "memory": "2G", "kernel": "6.18"},
    ]
)  # fmt: skip


@given(MACHINES, st.data())
def test_conversions_are_inverse(machine: dict[str, object], data: st.DataObject) -> None:
    spec = describe(**machine)  # type: ignore[arg-type]
    ram = usable_memory(spec)
    space = address_space(spec, ram)
    low, high = data.draw(st.sampled_from(ram))
    physical = data.draw(st.integers(low, high - 1))
    assert space.pa(space.va(physical)) == physical
    pfn = physical // spec.page_size
    assert space.pfn_of(space.page_of(pfn)) == pfn
    assert space.virt_to_page(space.va(physical)) == space.page_of(pfn)
    assert space.area("vmemmap").start <= space.page_of(pfn) < space.area("vmemmap").end


def test_addresses_that_mean_nothing_are_refused() -> None:
    space = x86_64.address_space()
    assert space.pa(0xFFFFFFFF81000000) == 0x1000000
    for address, word in ((0xFFFFC90000001000, "vmalloc"), (0x7000_0000_0000, "user space"),
                          (1 << 62, "non-canonical"), (0xFFFF_C880_0000_0000, "no area")):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            space.pa(address)
    with pytest.raises(ValueError, match="no struct page"):
        space.pfn_of(space.vmemmap + 8)
    assert space.area_of(0x1000).name == "user space"  # type: ignore[union-attr]
    assert space.area_of(0xFFFF_C880_0000_0000) is None
    with pytest.raises(KeyError):
        space.area("pkmap")


@pytest.mark.parametrize("arch", ["x86_64", "x86_32", "arm64", "arm"])
def test_areas_are_apart_and_shown(arch: str) -> None:
    spec = describe(arch=arch, memory="1G")
    areas = virtual_layout(spec, usable_memory(spec))
    top = 1 << (64 if arch.endswith("64") else 32)
    assert all(0 <= area.start < area.end <= top and area.space == "virtual" for area in areas)
    apart = [area for area in areas if area.name != "early fixmap"]
    assert all(a.end <= b.start for a, b in itertools.pairwise(apart))
    shown = Machine.boot(spec).snapshot().layout
    assert tuple(area for area in shown if area.name != "mem_map") == areas
    assert ("mem_map" in {area.name for area in shown}) is not arch.endswith("64")


def test_the_configuration_shapes_the_address_space() -> None:
    wide = describe(config={"PGTABLE_LEVELS": 5})
    assert wide.va_bits == 57
    assert address_space(wide, usable_memory(wide)).page_offset == 0xFF11000000000000
    assert describe(config={"PGTABLE_LEVELS": 5}, cmdline="no5lvl").va_bits == 48
    board = describe(arch="arm64", config={"ARM64_VA_BITS": 42, "ARM64_64K_PAGES": True}, kernel="6.18")
    assert (board.page_size, board.va_bits) == (65536, 42)
    assert address_space(board, usable_memory(board)).page_offset == 0xFFFFFC0000000000
    with pytest.raises(ValueError, match="VA_BITS=40"):
        describe(arch="arm64", config={"ARM64_VA_BITS": 40})
    for arch, config in (("arm64", {"ARM64_16K_PAGES": "y", "ARM64_VA_BITS": 47}), ("x86_64", {"PGTABLE_LEVELS": 5})):
        machine = Machine.boot(arch=arch, memory="1G", config=config)
        assert machine.alloc_pages("GFP_KERNEL") is not None
        assert machine.snapshot().layout
