"""Who has each frame: worked out when somebody asks, from what the allocators know, so that it costs nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from kmemwidgets.records import FrameTable

from .bootmem import Bootmem
from .frames import FREE, HOLE, KEPT, LRU, PER_CPU, USED, Frames
from .memblock import Memblock
from .objects import KernelObjects
from .percpu import PerCpu

#: Codes of frames that are no object's and no area's; the first six in the order of `frames`.
LABELS = (
    "free", "alloc_pages", "alloc_pages, movable", "on a per-CPU list", "reserved at boot", "no memory here",
    "kmalloc, whole pages", "vmalloc", "page table", "slab, other caches",
)  # fmt: skip
assert tuple(range(6)) == (FREE, USED, LRU, PER_CPU, KEPT, HOLE)
_LARGE, _AREA, _TABLE, _OTHER_SLABS = 6, 7, 8, 9
#: The owner of frames that later per-CPU chunks have.
PER_CPU_MEMORY = "per-CPU memory"
#: As many kinds as a map's byte tells apart, less one.
MOST_OWNERS = 254


class Owners:
    """The owners of a machine's frames.

    Parameters
    ----------
    frames : Frames
    objects : KernelObjects
    memblock : Memblock or Bootmem
        Says what boot took for what.
    page_size : int
    """

    def __init__(self, frames: Frames, objects: KernelObjects, memblock: Memblock | Bootmem, page_size: int) -> None:
        self._frames = frames
        self._objects = objects
        self._page_size = page_size
        self._labels = list(LABELS)
        self._codes: dict[str, int] = {}
        self._boot = [
            (call.start // page_size, -(-call.end // page_size), self._code(f"boot: {call.caller}", KEPT))
            for call in memblock.calls
            if call.caller and call.what != "add"
        ]

    def _code(self, label: str, if_full: int) -> int:
        """Return the code of an owner; the same as long as the machine lives."""
        code = self._codes.get(label)
        if code is None:
            if len(self._labels) >= MOST_OWNERS:
                return if_full
            code = self._codes[label] = len(self._labels)
            self._labels.append(label)
        return code

    def table(self) -> FrameTable:
        """Return every frame's owner, as of the last look at the frames."""
        codes = self._frames.translated(bytes(range(256)))
        for start, stop, code in self._boot:
            swap = bytes(code if each == KEPT else each for each in range(256))
            codes[start:stop] = bytes(codes[start:stop]).translate(swap)
        for start, pages, code in self._taken():
            codes[start : start + pages] = bytes((code,)) * pages
        return FrameTable(0, codes, tuple(range(len(self._labels))), "owner", tuple(self._labels))

    def of(self, pfn: int) -> str:
        """Return a frame's owner in words, without looking at all others."""
        code = self._frames.codes[pfn]
        if code == KEPT:
            code = next((code for start, stop, code in reversed(self._boot) if start <= pfn < stop), KEPT)
        slub, slab24, space = self._objects.slub, self._objects.slab24, self._objects.space
        if code == USED and slab24 is not None:
            old = slab24.pages.get(slab24.page_offset // self._page_size + pfn)
            if old is not None:
                return f"slab: {old.cache.name}"
        if code == USED and slub is not None:
            slab = slub.slabs.get((slub.page_offset >> slub.page_shift) + pfn)
            if slab is not None:
                return f"slab: {slab.cache.name}"
            head = self._frames.page_alloc.memmap.head_of(pfn)
            if slub.general is not None and slub.page_offset + head * self._page_size in slub.general.large:
                code = _LARGE
        if code == USED and space is not None:
            if pfn in space.tables.tables:
                code = _TABLE
            elif pfn in self._per_cpu():
                return PER_CPU_MEMORY
            elif any(first <= pfn < first + pages for first, pages in self._areas()):
                code = _AREA
        return self._labels[code]

    def _areas(self) -> Iterator[tuple[int, int]]:
        """Yield first frame and number of frames of all blocks that vmalloc took; those of vmap are their owner's."""
        area = self._objects.area
        for each in area.busy.values() if area is not None else ():
            if each.owned:
                for pfn in each.pfns:
                    yield pfn, 1 << each.order

    def _per_cpu(self) -> set[int]:
        """Return the frames behind per-CPU chunks past the first, which boot laid out."""
        percpu = self._objects.pools.percpu if self._objects.pools is not None else None
        chunks = percpu.chunks if isinstance(percpu, PerCpu) else ()
        return {pfn for chunk in chunks for pfns in chunk.pages.values() for pfn in pfns}

    def _taken(self) -> Iterator[tuple[int, int, int]]:
        """Yield first frame, number of frames and owner of all that slabs, kmalloc and areas have."""
        slub, slab24, space = self._objects.slub, self._objects.slab24, self._objects.space
        for pfn, pages in self._areas():
            yield pfn, pages, _AREA
        if space is not None:
            for pfn in space.tables.tables:
                if pfn >= 0:
                    yield pfn, 1, _TABLE
        for pfn in sorted(self._per_cpu()):
            yield pfn, 1, self._code(PER_CPU_MEMORY, USED)
        if slab24 is not None:
            old = {cache.name: self._code(f"slab: {cache.name}", _OTHER_SLABS) for cache in slab24.slab_caches}
            for each in dict.fromkeys(slab24.pages.values()):
                yield each.pfn, 1 << each.cache.geometry.order, old.get(each.cache.name, _OTHER_SLABS)
        if slub is None:
            return
        # In the order of the caches, so that their codes do not hang on what was made first.
        codes = {cache.name: self._code(f"slab: {cache.name}", _OTHER_SLABS) for cache in slub.slab_caches}
        for slab in dict.fromkeys(slub.slabs.values()):
            yield slab.pfn, 1 << slab.order, codes.get(slab.cache.name, _OTHER_SLABS)
        if slub.general is not None:
            for address, order in slub.general.large.items():
                yield (address - slub.page_offset) // self._page_size, 1 << order, _LARGE
