"""Per-CPU memory: variables that every cpu has a copy of, cut from chunks with a unit for each cpu (mm/percpu.c).

A pointer is what the kernel hands out: an offset that each cpu adds to the place of its own unit of the first chunk.
The chunks after the first lie in vmalloc's space (`vmap_percpu`), so that pointers into them are large numbers. What
stands before them in a kernel whose symbols for it don't begin at 0 (__per_cpu_start) is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import KernelBug
from .gfp import FLAGS, GFP_KERNEL
from .rules.slub import align_up
from .rules.words import warning
from .slub_pages import Pages

KIB = 1 << 10
_HIGHMEM = FLAGS["__GFP_HIGHMEM"]
#: PCPU_MIN_ALLOC_SIZE and PCPU_MIN_UNIT_SIZE: the smallest piece; the smallest unit, which is the largest piece too.
MIN_ALLOC, MIN_UNIT = 4, 32 * KIB
#: What is kept for modules' variables (PERCPU_MODULE_RESERVE).
MODULE_RESERVE = 8 * KIB
#: A chunk's list follows from its largest hole; up to this list, a chunk that failed is not asked again.
SLOT_SHIFT, FAIL_SLOT = 5, 3


@dataclass(frozen=True, slots=True)
class FirstChunk:
    """How the first chunk is laid out, for each cpu. Bytes.

    Attributes
    ----------
    static, reserved, dynamic : int
        Variables of the kernel's image, of modules, and room for allocations: s, r and d of the line
        "percpu: Embedded" that the kernel prints.
    unit : int
        What each cpu has of the chunk: u of that line.
    """

    static: int
    reserved: int
    dynamic: int
    unit: int

    @property
    def pages(self) -> int:
        """Pages that each cpu really gets."""
        return (self.static + self.reserved + self.dynamic) // 4096


class ChunkPlaces(Protocol):
    """Where chunks after the first lie."""

    def create(self) -> int | None:
        """Reserve a chunk; returns the pointer to its first byte, None where there is no room or memory."""

    def address(self, pointer: int, cpu: int) -> int:
        """Return where a cpu's copy lies."""

    def map(self, pointer: int, cpu: int, pfn: int) -> bool:
        """Put a page behind a cpu's part of a chunk; False where a page table had no page."""

    def unmap(self, pointer: int, cpu: int) -> None:
        """Undo `map`."""


def atom_of(arch: str, page_size: int = 4096) -> int:
    """Return what the first chunk's blocks are multiples of: x86-64 maps them by large pages."""
    return 2 << 20 if arch == "x86_64" else page_size


def first_chunk(static: int, cpus: int | Sequence[int], *, arch: str = "x86_64", page_size: int = 4096) -> FirstChunk:
    """Lay the first chunk out (setup_per_cpu_areas, pcpu_build_alloc_info).

    Parameters
    ----------
    static : int
        Bytes of the image's own variables.
    cpus : int or sequence of int
        Possible ones; of each node that has some.
    arch : str
    page_size : int
    """
    groups = [cpus] if isinstance(cpus, int) else list(cpus)
    wide = arch in ("x86_64", "arm64")
    dynamic = (28 if wide else 20) * KIB
    reserved = MODULE_RESERVE
    if arch == "x86_32":
        # Where any address will do for modules' variables, they come out of the dynamic part.
        reserved, dynamic = 0, dynamic + MODULE_RESERVE
    size = align_up(static + reserved + dynamic, page_size)
    atom = atom_of(arch, page_size)
    whole = -(-max(size, MIN_UNIT) // atom) * atom
    best = _units_per_allocation(whole, max(size, MIN_UNIT), groups, page_size)
    return FirstChunk(static, reserved, size - static - reserved, whole // best)


def _units_per_allocation(whole: int, least: int, groups: Sequence[int], page_size: int) -> int:
    """Return how many units share a block: all that fit with no more than a third wasted (pcpu_build_alloc_info)."""
    best, fewest = 1, None
    for units in range(whole // least, 0, -1):
        if whole % units or whole // units % page_size:
            continue
        blocks = sum(-(-cpus // units) for cpus in groups)
        if blocks * units - sum(groups) > sum(groups) // 3:
            continue
        if fewest is not None and blocks > fewest:
            break
        best, fewest = units, blocks
    return best


class Chunk:
    """struct pcpu_chunk: the same piece of every cpu's memory.

    Attributes
    ----------
    base, start, size : int
        First pointer, a multiple of the page size; offsets where what can be had begins and ends.
    holes : list of (int, int)
        Free ranges by offset, ascending.
    taken : dict of int to int
        Bytes of each allocation, by offset.
    pages : dict of int to list of int
        Pages behind the chunk, a pfn for each cpu, by number of the page in the unit; the first chunk has its own.
    """

    __slots__ = ("base", "holes", "pages", "size", "start", "taken")

    def __init__(self, base: int, size: int, start: int = 0) -> None:
        self.base = base
        self.start = start
        self.size = size
        self.holes: list[tuple[int, int]] = [(start, size)]
        self.taken: dict[int, int] = {}
        self.pages: dict[int, list[int]] = {}

    def largest(self) -> tuple[int, int]:
        """Return the largest hole, the lowest of its size (contig_hint)."""
        return max(self.holes, key=lambda hole: (hole[1] - hole[0], -hole[0]), default=(0, 0))

    def fit(self, size: int, align: int) -> int:
        """Return the lowest offset where an allocation fits; -1 where its largest hole is too small."""
        start, end = self.largest()
        if align_up(start, align) + size > end:
            return -1
        return next(align_up(a, align) for a, b in self.holes if align_up(a, align) + size <= b)

    def take(self, offset: int, size: int) -> None:
        """Cut an allocation out of its hole."""
        at = next(number for number, (a, b) in enumerate(self.holes) if a <= offset < b)
        start, end = self.holes.pop(at)
        pieces = [(start, offset), (offset + size, end)]
        self.holes[at:at] = [piece for piece in pieces if piece[0] < piece[1]]
        self.taken[offset] = size

    def give(self, offset: int) -> None:
        """Make a hole again, one with its neighbours."""
        holes = sorted([*self.holes, (offset, offset + self.taken.pop(offset))])
        merged: list[tuple[int, int]] = []
        for start, end in holes:
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((start, end))
        self.holes = merged


class PerCpu:
    """The per-CPU allocator of one machine.

    Parameters
    ----------
    first : FirstChunk
    page_alloc : Pages
    cpus : int
    nodes : sequence of int
        Node of each cpu.
    page_size : int
    places : ChunkPlaces or None
        Where later chunks lie; None: each a unit behind the one before.
    function : str
        Who warns of a size that no chunk can have.

    Attributes
    ----------
    chunks : list of Chunk
        The first chunk's dynamic part, then those that were added.
    slots : list of list of int
        Chunks by the size of their largest hole, each list in the order in which it is searched.
    """

    def __init__(
        self,
        first: FirstChunk,
        page_alloc: Pages,
        *,
        cpus: int = 1,
        nodes: Sequence[int] = (0,),
        page_size: int = 4096,
        places: ChunkPlaces | None = None,
        function: str = "pcpu_alloc",
    ) -> None:
        self.first = first
        self.function = function
        self.places = places
        self.page_alloc = page_alloc
        self.cpus = cpus
        self.nodes = (*nodes, *[0] * cpus)[:cpus]
        self.page_size = page_size
        begin = first.static + first.reserved
        hidden = begin % page_size
        self.chunks: list[Chunk] = [Chunk(begin - hidden, hidden + first.dynamic, hidden)]
        self.slots: list[list[int]] = [[] for _ in range(self._slot(first.unit - 1) + 2)]
        self.slots[self._slot_of(self.chunks[0])].append(0)

    def _slot(self, size: int) -> int:
        """__pcpu_size_to_slot."""
        return max(size.bit_length() - SLOT_SHIFT + 2, 1)

    def _slot_of(self, chunk: Chunk) -> int:
        """pcpu_chunk_slot: a chunk that is all free has the last list for itself."""
        start, end = chunk.largest()
        if end - start == self.first.unit:
            return len(self.slots) - 1
        return self._slot(end - start) if end > start else 0

    def alloc(self, size: int, align: int = 8, gfp: int = GFP_KERNEL) -> int:
        """Allocate a copy for every cpu (pcpu_alloc); returns the pointer, 0 where the kernel refuses.

        Raises
        ------
        KernelBug
            For a size or an alignment that no chunk can have (WARN).
        """
        align = max(align, MIN_ALLOC)
        size = align_up(size, MIN_ALLOC)
        if not 0 < size <= MIN_UNIT or align > self.page_size or align & (align - 1):
            said = f"illegal size ({size}) or align ({align}) for percpu allocation"
            raise KernelBug(warning("mm/percpu.c", self.function, said))
        # Who may not wait takes what is there already.
        may_grow = gfp & GFP_KERNEL == GFP_KERNEL
        for slot in range(self._slot(size), len(self.slots)):
            for number in list(self.slots[slot]):
                offset = self.chunks[number].fit(size, align)
                if offset >= 0 and (may_grow or self._is_there(number, offset, size)):
                    return self._cut(number, offset, size, gfp)
                if slot < FAIL_SLOT:
                    self._move(number, 0, front=True)
        if not may_grow:
            return 0
        base = self._create()
        if base is None:
            return 0
        self.chunks.append(Chunk(base, self.first.unit))
        number = len(self.chunks) - 1
        self.slots[-1].append(number)
        return self._cut(number, self.chunks[number].fit(size, align), size, gfp)

    def _is_there(self, number: int, offset: int, size: int) -> bool:
        """Tell whether there are pages behind a piece of a chunk (pcpu_is_populated)."""
        pages = range(offset // self.page_size, (offset + size - 1) // self.page_size + 1)
        return not number or all(page in self.chunks[number].pages for page in pages)

    def _create(self) -> int | None:
        """Return the pointer to a new chunk's first byte (pcpu_create_chunk)."""
        if self.places is not None:
            return self.places.create()
        return align_up(self.chunks[-1].base + self.chunks[-1].size, self.first.unit)

    def _cut(self, number: int, offset: int, size: int, gfp: int) -> int:
        chunk = self.chunks[number]
        if number and not self._populate(chunk, offset, size, gfp):
            return 0
        before = self._slot_of(chunk)
        chunk.take(offset, size)
        self._relocate(number, before)
        return chunk.base + offset

    def _populate(self, chunk: Chunk, offset: int, size: int, gfp: int) -> bool:
        """Put pages of every cpu behind an allocation (pcpu_populate_chunk): cpu by cpu, in high memory if there is."""
        pages = range(offset // self.page_size, (offset + size - 1) // self.page_size + 1)
        missing = [page for page in pages if page not in chunk.pages]
        got: list[tuple[int, int, int]] = []
        for cpu in range(self.cpus):
            for page in missing:
                pfn = self.page_alloc.alloc_pages(gfp | _HIGHMEM, 0, self.nodes[cpu], cpu)
                if pfn < 0:
                    return self._give_up(chunk, got)
                got.append((cpu, page, pfn))
        for cpu, page, pfn in got:
            if self.places is not None and not self.places.map(chunk.base + page * self.page_size, cpu, pfn):
                return self._give_up(chunk, got)
        for page in missing:
            chunk.pages[page] = [pfn for _cpu, number, pfn in got if number == page]
        return True

    def _give_up(self, chunk: Chunk, got: Sequence[tuple[int, int, int]]) -> bool:
        for cpu, page, pfn in got:
            if self.places is not None:
                self.places.unmap(chunk.base + page * self.page_size, cpu)
            self.page_alloc.free_pages(pfn, 0)
        return False

    def free(self, pointer: int) -> None:
        """Give every cpu's copy back (free_percpu).

        Raises
        ------
        KernelBug
            For what is no such pointer.
        """
        for number, chunk in enumerate(self.chunks):
            if pointer - chunk.base in chunk.taken:
                before = self._slot_of(chunk)
                chunk.give(pointer - chunk.base)
                self._relocate(number, before)
                return
        raise KernelBug(f"this kernel says nothing (no chunk handed {pointer:#x} out)")

    def address(self, pointer: int, cpu: int) -> int:
        """Return where a cpu's copy lies (per_cpu_ptr)."""
        if self.places is None:
            raise ValueError("nobody said where chunks lie")
        return self.places.address(pointer, cpu)

    def _relocate(self, number: int, before: int) -> None:
        """Put a chunk on the list of its largest hole: ahead where that grew, else behind (pcpu_chunk_relocate)."""
        after = self._slot_of(self.chunks[number])
        if after != before or number not in self.slots[after]:
            self._move(number, after, front=before < after)

    def _move(self, number: int, slot: int, *, front: bool) -> None:
        for chunks in self.slots:
            if number in chunks:
                chunks.remove(number)
        self.slots[slot].insert(0 if front else len(self.slots[slot]), number)

    def save(self) -> tuple[Any, ...]:
        """Return the state as plain tuples."""
        chunks = tuple(
            (
                c.base,
                c.size,
                c.start,
                tuple(c.holes),
                tuple(c.taken.items()),
                tuple((p, tuple(q)) for p, q in c.pages.items()),
            )
            for c in self.chunks
        )
        return (chunks, tuple(map(tuple, self.slots)))

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        chunks, slots = saved
        self.chunks = []
        for base, size, start, holes, taken, pages in chunks:
            chunk = Chunk(base, size, start)
            chunk.holes, chunk.taken = list(holes), dict(taken)
            chunk.pages = {page: list(pfns) for page, pfns in pages}
            self.chunks.append(chunk)
        self.slots = [list(numbers) for numbers in slots]
