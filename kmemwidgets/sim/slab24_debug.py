"""CONFIG_DEBUG_SLAB of the older SLAB: red zones, poison and the last user (mm/slab.c).

An object lies between two words that say whether somebody has it, and a free one is filled with a pattern. Both are
looked at when it changes hands: 2.4 stops there, 2.6 reports and goes on. (2.4 with several cpus looks when objects
move between arrays and slabs, which comes later; here it looks at once.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import KernelBug
from .rules.slab import SlabRules
from .rules.slub import align_up

if TYPE_CHECKING:
    from .slab24 import Slab24
    from .slab24_cache import OldSlab, SlabCache24

#: What the words beside an object hold while it is free, and while somebody has it; the last byte of a pattern.
RED_FREE, RED_TAKEN, POISON_END = 0x5A2CF071, 0x170FC2A5, 0xA5
#: Bytes of a line, and lines of a report.
_LINE, _MOST_LINES, _NEIGHBOUR_LINES = 16, 5, 2


@dataclass(frozen=True, slots=True)
class Guard:
    """What a debugged cache has around its objects. Bytes.

    Attributes
    ----------
    length : int
        Of the object that its owner sees.
    head : int
        What lies before it.
    extra : int
        What it costs in all.
    red_zone, user, poison : bool
        Whether there are words on both sides, a word for the last user behind them, and a pattern while it is free.
    """

    length: int = 0
    head: int = 0
    extra: int = 0
    red_zone: bool = False
    user: bool = False
    poison: bool = False

    @property
    def active(self) -> bool:
        """Whether there is anything to look at."""
        return self.red_zone or self.user or self.poison


def guard_of(rules: SlabRules, size: int, align: int, flags: frozenset[str], *, ctor: bool, word: int) -> Guard:
    """Decide how a cache is debugged (kmem_cache_create with FORCED_DEBUG).

    Parameters
    ----------
    rules : SlabRules
    size, align : int
        As its maker says them.
    flags : frozenset of str
    ctor : bool
    word : int
    """
    length = align_up(size, word)
    red_zone = rules.red_zoned(size, word, "must_hwcache_align" in flags)
    if not rules.align_is_offset and align > word:
        red_zone = False
    user = red_zone and rules.stores_user
    poison = "destroy_by_rcu" not in flags and not (ctor and rules.damage_stops)
    extra = (2 * word if red_zone else 0) + (word if user else 0)
    return Guard(length, word if red_zone else 0, extra, red_zone, user, poison)


def fill(slab24: Slab24, slab: OldSlab) -> None:
    """Write what lies in and around the objects of a new slab (cache_init_objs)."""
    slab.data = bytearray(slab24.machine.page_size << slab.cache.geometry.order)
    for number in range(slab.cache.geometry.num):
        _write(slab24, slab, slab.address_of(number), RED_FREE, slab24.rules.free_poison)


def take(slab24: Slab24, slab: OldSlab, slot: int, function: str) -> None:
    """Look at an object that somebody gets, and mark it as taken (cache_alloc_debugcheck_after).

    Raises
    ------
    KernelBug
        Where this kernel stops at damage; nothing has changed then.
    """
    poisoned = _poison_wrong(slab24, slab, slot)
    zones = _zones_wrong(slab24, slab, slot, RED_FREE)
    if slab24.rules.damage_stops:
        if poisoned or zones:
            raise KernelBug("kernel BUG at slab.c!")
    else:
        if poisoned:
            _report_poison(slab24, slab, slot, poisoned)
        if zones:
            _report_zones(slab24, slab, slot, "cache_alloc_debugcheck_after")
    _write(slab24, slab, slot, RED_TAKEN, slab24.rules.taken_poison)
    slab24.users[slot] = function


def give_back(slab24: Slab24, slab: OldSlab, slot: int, function: str) -> None:
    """Look at an object that comes back, and mark it as free (cache_free_debugcheck).

    Raises
    ------
    KernelBug
        Where this kernel stops at damage; nothing has changed then.
    """
    if _zones_wrong(slab24, slab, slot, RED_TAKEN):
        if slab24.rules.damage_stops:
            raise KernelBug("kernel BUG at slab.c!")
        _report_zones(slab24, slab, slot, "cache_free_debugcheck")
    _write(slab24, slab, slot, RED_FREE, slab24.rules.free_poison)
    slab24.users[slot] = function


def check_slab(slab24: Slab24, slab: OldSlab) -> None:
    """Look at all objects of a slab that goes (slab_destroy)."""
    cache = slab.cache
    for number in range(cache.geometry.num):
        slot = slab.address_of(number)
        wrong = _poison_wrong(slab24, slab, slot)
        if wrong:
            _report_poison(slab24, slab, slot, wrong)
        if cache.guard.red_zone:
            for side, found in zip(("start", "end"), _zones(slab24, slab, slot), strict=True):
                if found != RED_FREE:
                    _slab_error(slab24, cache, "slab_destroy", f"{side} of a freed object was overwritten")
        slab24.users.pop(slot, None)


# --- bytes --------------------------------------------------------------------------------------


def _write(slab24: Slab24, slab: OldSlab, slot: int, red: int, poison: int | None) -> None:
    guard, data = slab.cache.guard, slab.data
    assert data is not None
    at = slot - slab.base + guard.head
    if guard.poison and poison is not None:
        data[at : at + guard.length] = bytes([poison]) * (guard.length - 1) + bytes([POISON_END])
    if guard.red_zone:
        word = slab24.machine.word
        for place in _zone_places(slab24, slab, slot):
            data[place : place + word] = red.to_bytes(word, "little")


def _zone_places(slab24: Slab24, slab: OldSlab, slot: int) -> tuple[int, int]:
    """Return where the two words are in the slab's bytes: in front, and at the end but for the user's word."""
    word, guard = slab24.machine.word, slab.cache.guard
    at = slot - slab.base
    return at, at + slab.cache.geometry.size - (2 * word if guard.user else word)


def _zones(slab24: Slab24, slab: OldSlab, slot: int) -> tuple[int, int]:
    assert slab.data is not None
    word, data = slab24.machine.word, slab.data
    first, second = (int.from_bytes(data[at : at + word], "little") for at in _zone_places(slab24, slab, slot))
    return first, second


def _zones_wrong(slab24: Slab24, slab: OldSlab, slot: int, expected: int) -> bool:
    return slab.cache.guard.red_zone and _zones(slab24, slab, slot) != (expected, expected)


def _object(slab: OldSlab, slot: int) -> bytes:
    assert slab.data is not None
    at = slot - slab.base + slab.cache.guard.head
    return bytes(slab.data[at : at + slab.cache.guard.length])


def _poison_wrong(slab24: Slab24, slab: OldSlab, slot: int) -> list[int]:
    """Return the places in a free object that don't hold the pattern."""
    if not slab.cache.guard.poison:
        return []
    data = _object(slab, slot)
    if slab24.rules.damage_stops:
        # kmem_check_poison_obj looks for the pattern's last byte only.
        return [] if data.find(POISON_END) == len(data) - 1 else [len(data) - 1]
    pattern = bytes([slab24.rules.free_poison]) * (len(data) - 1) + bytes([POISON_END])
    return [at for at, (found, wanted) in enumerate(zip(data, pattern, strict=True)) if found != wanted]


# --- reports ------------------------------------------------------------------------------------


def _slab_error(slab24: Slab24, cache: SlabCache24, function: str, words: str) -> None:
    slab24.dmesg.append(f"slab error in {function}(): cache `{cache.name}': {words}")


def _report_zones(slab24: Slab24, slab: OldSlab, slot: int, function: str) -> None:
    first, second = _zones(slab24, slab, slot)
    _slab_error(slab24, slab.cache, function, "double free, or memory outside object was overwritten")
    slab24.dmesg.append(f"{slot:08x}: redzone 1: {first:#x}, redzone 2: {second:#x}.")


def _report_poison(slab24: Slab24, slab: OldSlab, slot: int, wrong: list[int]) -> None:
    """Show the lines of an object that was written to while it was free, and its neighbours (check_poison_obj)."""
    guard, size = slab.cache.guard, slab.cache.geometry.size
    data = _object(slab, slot)
    slab24.dmesg.append(f"Slab corruption: start={slot + guard.head:08x}, len={guard.length}")
    _show(slab24, slab, slot, 0)
    lines = sorted({at // _LINE * _LINE for at in wrong})
    slab24.dmesg += [_dump(data, at) for at in lines[: _MOST_LINES + 1]]
    number = slab.index_of(slot)
    for name, other in (("Prev", number - 1), ("Next", number + 1)):
        if 0 <= other < slab.cache.geometry.num:
            beside = slot + (other - number) * size
            slab24.dmesg.append(f"{name} obj: start={beside + guard.head:08x}, len={guard.length}")
            _show(slab24, slab, beside, _NEIGHBOUR_LINES)


def _show(slab24: Slab24, slab: OldSlab, slot: int, lines: int) -> None:
    """Show an object's red zones, last user and first bytes (print_objinfo)."""
    guard = slab.cache.guard
    if guard.red_zone:
        first, second = _zones(slab24, slab, slot)
        slab24.dmesg.append(f"Redzone: {first:#x}/{second:#x}.")
    if guard.user:
        # The kernel keeps a return address here, and looks its name up.
        slab24.dmesg.append(f"Last user: [<{0:08x}>]({slab24.users.get(slot, '0x0')})")
    data = _object(slab, slot)
    slab24.dmesg += [_dump(data, at) for at in range(0, len(data), _LINE)[:lines]]


def _dump(data: bytes, at: int) -> str:
    return f"{at:03x}:" + "".join(f" {byte:02x}" for byte in data[at : at + _LINE])
