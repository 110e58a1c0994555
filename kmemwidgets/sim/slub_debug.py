"""slub_debug: the bytes around objects, and the kernel's report when they are wrong (mm/slub.c).

A cache that is debugged keeps no slab per cpu: every request goes to the node's lists and is
checked. Each of its slabs has its bytes, so that a write past an object is found as it is in
the kernel, at the next request for that object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import slub_single
from .slab_cache import FULL, KmemCache, Slab
from .slub_bytes import chain_of, link_bytes, stored_link
from .slub_report import bytes_err, end_of_metadata, object_err, slab_err, slab_fix
from .slub_stats import stat

if TYPE_CHECKING:
    from .slub import Slub

#: include/linux/poison.h.
RED_INACTIVE, RED_ACTIVE = 0xBB, 0xCC
POISON_INUSE, POISON_FREE, POISON_END = 0x5A, 0x6B, 0xA5


# --- caches without debugging, whose bytes somebody looked at -----------------------------------


def note_alloc(slub: Slub, cache: KmemCache, address: int) -> None:
    """Follow the link that is really there: an overwritten one leads astray, as it does in the kernel."""
    slab = slub.slabs.get(address >> slub.page_shift)
    if slab is None or slab.index_of(address) < 0:
        raise slub.fault(address)
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
        slab.data[at : at + slub.tunables.word] = link_bytes(slub, slab.cache, address, chain[-1] if chain else 0)


# --- debugged caches ----------------------------------------------------------------------------


def setup_slab(slub: Slub, slab: Slab) -> None:
    """Fill a new slab of a debugged cache (setup_slab_debug, setup_object_debug)."""
    size = slub.tunables.page_size << slab.order
    slab.data = bytearray([POISON_INUSE]) * size if "poison" in slab.cache.flags else bytearray(size)
    for below, address in zip([0, *slab.freelist], slab.freelist, strict=False):
        _init_object(slub, slab, address, RED_INACTIVE)
        _set_link(slub, slab, address, below)


def _set_link(slub: Slub, slab: Slab, address: int, target: int) -> None:
    at = address - slab.base + slab.cache.layout.offset
    assert slab.data is not None
    slab.data[at : at + slub.tunables.word] = link_bytes(slub, slab.cache, address, target)


def _poisons(cache: KmemCache) -> bool:
    """__OBJECT_POISON: objects themselves are poisoned unless they must survive being freed."""
    return "poison" in cache.flags and "destroy_by_rcu" not in cache.flags and not cache.ctor


def _keeps_request(slub: Slub, cache: KmemCache) -> bool:
    """Tell whether what lies behind the bytes that kmalloc was asked for is a red zone too (slub_debug_orig_size)."""
    layout = cache.layout
    outside = layout.offset >= layout.inuse
    return slub.rules.kmalloc_red_zone and layout.request_size is not None and "red_zone" in cache.flags and outside


def _request_size(slub: Slub, slab: Slab, address: int) -> int:
    """Read how many bytes kmalloc was asked for (get_orig_size)."""
    field = slab.cache.layout.request_size
    assert field is not None
    assert slab.data is not None
    at = address - slab.base + field
    return int.from_bytes(slab.data[at : at + slub.rules.request_size_field], "little")


def _init_object(slub: Slub, slab: Slab, address: int, red: int) -> None:
    """Write red zones and poison of an object that changes hands (init_object)."""
    cache = slab.cache
    layout = cache.layout
    data = slab.data
    assert data is not None
    at = address - slab.base
    size = layout.object_size
    if red == RED_ACTIVE and _keeps_request(slub, cache):
        size = _request_size(slub, slab, address)
    if "red_zone" in cache.flags:
        data[at - layout.red_left_pad : at] = bytes([red]) * layout.red_left_pad
        data[at + size : at + layout.inuse] = bytes([red]) * (layout.inuse - size)
    if _poisons(cache):
        data[at : at + size] = bytes([POISON_FREE]) * (size - 1) + bytes([POISON_END])


def alloc(slub: Slub, cache: KmemCache, gfp: int, cpu: int, nid: int, asked: int) -> int:
    """Take an object of a debugged cache (alloc_single_from_partial, alloc_single_from_new_slab)."""
    stat(cache, "alloc_slowpath", cpu)
    home = nid if nid in cache.nodes else slub.cpu_node[cpu]
    order = [home, *(other for other in cache.nodes if other != home)]
    for wanted in order:
        for slab in list(cache.nodes[wanted].partial.values()):
            address = _take(slub, slab, asked, cpu)
            if address:
                if slub.rules.debugged_deactivate:
                    stat(cache, "alloc_from_partial", cpu)
                    _note_deactivated(slab, cpu)
                return address
    fresh = slub.new_slab(cache, gfp, cpu, nid)
    if fresh is None:
        return 0
    stat(cache, "alloc_slab", cpu)
    slub.add_partial(cache.nodes[fresh.nid], fresh, tail=False)
    address = _take(slub, fresh, asked, cpu)
    if slub.rules.debugged_deactivate:
        _note_deactivated(fresh, cpu)
    return address


def _note_deactivated(slab: Slab, cpu: int) -> None:
    """Count that a cpu had a slab for one object and gave it up again, as kernels before 6.1 do (deactivate_slab)."""
    stat(slab.cache, "deactivate_to_head" if slab.freelist else "deactivate_full", cpu)


def _take(slub: Slub, slab: Slab, asked: int, cpu: int) -> int:
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
    _note_request(slub, slab, address, asked, cpu)
    _init_object(slub, slab, address, RED_ACTIVE)
    if not slab.freelist:
        del node.partial[slab.pfn]
        slab.place = FULL
        node.full[slab.pfn] = slab
    return address


def free(slub: Slub, cache: KmemCache, slab: Slab, address: int, cpu: int) -> None:
    """Give back an object of a debugged cache (free_debug_processing). A bad one is reported and kept."""
    stat(cache, "free_slowpath", cpu)
    if "sanity_checks" in cache.flags and not _may_be_freed(slub, slab, address):
        slab_fix(slub, cache, f"Object at 0x{address:016x} not freed")
        return
    if slab.index_of(address) < 0:
        raise ValueError(f"{address:#x} is no object of {cache.name}; the kernel notices that only with slub_debug=F")
    _note_release(slub, address, cpu)
    _init_object(slub, slab, address, RED_INACTIVE)
    _set_link(slub, slab, address, slab.freelist[-1] if slab.freelist else 0)
    slub_single.give_back(slub, slab, address, cpu)


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
    """Check the bytes of an object and around it; damage is reported and repaired (check_object).

    Older kernels end at the first damage, and don't hold that of padding against the object.
    """
    layout, rules = slab.cache.layout, slub.rules
    good = True
    for what, start, value, length in _guarded(slub, slab, address, red):
        if _check_bytes(slub, slab, address, what, start, value, length, again=not good):
            continue
        if rules.warns_of_damage or what not in _PADDING:
            good = False
        if not good and not rules.warns_of_damage:
            return False
    if red == RED_ACTIVE and layout.offset < layout.inuse:
        # The owner's data lie where the link was.
        return good
    link = stored_link(slub, slab, address)
    if link and (slab.index_of(link) < 0 or slub.slabs.get(link >> slub.page_shift) is not slab):
        object_err(slub, slab, address, "Freepointer corrupt")
        _set_link(slub, slab, address, 0)
        return False
    return good


#: Areas that belong to nobody.
_PADDING = ("Alignment padding", "Object padding")


def _guarded(slub: Slub, slab: Slab, address: int, red: int) -> list[tuple[str, int, int, int]]:
    """Return what must be as it was left, in the order that it is looked at: name, address, byte, bytes."""
    cache, layout = slab.cache, slab.cache.layout
    end = address + layout.object_size
    gap = layout.inuse - layout.object_size
    found: list[tuple[str, int, int, int]] = []
    if "red_zone" in cache.flags:
        left = address - layout.red_left_pad
        found.append((_red_zone_name(slub, "Left"), left, red, layout.red_left_pad))
        found.append((_red_zone_name(slub, "Right"), end, red, gap))
        if red == RED_ACTIVE and _keeps_request(slub, cache):
            asked = _request_size(slub, slab, address)
            found.append(("kmalloc Redzone", address + asked, red, layout.object_size - asked))
    elif "poison" in cache.flags:
        found.append(("Alignment padding", end, POISON_INUSE, gap))
    if "poison" in cache.flags:
        if red == RED_INACTIVE and _poisons(cache):
            found.append(("Poison", address, POISON_FREE, layout.object_size - 1))
            found.append(("End Poison", end - 1, POISON_END, 1))
        padding = address + end_of_metadata(slub, cache)
        rest = address - layout.red_left_pad + layout.size - padding
        found.append(("Object padding", padding, POISON_INUSE, rest))
    return found


def _red_zone_name(slub: Slub, side: str) -> str:
    return f"{side} Redzone" if slub.rules.red_zone_sides else "Redzone"


def _check_bytes(
    slub: Slub, slab: Slab, address: int, what: str, start: int, value: int, length: int, *, again: bool
) -> bool:
    """Look for a byte that isn't `value`; report the damage and repair it (check_bytes_and_report)."""
    data = slab.data
    assert data is not None
    at = start - slab.base
    wrong = [place for place, byte in enumerate(data[at : at + length]) if byte != value]
    if not wrong:
        return True
    bad = range(start + wrong[0], start + wrong[-1] + 1)
    bytes_err(slub, slab, address, what, bad, value, again=again)
    data[bad[0] - slab.base : bad[-1] - slab.base + 1] = bytes([value]) * len(bad)
    return False


def _note_request(slub: Slub, slab: Slab, address: int, asked: int, cpu: int) -> None:
    """Take down who took an object (set_track), and the size that kmalloc was asked for."""
    slub.requests += 1
    slub.tracks[address] = (("kmem_cache_alloc", slub.requests, cpu, 0), slub.tracks.get(address, (None, None))[1])
    field = slab.cache.layout.request_size
    if field is not None and slab.data is not None:
        at = address - slab.base + field
        slab.data[at : at + slub.rules.request_size_field] = asked.to_bytes(slub.rules.request_size_field, "little")


def name_caller(slub: Slub, address: int, caller: str, *, freed: bool = False) -> None:
    """Write into an object's track who called: of kmalloc and kfree the kernel keeps the call site as well."""
    taken, given = slub.tracks.get(address, (None, None))
    if freed and given is not None:
        slub.tracks[address] = (taken, (caller, *given[1:]))
    elif not freed and taken is not None:
        slub.tracks[address] = ((caller, *taken[1:]), given)


def _note_release(slub: Slub, address: int, cpu: int) -> None:
    """Take down who gave an object back."""
    slub.requests += 1
    slub.tracks[address] = (slub.tracks.get(address, (None, None))[0], ("kmem_cache_free", slub.requests, cpu, 0))
