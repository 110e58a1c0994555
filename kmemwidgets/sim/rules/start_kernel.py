"""Which memory-related functions start_kernel calls, in which order (init/main.c), by version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .table import Rule


@dataclass(frozen=True, slots=True)
class StartKernelRules:
    """The order of a boot.

    Attributes
    ----------
    steps : tuple of str
        Function names; "a: b" for b called by a.
    """

    steps: tuple[str, ...]


def _inside(outer: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{outer}: {name}" for name in names)


_V24 = (
    "setup_arch", "setup_arch: paging_init", "setup_arch: free_area_init", "kmem_cache_init", "mem_init",
    "kmem_cache_sizes_init", "pgtable_cache_init", "fork_init", "proc_caches_init", "vfs_caches_init", "buffer_init",
    "page_cache_init",
)  # fmt: skip
_V2611 = (
    "setup_arch", "setup_arch: paging_init", "setup_arch: free_area_init", "setup_per_cpu_areas", "build_all_zonelists",
    "page_alloc_init", "vfs_caches_init_early", "mem_init", "kmem_cache_init", "numa_policy_init",
    "pgtable_cache_init", "anon_vma_init", "fork_init", "proc_caches_init", "buffer_init", "vfs_caches_init",
)  # fmt: skip
_EARLY = ("setup_arch", "setup_arch: memblock", "setup_arch: paging_init", "setup_arch: free_area_init",
          "setup_per_cpu_areas")  # fmt: skip
_LATE = ("kmem_cache_init_late", "setup_per_cpu_pageset", "numa_policy_init", "anon_vma_init", "fork_init",
         "proc_caches_init", "vfs_caches_init", "pagecache_init")  # fmt: skip
_V56 = (
    *_EARLY, "build_all_zonelists", "page_alloc_init", "vfs_caches_init_early",
    *_inside("mm_init", "page_ext_init_flatmem", "init_debug_pagealloc", "report_meminit", "mem_init",
             "kmem_cache_init", "kmemleak_init", "pgtable_init", "debug_objects_mem_init", "vmalloc_init",
             "ioremap_huge_init", "init_espfix_bsp", "pti_init"),
    *_LATE,
)  # fmt: skip
_V61 = (
    *_EARLY, "build_all_zonelists", "page_alloc_init", "vfs_caches_init_early",
    *_inside("mm_init", "page_ext_init_flatmem", "init_mem_debugging_and_hardening", "kfence_alloc_pool",
             "report_meminit", "kmsan_init_shadow", "stack_depot_early_init", "mem_init", "mem_init_print_info",
             "kmem_cache_init", "page_ext_init_flatmem_late", "kmemleak_init", "pgtable_init",
             "debug_objects_mem_init", "vmalloc_init", "page_ext_init", "init_espfix_bsp", "pti_init",
             "kmsan_init_runtime", "mm_cache_init"),
    *_LATE,
)  # fmt: skip
_V612 = (
    *_EARLY, "vfs_caches_init_early",
    *_inside("mm_core_init", "build_all_zonelists", "page_alloc_init_cpuhp", "page_ext_init_flatmem",
             "mem_debugging_and_hardening_init", "kfence_alloc_pool_and_metadata", "report_meminit",
             "kmsan_init_shadow", "stack_depot_early_init", "mem_init", "kmem_cache_init",
             "page_ext_init_flatmem_late", "kmemleak_init", "ptlock_cache_init", "pgtable_cache_init",
             "debug_objects_mem_init", "vmalloc_init", "page_ext_init", "init_espfix_bsp", "pti_init",
             "kmsan_init_runtime", "mm_cache_init", "execmem_init"),
    *_LATE,
)  # fmt: skip
_LAST = "kernel_init_freeable: page_alloc_init_late"
#: 6.5 to 6.10: mem_init_print_info is still called right after mem_init.
_V65 = tuple(
    name
    for step in _V612
    for name in ((step, "mm_core_init: mem_init_print_info") if step == "mm_core_init: mem_init" else (step,))
)
_V618 = (
    *_EARLY, "early_numa_node_init", "vfs_caches_init_early",
    *_inside("mm_core_init", "arch_mm_preinit", "hugetlb_bootmem_alloc", "build_all_zonelists",
             "page_alloc_init_cpuhp", "alloc_tag_sec_init", "page_ext_init_flatmem",
             "mem_debugging_and_hardening_init", "kfence_alloc_pool_and_metadata", "report_meminit",
             "kmsan_init_shadow", "stack_depot_early_init", "kho_memory_init", "memblock_free_all", "mem_init",
             "kmem_cache_init", "page_ext_init_flatmem_late", "kmemleak_init", "ptlock_cache_init",
             "pgtable_cache_init", "debug_objects_mem_init", "vmalloc_init", "page_ext_init", "init_espfix_bsp",
             "pti_init", "kmsan_init_runtime", "mm_cache_init", "execmem_init"),
    *_LATE,
)  # fmt: skip

TABLE: tuple[Rule, ...] = (
    Rule("steps", (2, 4), _V24, "bootmem, the slab caches, then mem_init.", "init/main.c start_kernel", ("source",)),
    Rule("steps", (2, 6, 11), _V2611, "Zonelists are built before mem_init.", "init/main.c start_kernel"),
    Rule("steps", (5, 6), _V56, "What belongs together is called by mm_init.", "init/main.c mm_init", ("source",)),
    Rule("steps", (6, 1), _V61, "mm_init, with the checkers that came since.", "init/main.c mm_init", ("source",)),
    Rule("steps", (6, 5), _V65, "mm_init is now mm_core_init, and builds the zonelists too.",
         "mm/mm_init.c mm_core_init", ()),
    Rule("steps", (6, 11), (*_V612, _LAST), "The Memory: line waits until all struct pages are initialised.",
         "mm/mm_init.c mm_core_init, page_alloc_init_late", ("source",)),
    Rule("steps", (6, 18), (*_V618, _LAST), "The hand-over is a generic step of its own, before mem_init.",
         "mm/mm_init.c mm_core_init", ("source",)),
)  # fmt: skip

#: Function -> what it does, kernel file.
MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "setup_arch": ("Reads the firmware's memory map and finds out what RAM there is.", "arch/*/kernel/setup.c"),
    "memblock": ("The early allocator takes the image, the initrd, tables and maps off what is free.", "mm/memblock.c"),
    "paging_init": ("Maps all RAM the kernel can reach directly.", "arch/*/mm/init.c"),
    "free_area_init": ("Cuts memory into nodes and zones, and makes the memory map (struct page).",
                       "mm/mm_init.c; mm/page_alloc.c before 6.4"),
    "setup_per_cpu_areas": ("Gives each cpu its own copy of per-CPU variables.", "mm/percpu.c, arch/*/kernel"),
    "early_numa_node_init": ("Tells each cpu its node.", "init/main.c"),
    "build_all_zonelists": ("Writes down, for each node, in which order requests look at zones.", "mm/page_alloc.c"),
    "page_alloc_init": ("Lets the page allocator hear of cpus that go away.", "mm/page_alloc.c"),
    "page_alloc_init_cpuhp": ("Lets the page allocator hear of cpus that go away.", "mm/page_alloc.c"),
    "arch_mm_preinit": ("What an architecture must do just before the hand-over.", "arch/*/mm/init.c"),
    "hugetlb_bootmem_alloc": ("Takes gigantic pages while there still are large blocks.", "mm/hugetlb.c"),
    "alloc_tag_sec_init": ("Prepares to count memory by the place in the source that took it.", "lib/alloc_tag.c"),
    "page_ext_init_flatmem": ("Makes room for what debugging adds to struct page.", "mm/page_ext.c"),
    "init_debug_pagealloc": ("Decides whether free pages are unmapped to catch stray accesses.", "mm/page_alloc.c"),
    "init_mem_debugging_and_hardening": ("Settles poisoning, zeroing and checks of pages.", "mm/page_alloc.c"),
    "mem_debugging_and_hardening_init": ("Settles poisoning, zeroing and checks of pages.", "mm/mm_init.c"),
    "kfence_alloc_pool": ("Takes the pool of the sampling error detector.", "mm/kfence/core.c"),
    "kfence_alloc_pool_and_metadata": ("Takes the pool of the sampling error detector.", "mm/kfence/core.c"),
    "report_meminit": ("Says whether memory is zeroed when it is taken or given back.", "init/main.c, mm/mm_init.c"),
    "kmsan_init_shadow": ("Prepares the detector of uninitialised memory.", "mm/kmsan/init.c"),
    "stack_depot_early_init": ("Makes room for stack traces that are kept once each.", "lib/stackdepot.c"),
    "kho_memory_init": ("Keeps what a kernel before this one handed over.", "kernel/kexec_handover.c"),
    "memblock_free_all": ("Gives every frame that is not reserved to the page allocator.", "mm/memblock.c"),
    "mem_init": ("Gives free memory to the page allocator (up to 6.12); before 6.1 it prints the Memory: line.",
                 "arch/*/mm/init.c"),
    "page_alloc_init_late": ("Waits for the rest of struct pages; prints the Memory: line, with all cpus up by then.",
                             "mm/mm_init.c"),
    "mem_init_print_info": ("Prints the Memory: line.", "mm/mm_init.c"),
    "kmem_cache_init": ("Makes the first slab caches with the help of two static ones, then kmalloc's.", "mm/slub.c"),
    "kmem_cache_sizes_init": ("Makes the caches behind kmalloc.", "mm/slab.c"),
    "page_ext_init_flatmem_late": ("Starts what needed kmalloc among page extensions.", "mm/page_ext.c"),
    "kmemleak_init": ("Starts to look for memory nobody points to.", "mm/kmemleak.c"),
    "pgtable_init": ("Makes the caches of page tables and their locks.", "include/linux/mm.h"),
    "ptlock_cache_init": ("Makes the cache of page-table locks.", "mm/memory.c"),
    "pgtable_cache_init": ("Makes the cache of top-level page tables.", "arch/*/mm/pgtable.c"),
    "debug_objects_mem_init": ("Moves the tracker of kernel objects to slab memory.", "lib/debugobjects.c"),
    "vmalloc_init": ("Builds the tree of free virtual areas; vmalloc works from here on.", "mm/vmalloc.c"),
    "ioremap_huge_init": ("Decides whether ioremap may use huge pages.", "lib/ioremap.c"),
    "page_ext_init": ("Makes page extensions for memory maps in sections.", "mm/page_ext.c"),
    "init_espfix_bsp": ("Maps small stacks that hide kernel addresses from 16-bit code.",
                        "arch/x86/kernel/espfix_64.c"),
    "pti_init": ("Makes the second page table that user space runs on.", "arch/x86/mm/pti.c"),
    "kmsan_init_runtime": ("Starts the detector of uninitialised memory.", "mm/kmsan/init.c"),
    "mm_cache_init": ("Makes the cache of address spaces (mm_struct).", "kernel/fork.c"),
    "execmem_init": ("Says where memory for code, such as modules, may lie.", "mm/execmem.c"),
    "kmem_cache_init_late": ("Ends the boot of the slab caches: interrupts are on now.", "mm/slub.c"),
    "setup_per_cpu_pageset": ("Gives every zone its per-CPU page lists.", "mm/page_alloc.c"),
    "numa_policy_init": ("Sets the boot's memory policy: interleave over nodes, later local.", "mm/mempolicy.c"),
    "anon_vma_init": ("Makes the caches of reverse mapping.", "mm/rmap.c"),
    "fork_init": ("Makes the cache of task_struct and limits the number of threads by memory.", "kernel/fork.c"),
    "proc_caches_init": ("Makes the caches of a process's parts, vm_area_struct among them.", "kernel/fork.c"),
    "vfs_caches_init_early": ("Takes the hash tables of dentries and inodes.", "fs/dcache.c"),
    "vfs_caches_init": ("Makes the caches of dentries, inodes and files.", "fs/dcache.c"),
    "buffer_init": ("Makes the cache of buffer heads.", "fs/buffer.c"),
    "page_cache_init": ("Takes the hash table of the page cache.", "mm/filemap.c"),
    "pagecache_init": ("Starts the page cache: the queues on which tasks wait for a page.", "mm/filemap.c"),
})  # fmt: skip
