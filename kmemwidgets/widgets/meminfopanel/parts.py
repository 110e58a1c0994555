"""MemTotal cut into parts that don't overlap, and the rest that nobody counts."""

from __future__ import annotations

from dataclasses import dataclass

from kmemwidgets.records import BadInput, MemInfo, Snapshot

#: Above this a vmalloc area (kB) can only be a 64-bit kernel's: a 32-bit one has no 4 GiB of addresses for it.
_SIXTYFOUR_KB = 4 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A part of MemTotal.

    Attributes
    ----------
    name : str
        What it is called on the screen.
    kb : int
        Its size.
    group : str
        ``"free"``, ``"processes"``, ``"page cache"``, ``"kernel"`` or ``"unaccounted"``.
    fields : tuple of str
        The fields of meminfo that it comes from.
    says : str
        How it was cut so that no page is counted twice.
    """

    name: str
    kb: int
    group: str
    fields: tuple[str, ...]
    says: str = ""


#: Field -> where its pages lie already, for those that are no part of their own.
INSIDE = {
    "MemAvailable": "an estimate, made of free memory and of caches",
    "SwapCached": "in AnonPages where mapped, else in unaccounted",
    "Active": "the reclaim lists hold the pages of processes and of the page cache",
    "Inactive": "the reclaim lists hold the pages of processes and of the page cache",
    "Active(anon)": "in AnonPages and Shmem",
    "Inactive(anon)": "in AnonPages and Shmem",
    "Active(file)": "in Cached and Buffers",
    "Inactive(file)": "in Cached and Buffers",
    "Unevictable": "in AnonPages and Cached",
    "Mlocked": "in AnonPages and Cached",
    "HighTotal": "a part of MemTotal by address",
    "HighFree": "in MemFree",
    "LowTotal": "a part of MemTotal by address",
    "LowFree": "in MemFree",
    "Zswapped": "the size before compression; Zswap is the part",
    "Dirty": "in Cached and Buffers",
    "Writeback": "in Cached and Buffers",
    "NFS_Unstable": "in Cached",
    "Mapped": "in Cached",
    "KReclaimable": "SReclaimable and a rest that is a part of its own",
    "Slab": "SReclaimable and SUnreclaim are its parts",
    "AnonHugePages": "in AnonPages",
    "ShmemHugePages": "in Shmem",
    "ShmemPmdMapped": "in Shmem",
    "FileHugePages": "in Cached",
    "FilePmdMapped": "in Cached",
    "CmaTotal": "lent out: its pages are free or in use like any other",
    "CmaFree": "in MemFree",
    "Unaccepted": "in MemFree",
    "Balloon": "outside MemTotal for most drivers",
    "EarlyMemtestBad": "outside MemTotal",
    "DirectMap4k": "the kernel's map of all memory, not memory of its own",
    "DirectMap2M": "the kernel's map of all memory, not memory of its own",
    "DirectMap4M": "the kernel's map of all memory, not memory of its own",
    "DirectMap1G": "the kernel's map of all memory, not memory of its own",
}


def parts(snapshot: Snapshot) -> tuple[Part, ...]:
    """Cut MemTotal into parts whose sum it is.

    The last part is named ``unaccounted``: MemTotal less all others. It is negative where the fields are not of
    one instant, or where the per-CPU first chunk outweighs what nobody counts; it is never spread over the others.

    Raises
    ------
    BadInput
        Where there is no MemTotal or MemFree.
    """
    info = snapshot.meminfo
    if info is None or info.get("MemTotal") is None or info.get("MemFree") is None:
        raise BadInput("no MemTotal and MemFree to cut", where="proc/meminfo", todo="give the whole file")
    found = [*_free(snapshot, info), *_users(info), *_kernel(info)]
    rest = info["MemTotal"] - sum(part.kb for part in found)
    found.append(
        Part("unaccounted", rest, "unaccounted", ("MemTotal",), "MemTotal less all other parts; no field counts it")
    )
    return tuple(found)


def _free(snapshot: Snapshot, info: MemInfo) -> list[Part]:
    found = [Part("MemFree", info["MemFree"], "free", ("MemFree",), "pages on the zones' free lists")]
    per_page = snapshot.page_size // 1024
    if any(zone.pagesets for zone in snapshot.zones):
        count = sum(pcp.count for zone in snapshot.zones for pcp in zone.pagesets)
        found.append(
            Part(
                "per-CPU lists", count * per_page, "free", (), "free too, but no longer in MemFree; from /proc/zoneinfo"
            )
        )
    return found


def _users(info: MemInfo) -> list[Part]:
    found = []
    anon = info.get("AnonPages")
    if anon is not None:
        found.append(Part("AnonPages", anon, "processes", ("AnonPages",), "with its huge pages"))
    cached, shmem = info.get("Cached"), info.get("Shmem") or 0
    if cached is not None:
        shared = min(shmem, cached)
        found.append(
            Part("files", cached - shared, "page cache", ("Cached", "Shmem"), "Cached less the Shmem that is in it")
        )
        if "Shmem" in info.values:
            found.append(Part("Shmem", shared, "page cache", ("Shmem",), "tmpfs and shared memory, out of Cached"))
    found += _plain(info, "page cache", ("Buffers", "WritebackTmp"))
    found += _plain(info, "processes", ("Zswap", "Hugetlb"))
    if "Hugetlb" not in info.values and info.get("HugePages_Total"):
        pool = info["HugePages_Total"] * (info.get("Hugepagesize") or 0)
        found.append(Part("Hugetlb", pool, "processes", ("HugePages_Total", "Hugepagesize"), "pages times size"))
    return found


def _kernel(info: MemInfo) -> list[Part]:
    found = _plain(info, "kernel", ("SReclaimable", "SUnreclaim"))
    if not found:
        found = _plain(info, "kernel", ("Slab",))
    other, slab = info.get("KReclaimable"), info.get("SReclaimable")
    if other is not None and slab is not None:
        found.append(
            Part(
                "other reclaimable",
                other - slab,
                "kernel",
                ("KReclaimable", "SReclaimable"),
                "KReclaimable less SReclaimable",
            )
        )
    used, stacks = info.get("VmallocUsed"), info.get("KernelStack")
    if stacks is not None:
        found.append(Part("KernelStack", stacks, "kernel", ("KernelStack",)))
    if used is not None:
        # With CONFIG_VMAP_STACK, which 64-bit kernels have, the stacks' pages were counted by vmalloc too.
        both = stacks if stacks and used >= stacks and (info.get("VmallocTotal") or 0) > _SIXTYFOUR_KB else 0
        says = "VmallocUsed less the kernel stacks that are vmapped" if both else "pages behind vmalloc areas"
        found.append(
            Part("vmalloc", used - both, "kernel", ("VmallocUsed", "KernelStack") if both else ("VmallocUsed",), says)
        )
    return found + _plain(
        info,
        "kernel",
        ("ShadowCallStack", "PageTables", "SecPageTables", "Percpu", "Bounce", "HardwareCorrupted"),
    )


def _plain(info: MemInfo, group: str, names: tuple[str, ...]) -> list[Part]:
    """Return the fields that are parts as they stand, where this kernel prints them."""
    return [Part(name, info[name], group, (name,)) for name in names if name in info.values]
