"""What a kernel says of areas that can't be made, and of addresses at which there is none."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule
from .words import CUT_HERE


@dataclass(frozen=True, slots=True)
class VmallocWords:
    """The words; an empty text is a kernel that says nothing.

    Attributes
    ----------
    bad_address, no_area, nothing_mapped : str
        Of an address that is no page's to vfree, of one where no area begins, and of the latter to vunmap;
        ``{address}`` is filled in.
    nothing : str
        Of a request for no bytes.
    too_large, no_place, no_array, no_pages, not_mapped : str
        Of a request for more than there is, and of one without addresses, without a place for the array of its pages,
        without pages and without page tables; ``{size}`` is what was asked for, ``{got}`` what was there, ``{whole}``
        the area with its guard page, ``{order}`` that of its pages, ``{array}`` the array's bytes.
    tells_of_huge : bool
        Whether it is told that huge pages were not to be had, though small ones are tried then.
    highmem_in_mode : bool
        Whether the flags that are told are those that pages were asked for with.
    ioremap_ram, ioremap_ram_arm : str
        Of memory that is taken for a device's: on x86 ``{start}`` and ``{last}``, on the others ``{arch}``.
    nothing_remapped : str
        Of an address where no device is mapped, on x86.
    """

    bad_address: str
    no_area: str
    nothing_mapped: str
    nothing: str
    too_large: str
    no_place: str
    no_array: str
    no_pages: str
    not_mapped: str
    tells_of_huge: bool
    highmem_in_mode: bool
    ioremap_ram: str
    ioremap_ram_arm: str
    nothing_remapped: str


_CUT = f"{CUT_HERE}\n"
_BAD = "Trying to vfree() bad address ({address})"
_NO_AREA = "Trying to vfree() nonexistent vm area ({address})"
_NOT_MAPPED = "Trying to vunmap() nonexistent vm area ({address})"
_WARNING = "WARNING: CPU: 0 PID: 0 at "
_FAILED = "vmalloc: allocation failure: {size} bytes"
_SOME = "vmalloc: allocation failure, allocated {got} of {whole} bytes"
_VUNMAP = "mm/vmalloc.c __vunmap"
_RANGE = "mm/vmalloc.c __vmalloc_node_range"


def _rule(name: str, since: tuple[int, ...], value: str | bool, says: str, source: str) -> Rule:
    return Rule(name, since, value, says, source, ("source",))


TABLE: tuple[Rule, ...] = (
    _rule("bad_address", (2, 4), _BAD, "A line is all.", "mm/vmalloc.c vfree"),
    _rule("bad_address", (2, 6, 11), f"{_BAD}\nBadness in __vunmap at mm/vmalloc.c:360", "A line and a stack.",
          _VUNMAP),
    _rule("bad_address", (5, 6), f"{_CUT}{_BAD}\n{_WARNING}{_VUNMAP}", "A warning.", _VUNMAP),
    _rule("bad_address", (6, 3), f"{_CUT}{_BAD}\n{_WARNING}mm/vmalloc.c remove_vm_area", "It is looked for first.",
          "mm/vmalloc.c remove_vm_area"),
    _rule("no_area", (2, 4), _NO_AREA, "A line is all.", "mm/vmalloc.c vfree"),
    _rule("no_area", (2, 6, 11), f"{_NO_AREA}\nBadness in __vunmap at mm/vmalloc.c:368", "A line and a stack.",
          _VUNMAP),
    _rule("no_area", (5, 6), f"{_CUT}{_NO_AREA}\n{_WARNING}{_VUNMAP}", "A warning.", _VUNMAP),
    _rule("no_area", (6, 3), f"{_CUT}{_NO_AREA}\n{_WARNING}mm/vmalloc.c vfree", "vfree says it itself.",
          "mm/vmalloc.c vfree"),
    _rule("nothing_mapped", (2, 4), _NO_AREA, "vunmap is vfree.", "include/linux/vmalloc.h"),
    _rule("nothing_mapped", (2, 6, 11), f"{_NO_AREA}\nBadness in __vunmap at mm/vmalloc.c:368",
          "vunmap and vfree speak alike.", _VUNMAP),
    _rule("nothing_mapped", (5, 6), f"{_CUT}{_NO_AREA}\n{_WARNING}{_VUNMAP}", "vunmap and vfree speak alike.", _VUNMAP),
    _rule("nothing_mapped", (6, 3), f"{_CUT}{_NOT_MAPPED}\n{_WARNING}mm/vmalloc.c vunmap", "vunmap has its own words.",
          "mm/vmalloc.c vunmap"),
    _rule("nothing", (2, 4), "", "Nothing is no request.", "mm/vmalloc.c __vmalloc"),
    _rule("nothing", (5, 6), _FAILED, "Nothing is a request that fails.", _RANGE),
    _rule("nothing", (5, 13), f"{_CUT}{_WARNING}{_RANGE}", "Nothing is warned of once.", _RANGE),
    _rule("nothing", (6, 10), f"{_CUT}{_WARNING}{_RANGE}_noprof", "The function has another name.",
          "mm/vmalloc.c __vmalloc_node_range_noprof"),
    _rule("too_large", (2, 4), "", "NULL, and no word.", "mm/vmalloc.c __vmalloc"),
    _rule("too_large", (5, 6), _FAILED, "One text for all failures.", _RANGE),
    _rule("too_large", (5, 13), "vmalloc error: size {size}, exceeds total pages", "Each failure has its words.",
          _RANGE),
    _rule("no_place", (2, 4), "", "NULL, and no more than of the addresses.", "mm/vmalloc.c __vmalloc"),
    _rule("no_place", (5, 6), _FAILED, "One text for all failures.", _RANGE),
    _rule("no_place", (5, 13), "vmalloc error: size {size}, vm_struct allocation failed", "Each failure has its words.",
          _RANGE),
    _rule("no_array", (2, 4), "", "NULL, and no word.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("no_array", (5, 13), "vmalloc error: size {size}, failed to allocated page array size {array}",
          "Each failure has its words.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("no_pages", (2, 4), "", "NULL, and no word.", "mm/vmalloc.c __vmalloc"),
    _rule("no_pages", (5, 6), _SOME, "It is told how much there was.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("no_pages", (5, 13), "vmalloc error: size {got}, page order {order}, failed to allocate pages",
          "Each failure has its words.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("no_pages", (6, 4), "vmalloc error: size {got}, failed to allocate pages", "Only small pages are told of.",
          "mm/vmalloc.c __vmalloc_area_node"),
    _rule("not_mapped", (2, 4), "", "NULL, and no word.", "mm/vmalloc.c __vmalloc"),
    _rule("not_mapped", (5, 6), _SOME, "It is told how much there was.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("not_mapped", (5, 13), "vmalloc error: size {got}, failed to map pages", "Each failure has its words.",
          "mm/vmalloc.c __vmalloc_area_node"),
    _rule("tells_of_huge", (2, 4), True, "Every failure is told.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("tells_of_huge", (6, 4), False, "Small pages are tried next, so huge ones are nothing to tell of.",
          "mm/vmalloc.c __vmalloc_area_node"),
    _rule("highmem_in_mode", (2, 4), False, "The caller's flags are told.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("highmem_in_mode", (5, 13), True, "The pages' flags are told.", "mm/vmalloc.c __vmalloc_area_node"),
    _rule("ioremap_ram", (2, 4), "", "Memory that is in use is no device's: NULL, and no word.",
          "arch/i386/mm/ioremap.c __ioremap"),
    _rule("ioremap_ram", (5, 6),
          f"{_CUT}ioremap on RAM at {{start}} - {{last}}\n{_WARNING}arch/x86/mm/ioremap.c __ioremap_caller",
          "A warning tells which memory.", "arch/x86/mm/ioremap.c __ioremap_caller"),
    _rule("ioremap_ram_arm", (2, 4), "", "NULL, and no word.", "arch/arm/mm/ioremap.c __ioremap"),
    _rule("ioremap_ram_arm", (5, 6), f"{_CUT}{_WARNING}arch/{{arch}}/mm/ioremap.c __ioremap_caller", "A warning.",
          "arch/arm64/mm/ioremap.c __ioremap_caller"),
    _rule("ioremap_ram_arm", (6, 0), f"{_CUT}{_WARNING}arch/{{arch}}/mm/ioremap.c ioremap_allowed",
          "The architecture is asked first.", "arch/arm64/mm/ioremap.c ioremap_allowed"),
    _rule("ioremap_ram_arm", (6, 5), f"{_CUT}{_WARNING}arch/{{arch}}/mm/ioremap.c ioremap_prot",
          "The architecture does it.", "arch/arm64/mm/ioremap.c ioremap_prot"),
    _rule("ioremap_ram_arm", (6, 12), f"{_CUT}{_WARNING}arch/{{arch}}/mm/ioremap.c __ioremap_prot",
          "The architecture does it.", "arch/arm64/mm/ioremap.c __ioremap_prot"),
    _rule("nothing_remapped", (2, 4), _NO_AREA, "iounmap is vfree.", "arch/i386/mm/ioremap.c iounmap"),
    _rule("nothing_remapped", (2, 6, 11), "__iounmap: bad address {address}", "A line is all.",
          "arch/i386/mm/ioremap.c iounmap"),
    _rule("nothing_remapped", (5, 6), "iounmap: bad address {address}", "A line and a stack.",
          "arch/x86/mm/ioremap.c iounmap"),
)  # fmt: skip
