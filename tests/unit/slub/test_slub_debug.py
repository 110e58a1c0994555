"""Memory bugs: what a kernel with slub_debug says of them, and what one without it lets happen."""

from __future__ import annotations

import re

import pytest
from slub_kit import boot

from kmemwidgets.sim import slub_bytes
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.slab_cache import KmemCache
from kmemwidgets.sim.slub import Slub
from kmemwidgets.sim.slub_init import check, save


def debugged(flags: str = "FZPU", size: int = 50, kernel: tuple[int, ...] = (6, 1, 192)) -> tuple[Slub, KmemCache]:
    slub = boot(kernel, cmdline=f"slub_debug={flags},things")
    return slub, slub.kmem_cache_create("things", size)


def title(slub: Slub) -> str:
    return next(line for line in slub.dmesg if line.startswith("BUG"))


def test_a_write_past_an_object() -> None:
    slub, cache = debugged()
    address = slub.kmem_cache_alloc(cache)
    slub_bytes.write(slub, address + 50, b"A")
    assert slub.dmesg == [], "nobody looks before the object is freed"
    slub.kmem_cache_free(cache, address)
    assert title(slub) == "BUG things (Not tainted): Right Redzone overwritten"
    end = f"0x{address + 50:016x}"
    at = address + 50 - slub.slabs[address >> 12].base
    assert f"{end}-{end} @offset={at}. First byte 0x41 instead of 0xcc" in slub.dmesg
    assert f"FIX things: Restoring Right Redzone {end}-{end}=0xcc" in slub.dmesg
    assert slub.dmesg[-1] == f"FIX things: Object at 0x{address:016x} not freed"
    objects = [line for line in slub.dmesg if line.startswith("Object   ")]
    assert objects[0] == f"Object   {address:016x}: " + " ".join(["6b"] * 16) + "  kkkkkkkkkkkkkkkk"
    assert objects[-1].endswith("6b a5                                            k.")
    assert [line[:9] for line in slub.dmesg if re.match(r"Redzone  ", line)] == ["Redzone  "] * 2
    assert any(line.startswith("Allocated in kmem_cache_alloc age=0 cpu=0") for line in slub.dmesg)
    slub.dmesg.clear()
    slub.kmem_cache_free(cache, address)
    assert slub.dmesg == [], "the red zone was restored"
    slub.kmem_cache_free(cache, address)
    assert title(slub) == "BUG things (Tainted: G    B             ): Object already free"


def test_a_write_before_an_object() -> None:
    slub, cache = debugged("FZ")
    address = slub.kmem_cache_alloc(cache)
    slub_bytes.write(slub, address - 2, b"xy")
    slub.kmem_cache_free(cache, address)
    assert title(slub).endswith("Left Redzone overwritten")


def test_names_and_prefixes_of_5_6() -> None:
    slub, cache = debugged("FZ", kernel=(5, 6, 4))
    address = slub.kmem_cache_alloc(cache)
    slub_bytes.write(slub, address + 50, b"x")
    slub.kmem_cache_free(cache, address)
    assert title(slub).endswith(": Redzone overwritten")
    assert sum(line.startswith("INFO: ") for line in slub.dmesg) == 3


@pytest.mark.parametrize(("offset", "what"), [(0, "Poison"), (48, "Poison"), (49, "End Poison")])
def test_use_after_free(offset: int, what: str) -> None:
    slub, cache = debugged("FP")
    address = slub.kmem_cache_alloc(cache)
    slub.kmem_cache_free(cache, address)
    slub_bytes.write(slub, address + offset, b"\x00")
    before = slub.slabs[address >> 12]
    again = slub.kmem_cache_alloc(cache)
    assert title(slub) == f"BUG things (Not tainted): {what} overwritten"
    assert again
    assert slub.slabs[again >> 12] is not before, "the whole slab is out of use"
    assert slub.dmesg[-1] == "FIX things: Marking all objects used"
    assert before.inuse == before.objects


def test_a_link_that_leads_nowhere() -> None:
    slub, cache = debugged("FZ", size=64)
    address = slub.kmem_cache_alloc(cache)
    slub.kmem_cache_free(cache, address)
    slub_bytes.write(slub, address + cache.layout.offset, b"\x01\x02\x03\x04")
    slub.kmem_cache_alloc(cache)
    assert title(slub).endswith("Freepointer corrupt")


def test_padding() -> None:
    slub, _ = debugged("FPU", size=64)
    cache = slub.kmem_cache_create("things", 64, align=64)
    assert cache.layout.size % 64 == 0
    address = slub.kmem_cache_alloc(cache)
    slub_bytes.write(slub, address + cache.layout.size - 1, b"\x00")
    slub.kmem_cache_free(cache, address)
    assert title(slub).endswith("Object padding overwritten")


def test_double_free() -> None:
    slub, cache = debugged()
    address = slub.kmem_cache_alloc(cache)
    slub.kmem_cache_alloc(cache)
    slub.kmem_cache_free(cache, address)
    before = save(slub)[0]
    slub.kmem_cache_free(cache, address)
    assert title(slub) == "BUG things (Not tainted): Object already free"
    assert any(line.startswith("Freed in") for line in slub.dmesg)
    assert save(slub)[0] == before
    assert check(slub) == []


def test_a_pointer_into_an_object() -> None:
    slub, cache = debugged("F")
    address = slub.kmem_cache_alloc(cache)
    slub.kmem_cache_free(cache, address + 8)
    assert title(slub).endswith(f"Invalid object pointer 0x{address + 8:016x}")


def test_bytes_of_an_object_in_its_life() -> None:
    slub, cache = debugged("ZP", size=16)
    address = slub.kmem_cache_alloc(cache)
    layout = cache.layout
    assert slub_bytes.read(slub, address - layout.red_left_pad, 8) == b"\xcc" * 8
    assert slub_bytes.read(slub, address, 16) == b"\x6b" * 15 + b"\xa5"
    assert slub_bytes.read(slub, address + 16, 8) == b"\xcc" * 8
    slub.kmem_cache_free(cache, address)
    assert slub_bytes.read(slub, address + 16, 8) == b"\xbb" * 8
    assert slub_bytes.stored_link(slub, slub.slabs[address >> 12], address) in {0, *slub.slabs[address >> 12].freelist}


def test_kmalloc_keeps_the_size_that_was_asked_for() -> None:
    slub = boot(cmdline="slub_debug=U,kmalloc-64")
    address = slub.kmalloc(50)
    field = slub.find_cache("kmalloc-64").layout.request_size
    assert field is not None
    assert slub_bytes.read(slub, address + field, 4) == (50).to_bytes(4, "little")


def test_without_checks_nobody_notices() -> None:
    slub, cache = debugged("Z")
    address = slub.kmem_cache_alloc(cache)
    slub_bytes.write(slub, address + 50, b"A")
    slub.kmem_cache_free(cache, address)
    assert slub.dmesg == []


def test_debugged_caches_use_the_nodes_lists() -> None:
    slub, cache = debugged("FZ", size=1000)
    first = [slub.kmem_cache_alloc(cache) for _ in range(cache.geometry.objs_per_slab)]
    assert cache.cpus[0].slab is None
    assert len(cache.nodes[0].full) == 1
    slub.kmem_cache_free(cache, first[0])
    assert (len(cache.nodes[0].full), len(cache.nodes[0].partial)) == (0, 1)
    assert slub.kmem_cache_alloc(cache) == first[0]
    assert check(slub) == []


def test_a_link_overwritten_without_debugging_leads_astray() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 64, flags={"no_merge"})
    address = slub.kmem_cache_alloc(cache)
    slub.kmem_cache_free(cache, address)
    slub_bytes.write(slub, address, b"\xff" * 64)
    assert slub.kmem_cache_alloc(cache) == address
    with pytest.raises(KernelBug, match="general protection fault"):
        slub.kmem_cache_alloc(cache)


def test_a_forged_link_hands_out_what_it_names() -> None:
    slub = boot(CONFIG_SLAB_FREELIST_HARDENED="n")
    cache = slub.kmem_cache_create("things", 64, flags={"no_merge"})
    victim = slub.kmem_cache_alloc(cache)
    address = slub.kmem_cache_alloc(cache)
    slub.kmem_cache_free(cache, address)
    slub_bytes.write(slub, address + cache.layout.offset, victim.to_bytes(8, "little"))
    assert [slub.kmem_cache_alloc(cache) for _ in range(2)] == [address, victim]


def test_links_are_hardened_with_their_place() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 64, flags={"no_merge"})
    a, b = (slub.kmem_cache_alloc(cache) for _ in range(2))
    slub.kmem_cache_free(cache, a)
    slub.kmem_cache_free(cache, b)
    slab = slub.slabs[b >> 12]
    place = b + cache.layout.offset
    raw = int.from_bytes(slub_bytes.read(slub, place, 8), "little")
    swapped = int.from_bytes(place.to_bytes(8, "little"), "big")
    assert raw == a ^ cache.secret ^ swapped
    assert slub_bytes.stored_link(slub, slab, b) == a


def test_a_write_to_nowhere_faults() -> None:
    slub = boot()
    with pytest.raises(KernelBug, match="page fault"):
        slub_bytes.write(slub, 0x1000, b"x")
    address = slub.kmalloc(64)
    with pytest.raises(ValueError, match="beyond"):
        slub_bytes.write(slub, address, b"x" * 5000)


def test_o_keeps_the_order_low() -> None:
    plain = boot(cmdline="slub_debug=FZPUO").kmem_cache_create("page", 4096)
    assert (plain.layout.size, plain.flags) == (4096, {"sanity_checks"})
    small = boot(cmdline="slub_debug=FZPUO").kmem_cache_create("small", 64)
    assert "poison" in small.flags


def report(kernel: tuple[int, ...]) -> list[str]:
    """Write two bytes behind an object of 16 bytes and free it; addresses in the report begin at 0."""
    slub, cache = debugged("FZP", size=16, kernel=kernel)
    address = slub.kmem_cache_alloc(cache)
    base = slub.slabs[address >> 12].base
    slub_bytes.write(slub, address + 16, b"AB")
    slub.kmem_cache_free(cache, address)
    digits = re.compile(r"[0-9a-f]{16}")

    def near(found: re.Match[str]) -> str:
        at = int(found[0], 16) - address
        return f"<{at:+d}>" if abs(at) < 4096 else "<page>" if int(found[0], 16) == base else "<far>"

    return [digits.sub(near, line) for line in slub.dmesg if "fp=" not in line and "=" * 9 not in line]


HEAD = "-" * 77


def test_the_report_of_5_6() -> None:
    assert report((5, 6, 4)) == [
        "BUG things (Not tainted): Redzone overwritten", HEAD, "",
        "Disabling lock debugging due to kernel taint",
        report((5, 6, 4))[4], "",
        f"Redzone <-8>: {'cc ' * 8:<47}  ........",
        f"Object <+0>: {'6b ' * 15}a5  kkkkkkkkkkkkkkk.",
        f"Redzone <+16>: {'41 42 ' + 'cc ' * 6:<47}  AB......",
        f"Padding <+32>: {'5a ' * 8:<47}  ZZZZZZZZ",
        "FIX things: Restoring 0x<+16>-0x<+17>=0xcc",
        "FIX things: Object at 0x<+0> not freed",
    ]  # fmt: skip
    assert re.fullmatch(r"INFO: 0x<\+16>-0x<\+17> @offset=\d+\. First byte 0x41 instead of 0xcc", report((5, 6, 4))[4])


def test_the_report_of_6_1() -> None:
    lines = report((6, 1, 192))
    assert lines[0] == "BUG things (Not tainted): Right Redzone overwritten"
    assert lines[5:8] == [
        f"Redzone  <-8>: {'cc ' * 8:<47}  ........",
        f"Object   <+0>: {'6b ' * 15}a5  kkkkkkkkkkkkkkk.",
        f"Redzone  <+16>: {'41 42 ' + 'cc ' * 6:<47}  AB......",
    ]
    assert lines[-3:] == [
        "Disabling lock debugging due to kernel taint",
        "FIX things: Restoring Right Redzone 0x<+16>-0x<+17>=0xcc",
        "FIX things: Object at 0x<+0> not freed",
    ]


def test_the_report_of_6_18() -> None:
    lines = report((6, 18, 35))
    assert re.match(r"\[Right Redzone overwritten\] 0x<\+16>-0x<\+17> @offset=\d+\. First byte 0x41", lines[0])
    assert lines[1] == "BUG things (Not tainted): Object corrupt"
    assert lines[-5:] == [
        "Disabling lock debugging due to kernel taint",
        "------------[ cut here ]------------",
        "WARNING: CPU: 0 PID: 0 at mm/slub.c object_err",
        "FIX things: Restoring Right Redzone 0x<+16>-0x<+17>=0xcc",
        "FIX things: Object at 0x<+0> not freed",
    ]


@pytest.mark.parametrize(("kernel", "repaired"), [((6, 1, 192), 1), ((6, 18, 35), 2)])
def test_how_much_damage_is_found_at_once(kernel: tuple[int, ...], repaired: int) -> None:
    slub, cache = debugged("FZ", size=16, kernel=kernel)
    address = slub.kmem_cache_alloc(cache)
    slub_bytes.write(slub, address - 1, b"x")
    slub_bytes.write(slub, address + 16, b"x")
    slub.kmem_cache_free(cache, address)
    assert sum("Restoring" in line for line in slub.dmesg) == repaired
    assert sum(line.startswith("BUG") for line in slub.dmesg) == 1


@pytest.mark.parametrize(("kernel", "kept"), [((6, 1, 192), False), ((6, 18, 35), True)])
def test_whether_padding_keeps_an_object(kernel: tuple[int, ...], kept: bool) -> None:
    slub, _ = debugged("FP", size=64, kernel=kernel)
    cache = slub.kmem_cache_create("things", 64, align=64)
    address = slub.kmem_cache_alloc(cache)
    slub_bytes.write(slub, address + cache.layout.size - 1, b"\x00")
    slub.kmem_cache_free(cache, address)
    assert any("not freed" in line for line in slub.dmesg) == kept
    assert (address in slub.slabs[address >> 12].freelist) != kept


def test_a_link_behind_an_object_is_checked_while_it_is_in_use() -> None:
    slub, cache = debugged("FP", size=64)
    address = slub.kmem_cache_alloc(cache)
    assert cache.layout.offset == 64
    slub_bytes.write(slub, address + 64, b"\x01\x02\x03\x04")
    slub.kmem_cache_free(cache, address)
    assert title(slub).endswith("Freepointer corrupt")


@pytest.mark.parametrize(("kernel", "found"), [((6, 1, 192), False), ((6, 12, 117), True)])
def test_what_kmalloc_gives_beyond_the_request_is_a_red_zone(kernel: tuple[int, ...], found: bool) -> None:
    slub = boot(kernel, cmdline="slub_debug=FZU,kmalloc-64")
    slub.kfree(slub.kmalloc(50))
    assert slub.dmesg == []
    address = slub.kmalloc(50)
    slub_bytes.write(slub, address + 50, b"x")
    slub.kfree(address)
    assert any("kmalloc Redzone overwritten" in line for line in slub.dmesg) == found
    slub.dmesg.clear()
    again = slub.kmalloc(64)
    slub_bytes.write(slub, again + 50, b"x" * 14)
    slub.kfree(again)
    assert slub.dmesg == []


def test_where_a_slabs_struct_lies_and_what_its_page_is() -> None:
    slub, cache = debugged("FZ", size=1000)
    slub.vmemmap = 0xFFFFEA0000000000
    address = slub.kmem_cache_alloc(cache)
    slab = slub.slabs[address >> 12]
    slub.kmem_cache_free(cache, address)
    slub.kmem_cache_free(cache, address)
    (line,) = [line for line in slub.dmesg if line.startswith("Slab ")]
    assert line.startswith(f"Slab 0x{0xFFFFEA0000000000 + 64 * slab.pfn:016x} objects=")
    assert line.endswith(" flags=0x10200(slab|head)")


@pytest.mark.parametrize(
    ("kernel", "made", "left"),
    [
        ((5, 6, 4), "kmem_cache_create", "still has objects"),
        ((6, 1, 192), "kmem_cache_create_usercopy", "still has objects when called from 0x0"),
        ((6, 18, 35), "__kmem_cache_create_args", "still has objects when called from 0x0"),
    ],
)
def test_what_is_said_of_caches(kernel: tuple[int, ...], made: str, left: str) -> None:
    slub = boot(kernel)
    cache = slub.kmem_cache_create("things", 64, flags={"no_merge"})
    slub.kmem_cache_alloc(cache)
    before = save(slub)
    with pytest.raises(KernelBug, match=rf"kmem_cache_destroy things: Slab cache {left}(\nWARNING: .*)?$"):
        slub.kmem_cache_destroy(cache)
    with pytest.raises(KernelBug, match=rf"^{made}\(huge\) failed with error -22"):
        slub.kmem_cache_create("huge", 5 << 20)
    assert save(slub) == before
