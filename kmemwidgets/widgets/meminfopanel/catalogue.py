"""/proc/meminfo, field by field: what a figure means, how the kernel gets it, and what it leaves out.

A formula is a sum of terms, each a field of meminfo, a counter of vmstat or a sum over zones, so that the panel
can put this machine's numbers into it. Where the kernel computes more than a sum, `by` names the function in
``figures.py`` that does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmemwidgets.records import Version

_SHOW = "fs/proc/meminfo.c: meminfo_proc_show"


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a sum.

    Attributes
    ----------
    name : str
        A field of meminfo (``"Buffers"``), a counter of vmstat (``"nr_mapped"``), or of all zones
        (``"zones.managed"``).
    sign : int
        1 or -1.
    unit : str
        ``"kB"`` or ``"pages"``.
    """

    name: str
    sign: int = 1
    unit: str = "kB"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of /proc/meminfo.

    Attributes
    ----------
    name : str
        As the kernel prints it.
    group : str
        Heading under which the panel shows it.
    meaning : str
        What the figure says.
    formula : str
        How the kernel gets it, in its own words.
    source : str
        Kernel file and function.
    terms : tuple of Term
        The same formula as a sum, where it is one.
    by : str
        Name of the function that computes it, where it is more than a sum.
    leaves_out : str
        What a reader may expect in it, and does not find.
    since : tuple of int
        First release that prints it; (2, 4) stands for always.
    unit : str
        ``"kB"`` or ``"pages"`` (the HugePages counts).
    """

    name: str
    group: str
    meaning: str
    formula: str
    source: str = _SHOW
    terms: tuple[Term, ...] = ()
    by: str = ""
    leaves_out: str = ""
    since: Version = (2, 6)
    unit: str = "kB"


def _kb(*names: str) -> tuple[Term, ...]:
    """Terms in kB; a leading minus is the sign."""
    return tuple(Term(name.lstrip("-"), -1 if name.startswith("-") else 1) for name in names)


def _pages(*names: str) -> tuple[Term, ...]:
    return tuple(Term(name, 1, "pages") for name in names)


_FIELDS = (
    # The whole.
    Field("MemTotal", "total", "Memory that the page allocator manages.",
          "totalram_pages: the sum of managed over all zones", terms=_pages("zones.managed"), since=(2, 4),
          leaves_out="the kernel image, struct pages, what boot reserved for good, and the firmware's memory"),
    Field("MemFree", "total", "Pages on the free lists of all zones.",
          "NR_FREE_PAGES: the sum of free over all zones", terms=_pages("zones.free"), since=(2, 4),
          leaves_out="pages on per-CPU lists, which are as free but were already taken off the zones"),
    Field("MemAvailable", "total",
          "How much a new program may ask for before the machine swaps, as an estimate.",
          "free - reserves + page cache that can go + kernel memory that can go; of the last two, half or the low "
          "watermarks stay, whichever is less", "mm/page_alloc.c: si_mem_available", by="mem_available", since=(3, 14),
          leaves_out="swap, and memory of processes"),
    # Page cache and processes.
    Field("Buffers", "page cache", "Page cache of block devices themselves: file-system metadata read through the "
          "device.", "nr_blockdev_pages", "block/bdev.c: nr_blockdev_pages", since=(2, 4)),
    Field("Cached", "page cache", "Page cache of files, tmpfs and shared memory included.",
          "NR_FILE_PAGES - SwapCached - Buffers",
          terms=(Term("nr_file_pages", 1, "pages"), Term("SwapCached", -1), Term("Buffers", -1)), since=(2, 4),
          leaves_out="nothing, but it is not all reclaimable: the Shmem in it can only go to swap"),
    Field("SwapCached", "swap", "Pages in memory that also have a place in swap, so that they need not be written "
          "again.", "total_swapcache_pages", "mm/swap_state.c: total_swapcache_pages", since=(2, 4),
          leaves_out="it is no part of its own: those that are mapped are in AnonPages as well"),
    Field("Active", "reclaim lists", "Pages used lately: the active lists.", "Active(anon) + Active(file)",
          terms=_kb("Active(anon)", "Active(file)"), since=(2, 4)),
    Field("Inactive", "reclaim lists", "Pages that reclaim looks at first: the inactive lists.",
          "Inactive(anon) + Inactive(file)", terms=_kb("Inactive(anon)", "Inactive(file)"), since=(2, 4)),
    Field("Active(anon)", "reclaim lists", "Active pages without a file behind them, shared memory included.",
          "NR_ACTIVE_ANON", terms=_pages("nr_active_anon"), since=(2, 6, 28)),
    Field("Inactive(anon)", "reclaim lists", "Inactive pages without a file behind them, shared memory included.",
          "NR_INACTIVE_ANON", terms=_pages("nr_inactive_anon"), since=(2, 6, 28)),
    Field("Active(file)", "reclaim lists", "Active pages of files.", "NR_ACTIVE_FILE", terms=_pages("nr_active_file"),
          since=(2, 6, 28)),
    Field("Inactive(file)", "reclaim lists", "Inactive pages of files.", "NR_INACTIVE_FILE",
          terms=_pages("nr_inactive_file"), since=(2, 6, 28)),
    Field("Unevictable", "reclaim lists", "Pages that reclaim does not look at: locked in memory, ramfs, locked "
          "shared memory.", "NR_UNEVICTABLE", terms=_pages("nr_unevictable"), since=(2, 6, 28)),
    Field("Mlocked", "reclaim lists", "Pages locked by mlock; all of them are in Unevictable.", "NR_MLOCK",
          terms=_pages("nr_mlock"), since=(2, 6, 28)),
    Field("HighTotal", "high memory", "Memory without a permanent kernel address (32-bit machines).",
          "totalhigh_pages: managed of the HighMem zones", by="high_total", since=(2, 4)),
    Field("HighFree", "high memory", "Free pages of high memory.", "free of the HighMem zones", by="high_free",
          since=(2, 4)),
    Field("LowTotal", "high memory", "Memory that the kernel can use for its own data.", "MemTotal - HighTotal",
          terms=_kb("MemTotal", "-HighTotal"), since=(2, 4)),
    Field("LowFree", "high memory", "Free pages of low memory.", "MemFree - HighFree",
          terms=_kb("MemFree", "-HighFree"), since=(2, 4)),
    Field("SwapTotal", "swap", "Size of all swap areas in use.", "total_swap_pages", "mm/swapfile.c: si_swapinfo",
          since=(2, 4)),
    Field("SwapFree", "swap", "Swap space that holds nothing.", "nr_swap_pages", "mm/swapfile.c: si_swapinfo",
          since=(2, 4)),
    Field("Zswap", "swap", "Memory that zswap uses for compressed pages.", "zswap_total_pages",
          "mm/zswap.c: zswap_total_pages", since=(5, 19)),
    Field("Zswapped", "swap", "Size of the pages that zswap holds, before compression.", "zswap_stored_pages",
          "mm/zswap.c: zswap_stored_pages", since=(5, 19), leaves_out="it is no memory in use: Zswap is"),
    Field("Dirty", "page cache", "Page cache that must be written to disk.", "NR_FILE_DIRTY", terms=_pages("nr_dirty"),
          since=(2, 6)),
    Field("Writeback", "page cache", "Page cache that is being written to disk now.", "NR_WRITEBACK",
          terms=_pages("nr_writeback")),
    Field("AnonPages", "processes", "Pages of processes without a file behind them: heap, stack, private writes.",
          "NR_ANON_MAPPED", terms=_pages("nr_anon_pages"), since=(2, 6, 18),
          leaves_out="shared memory and tmpfs, which are in Cached and Shmem"),
    Field("Mapped", "page cache", "Page cache that is mapped into processes: programs, libraries, mapped files.",
          "NR_FILE_MAPPED", terms=_pages("nr_mapped")),
    Field("Shmem", "page cache", "Shared memory and tmpfs, devtmpfs included.", "NR_SHMEM", terms=_pages("nr_shmem"),
          since=(2, 6, 32)),
    # The kernel itself.
    Field("KReclaimable", "kernel", "Kernel memory that can be freed on demand.",
          "SReclaimable + NR_KERNEL_MISC_RECLAIMABLE",
          terms=(Term("SReclaimable"), Term("nr_kernel_misc_reclaimable", 1, "pages")), since=(4, 20)),
    Field("Slab", "kernel", "Pages of the slab allocator, and kmalloc of more than two pages.",
          "SReclaimable + SUnreclaim", terms=_kb("SReclaimable", "SUnreclaim")),
    Field("SReclaimable", "kernel", "Slab pages of caches that can shrink, such as dentries and inodes.",
          "NR_SLAB_RECLAIMABLE_B", terms=_pages("nr_slab_reclaimable"), since=(2, 6, 19)),
    Field("SUnreclaim", "kernel", "Slab pages that stay until their objects are freed.", "NR_SLAB_UNRECLAIMABLE_B",
          terms=_pages("nr_slab_unreclaimable"), since=(2, 6, 19)),
    Field("KernelStack", "kernel", "Kernel stacks of all tasks.", "NR_KERNEL_STACK_KB", terms=_kb("nr_kernel_stack"),
          since=(2, 6, 32), leaves_out="nothing; with CONFIG_VMAP_STACK these pages are in VmallocUsed as well"),
    Field("ShadowCallStack", "kernel", "Second stacks that hold return addresses (arm64).", "NR_KERNEL_SCS_KB",
          terms=_kb("nr_shadow_call_stack"), since=(5, 8)),
    Field("PageTables", "kernel", "Page tables of processes.", "NR_PAGETABLE", terms=_pages("nr_page_table_pages"),
          leaves_out="the kernel's own page tables"),
    Field("SecPageTables", "kernel", "Page tables of virtual machines and I/O units.", "NR_SECONDARY_PAGETABLE",
          terms=_pages("nr_sec_page_table_pages"), since=(6, 1)),
    Field("NFS_Unstable", "page cache", "Written to an NFS server but not yet on its disk; always 0 since 5.8.", "0"),
    Field("Bounce", "kernel", "Copies for devices that can't reach high memory.", "NR_BOUNCE",
          terms=_pages("nr_bounce"), leaves_out="swiotlb; always 0 since 6.16"),
    Field("WritebackTmp", "page cache", "Copies that FUSE makes of pages being written.", "NR_WRITEBACK_TEMP",
          terms=_pages("nr_writeback_temp"), since=(2, 6, 26)),
    Field("CommitLimit", "commitment", "How much memory may be promised when vm.overcommit_memory is 2.",
          "(MemTotal - Hugetlb) * vm.overcommit_ratio / 100 + SwapTotal, with the ratio's default of 50",
          "mm/util.c: vm_commit_limit", by="commit_limit", leaves_out="it limits nothing in modes 0 and 1"),
    Field("Committed_AS", "commitment", "Memory promised to processes, touched or not.", "vm_committed_as",
          "mm/util.c: vm_memory_committed"),
    Field("VmallocTotal", "addresses", "Size of the vmalloc area: addresses, not memory.",
          "VMALLOC_END - VMALLOC_START"),
    Field("VmallocUsed", "kernel", "Pages behind vmalloc areas: modules, large tables, kernel stacks where they are "
          "vmapped.", "nr_vmalloc_pages", "mm/vmalloc.c: vmalloc_nr_pages",
          leaves_out="ioremap and vmap areas, whose pages somebody else owns; 0 in 4.4 to 5.2, which did not count"),
    Field("VmallocChunk", "addresses", "Was the largest hole in the vmalloc area; always 0 since 4.4.", "0"),
    Field("Percpu", "kernel", "Memory of per-cpu variables.", "pcpu_nr_pages", "mm/percpu.c: pcpu_nr_pages",
          since=(4, 19), leaves_out="nothing, but its first chunk was reserved at boot and lies outside MemTotal"),
    Field("EarlyMemtestBad", "hardware", "Bad memory that the memory test found at boot.", "early_memtest_bad_size",
          "mm/memtest.c: memtest_report_meminfo", since=(6, 4)),
    Field("HardwareCorrupted", "hardware", "Pages that hardware reported as broken; never used again.",
          "num_poisoned_pages", since=(2, 6, 32)),
    Field("AnonHugePages", "huge pages", "The part of AnonPages that is in transparent huge pages.", "NR_ANON_THPS",
          by="thp:nr_anon_transparent_hugepages", since=(2, 6, 38)),
    Field("ShmemHugePages", "huge pages", "Shared memory and tmpfs in huge pages.", "NR_SHMEM_THPS",
          by="thp:nr_shmem_hugepages", since=(4, 8)),
    Field("ShmemPmdMapped", "huge pages", "Shared memory that processes map as huge pages.", "NR_SHMEM_PMDMAPPED",
          by="thp:nr_shmem_pmdmapped", since=(4, 8)),
    Field("FileHugePages", "huge pages", "Page cache of files in huge pages.", "NR_FILE_THPS",
          by="thp:nr_file_hugepages", since=(5, 4)),
    Field("FilePmdMapped", "huge pages", "Page cache of files that processes map as huge pages.",
          "NR_FILE_PMDMAPPED", by="thp:nr_file_pmdmapped", since=(5, 4)),
    Field("CmaTotal", "contiguous memory", "Memory of the contiguous memory allocator's areas, lent out meanwhile.",
          "totalcma_pages", since=(3, 19)),
    Field("CmaFree", "contiguous memory", "Free pages of those areas; they are in MemFree as well.",
          "NR_FREE_CMA_PAGES", terms=_pages("nr_free_cma"), since=(3, 19)),
    Field("Unaccepted", "hardware", "Memory of a confidential guest that it has not yet accepted; it is in MemFree "
          "as well.", "NR_UNACCEPTED", terms=_pages("nr_unaccepted"), since=(6, 5)),
    Field("Balloon", "hardware", "Pages that a balloon driver took for the host.", "NR_BALLOON_PAGES",
          terms=_pages("nr_balloon_pages"), since=(6, 16)),
    Field("HugePages_Total", "hugetlb", "Pages in the pool of the default huge page size.", "nr_huge_pages",
          "mm/hugetlb.c: hugetlb_report_meminfo", unit="pages"),
    Field("HugePages_Free", "hugetlb", "Pages of the pool that nobody uses.", "free_huge_pages",
          "mm/hugetlb.c: hugetlb_report_meminfo", unit="pages",
          leaves_out="free for other uses they are not: the pool keeps them"),
    Field("HugePages_Rsvd", "hugetlb", "Free pages of the pool that are promised to mappings.", "resv_huge_pages",
          "mm/hugetlb.c: hugetlb_report_meminfo", unit="pages", since=(2, 6, 17)),
    Field("HugePages_Surp", "hugetlb", "Pages above the pool's set size.", "surplus_huge_pages",
          "mm/hugetlb.c: hugetlb_report_meminfo", unit="pages", since=(2, 6, 24)),
    Field("Hugepagesize", "hugetlb", "The default huge page size.", "huge_page_size(&default_hstate)",
          "mm/hugetlb.c: hugetlb_report_meminfo"),
    Field("Hugetlb", "hugetlb", "Memory of the hugetlb pools of all sizes.",
          "the sum of pages * size over the pools", "mm/hugetlb.c: hugetlb_report_meminfo", by="hugetlb",
          since=(4, 16)),
    Field("DirectMap4k", "direct map", "Of the kernel's map of all memory, what is mapped in 4 KiB pages (x86).",
          "direct_pages_count[PG_LEVEL_4K]", "arch/x86/mm/pat/set_memory.c: arch_report_meminfo", since=(2, 6, 27)),
    Field("DirectMap2M", "direct map", "What is mapped in 2 MiB pages.", "direct_pages_count[PG_LEVEL_2M]",
          "arch/x86/mm/pat/set_memory.c: arch_report_meminfo", since=(2, 6, 27)),
    Field("DirectMap4M", "direct map", "What is mapped in 4 MiB pages (32-bit without PAE).",
          "direct_pages_count[PG_LEVEL_2M]", "arch/x86/mm/pat/set_memory.c: arch_report_meminfo", since=(2, 6, 27)),
    Field("DirectMap1G", "direct map", "What is mapped in 1 GiB pages, where the processor has them.",
          "direct_pages_count[PG_LEVEL_1G]", "arch/x86/mm/pat/set_memory.c: arch_report_meminfo", since=(2, 6, 27)),
)  # fmt: skip

#: Field of /proc/meminfo -> what is known of it.
CATALOGUE: Mapping[str, Field] = {entry.name: entry for entry in _FIELDS}


def unknown_field(name: str) -> Field:
    """Describe a field that is not in the catalogue: a newer kernel's, or a vendor's."""
    return Field(name, "other", "This field is not known here: it may be of a newer kernel, or a vendor's.", "unknown")
