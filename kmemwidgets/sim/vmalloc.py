"""vmalloc: areas of addresses that are mapped page by page (mm/vmalloc.c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kmemwidgets.records import VmallocArea

from .errors import KernelBug
from .gfp import FLAGS, GFP_KERNEL
from .page_tables import PageTables
from .rules import pick
from .rules.vmalloc import VmallocRules
from .rules.vmalloc_words import TABLE as WORDS
from .rules.vmalloc_words import VmallocWords
from .vmap_addresses import VmapAddresses
from .vmap_area import VmallocPages, VmapArea

#: Order of a huge mapping where no page tables are filled (PMD_ORDER with 4 KiB pages).
PMD_ORDER = 9
#: Stacks that a cpu keeps for the next fork (kernel/fork.c, NR_CACHED_STACKS).
CACHED_STACKS = 2
_HIGHMEM = FLAGS["__GFP_HIGHMEM"]
_ZONES = FLAGS["__GFP_DMA"] | FLAGS["__GFP_DMA32"]
_NOWARN = FLAGS["__GFP_NOWARN"]
#: Whose words an area's space has that belongs to no kernel yet.
NEWEST = (6, 18)


class Vmalloc(VmapAddresses):
    """The vmalloc of one machine.

    Parameters
    ----------
    rules : VmallocRules
    start, end : int
        VMALLOC_START and the first address behind VMALLOC_END.
    page_alloc : VmallocPages or None
        None: areas only, no pages.
    cpus : int
        Possible and online cpus.
    page_size, word : int
        Bytes of a page and of a pointer.
    total_pages : int or None
        Pages of the machine: more can't be asked for.
    page_offset : int
        Address of the frame with pfn 0, for `page_address`.
    page_tables : PageTables or None
        What areas are mapped in. None: areas only.
    ioremap_max_order : int
        Largest alignment of ioremap as a power of two: what one entry of the highest level that can be a leaf maps.
    huge_ioremap : bool
        Whether device memory is mapped by the largest entries that fit.
    numa : bool
        Whether the kernel is built for several nodes, and tells where an area's pages lie.
    words : VmallocWords, optional
        What it says of what can't be; a new kernel's words if not given.

    Attributes
    ----------
    busy : dict of int to VmapArea
        By start.
    stacks : list of list of int
        Kernel stacks that each cpu keeps for the next fork; 0 for an empty slot.
    dmesg : list of str
        What the kernel would have printed.
    """

    def __init__(
        self,
        rules: VmallocRules,
        start: int,
        end: int,
        *,
        page_alloc: VmallocPages | None = None,
        cpus: int = 1,
        page_size: int = 4096,
        word: int = 8,
        total_pages: int | None = None,
        page_offset: int = 0,
        page_tables: PageTables | None = None,
        ioremap_max_order: int = 30,
        huge_ioremap: bool = True,
        numa: bool = True,
        words: VmallocWords | None = None,
    ) -> None:
        super().__init__(rules, start, end, cpus=cpus, page_size=page_size, word=word)
        self.words = words or pick(VmallocWords, WORDS, NEWEST)
        self.page_alloc = page_alloc
        self.total_pages = total_pages
        self.page_offset = page_offset
        self.page_tables = page_tables
        self.ioremap_max_order = ioremap_max_order
        self.huge_ioremap = huge_ioremap
        self.numa = numa
        self.busy: dict[int, VmapArea] = {}
        self.stacks: list[list[int]] = [[0] * CACHED_STACKS for _ in range(cpus)]
        self.dmesg: list[str] = []

    # --- areas ----------------------------------------------------------------------------------

    def get_vm_area(
        self, size: int, flags: Sequence[str], *, align: int = 1, caller: str = "", guard: bool = True,
        bounds: tuple[int, int] | None = None, phys: int | None = None, cpu: int = 0, gfp: int = GFP_KERNEL,
    ) -> int:  # fmt: skip
        """Reserve an area and enter it (__get_vm_area_node); returns its start, 0 where there is no room."""
        if size <= 0:
            raise ValueError(f"an area of {size} bytes")
        low, high = bounds or (self.start, self.end)
        size = -(-size // self.page_size) * self.page_size
        if guard or self.rules.guard_always:
            size += self.page_size
        struct = self.objects.new_struct(gfp, cpu) if self.objects else -1
        if not struct:
            return 0
        start, node = self.alloc_vmap_area(size, align, low, high, cpu, gfp)
        if start < 0:
            if self.objects:
                self.objects.slabs.kfree(struct, cpu)
            self.dmesg += [line.format(size=size, start=low, end=high) for line in self.rules.no_room]
            return 0
        if self.objects:
            self.objects.structs[start] = struct
        row = VmallocArea(start, start + size, size, caller, phys=phys, flags=tuple(flags))
        self.busy[start] = VmapArea(row, node)
        return start

    def vmalloc(
        self, size: int, gfp: int = GFP_KERNEL, *, align: int = 1, caller: str = "vmalloc", huge: bool = False,
        bounds: tuple[int, int] | None = None, cpu: int = 0,
    ) -> int:  # fmt: skip
        """Allocate memory that is contiguous in addresses only (__vmalloc_node_range).

        Parameters
        ----------
        size : int
            Bytes.
        gfp : int
        align : int
            Of the start, bytes.
        caller : str
            What the row says.
        huge : bool
            VM_ALLOW_HUGE_VMAP.
        bounds : tuple of int, optional
            Where; vmalloc's own space if not given.
        cpu : int

        Returns
        -------
        int
            Start, 0 where the kernel returns NULL; what it warned of is in `dmesg`.
        """
        pages = -(-size // self.page_size)
        words = self.words
        if size <= 0:
            if words.nothing.startswith("vmalloc"):
                self._warn(words.nothing, gfp, cpu, size=0)
            elif words.nothing and words.nothing not in self.dmesg:
                self.dmesg.append(words.nothing)
            return 0
        if self.total_pages is not None and pages > self.total_pages:
            self._warn(words.too_large, gfp, cpu, size=size)
            return 0
        order = self._huge_order() if huge else 0
        order = order if pages >= 1 << order else 0
        while True:
            block = self.page_size << order
            start = self.get_vm_area(
                -(-size // block) * block, ("vmalloc",), align=max(align, block if order else 1), caller=caller,
                bounds=bounds, cpu=cpu, gfp=gfp,
            )  # fmt: skip
            if start and self._fill(start, -(-size // block), order, gfp, cpu):
                return start
            if start:
                self._drop(start, cpu)
            else:
                self._warn(words.no_place, gfp, cpu, size=size)
            if not order:
                return 0
            order = 0

    def _warn(self, text: str, gfp: int, cpu: int, **figures: int) -> None:
        """Tell of an area that could not be had, as of a request for pages (warn_alloc)."""
        said = text.format(**figures)
        reports = getattr(self.page_alloc, "reports", None)
        if reports is not None and said:
            reports.warn_alloc(gfp, said, cpu=cpu)
        elif said:
            self.dmesg.append(said)

    def _name(self, address: int) -> str:
        """Write an address as these kernels' logs do, as far as they don't hash it (%p)."""
        return f"{address:0{2 * self.word}x}"

    def _huge_order(self) -> int:
        """Return the order that areas are mapped by where they may be huge, 0 where this kernel has none."""
        if not self.rules.huge or (self.page_tables and not self.page_tables.huge):
            return 0
        return self.page_tables.huge_order if self.page_tables else PMD_ORDER

    def _fill(self, start: int, blocks: int, order: int, gfp: int, cpu: int) -> bool:
        """Give an area its pages, and its array of page pointers a place (__vmalloc_area_node)."""
        area = self.busy[start]
        pages = blocks << order
        array, size = 0, pages * self.word if self.rules.page_array else 0
        length, words = pages * self.page_size, self.words
        if size > self.page_size:
            array = self.vmalloc(size, caller=area.row.caller, cpu=cpu)
            placed = bool(array)
        else:
            placed = not size or self.objects is None or bool(self.objects.new_array(start, size, gfp, cpu))
        if not placed:
            self._warn(words.no_array, gfp, cpu, size=length, array=size)
            return False
        flags = ("vmalloc", "vpages") if array else ("vmalloc",)
        pfns: list[int] = []
        wanted = gfp | (0 if gfp & _ZONES else _HIGHMEM)
        told = wanted if words.highmem_in_mode else gfp
        if self.page_alloc is not None:
            for _ in range(blocks):
                pfn = self.page_alloc.alloc_pages(wanted | _NOWARN, order, None, cpu)
                if pfn < 0:
                    break
                pfns.append(pfn)
        row = replace(area.row, pages=pages, flags=flags, nodes=self._count_nodes(pfns, order, pages))
        self.busy[start] = replace(area, row=row, order=order, pfns=tuple(pfns), array=array)
        if self.page_alloc is not None and len(pfns) < blocks:
            if not order or words.tells_of_huge:
                got = (len(pfns) << order) * self.page_size
                self._warn(words.no_pages, told, cpu, got=got, whole=area.row.size, order=order)
            return False
        if not self._map(start, pfns, order, cpu):
            self._warn(words.not_mapped, told, cpu, got=length, whole=area.row.size)
            return False
        return True

    def _map(self, start: int, pfns: Sequence[int], order: int, cpu: int) -> bool:
        """Enter an area's frames into the page tables (vmap_pages_range); False where a table had no page."""
        tables = self.page_tables
        if tables is None:
            return True
        if not order:
            return tables.map_frames(start, pfns, cpu)
        size = self.page_size << order
        return all(
            tables.map_range(start + number * size, pfn * self.page_size, size, largest=size, cpu=cpu)
            for number, pfn in enumerate(pfns)
        )

    def _count_nodes(self, pfns: Sequence[int], order: int, pages: int) -> dict[int, int]:
        zone_of = getattr(self.page_alloc, "zone_of", None)
        if not self.numa:
            return {}
        if zone_of is None:
            return {0: pages}
        counts: dict[int, int] = {}
        for pfn in pfns:
            nid = int(zone_of(pfn).zone.nid)
            counts[nid] = counts.get(nid, 0) + (1 << order)
        return counts

    def vfree(self, address: int, cpu: int = 0) -> None:
        """Give back what vmalloc gave; nothing for 0 (vfree).

        Raises
        ------
        KernelBug
            For an address that no area of vmalloc begins at; nothing has changed then.
        """
        if not address:
            return
        if address % self.page_size:
            raise KernelBug(self.words.bad_address.format(address=self._name(address)))
        area = self.busy.get(address)
        if area is None:
            raise KernelBug(self.words.no_area.format(address=self._name(address)))
        if "vmalloc" not in area.row.flags:
            raise KernelBug(f"this kernel says nothing (the area at {self._name(address)} is not vmalloc's)")
        self._drop(address, cpu)

    def _drop(self, start: int, cpu: int) -> None:
        """Take an area away with its pages."""
        area = self.busy.pop(start)
        if self.page_tables is not None:
            self.page_tables.unmap(start, area.row.end)
        self.free_vmap_area(start, area.row.end, area.node)
        if self.page_alloc is not None and area.owned:
            for pfn in area.pfns:
                self.page_alloc.free_pages(pfn, area.order, cpu)
        if area.array:
            self._drop(area.array, cpu)
        if self.objects:
            self.objects.drop(start, cpu)

    def vmap(self, pfns: Sequence[int], caller: str = "vmap", cpu: int = 0) -> int:
        """Map pages that somebody else owns beside each other (vmap); returns the start, 0 where there is no room."""
        start = self.get_vm_area(len(pfns) * self.page_size, ("vmap",), caller=caller, cpu=cpu)
        if start and not self._map(start, pfns, 0, cpu):
            self._drop(start, cpu)
            return 0
        if start:
            self.busy[start] = replace(self.busy[start], pfns=tuple(pfns), owned=False)
        return start

    def ioremap(self, phys: int, size: int, caller: str = "ioremap", cpu: int = 0) -> int:
        """Map device memory (ioremap_prot): aligned to the power of two that holds it, up to what one entry maps."""
        if size <= 0:
            # Nothing, or an address that wraps around: NULL without a word.
            return 0
        first = phys & -self.page_size
        length = -(-(phys + size) // self.page_size) * self.page_size - first
        order = self.rules.ioremap_order(length)
        order = max(self.page_size.bit_length() - 1, min(order, self.ioremap_max_order))
        start = self.get_vm_area(length, ("ioremap",), align=1 << order, caller=caller, phys=first, cpu=cpu)
        tables = self.page_tables
        if start and tables and not tables.map_range(
            start, first, length, device=True, largest=None if self.huge_ioremap else self.page_size, cpu=cpu
        ):  # fmt: skip
            self._drop(start, cpu)
            return 0
        return start + phys - first if start else 0

    def vunmap(self, address: int, cpu: int = 0) -> None:
        """Undo vmap or ioremap (vunmap, iounmap).

        Raises
        ------
        KernelBug
            Where nothing is mapped; nothing has changed then.
        """
        start = address & -self.page_size
        area = self.busy.get(start)
        if area is None:
            raise KernelBug(self.words.nothing_mapped.format(address=self._name(start)))
        if "vmalloc" in area.row.flags:
            raise KernelBug(f"this kernel says nothing (the area at {self._name(start)} is vmalloc's)")
        self._drop(start, cpu)

    # --- stacks -----------------------------------------------------------------------------------

    def alloc_thread_stack(self, size: int = 16384, cpu: int = 0, align: int | None = None) -> int:
        """Take a task's stack: the first that this cpu kept, or a new one (alloc_thread_stack_node)."""
        for slot, kept in enumerate(self.stacks[cpu]):
            if kept:
                self.stacks[cpu][slot] = 0
                return kept
        return self.vmalloc(size, align=align or size, caller="kernel_clone", cpu=cpu)

    def free_thread_stack(self, address: int, cpu: int = 0) -> None:
        """Give a task's stack back: two are kept per cpu, each in the first empty slot (thread_stack_free_rcu)."""
        if address not in self.busy or any(address in kept for kept in self.stacks):
            raise KernelBug(self.words.no_area.format(address=self._name(address)))
        if 0 in self.stacks[cpu]:
            self.stacks[cpu][self.stacks[cpu].index(0)] = address
        else:
            self.vfree(address, cpu)

    # --- what can be seen -------------------------------------------------------------------------

    def vmalloc_to_pfn(self, address: int) -> int:
        """Return the frame behind an address (vmalloc_to_page).

        Raises
        ------
        KernelBug
            Where nothing is mapped: the access faults.
        """
        if self.page_tables is not None:
            physical = self.page_tables.walk(address).physical
            if physical is not None:
                return physical // self.page_size
        for start, area in self.busy.items() if self.page_tables is None else ():
            if start <= address < area.row.end:
                page = (address - start) // self.page_size
                if page >> area.order < len(area.pfns):
                    return area.pfns[page >> area.order] + (page & (1 << area.order) - 1)
        raise KernelBug(f"BUG: unable to handle page fault for address: {address:016x}")

    def areas(self) -> tuple[VmallocArea, ...]:
        """Return the rows of /proc/vmallocinfo: areas by node and address, then what waits for the purge."""
        rows: list[VmallocArea] = []
        for number in range(len(self.nodes)):
            starts = [s for s, area in self.busy.items() if self._owner(s, area) == number]
            rows += [self.busy[start].row for start in sorted(starts)]
        return (*rows, *self.unpurged())

    def _owner(self, start: int, area: VmapArea) -> int:
        return area.node if area.node >= 0 else self._node_of(start)

    def unpurged(self) -> tuple[VmallocArea, ...]:
        """Return the lazily freed ranges of each node, joined where they touch (show_purge_info)."""
        if not self.rules.unpurged_last:
            return ()
        rows: list[VmallocArea] = []
        for node in self.nodes:
            joined: list[list[int]] = []
            for start, end, _pooled in sorted(node.freed):
                if joined and joined[-1][1] == start:
                    joined[-1][1] = end
                else:
                    joined.append([start, end])
            rows += [VmallocArea(start, end, end - start, flags=("unpurged vm_area",)) for start, end in joined]
        return tuple(rows)

    def nr_vmalloc_pages(self) -> int:
        """Return VmallocUsed of /proc/meminfo, in pages."""
        return sum(area.row.pages or 0 for area in self.busy.values() if "vmalloc" in area.row.flags)

    def save(self) -> tuple[Any, ...]:
        """Return the state as plain tuples."""
        nodes = tuple((tuple(n.freed), tuple((k, tuple(v)) for k, v in n.pools.items())) for n in self.nodes)
        stacks = tuple(map(tuple, self.stacks))
        tables = self.page_tables.save() if self.page_tables else None
        objects = self.objects.save() if self.objects else None
        busy = tuple(self.busy.items())
        return (self.free.save(), busy, nodes, self.lazy_pages, stacks, tuple(self.dmesg), tables, objects)

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        free, busy, nodes, self.lazy_pages, stacks, dmesg, tables, objects = saved
        if self.objects:
            self.objects.load(objects)
        if self.page_tables:
            self.page_tables.load(tables)
        self.free.load(free)
        self.busy = dict(busy)
        for node, (freed, pools) in zip(self.nodes, nodes, strict=True):
            node.freed = list(freed)
            node.pools = {pages: list(pool) for pages, pool in pools}
        self.stacks = [list(kept) for kept in stacks]
        self.dmesg = list(dmesg)
