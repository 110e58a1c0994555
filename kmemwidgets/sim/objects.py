"""What is above the page allocator, as one machine has it: SLUB or SLAB, kmalloc, vmalloc, high memory.

They are booted by the first request that needs them, so that the buddy lists of a machine that
nobody asked for objects are still as the hand-over left them. Caches are named by name, and all
arguments are plain, as a log of commands needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kmemwidgets.records import (
    HighmemInfo,
    MachineSpec,
    PageWalk,
    SlabCacheInfo,
    SlabInfo,
    SlabObject,
    VmallocArea,
)

from . import slab24_reap, slab24_tune, slab24_view, slub_bytes, slub_init, slub_sysfs, slub_view
from .areas import COMMANDS as AREA_COMMANDS
from .areas import Areas
from .highmem import Highmem
from .interface_commands import COMMANDS as INTERFACE_COMMANDS
from .interface_commands import InterfaceCommands
from .memblock import Call
from .page_address import COMMANDS as ADDRESS_COMMANDS
from .page_address import PageAddresses
from .percpu_areas import per_cpu
from .pools import COMMANDS as POOL_COMMANDS
from .pools import Pools
from .rules.layout import address_space, has_highmem
from .rules.slub import has_slub
from .slab24 import Slab24
from .slab24_init import old_slab_allocator
from .slab_common import slab_unmergeable
from .slub import Slub
from .slub_options import word_size
from .slub_pages import Pages
from .vmalloc import Vmalloc

#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset(
    {
        "kmem_cache_init", "kmem_cache_create", "kmem_cache_destroy", "kmem_cache_alloc", "kmem_cache_free",
        "kmem_cache_shrink", "kmem_cache_reap", "tune_cpucache", "kmalloc", "kfree", "write_memory",
        "kmap", "kunmap", "kmap_local", "kunmap_local", "kmap_atomic", "kunmap_atomic",
    }
) | AREA_COMMANDS | INTERFACE_COMMANDS | POOL_COMMANDS | ADDRESS_COMMANDS  # fmt: skip


class KernelObjects:
    """SLUB or SLAB, kmalloc, vmalloc and high memory of one machine.

    Parameters
    ----------
    spec : MachineSpec
    page_alloc : Pages
    memory : sequence of (int, int)
        RAM that the kernel uses, bytes, ascending.
    nodes : tuple of int
        Nodes with memory.
    seed : int
        The machine's.
    boot_calls : sequence of Call
        What boot asked of the early allocator.

    Attributes
    ----------
    addresses : PageAddresses
        Pages by address.
    slub : Slub or None
        None until `kmem_cache_init`, and in kernels that have SLAB.
    interfaces : InterfaceCommands or None
        The functions around kmalloc, once there is an allocator.
    pools : Pools or None
        Reserves and per-CPU memory, likewise.
    slab24 : Slab24 or None
        The SLAB of 2.4 and 2.6.11, None until `kmem_cache_init`.
    space : Areas or None
        The same for vmalloc's space.
    area : Vmalloc or None
        Its areas.
    high : Highmem or None
        None where all memory has an address of its own.
    """

    def __init__(
        self,
        spec: MachineSpec,
        page_alloc: Pages,
        memory: Sequence[tuple[int, int]],
        nodes: tuple[int, ...],
        seed: int,
        boot_calls: Sequence[Call] = (),
    ) -> None:
        self._spec = spec
        self._page_alloc = page_alloc
        self._memory = memory
        self._nodes = nodes
        self._seed = seed
        self._boot_calls = boot_calls
        self.addresses = PageAddresses(spec, page_alloc, memory)
        self.slub: Slub | None = None
        self.slab24: Slab24 | None = None
        self.interfaces: InterfaceCommands | None = None
        self.pools: Pools | None = None
        self.space: Areas | None = None
        self.area: Vmalloc | None = None
        self.high = Highmem(spec) if spec.arch == "x86_32" and has_highmem(spec) else None
        self._fresh_high = self.high.save() if self.high else None

    @property
    def up(self) -> bool:
        """Whether the slab allocator and vmalloc are there."""
        return self.area is not None

    def run(self, name: str, arguments: Sequence[Any]) -> Any:
        """Carry out a command."""
        owner = (
            self._areas if name in AREA_COMMANDS
            else self.interfaces if name in INTERFACE_COMMANDS
            else self.pools if name in POOL_COMMANDS
            else self.addresses if name in ADDRESS_COMMANDS
            else self
        )  # fmt: skip
        return getattr(owner, name)(*arguments)

    @property
    def word(self) -> int:
        """Bytes of a pointer."""
        return word_size(self._spec)

    # Commands

    def kmem_cache_init(self) -> None:
        """Boot vmalloc, the slab allocator and kmalloc's caches; nothing where they are there."""
        if self.up:
            return
        self.space = Areas(self._spec, self._page_alloc, self._memory)
        self.area = self.space.vmalloc_
        offset = self.area.page_offset
        if has_slub(self._spec.kernel):
            self.slub = slub_init.slab_allocator(
                self._spec, self._page_alloc, page_offset=offset, vmalloc=self.area, nodes=self._nodes, seed=self._seed
            )
            space = address_space(self._spec, self._memory)
            self.slub.direct_end = space.direct_end
            self.slub.vmemmap, self.slub.page_bytes = space.vmemmap, space.page_bytes
        else:
            self.slab24 = old_slab_allocator(self._spec, self._page_alloc, page_offset=offset)
        self.space.vmalloc_init(self._allocator)
        self._add_interfaces()

    def kmem_cache_create(
        self, name: str, size: int, align: int = 0, flags: str = "", ctor: str = "", usersize: int = 0
    ) -> str:
        """Make a cache, or share one; returns the name of the cache that serves."""
        words = [word for word in flags.replace(",", " ").split() if word]
        return str(self._allocator.kmem_cache_create(name, size, align, words, ctor, usersize).name)

    def kmem_cache_destroy(self, cache: str) -> None:
        """Take a cache away."""
        self._allocator.kmem_cache_destroy(self._cache(cache))

    def kmem_cache_alloc(self, cache: str, gfp: int, cpu: int = 0) -> int:
        """Take an object; 0 where there are no pages."""
        return int(self._allocator.kmem_cache_alloc(self._cache(cache), gfp, cpu))

    def kmem_cache_free(self, cache: str, address: int, cpu: int = 0) -> None:
        """Give an object back."""
        self._allocator.kmem_cache_free(self._cache(cache), address, cpu)

    def kmem_cache_shrink(self, cache: str, cpu: int = 0) -> int:
        """Give empty slabs back; returns how many are left."""
        return int(self._allocator.kmem_cache_shrink(self._cache(cache), cpu))

    def kmem_cache_reap(self, cpu: int = 0) -> int:
        """Let the reaper of an old kernel go once round its caches; returns the pages that it gave back."""
        if self.slab24 is None:
            raise ValueError("SLUB has no reaper: kmem_cache_shrink gives a cache's empty slabs back")
        return slab24_reap.reap(self.slab24, cpu)

    def tune_cpucache(self, cache: str, limit: int, batchcount: int, sharedfactor: int = 0) -> None:
        """Give a cache of an old kernel arrays of another size."""
        if self.slab24 is None:
            raise ValueError("SLUB has no arrays whose size could be chosen")
        slab24_tune.tune(self.slab24, self.slab24.find_cache(cache), limit, batchcount, sharedfactor)

    def kmalloc(self, size: int, gfp: int, cpu: int = 0, caller: str = "") -> int:
        """Allocate any size; 0 where the kernel refuses."""
        return int(self._allocator.kmalloc(size, gfp, cpu, caller))

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kmalloc gave."""
        self._allocator.kfree(address, cpu)

    def write_memory(self, address: int, data: str) -> None:
        """Write bytes (hexadecimal digits) through a pointer into slab memory, right or wrong."""
        if self.slab24 is not None:
            self.slab24.write(address, bytes.fromhex(data))
        else:
            slub_bytes.write(self._slub, address, bytes.fromhex(data))

    def kmap(self, pfn: int) -> int:
        """Give a page an address until `kunmap`; 0 where the caller would sleep until a slot is free."""
        self._check_frame(pfn)
        return self.high.kmap(pfn) if self.high else self._direct_address(pfn)

    def kunmap(self, pfn: int) -> None:
        """Give up what `kmap` gave."""
        self._check_frame(pfn)
        if self.high:
            self.high.kunmap(pfn)

    def kmap_local(self, pfn: int, cpu: int = 0, task: int = 0) -> int:
        """Give a page an address for a moment."""
        self._check_frame(pfn)
        return self.high.kmap_local(pfn, cpu, task) if self.high else self._direct_address(pfn)

    def kunmap_local(self, address: int, cpu: int = 0, task: int = 0) -> None:
        """Give up what `kmap_local` gave."""
        if self.high:
            self.high.kunmap_local(address, cpu, task)

    def kmap_atomic(self, pfn: int, cpu: int = 0, task: int = 0, km_type: str = "") -> int:
        """Give a page an address for a moment, in which the task can't sleep."""
        self._check_frame(pfn)
        return self.high.kmap_atomic(pfn, cpu, task, km_type) if self.high else self._direct_address(pfn)

    def kunmap_atomic(self, address: int, cpu: int = 0, task: int = 0, km_type: str = "") -> None:
        """Give up what `kmap_atomic` gave."""
        if self.high:
            self.high.kunmap_atomic(address, cpu, task, km_type)

    # Looking

    def highmem(self) -> HighmemInfo | None:
        """Return how high memory is reached; None where there is none."""
        areas = self.area.busy if self.area else {}
        return (
            None
            if self.high is None
            else self.high.info(tuple((start, area.pfns) for start, area in sorted(areas.items()) if area.pfns))
        )

    def caches(self) -> tuple[SlabCacheInfo, ...] | None:
        """Return all caches in the order of /proc/slabinfo, None before `kmem_cache_init`."""
        return tuple(self._allocator.caches()) if self.up else None

    def node_page_state(self) -> dict[str, int]:
        """Return the pages of slabs, reclaimable and not; nothing before `kmem_cache_init`."""
        counts: Counter[str] = Counter()
        for cache in self.caches() or ():
            kind = "slab_reclaimable" if "reclaim_account" in cache.flags else "slab_unreclaimable"
            counts[kind] += (cache.slabs or 0) << (cache.order or 0)
        return dict(counts)

    def areas(self) -> tuple[VmallocArea, ...] | None:
        """Return all areas, freed but unpurged ones last; None before `kmem_cache_init`."""
        return None if self.area is None else self.area.areas()

    def walk(self, address: int) -> PageWalk:
        """Look an address of vmalloc's space up in the page tables."""
        return self._areas.walk(address)

    def slabs(self, cache: str, most: int = 200) -> tuple[SlabInfo, ...]:
        """Return a cache's slabs, one by one."""
        if self.slab24 is not None:
            return slab24_view.slabs_of(self.slab24, cache, most)
        return slub_view.slabs_of(self._slub, cache, most)

    def slab_object(self, address: int) -> SlabObject:
        """Return the object at an address with its bytes."""
        if self.slab24 is not None:
            return slab24_view.slab_object(self.slab24, address)
        return slub_view.slab_object(self._slub, address)

    def sysfs(self) -> dict[str, dict[str, str]]:
        """Return what /sys/kernel/slab has: folders, each with its files; nothing with SLAB or SLUB_TINY."""
        if self.slub is None or self.slub.tunables.tiny:
            return {}
        found: dict[str, dict[str, str]] = {}
        for cache in self.slub.slab_caches:
            files = slub_sysfs.sysfs_files(self.slub, cache, self._spec)
            shared = not slab_unmergeable(cache.mergeable(), merge=self.slub.options.merge)
            found.update(dict.fromkeys((*((cache.id(),) if shared else ()), cache.name, *cache.aliases), files))
        return found

    @property
    def dmesg(self) -> tuple[str, ...]:
        """What the kernel would have printed about objects and areas."""
        return (*self._allocator.dmesg, *self.area.dmesg) if self.area is not None else ()

    # Keeping

    def save(self) -> tuple[Any, ...]:
        """Return the state: of the allocators (None before `kmem_cache_init`), and of high memory."""
        high = self.high.save() if self.high else None
        if self.space is None or self.pools is None:
            return None, high
        objects = slub_init.save(self.slub) if self.slub is not None else self._allocator.save()
        return (self._allocator, objects, self.space, self.space.save(), self.pools.save()), high

    def load(self, saved: tuple[Any, ...] | None) -> None:
        """Go back to a state that `save` returned; None is that of boot."""
        allocators, high = saved or (None, self._fresh_high)
        if self.high:
            self.high.load(high)
        if allocators is None:
            self.slub = self.slab24 = self.space = self.area = self.interfaces = self.pools = None
            return
        allocator, objects, self.space, areas, pools = allocators
        self.area = self.space.vmalloc_
        if isinstance(allocator, Slab24):
            self.slab24 = allocator
            allocator.load(objects)
        else:
            self.slub = allocator
            slub_init.load(allocator, objects)
        self.space.load(areas)
        self._add_interfaces().load(pools)

    # Inside

    def _add_interfaces(self) -> Pools:
        """Put what is built on an allocator on the one that there is."""
        self.interfaces = InterfaceCommands(self._spec, self._allocator)
        percpu = None
        if self.slub is not None:
            percpu = per_cpu(self._spec, self._page_alloc, self._areas.vmalloc_, self._memory, self._boot_calls)
        self.pools = Pools(self._spec, self._allocator, percpu)
        return self.pools

    def _check_frame(self, pfn: int) -> None:
        page = self._spec.page_size
        if not any(start <= pfn * page < end for start, end in self._memory):
            raise ValueError(f"no frame {pfn:#x}")

    def _direct_address(self, pfn: int) -> int:
        space = address_space(self._spec, self._memory)
        return space.page_offset - space.phys_offset + pfn * self._spec.page_size

    @property
    def _allocator(self) -> Any:
        """SLUB or SLAB: both have the verbs that every kernel has."""
        found = self.slub or self.slab24
        if found is None:
            raise ValueError("the slab allocator is not up yet: call kmem_cache_init() first")
        return found

    @property
    def _slub(self) -> Slub:
        found = self._allocator
        assert isinstance(found, Slub)
        return found

    @property
    def _areas(self) -> Areas:
        if self.space is None:
            raise ValueError("vmalloc is not up yet: call kmem_cache_init() first")
        return self.space

    def _cache(self, name: str) -> Any:
        try:
            return self._allocator.find_cache(name)
        except KeyError:
            raise ValueError(f"no cache {name!r}") from None
