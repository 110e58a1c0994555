"""What all slab allocators share: which caches are merged, and the caches behind kmalloc."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kmemwidgets.records import MachineSpec

from .rules.kmalloc import KmallocRules
from .rules.slub import align_up, get_order, is_tiny

#: SLAB_NEVER_MERGE, as far as it has a name here (mm/slab_common.c).
NEVER_MERGE = frozenset(
    {"red_zone", "poison", "store_user", "trace", "failslab", "destroy_by_rcu", "noleaktrace", "no_merge"}
)
#: SLAB_MERGE_SAME: flags that caches must have in common to be shared (mm/slab_common.c).
MERGE_SAME = frozenset({"cache_dma", "cache_dma32", "reclaim_account", "account"})
#: The letters of flags in the name of a shared cache, in order (mm/slub.c, create_unique_id).
ID_LETTERS = {"cache_dma": "d", "cache_dma32": "D", "reclaim_account": "a", "sanity_checks": "F", "account": "A"}
#: The two caches that must exist before any other can (mm/slub.c, kmem_cache_init).
BOOT_CACHES = ("kmem_cache", "kmem_cache_node")
#: Names of the kernel's text that hide a flag which decides the kind of cache (include/trace/events/mmflags.h).
COMBINED_GFP = {"GFP_KERNEL_ACCOUNT": "__GFP_ACCOUNT", "GFP_DMA": "__GFP_DMA"}
#: What kmalloc(0) returns (include/linux/slab.h).
ZERO_SIZE_PTR = 16


@dataclass(frozen=True, slots=True)
class Mergeable:
    """A cache as merging looks at it.

    Attributes
    ----------
    name : str
    size : int
        slab_size, bytes.
    align : int
        After `calculate_alignment`.
    flags : frozenset of str
    ctor, usersize : bool
        It has a constructor; user space may copy from its objects.
    exempt : bool
        Made before merging is possible (refcount below 0).
    """

    name: str
    size: int
    align: int
    flags: frozenset[str] = frozenset()
    ctor: bool = False
    usersize: bool = False
    exempt: bool = False


def slab_unmergeable(cache: Mergeable, *, merge: bool = True) -> bool:
    """Tell whether a cache never shares (mm/slab_common.c, slab_unmergeable)."""
    return not merge or bool(cache.flags & NEVER_MERGE) or cache.ctor or cache.usersize or cache.exempt


def find_mergeable(wanted: Mergeable, caches: Iterable[Mergeable], *, word: int = 8, merge: bool = True) -> int | None:
    """Return the number of the first cache that could also hold another one's objects (mm/slab_common.c).

    Parameters
    ----------
    wanted : Mergeable
        The cache to be made; its size before it is aligned, its flags with those that debugging adds.
    caches : iterable of Mergeable
        In the order that the kernel looks at them: the oldest first.
    word : int
        Bytes of a pointer: so little may be wasted.
    merge : bool
        Whether this boot merges at all.
    """
    if slab_unmergeable(wanted, merge=merge):
        return None
    size = align_up(align_up(wanted.size, word), wanted.align)
    same = wanted.flags & MERGE_SAME
    for number, cache in enumerate(caches):
        if slab_unmergeable(cache, merge=merge) or size > cache.size or cache.flags & MERGE_SAME != same:
            continue
        if cache.size % wanted.align == 0 and cache.size - size < word:
            return number
    return None


def unique_id(cache: Mergeable) -> str:
    """Return the name in /sys/kernel/slab of a cache that may be shared (mm/slub.c, create_unique_id)."""
    letters = "".join(letter for flag, letter in ID_LETTERS.items() if flag in cache.flags)
    return f":{letters}{'-' if letters else ''}{cache.size:07d}"


@dataclass(frozen=True, slots=True)
class KmallocCache:
    """One of kmalloc's caches.

    Attributes
    ----------
    name : str
    kind : str
        "normal", "reclaim", "cgroup", "dma", "rnd-01" ..., or the caller whose bucket it is.
    size, align : int
        Bytes.
    """

    name: str
    kind: str
    size: int
    align: int


def size_name(size: int) -> str:
    """Write a size as the caches' names do: 512, 1k, 8k."""
    return f"{size // 1024}k" if size >= 1024 else str(size)


def kmalloc_sizes(rules: KmallocRules, arch: str, page_size: int = 4096) -> tuple[int, ...]:
    """Return the sizes that kmalloc has caches for, ascending (include/linux/slab.h, __kmalloc_index)."""
    smallest = rules.min_size(arch)
    sizes = {1 << shift for shift in range(3, (rules.max_cache_pages * page_size).bit_length())}
    sizes = {size for size in sizes if size >= smallest}
    sizes |= {size for size, limit in ((96, 32), (192, 64)) if smallest <= limit}
    return tuple(sorted(sizes))


_PREFIX = {"normal": "kmalloc-", "reclaim": "kmalloc-rcl-", "cgroup": "kmalloc-cg-", "dma": "dma-kmalloc-"}


def kmalloc_kinds(rules: KmallocRules, spec: MachineSpec) -> tuple[str, ...]:
    """Return the kinds of kmalloc caches that a machine has, in order of creation."""
    cgroup = (spec.option("CONFIG_MEMCG_KMEM") or spec.option("CONFIG_MEMCG")) != "n"
    charged = not any(
        word.startswith("cgroup.memory=") and "nokmem" in word.split("=", 1)[1].split(",")
        for word in spec.cmdline.split()
    )
    have = {
        "normal": True,
        "reclaim": True,
        "cgroup": cgroup and charged,
        "dma": spec.option("CONFIG_ZONE_DMA") != "n",
    }
    random = [f"rnd-{copy:02d}" for copy in range(1, rules.random_copies + 1)]
    if is_tiny(spec):
        have["reclaim"], random = False, []
    kinds: list[str] = []
    for kind in rules.kinds:
        if kind == "random":
            kinds += random if spec.option("CONFIG_RANDOM_KMALLOC_CACHES") == "y" else []
        elif have[kind]:
            kinds.append(kind)
    return tuple(kinds)


def kmalloc_caches(rules: KmallocRules, spec: MachineSpec) -> tuple[KmallocCache, ...]:
    """Return every kmalloc cache of a machine, in order of creation (mm/slab_common.c, create_kmalloc_caches)."""
    sizes = kmalloc_sizes(rules, spec.arch, spec.page_size)
    if rules.odd_sizes_first:
        sizes = tuple(sorted(sizes, key=lambda size: (size & size - 1 == 0, size)))
    smallest = rules.min_size(spec.arch)
    made = [
        KmallocCache(
            f"{_PREFIX.get(kind, f'kmalloc-{kind}-')}{size_name(size)}", kind, size, max(rules.align(size), smallest)
        )
        for kind in kmalloc_kinds(rules, spec)
        for size in sizes
    ]
    if spec.option("CONFIG_SLAB_BUCKETS") == "y":
        made += [
            KmallocCache(f"{caller}-{size_name(size)}", caller, size, smallest)
            for caller in rules.buckets
            for size in sizes
        ]
    return tuple(made)


def kmalloc_kind(kinds: Sequence[str], gfp: Iterable[str]) -> str:
    """Return the kind of cache that serves a request (include/linux/slab.h, kmalloc_type).

    Parameters
    ----------
    kinds : sequence of str
        What the machine has.
    gfp : iterable of str
        The request's flags by name, combined ones too.
    """
    flags = {single for name in gfp for single in (name, COMBINED_GFP.get(name, name))}
    for flag, kind in (("__GFP_DMA", "dma"), ("__GFP_RECLAIMABLE", "reclaim"), ("__GFP_ACCOUNT", "cgroup")):
        if flag in flags and kind in kinds:
            return kind
    return "normal"


def bucket_of(rules: KmallocRules, call_site: str, gfp: str) -> str:
    """Return the caller whose own caches serve a recorded request, empty where there are none for it.

    Only the event's call site and flags tell: of memdup_user its caller is recorded, but nobody else asks with its
    flags (mm/util.c, memdup_user and vmemdup_user; ipc/msgutil.c, alloc_msg).
    """
    function = call_site.partition("+")[0]
    if "msg_msg" in rules.buckets and function in ("alloc_msg", "load_msg") and gfp == "GFP_KERNEL":
        return "msg_msg"
    copies = function == "vmemdup_user" or set(gfp.split("|")) == {"GFP_USER", "__GFP_NOWARN"}
    return "memdup_user" if "memdup_user" in rules.buckets and copies else ""


def kmalloc_size(size: int, sizes: Sequence[int], page_size: int = 4096) -> int:
    """Return the bytes that a request gets: a cache's size, or pages (mm/slab_common.c, kmalloc_size_roundup).

    Parameters
    ----------
    size : int
        Bytes asked for.
    sizes : sequence of int
        The caches' sizes, ascending.
    page_size : int
        Bytes.
    """
    if size == 0:
        return 0
    for candidate in sizes:
        if size <= candidate:
            return candidate
    return page_size << get_order(size, page_size)
