"""slub_debug: the bytes around objects, and the kernel's report when they are wrong (mm/slub.c).

A cache that is debugged keeps no slab per cpu: every request goes to the node's lists and is
checked. Each of its slabs has its bytes, so that a write past an object is found as it is in
the kernel, at the next request for that object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import KernelBug
from .slab_cache import FULL, KmemCache, Slab

if TYPE_CHECKING:
    from .slub import Slub

#: include/linux/poison.h.
RED_INACTIVE, RED_ACTIVE = 0xBB, 0xCC
POISON_INUSE, POISON_FREE, POISON_END = 0x5A, 0x6B, 0xA5

#: How print_tainted() tells of a bad page: a letter or a blank for each of 19 reasons.
TAINTED = f"Tainted: G    B{' ' * 13}"

_RULE = "=" * 77
_LINE = "-" * 77


def _link_bytes(slub: Slub, cache: KmemCache, at: int, target: int) -> bytes:
    """Write a link to the next free object as it is stored (freelist_ptr)."""
    word = slub.tunables.word
    if cache.secret:
        place = at + cache.layout.offset
        if slub.rules.swab_pointer:
            place = int.from_bytes(place.to_bytes(word, "little"), "big")
        target ^= cache.secret ^ place
    return (target & (1 << 8 * word) - 1).to_bytes(word, "little")


def stored_link(slub: Slub, slab: Slab, address: int) -> int:
    """Read the link in a free object back from its bytes."""
    word = slub.tunables.word
    at = address - slab.base + slab.cache.layout.offset
    raw = int.from_bytes(bytes_of(slub, slab)[at : at + word], "little")
    plain = int.from_bytes(_link_bytes(slub, slab.cache, address, 0), "little")
    return raw ^ plain if slab.cache.secret else raw


def chain_of(slab: Slab) -> list[int]:
    """Return the list that a slab's free objects are linked in: the cpu's, if it is a cpu's slab."""
    if slab.cpu >= 0 and slab.cache.cpus[slab.cpu].slab is slab:
        return slab.cache.cpus[slab.cpu].freelist
    return slab.freelist


def bytes_of(slub: Slub, slab: Slab) -> bytearray:
    """Return a slab's bytes; for one that nobody looked into so far, what must be in it."""
    if slab.data is None:
        data = bytearray(slub.tunables.page_size << slab.order)
        for chain in {id(chain): chain for chain in (slab.freelist, chain_of(slab))}.values():
            for below, address in zip([0, *chain], chain, strict=False):
                at = address - slab.base + slab.cache.layout.offset
                data[at : at + slub.tunables.word] = _link_bytes(slub, slab.cache, address, below)
        return data
    return slab.data


def watch(slub: Slub, slab: Slab) -> bytearray:
    """Keep a slab's bytes from now on; its cache's requests then go the slow way."""
    if slab.data is None:
        slab.data = bytes_of(slub, slab)
        slab.cache.plain = False
    return slab.data


def slab_at(slub: Slub, address: int) -> Slab:
    """Return the slab that an address lies in.

    Raises
    ------
    KernelBug
        Where it lies in none: the access faults.
    """
    slab = slub.slabs.get(address >> slub.page_shift)
    if slab is None:
        raise KernelBug(f"BUG: unable to handle page fault for address: {address:016x}")
    return slab


def write(slub: Slub, address: int, data: bytes) -> None:
    """Write through a pointer, as code that is right or wrong would. Nothing is checked, as in the kernel."""
    slab = slab_at(slub, address)
    at = address - slab.base
    if at + len(data) > slub.tunables.page_size << slab.order:
        raise ValueError(f"{len(data)} bytes at {address:#x} reach beyond the slab at {slab.base:#x}")
    watch(slub, slab)[at : at + len(data)] = data


def read(slub: Slub, address: int, length: int) -> bytes:
    """Read through a pointer."""
    slab = slab_at(slub, address)
    at = address - slab.base
    return bytes(bytes_of(slub, slab)[at : at + length])


# --- caches without debugging, whose bytes somebody looked at -----------------------------------


def note_alloc(slub: Slub, cache: KmemCache, address: int) -> None:
    """Follow the link that is really there: an overwritten one leads astray, as it does in the kernel."""
    slab = slub.slabs.get(address >> slub.page_shift)
    if slab is None or slab.index_of(address) < 0:
        raise KernelBug(f"general protection fault, probably for non-canonical address {address:#x}: 0000 [#1] SMP")
    if slab.data is None or cache.sheaf_capacity:
        return
    chain = chain_of(slab)
    link = stored_link(slub, slab, address)
    if link != (chain[-1] if chain else 0):
        chain[:] = [link] if link else []


def note_free(slub: Slub, slab: Slab, address: int) -> None:
    """Write the link of an object that becomes free."""
    if slab.data is not None:
        chain = chain_of(slab)
        at = address - slab.base + slab.cache.layout.offset
        slab.data[at : at + slub.tunables.word] = _link_bytes(slub, slab.cache, address, chain[-1] if chain else 0)


# --- debugged caches ----------------------------------------------------------------------------


def setup_slab(slub: Slub, slab: Slab) -> None:
    """Fill a new slab of a debugged cache (setup_slab_debug, setup_object_debug)."""
    size = slub.tunables.page_size << slab.order
    slab.data = bytearray([POISON_INUSE]) * size if "poison" in slab.cache.flags else bytearray(size)
    for below, address in zip([0, *slab.freelist], slab.freelist, strict=False):
        _init_object(slab, address, RED_INACTIVE)
        _set_link(slub, slab, address, below)


def _set_link(slub: Slub, slab: Slab, address: int, target: int) -> None:
    at = address - slab.base + slab.cache.layout.offset
    assert slab.data is not None
    slab.data[at : at + slub.tunables.word] = _link_bytes(slub, slab.cache, address, target)


def _poisons(cache: KmemCache) -> bool:
    """__OBJECT_POISON: objects themselves are poisoned unless they must survive being freed."""
    return "poison" in cache.flags and "destroy_by_rcu" not in cache.flags and not cache.ctor


def _init_object(slab: Slab, address: int, red: int) -> None:
    """Write red zones and poison of an object that changes hands (init_object)."""
    cache = slab.cache
    layout = cache.layout
    data = slab.data
    assert data is not None
    at = address - slab.base
    if "red_zone" in cache.flags:
        data[at - layout.red_left_pad : at] = bytes([red]) * layout.red_left_pad
        data[at + layout.object_size : at + layout.inuse] = bytes([red]) * (layout.inuse - layout.object_size)
    if _poisons(cache):
        data[at : at + layout.object_size] = bytes([POISON_FREE]) * (layout.object_size - 1) + bytes([POISON_END])


def alloc(slub: Slub, cache: KmemCache, gfp: int, cpu: int, nid: int, asked: int) -> int:
    """Take an object of a debugged cache (alloc_single_from_partial, alloc_single_from_new_slab)."""
    home = nid if nid in cache.nodes else slub.cpu_node[cpu]
    order = [home, *(other for other in cache.nodes if other != home)]
    for wanted in order:
        for slab in list(cache.nodes[wanted].partial.values()):
            address = _take(slub, slab)
            if address:
                note_request(slub, slab, address, asked, cpu)
                return address
    fresh = slub.new_slab(cache, gfp, cpu, nid)
    if fresh is None:
        return 0
    slub.add_partial(cache.nodes[fresh.nid], fresh, tail=False)
    address = _take(slub, fresh)
    note_request(slub, fresh, address, asked, cpu)
    return address


def _take(slub: Slub, slab: Slab) -> int:
    """Take a slab's first free object after checking it; a bad slab is put out of use."""
    cache = slab.cache
    node = cache.nodes[slab.nid]
    address = slab.freelist.pop()
    slab.inuse += 1
    if "sanity_checks" in cache.flags and not check_object(slub, slab, address, RED_INACTIVE):
        slab_fix(slub, cache, "Marking all objects used")
        slab.inuse, slab.freelist = slab.objects, []
        del node.partial[slab.pfn]
        slab.place = FULL
        node.full[slab.pfn] = slab
        return 0
    _init_object(slab, address, RED_ACTIVE)
    if not slab.freelist:
        del node.partial[slab.pfn]
        slab.place = FULL
        node.full[slab.pfn] = slab
    return address


def free(slub: Slub, cache: KmemCache, slab: Slab, address: int, cpu: int) -> None:
    """Give back an object of a debugged cache (free_debug_processing). A bad one is reported and kept."""
    if "sanity_checks" in cache.flags and not _may_be_freed(slub, slab, address):
        slab_fix(slub, cache, f"Object at 0x{address:016x} not freed")
        return
    if slab.index_of(address) < 0:
        raise ValueError(f"{address:#x} is no object of {cache.name}; the kernel notices that only with slub_debug=F")
    note_release(slub, address, cpu)
    _init_object(slab, address, RED_INACTIVE)
    _set_link(slub, slab, address, slab.freelist[-1] if slab.freelist else 0)
    was_full = not slab.freelist
    slab.freelist.append(address)
    slab.inuse -= 1
    node = cache.nodes[slab.nid]
    spare = slab.inuse == 0 and len(node.partial) >= cache.geometry.min_partial
    if was_full:
        node.full.pop(slab.pfn, None)
        if not spare:
            slub.add_partial(node, slab, tail=True)
    elif spare:
        del node.partial[slab.pfn]
    if spare:
        slub.discard_slab(slab, cpu)


def _may_be_freed(slub: Slub, slab: Slab, address: int) -> bool:
    """free_consistency_checks."""
    if slab.index_of(address) < 0:
        slab_err(slub, slab, f"Invalid object pointer 0x{address:016x}")
        return False
    if address in slab.freelist:
        object_err(slub, slab, address, "Object already free")
        return False
    return check_object(slub, slab, address, RED_ACTIVE)


def check_object(slub: Slub, slab: Slab, address: int, red: int) -> bool:
    """Check the bytes of an object and around it; the first damage is reported and repaired (check_object)."""
    cache = slab.cache
    layout = cache.layout
    end = address + layout.object_size
    gap = layout.inuse - layout.object_size
    if "red_zone" in cache.flags:
        left = address - layout.red_left_pad
        if not _check_bytes(slub, slab, address, _red_zone_name(slub, "Left"), left, red, layout.red_left_pad):
            return False
        if not _check_bytes(slub, slab, address, _red_zone_name(slub, "Right"), end, red, gap):
            return False
    elif "poison" in cache.flags and not _check_bytes(slub, slab, address, "Alignment padding", end, POISON_INUSE, gap):
        return False
    if "poison" in cache.flags:
        if red == RED_INACTIVE and _poisons(cache):
            if not _check_bytes(slub, slab, address, "Poison", address, POISON_FREE, layout.object_size - 1):
                return False
            if not _check_bytes(slub, slab, address, "End Poison", end - 1, POISON_END, 1):
                return False
        padding = address + _end_of_metadata(slub, cache)
        rest = address - layout.red_left_pad + layout.size - padding
        if not _check_bytes(slub, slab, address, "Object padding", padding, POISON_INUSE, rest):
            return False
    if red == RED_ACTIVE:
        return True
    link = stored_link(slub, slab, address)
    if link and slab.index_of(link) < 0:
        object_err(slub, slab, address, "Freepointer corrupt")
        _set_link(slub, slab, address, 0)
        return False
    return True


def _red_zone_name(slub: Slub, side: str) -> str:
    return f"{side} Redzone" if slub.rules.red_zone_sides else "Redzone"


def _end_of_metadata(slub: Slub, cache: KmemCache) -> int:
    """Return where the bytes behind an object that mean something end, from the object on."""
    layout = cache.layout
    end = layout.offset + slub.tunables.word if layout.offset >= layout.inuse else layout.inuse
    if layout.track is not None:
        end = layout.track + 2 * slub.rules.track_size(slub.tunables.word)
    if layout.request_size is not None:
        end = layout.request_size + slub.rules.request_size_field
    return end


def _check_bytes(slub: Slub, slab: Slab, address: int, what: str, start: int, value: int, length: int) -> bool:
    """Look for a byte that isn't `value`; report the damage and repair it (check_bytes_and_report)."""
    data = slab.data
    assert data is not None
    at = start - slab.base
    area = bytes(data[at : at + length])
    wrong = [place for place, byte in enumerate(area) if byte != value]
    if not wrong:
        return True
    first, last = start + wrong[0], start + wrong[-1]
    slab_bug(slub, slab.cache, f"{what} overwritten")
    slub.warn(
        f"{slub.rules.report_prefix}0x{first:016x}-0x{last:016x} @offset={first - slab.base}."
        f" First byte 0x{area[wrong[0]]:x} instead of 0x{value:x}"
    )
    _print_trailer(slub, slab, address)
    slab_fix(slub, slab.cache, f"Restoring {what} 0x{first:016x}-0x{last:016x}=0x{value:x}")
    data[at + wrong[0] : at + wrong[-1] + 1] = bytes([value]) * (wrong[-1] - wrong[0] + 1)
    return False


# --- the report ---------------------------------------------------------------------------------


def slab_bug(slub: Slub, cache: KmemCache, text: str) -> None:
    """Begin a report."""
    for line in (_RULE, f"BUG {cache.name} ({TAINTED if slub.tainted else 'Not tainted'}): {text}", _LINE, ""):
        slub.warn(line)
    slub.tainted = True


def slab_fix(slub: Slub, cache: KmemCache, text: str) -> None:
    """Tell what was done about it."""
    slub.warn(f"FIX {cache.name}: {text}")


def object_err(slub: Slub, slab: Slab, address: int, reason: str) -> None:
    """Report one object."""
    slab_bug(slub, slab.cache, reason)
    _print_trailer(slub, slab, address)


def slab_err(slub: Slub, slab: Slab, reason: str) -> None:
    """Report a slab."""
    slab_bug(slub, slab.cache, reason)
    _print_slab(slub, slab)


def _print_slab(slub: Slub, slab: Slab) -> None:
    head = slab.freelist[-1] if slab.freelist else 0
    slub.warn(
        f"{slub.rules.report_prefix}Slab 0x{slab.base:016x} objects={slab.objects} used={slab.inuse}"
        f" fp=0x{head:016x} flags=slab"
    )


def _print_trailer(slub: Slub, slab: Slab, address: int) -> None:
    """Print who had the object, and its bytes (print_trailer)."""
    cache, layout = slab.cache, slab.cache.layout
    if "store_user" in cache.flags:
        for word, track in zip(("Allocated", "Freed"), slub.tracks.get(address, (None, None)), strict=True):
            if track is not None:
                age = slub.requests - track[1]
                slub.warn(f"{slub.rules.report_prefix}{word} in {track[0]} age={age} cpu={track[2]} pid={track[3]}")
    _print_slab(slub, slab)
    slub.warn(
        f"{slub.rules.report_prefix}Object 0x{address:016x} @offset={address - slab.base}"
        f" fp=0x{stored_link(slub, slab, address):016x}"
    )
    slub.warn("")
    red_zone = "red_zone" in cache.flags
    if red_zone:
        _print_section(slub, slab, "Redzone  ", address - layout.red_left_pad, layout.red_left_pad)
    elif address > slab.base + 16:
        _print_section(slub, slab, "Bytes b4 ", address - 16, 16)
    _print_section(slub, slab, "Object   ", address, min(layout.object_size, slub.tunables.page_size))
    if red_zone:
        _print_section(slub, slab, "Redzone  ", address + layout.object_size, layout.inuse - layout.object_size)
    padding = address + _end_of_metadata(slub, cache)
    _print_section(slub, slab, "Padding  ", padding, address - layout.red_left_pad + layout.size - padding)


def _print_section(slub: Slub, slab: Slab, label: str, start: int, length: int) -> None:
    """Print bytes in rows of 16 with their characters beside them (print_hex_dump)."""
    data = bytes_of(slub, slab)
    for offset in range(0, length, 16):
        at = start - slab.base + offset
        row = data[at : at + min(16, length - offset)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        slub.warn(f"{label}{start + offset:016x}: {' '.join(f'{byte:02x}' for byte in row):<47}  {text}")


def note_request(slub: Slub, slab: Slab, address: int, asked: int, cpu: int) -> None:
    """Take down who took an object (set_track), and the size that kmalloc was asked for."""
    if not address:
        return
    slub.requests += 1
    slub.tracks[address] = ((slub.caller, slub.requests, cpu, 0), slub.tracks.get(address, (None, None))[1])
    field = slab.cache.layout.request_size
    if field is not None and slab.data is not None:
        at = address - slab.base + field
        slab.data[at : at + slub.rules.request_size_field] = asked.to_bytes(slub.rules.request_size_field, "little")


def note_release(slub: Slub, address: int, cpu: int) -> None:
    """Take down who gave an object back."""
    slub.requests += 1
    slub.tracks[address] = (slub.tracks.get(address, (None, None))[0], (slub.caller, slub.requests, cpu, 0))
