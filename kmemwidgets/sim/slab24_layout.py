"""How the SLAB of 2.4 and 2.6.11 cuts pages into objects (mm/slab.c, kmem_cache_create)."""

from __future__ import annotations

from dataclasses import dataclass

from .rules.slab import GOOD_WASTE, MAX_GFP_ORDER, SlabRules
from .rules.slub import align_up
from .slab24_debug import Guard


@dataclass(frozen=True, slots=True)
class SlabGeometry:
    """How a cache's slabs are cut. Bytes.

    Attributes
    ----------
    size, align : int
    order, num : int
        Of a slab, and its objects.
    off_slab : bool
        Whether the descriptor lies outside, as it does for objects of an eighth of a page and more.
    slab_size : int
        The descriptor with its array.
    left_over, colours, colour_off : int
        What is unused, and by how many steps of how many bytes the objects may be shifted in it.
    """

    size: int
    align: int
    order: int
    num: int
    off_slab: bool
    slab_size: int
    left_over: int
    colours: int
    colour_off: int


@dataclass(frozen=True, slots=True)
class SlabTunables:
    """What the machine says about all caches. Bytes.

    Attributes
    ----------
    word, page_size, cache_line : int
    large_machine : bool
        More than 32 MiB.
    smp : bool
        A kernel for several cpus.
    """

    word: int = 4
    page_size: int = 4096
    cache_line: int = 32
    large_machine: bool = True
    smp: bool = False


def slab_geometry(
    rules: SlabRules,
    size: int,
    align: int = 0,
    flags: frozenset[str] = frozenset(),
    *,
    machine: SlabTunables | None = None,
    most_off_slab: int = 0,
    guard: Guard | None = None,
) -> SlabGeometry:
    """Cut slabs for objects of a size (kmem_cache_create, kmem_cache_estimate).

    Parameters
    ----------
    rules : SlabRules
    size, align : int
        Bytes, as the maker of the cache says them; what `align` means is a rule.
    flags : frozenset of str
        "hwcache_align", "reclaim_account" ...
    machine : SlabTunables or None
    most_off_slab : int
        Objects that a slab may have whose descriptor lies outside; 0: any number.
    guard : Guard or None
        What a debugged cache has around its objects.

    Raises
    ------
    ValueError
        Where no slab holds an object.
    """
    m = machine or SlabTunables()
    size = align_up(size, m.word) + (guard.extra if guard else 0)
    off_slab = size >= m.page_size >> 3
    offset, wanted = (align, m.word) if rules.align_is_offset else (0, max(align, m.word))
    unit = max(_line_part(rules, size, m.cache_line) if "hwcache_align" in flags else m.word, wanted)
    if guard and guard.red_zone:
        unit = m.word
    size = align_up(size, unit)
    edge = m.cache_line if rules.line_aligned else unit

    def estimate(order: int) -> tuple[int, int]:
        """Return the objects of a slab and what is left over."""
        total = m.page_size << order
        base, each = (0, 0) if off_slab else (rules.descriptor(m.word), rules.link)
        num = 0
        while (num + 1) * size + align_up(base + (num + 1) * each, edge) <= total:
            num += 1
        return num, total - num * size - align_up(base + num * each, edge)

    order = 0
    enough = rules.enough_order(m.large_machine)
    if "reclaim_account" in flags and size <= m.page_size:
        # Their slabs are wanted back by those who are short of pages: never more than one.
        enough = 0
    while True:
        num, left = estimate(order)
        if order >= MAX_GFP_ORDER:
            break
        if num and off_slab and 0 < most_off_slab < num:
            order -= 1
            num, left = estimate(order)
            break
        if num and (order >= enough or left * GOOD_WASTE <= m.page_size << order):
            break
        order += 1
    if not num:
        raise ValueError(f"no slab holds objects of {size} bytes")
    slab_size = align_up(num * rules.link + rules.descriptor(m.word), edge)
    if off_slab and left >= slab_size:
        off_slab = False
        left -= slab_size
    if off_slab and not rules.line_aligned:
        slab_size = num * rules.link + rules.descriptor(m.word)
    colour_off = (align_up(offset, unit) or m.cache_line) if rules.align_is_offset else max(m.cache_line, unit)
    return SlabGeometry(size, unit, order, num, off_slab, slab_size, left, left // colour_off, colour_off)


def _line_part(rules: SlabRules, size: int, line: int) -> int:
    """Return a cache line, or the part of it that a small object fills."""
    while size < line // 2 or (size == line // 2 and rules.half_line):
        line //= 2
    return line
