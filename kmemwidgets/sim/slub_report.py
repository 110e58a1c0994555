"""What slub_debug prints: the kernel's report of damage, line by line (mm/slub.c).

Of what follows a report in the kernel the registers and the call trace are left out: nobody calls here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .page_flags import FlagsLayout, flags_text, flags_word
from .rules import pick
from .rules.page_flags import TABLE as FLAGS_TABLE
from .rules.page_flags import PageFlagRules
from .rules.slub_words import TABLE, SlubWords
from .rules.words import warning
from .slab_cache import NODE_PARTIAL, KmemCache, Slab
from .slub_bytes import bytes_of, chain_of, stored_link

if TYPE_CHECKING:
    from .slub import Slub

_RULE = "=" * 77
_LINE = "-" * 77
#: Bytes of an object that are shown before it where it has no red zone.
_BEFORE = 16


def end_of_metadata(slub: Slub, cache: KmemCache) -> int:
    """Return where the bytes behind an object that mean something end, from the object on."""
    layout = cache.layout
    end = layout.offset + slub.tunables.word if layout.offset >= layout.inuse else layout.inuse
    if layout.track is not None:
        end = layout.track + 2 * slub.rules.track_size(slub.tunables.word)
    if layout.request_size is not None:
        end = layout.request_size + slub.rules.request_size_field
    return end


def slab_bug(slub: Slub, cache: KmemCache, text: str) -> None:
    """Begin a report."""
    # G: all modules are free software; B stands sixth, for a bad page.
    tainted = f"Tainted: G    B{' ' * (slub.rules.taint_letters - 6)}" if slub.tainted else "Not tainted"
    for line in (_RULE, f"BUG {cache.name} ({tainted}): {text}", _LINE, ""):
        slub.warn(line)
    if slub.rules.taints_first:
        add_taint(slub)


def add_taint(slub: Slub) -> None:
    """Note that memory is bad; from the first time on locks are not checked any more (kernel/panic.c)."""
    if not slub.tainted:
        slub.warn("Disabling lock debugging due to kernel taint")
    slub.tainted = True


def _finish(slub: Slub, where: str) -> None:
    """End a report: what is bad is noted, and newer kernels warn."""
    if not slub.rules.taints_first:
        add_taint(slub)
    if slub.rules.warns_of_damage:
        for line in warning("mm/slub.c", where).splitlines():
            slub.warn(line)


def slab_fix(slub: Slub, cache: KmemCache, text: str) -> None:
    """Tell what was done about it."""
    slub.warn(f"FIX {cache.name}: {text}")


def object_err(slub: Slub, slab: Slab, address: int, reason: str) -> None:
    """Report one object."""
    slab_bug(slub, slab.cache, reason)
    _print_trailer(slub, slab, address)
    _finish(slub, "object_err")


def slab_err(slub: Slub, slab: Slab, reason: str) -> None:
    """Report a slab."""
    slab_bug(slub, slab.cache, reason)
    _print_slab(slub, slab)
    _finish(slub, "__slab_err")


def bytes_err(slub: Slub, slab: Slab, address: int, what: str, wrong: range, value: int, *, again: bool) -> None:
    """Report bytes that were overwritten (check_bytes_and_report).

    Parameters
    ----------
    slub, slab, address
        Of the object.
    what : str
        Which bytes.
    wrong : range
        Addresses from the first to the last wrong one.
    value : int
        What all of them should be.
    again : bool
        Whether something else of this object was reported just before.
    """
    data = slab.data
    assert data is not None
    place = f"0x{wrong[0]:016x}-0x{wrong[-1]:016x} @offset={wrong[0] - slab.base}."
    place += f" First byte 0x{data[wrong[0] - slab.base]:x} instead of 0x{value:x}"
    if slub.rules.warns_of_damage:
        slub.warn(f"[{what} overwritten] {place}")
        if not again:
            object_err(slub, slab, address, "Object corrupt")
    else:
        slab_bug(slub, slab.cache, f"{what} overwritten")
        slub.warn(f"{slub.rules.report_prefix}{place}")
        _print_trailer(slub, slab, address)
        _finish(slub, "check_bytes_and_report")
    said = f"{what} " if slub.rules.fix_says_what else ""
    slab_fix(slub, slab.cache, f"Restoring {said}0x{wrong[0]:016x}-0x{wrong[-1]:016x}=0x{value:x}")


def lines_of(slub: Slub, write: Callable[[], None]) -> list[str]:
    """Return what a report writes, without having written it."""
    kept = slub.dmesg, slub.tainted
    slub.dmesg = []
    try:
        write()
        return slub.dmesg
    finally:
        slub.dmesg, slub.tainted = kept


def remaining(slub: Slub, cache: KmemCache, words: SlubWords) -> None:
    """Report the slabs that keep a cache from going, but full ones, which no list has (list_slab_objects)."""
    for slab, held in _partly_held(slub, cache):
        slab_bug(slub, cache, words.remaining.format(name=cache.name))
        if not words.remaining_first:
            _print_slab(slub, slab, held)
            _finish(slub, "slab_err")
        for address in held:
            slub.warn(f"{slub.rules.report_prefix}Object 0x{address:016x} @offset={address - slab.base}")
            print_tracking(slub, slab, address)
        if words.remaining_first:
            _print_slab(slub, slab, held)
            _finish(slub, "__slab_err")


def _partly_held(slub: Slub, cache: KmemCache) -> Iterator[tuple[Slab, list[int]]]:
    """Return the slabs that would be on a node's partial list once all cpus gave theirs up, with what somebody has."""
    resting = {each for c in cache.cpus for each in (*c.sheaf, *(c.spare or ()), *(c.rcu_free or ()))}
    resting |= {each for node in cache.nodes.values() for sheaf in node.full_sheaves for each in sheaf}
    for page, slab in slub.slabs.items():
        if slab.cache is not cache or slab.base >> slub.page_shift != page:
            continue
        free = {*chain_of(slab), *slab.freelist} | resting
        held = [address for address in slab.object_addresses() if address not in free]
        if held and len(held) < slab.objects:
            yield slab, held


def _print_slab(slub: Slub, slab: Slab, held: list[int] | None = None) -> None:
    """Print a slab (print_slab_info); `held` are the objects in use, where its own count is not up to date."""
    used = slab.inuse if held is None else len(held)
    free = [*slab.freelist, *chain_of(slab)]
    head = free[-1] if free else 0
    listed = held is not None or slab.place == NODE_PARTIAL
    page = slub.vmemmap + slab.pfn * slub.page_bytes if slub.vmemmap else slab.base
    slub.warn(
        f"{slub.rules.report_prefix}Slab 0x{page:016x} objects={slab.objects} used={used}"
        f" fp=0x{head:016x} flags={_page_flags(slub, slab, listed=listed)}"
    )


def _page_flags(slub: Slub, slab: Slab, *, listed: bool) -> str:
    """Write a slab's page flags, with what stands above them: node, zone and last cpu."""
    known = pick(PageFlagRules, FLAGS_TABLE, slub.version).names
    marked = listed and pick(SlubWords, TABLE, slub.version).marks_partial
    having = {"workingset": marked, "slab": True, "head": slab.order > 0}
    have = [name for name, has in having.items() if has and name in known]
    memmap = getattr(slub.page_alloc, "memmap", None)
    zone_of = getattr(slub.page_alloc, "zone_of", None)
    layout = memmap.bugs.layout if memmap is not None else FlagsLayout(zone=0)
    zone = zone_of(slab.pfn).zone.index if zone_of is not None else 0
    word = flags_word(layout, have, slab.nid, zone, slub.version)
    if not slub.rules.flags_by_name:
        return f"0x{word:04x}"
    return f"0x{word:x}({flags_text(layout, have, slab.nid, zone, slub.version)})"


def print_tracking(slub: Slub, slab: Slab, address: int) -> None:
    """Print who took an object and who gave it back (print_tracking); a stack is as deep as who called is known."""
    if "store_user" not in slab.cache.flags:
        return
    words = pick(SlubWords, TABLE, slub.version)
    for word, track in zip(("Allocated", "Freed"), slub.tracks.get(address, (None, None)), strict=True):
        if track is not None:
            age = slub.requests - track[1]
            slub.warn(f"{slub.rules.report_prefix}{word} in {track[0]} age={age} cpu={track[2]} pid={track[3]}")
            slub.warn(f"{words.stack_line}{track[0]}")


def _print_trailer(slub: Slub, slab: Slab, address: int) -> None:
    """Print who had the object, and its bytes (print_trailer)."""
    cache, layout = slab.cache, slab.cache.layout
    print_tracking(slub, slab, address)
    _print_slab(slub, slab)
    slub.warn(
        f"{slub.rules.report_prefix}Object 0x{address:016x} @offset={address - slab.base}"
        f" fp=0x{stored_link(slub, slab, address):016x}"
    )
    slub.warn("")
    red_zone = "red_zone" in cache.flags
    if red_zone:
        _print_section(slub, slab, "Redzone", address - layout.red_left_pad, layout.red_left_pad)
    elif address > slab.base + _BEFORE:
        _print_section(slub, slab, "Bytes b4", address - _BEFORE, _BEFORE)
    _print_section(slub, slab, "Object", address, min(layout.object_size, slub.tunables.page_size))
    if red_zone:
        _print_section(slub, slab, "Redzone", address + layout.object_size, layout.inuse - layout.object_size)
    padding = address + end_of_metadata(slub, cache)
    _print_section(slub, slab, "Padding", padding, address - layout.red_left_pad + layout.size - padding)


def _print_section(slub: Slub, slab: Slab, label: str, start: int, length: int) -> None:
    """Print bytes in rows of 16 with their characters beside them (print_hex_dump)."""
    data = bytes_of(slub, slab)
    head = f"{label:<9}" if slub.rules.sections_aligned else f"{label} "
    for offset in range(0, length, 16):
        at = start - slab.base + offset
        row = data[at : at + min(16, length - offset)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        slub.warn(f"{head}{start + offset:016x}: {' '.join(f'{byte:02x}' for byte in row):<47}  {text}")
