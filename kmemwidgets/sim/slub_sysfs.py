"""The files of a cache under /sys/kernel/slab, as the kernel writes them (mm/slub.c, slab_attrs)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from kmemwidgets.records import MachineSpec

from .slab_cache import KmemCache
from .slub import Slub
from .slub_partial import REMOTE_DEFRAG_RATIO
from .slub_stats import show

#: Files that say 1 or 0, and the flag that they speak of.
_FLAGS = ("hwcache_align", "reclaim_account", "destroy_by_rcu")
_DEBUG_FLAGS = ("sanity_checks", "trace", "red_zone", "poison", "store_user")


def sysfs_files(slub: Slub, cache: KmemCache, spec: MachineSpec) -> dict[str, str]:
    """Return a cache's files by name, in the order of the kernel's table.

    Parameters
    ----------
    slub : Slub
    cache : KmemCache
    spec : MachineSpec
        Its configuration decides which files there are.
    """
    numa = spec.option("CONFIG_NUMA") == "y" or (spec.option("CONFIG_NUMA") is None and _big(spec))
    nodes = cache.nodes
    partial = {nid: len(node.partial) for nid, node in nodes.items()}
    in_partial = {nid: sum(slab.inuse for slab in node.partial.values()) for nid, node in nodes.items()}
    files = {
        "slab_size": str(cache.layout.size),
        "object_size": str(cache.object_size),
        "objs_per_slab": str(cache.geometry.objs_per_slab),
        "order": str(cache.geometry.order),
    }
    if slub.rules.sysfs_sheaves:
        files["sheaf_capacity"] = str(cache.sheaf_capacity)
    files |= {
        "min_partial": str(cache.geometry.min_partial),
        "cpu_partial": str(cache.geometry.cpu_partial),
        "objects_partial": _by_node(in_partial, numa=numa),
        "partial": _by_node(partial, numa=numa),
        "cpu_slabs": _by_node(_cpu_slabs(cache), numa=numa),
        "ctor": cache.ctor,
        "aliases": str(max(cache.refcount - 1, 0)),
        "align": str(cache.align),
        **{flag: str(int(flag in cache.flags)) for flag in _FLAGS},
        "shrink": "",
        "slabs_cpu_partial": _slabs_cpu_partial(cache),
    }
    objects = {
        nid: node.total_objects - sum(slab.objects - slab.inuse for slab in node.partial.values())
        for nid, node in nodes.items()
    }
    if spec.option("CONFIG_SLUB_DEBUG") != "n":
        files |= {
            "total_objects": _by_node({nid: node.total_objects for nid, node in nodes.items()}, numa=numa),
            "objects": _by_node(objects, numa=numa),
            "slabs": _by_node({nid: node.nr_slabs for nid, node in nodes.items()}, numa=numa),
            **{flag: str(int(flag in cache.flags)) for flag in _DEBUG_FLAGS},
            "validate": "",
        }
        if slub.rules.sysfs_calls:
            files |= {"alloc_calls": "No data", "free_calls": "No data"}
    if spec.option("CONFIG_ZONE_DMA") != "n":
        files["cache_dma"] = str(int("cache_dma" in cache.flags))
    if numa:
        files["remote_node_defrag_ratio"] = str(REMOTE_DEFRAG_RATIO // 10)
    smp = spec.option("CONFIG_SMP") != "n"
    files |= {name: show(row, smp=smp) for name, row in (cache.stats or {}).items()}
    files["usersize"] = str(cache.usersize)
    return {name: f"{text}\n" if text else "" for name, text in files.items()}


def _big(spec: MachineSpec) -> bool:
    """Tell whether an architecture's kernels are built for several nodes unless they say otherwise."""
    return spec.arch in ("x86_64", "arm64")


def _by_node(counts: Mapping[int, int], *, numa: bool) -> str:
    """Write a total, and each node's part of it (show_slab_objects)."""
    parts = [f" N{nid}={count}" for nid, count in sorted(counts.items()) if count] if numa else []
    return f"{sum(counts.values())}{''.join(parts)}"


def _cpu_slabs(cache: KmemCache) -> Counter[int]:
    """Count each cpu's slab, and those on its partial list under the node of the first one (show_slab_objects)."""
    found: Counter[int] = Counter()
    for c in cache.cpus:
        # A cpu without a slab is passed over, with all on its list.
        if c.slab is None:
            continue
        found[c.slab.nid] += 1
        if c.partial:
            found[c.partial[-1].nid] += len(c.partial)
    return found


def _slabs_cpu_partial(cache: KmemCache) -> str:
    """Write the slabs on the cpus' partial lists, with the free objects that they are taken to have."""
    rows = []
    for cpu, c in enumerate(cache.cpus):
        if not c.partial:
            continue
        slabs = len(c.partial)
        if cache.geometry.cpu_partial_slabs:
            objects = slabs * cache.geometry.objs_per_slab // 2
        else:
            objects = sum(slab.free_when_put for slab in c.partial)
        rows.append((cpu, objects, slabs))
    total = sum(slabs for _cpu, _objects, slabs in rows)
    if cache.geometry.cpu_partial_slabs:
        free = total * cache.geometry.objs_per_slab // 2
    else:
        free = sum(objects for _cpu, objects, _slabs in rows)
    return f"{free}({total})" + "".join(f" C{cpu}={objects}({slabs})" for cpu, objects, slabs in rows)
