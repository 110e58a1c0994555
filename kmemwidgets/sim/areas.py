"""vmalloc's space of one machine: its areas, blocks of short mappings, kernel stacks, and the page tables behind them.

The commands take plain arguments, as a log of them needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kmemwidgets.arch.page_tables import EntryBits, entry_bits, levels_of
from kmemwidgets.arch.space import AddressSpace
from kmemwidgets.records import BadInput, MachineSpec, PageWalk, VmallocArea, format_version

from .early import IMAGE_BYTES
from .errors import KernelBug
from .gfp import GFP_KERNEL
from .page_tables import PageTables
from .rules import pick
from .rules.layout import address_space
from .rules.page_tables import TABLE as PAGE_TABLES
from .rules.page_tables import PageTableRules
from .rules.vmalloc import TABLE, VmallocRules
from .rules.vmalloc_words import TABLE as WORDS
from .rules.vmalloc_words import VmallocWords
from .vmalloc import Vmalloc
from .vmap_area import VmapArea
from .vmap_block import VmapBlocks
from .vmap_objects import Slabs, VmapObjects
from .zone_sizes import rules_for

#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset(
    {
        "vmalloc", "vmalloc_huge", "vfree", "vmap", "vunmap", "ioremap", "iounmap", "vm_map_ram", "vm_unmap_ram",
        "vm_unmap_aliases", "alloc_thread_stack", "free_thread_stack",
    }
)  # fmt: skip
#: Bytes of a kernel stack (THREAD_SIZE), at least a page.
STACK = 16384
#: arm64: from the start of the image to _stext (SEGMENT_ALIGN of arch/arm64/kernel/vmlinux.lds.S).
ARM64_HEAD = 64 * 1024
#: The bit of an x86 entry that forbids execution.
NX = 1 << 63


class Areas:
    """vmalloc's space of one machine.

    Parameters
    ----------
    spec : MachineSpec
    page_alloc : PageAllocator
    memory : sequence of (int, int)
        RAM that the kernel uses, bytes, ascending.

    Attributes
    ----------
    vmalloc_ : Vmalloc
    tables : PageTables
    blocks : VmapBlocks
    """

    def __init__(self, spec: MachineSpec, page_alloc: Any, memory: Sequence[tuple[int, int]]) -> None:
        self._spec = spec
        self._memory = memory
        self._rules = pick(VmallocRules, TABLE, spec.kernel)
        space = address_space(spec, memory)
        bounds = space.area("vmalloc")
        page = spec.page_size
        table_rules = pick(PageTableRules, PAGE_TABLES, spec.kernel)
        self.tables = PageTables(
            levels_of(spec.arch, va_bits=spec.va_bits, page_size=page, pae=spec.pae),
            _bits(spec, table_rules),
            page_alloc,
            page_size=page,
            huge=spec.arch in ("x86_64", "arm64") or spec.pae,
            boot_made=spec.pae or (spec.arch == "x86_64" and rules_for(spec).vmalloc_tables_early),
            keeps_tables=space.bits == 32,
        )
        self.vmalloc_ = Vmalloc(
            self._rules,
            bounds.start,
            bounds.end,
            page_alloc=page_alloc,
            cpus=spec.cpus,
            page_size=page,
            word=space.bits // 8,
            total_pages=sum(end - start for start, end in memory) // page,
            page_offset=space.page_offset - space.phys_offset,
            page_tables=self.tables,
            ioremap_max_order=_ioremap_max_order(spec, self.tables, table_rules),
            huge_ioremap=table_rules.huge_ioremap and self.tables.huge,
            numa=spec.option("CONFIG_NUMA") == "y" if spec.option("CONFIG_NUMA") else space.bits == 64,
            words=pick(VmallocWords, WORDS, spec.kernel),
        )
        if spec.arch == "arm64":
            self._register_image(space)
        self.blocks = VmapBlocks(self.vmalloc_, int(spec.option("CONFIG_NR_CPUS") or (64 if space.bits == 64 else 8)))

    def vmalloc_init(self, slabs: Slabs) -> None:
        """Take what the ranges that are there need from the slab allocator, and all later ones (vmalloc_init)."""
        area, word = self.vmalloc_, self.vmalloc_.word
        area.objects = VmapObjects(
            slabs,
            struct_bytes=self._rules.struct_bytes(word, 8 if self._spec.pae else word),
            area_bytes=self._rules.area_words * word,
            cpus=self._spec.cpus,
            free=area.free,
            busy=area.busy,
        )

    def _register_image(self, space: AddressSpace) -> None:
        """Enter arm64's image: boot mapped it at the start of vmalloc's space (map_kernel, vm_area_register_early)."""
        size = image_bytes(self._spec)
        # Where KASLR put it, less what precedes its text.
        start = dict(self._spec.bases).get("kernel_text", space.text_start + ARM64_HEAD) - ARM64_HEAD
        row = VmallocArea(
            start, start + size, size, "paging_init", phys=space.text_start - space.text_map, flags=("vmap",)
        )
        self.vmalloc_.free.claim(start, start + size)
        self.vmalloc_.busy[start] = VmapArea(row)

    # Commands

    def vmalloc(self, size: int, cpu: int = 0, gfp: int = GFP_KERNEL) -> int:
        """Allocate pages that are contiguous in addresses only; 0 where the kernel refuses."""
        return self.vmalloc_.vmalloc(size, gfp, cpu=cpu)

    def vmalloc_huge(self, size: int, cpu: int = 0) -> int:
        """Allocate with huge pages where they are to be had (VM_ALLOW_HUGE_VMAP)."""
        return self.vmalloc_.vmalloc(size, huge=True, caller="vmalloc_huge", cpu=cpu)

    def vfree(self, address: int, cpu: int = 0) -> None:
        """Give an area back."""
        self.vmalloc_.vfree(address, cpu)

    def vmap(self, pfns: Sequence[int], cpu: int = 0) -> int:
        """Map frames beside each other; they stay their owner's. 0 where the kernel refuses."""
        self._check_frames(pfns)
        if len(pfns) > self._total_pages:
            return 0
        return self.vmalloc_.vmap(tuple(pfns), cpu=cpu)

    def vunmap(self, address: int, cpu: int = 0) -> None:
        """Undo vmap."""
        self.vmalloc_.vunmap(address, cpu)

    def ioremap(self, phys: int, size: int, cpu: int = 0) -> int:
        """Map what a device shows at a physical address; 0 where the kernel refuses, as for memory."""
        last = phys + size - 1
        if size <= 0 or phys < 0 or last >= 1 << 52:
            return 0
        if any(start <= last and phys < end for start, end in self._memory):
            self._warn_of_ram(phys, last)
            return 0
        return self.vmalloc_.ioremap(phys, size, cpu=cpu)

    def iounmap(self, address: int, cpu: int = 0) -> None:
        """Undo ioremap."""
        page = address & -self._spec.page_size
        if self._spec.arch.startswith("x86") and page not in self.vmalloc_.busy:
            words = self.vmalloc_.words.nothing_remapped
            raise KernelBug(words.format(address=f"{page:0{2 * self.vmalloc_.word}x}"))
        self.vmalloc_.vunmap(address, cpu)

    def _warn_of_ram(self, phys: int, last: int) -> None:
        """Tell that memory is no device's: x86 once, arm64 each time (__ioremap_caller, ioremap_prot)."""
        words, log = self.vmalloc_.words, self.vmalloc_.dmesg
        if not self._spec.arch.startswith("x86"):
            log += [words.ioremap_ram_arm.format(arch=self._spec.arch)] if words.ioremap_ram_arm else []
            return
        digits = 16 if self.vmalloc_.word == 8 or self._spec.pae else 8
        if words.ioremap_ram and not any("ioremap on RAM" in line for line in log):
            log.append(words.ioremap_ram.format(start=f"0x{phys:0{digits}x}", last=f"0x{last:0{digits}x}"))

    def vm_map_ram(self, pfns: Sequence[int], cpu: int = 0) -> int:
        """Map frames for a short while, from a block of this cpu if they are few."""
        self._check_frames(pfns)
        if not self._rules.vmap_blocks:
            raise BadInput(f"Linux {format_version(self._spec.kernel)} has no vm_map_ram", todo="use vmap")
        return self.blocks.vm_map_ram(tuple(pfns), cpu)

    def vm_unmap_ram(self, address: int, count: int) -> None:
        """Undo vm_map_ram."""
        self.blocks.vm_unmap_ram(address, count)

    def vm_unmap_aliases(self) -> None:
        """Flush all that was unmapped lazily: unused blocks and freed areas become free."""
        self.blocks.purge_fragmented()
        self.vmalloc_.purge()

    def alloc_thread_stack(self, cpu: int = 0) -> int:
        """Take the kernel stack of a new task."""
        self._check_stacks()
        size = max(STACK, self._spec.page_size)
        # arm64 aligns stacks to twice their size, so that one bit tells an overflow (arch/arm64/include/asm/memory.h).
        return self.vmalloc_.alloc_thread_stack(size, cpu, align=2 * size if self._spec.arch == "arm64" else size)

    def free_thread_stack(self, address: int, cpu: int = 0) -> None:
        """Give the kernel stack of a dead task back."""
        self._check_stacks()
        self.vmalloc_.free_thread_stack(address, cpu)

    # Looking

    def walk(self, address: int) -> PageWalk:
        """Look an address of vmalloc's space up in the page tables."""
        return self.tables.walk(address)

    # Keeping

    def save(self) -> tuple[Any, ...]:
        """Return the state."""
        return self.vmalloc_.save(), self.blocks.save()

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        areas, blocks = saved
        self.vmalloc_.load(areas)
        self.blocks.load(blocks)

    # Inside

    @property
    def _total_pages(self) -> int:
        return sum(end - start for start, end in self._memory) // self._spec.page_size

    def _check_frames(self, pfns: Sequence[int]) -> None:
        page = self._spec.page_size
        for pfn in pfns:
            if not any(start <= pfn * page < end for start, end in self._memory):
                raise ValueError(f"no frame {pfn:#x}")

    def _check_stacks(self) -> None:
        if self._spec.arch in self._rules.vmap_stacks:
            return
        raise BadInput(
            f"Linux {format_version(self._spec.kernel)} on {self._spec.arch} has no stacks in vmalloc's space",
            todo="take them as pages: alloc_pages(order=1)",
        )


def image_bytes(spec: MachineSpec) -> int:
    """Return the bytes of whole pages that the kernel's image takes; an estimate where nobody recorded it."""
    reserved = [entry for entry in spec.reserved if entry.name == "kernel"]
    size = reserved[0].end - reserved[0].start if reserved else IMAGE_BYTES[spec.arch]
    return -(-size // spec.page_size) * spec.page_size


def _bits(spec: MachineSpec, rules: PageTableRules) -> EntryBits:
    found = entry_bits(spec.arch, pae=spec.pae)
    if spec.arch == "arm64":
        # A block lacks the bit that tells a page of the lowest level.
        return replace(found, page=rules.arm64_page, block=rules.arm64_page & ~2, device=rules.arm64_device)
    if not rules.x86_nx:
        return replace(found, page=found.page & ~NX, block=found.block & ~NX)
    return found


def _ioremap_max_order(spec: MachineSpec, tables: PageTables, rules: PageTableRules) -> int:
    """Return IOREMAP_MAX_ORDER: what the highest leaf maps, or 128 pages where nothing larger than a page is mapped."""
    if rules.huge_ioremap and tables.huge:
        return max(level.shift for level in tables.levels if level.leaf)
    return 24 if spec.arch == "arm" else 7 + spec.page_size.bit_length() - 1
