"""The verbs of what lies above the page allocator: objects, kmalloc, vmalloc, kmap. A part of `Machine`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmemwidgets.records import HighmemInfo, SlabInfo, SlabObject

from .gfp import FLAGS, GFP_KERNEL
from .interface_commands import InterfaceCommands
from .objects import KernelObjects
from .verbs import Verbs

_ZERO = FLAGS["__GFP_ZERO"]


class ObjectVerbs(Verbs):
    """Verbs about objects, areas and mappings."""

    objects: KernelObjects

    def kmem_cache_init(self) -> None:
        """Boot the slab allocator, kmalloc and vmalloc; nothing where they are there.

        The verbs below do it when they are first called: until then the buddy lists are as the hand-over left them.
        """
        if not self.objects.up:
            self._do("kmem_cache_init")

    def kmalloc(self, size: int, gfp: int | str = GFP_KERNEL, cpu: int = 0, caller: str = "") -> int | None:
        """Allocate `size` bytes; returns the address, 16 (ZERO_SIZE_PTR) for none, None where the kernel refuses.

        Parameters
        ----------
        size : int
        gfp : int or str
        cpu : int
        caller : str
            Who asks: chooses one of the random copies (CONFIG_RANDOM_KMALLOC_CACHES), and the caches of those who have
            their own (CONFIG_SLAB_BUCKETS: "msg_msg", "memdup_user").
        """
        who = (caller,) if caller else ()
        return self._do_with_objects("kmalloc", size, self._gfp(gfp), self._cpu(cpu), *who) or None

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kmalloc gave; what is no such address raises KernelBug."""
        self._do_with_objects("kfree", address, self._cpu(cpu))

    def kzalloc(self, size: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Allocate `size` bytes of zeros (kmalloc with __GFP_ZERO)."""
        return self.kmalloc(size, self._gfp(gfp) | _ZERO, cpu)

    def kcalloc(self, count: int, size: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Allocate an array of zeros; None where its size overflows, or the kernel refuses."""
        if count < 0 or size < 0:
            raise ValueError(f"an array of {count} times {size} bytes")
        self.kmem_cache_init()
        self._interfaces.need("kcalloc")
        return None if count * size >> 8 * self.objects.word else self.kzalloc(count * size, gfp, cpu)

    def ksize(self, address: int) -> int:
        """Return how many bytes may be used behind a pointer of kmalloc's."""
        return self._interfaces.ksize(address)

    def krealloc(self, address: int, size: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Make what a pointer points to larger; returns where it is now, None where there is no memory."""
        return self._do_with_objects("krealloc", address, size, self._gfp(gfp), self._cpu(cpu)) or None

    def kvmalloc(self, size: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Allocate by kmalloc, by vmalloc where that fails for more than a page; None where neither can."""
        return self._do_with_objects("kvmalloc", size, self._gfp(gfp), self._cpu(cpu)) or None

    def kvfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kvmalloc gave."""
        self._do_with_objects("kvfree", address, self._cpu(cpu))

    def kmem_cache_alloc_bulk(
        self, cache: str, count: int, gfp: int | str = GFP_KERNEL, cpu: int = 0
    ) -> tuple[int, ...]:
        """Take several objects of a cache, or none."""
        return tuple(self._do_with_objects("kmem_cache_alloc_bulk", cache, count, self._gfp(gfp), self._cpu(cpu)))

    def kmem_cache_free_bulk(self, cache: str, addresses: Sequence[int], cpu: int = 0) -> None:
        """Give several objects back at once."""
        self._do_with_objects("kmem_cache_free_bulk", cache, " ".join(map(hex, addresses)), self._cpu(cpu))

    def kfree_rcu(self, address: int, cpu: int = 0) -> None:
        """Give an object back once nobody reads it any more: at the next `rcu_barrier`."""
        self._do_with_objects("kfree_rcu", address, self._cpu(cpu))

    def rcu_barrier(self) -> None:
        """Wait until all readers are done."""
        self._do_with_objects("rcu_barrier")

    def kmem_cache_prefill_sheaf(self, cache: str, size: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Have a sheaf with `size` objects in advance; returns its number, None where there is no memory."""
        return self._do_with_objects("kmem_cache_prefill_sheaf", cache, size, self._gfp(gfp), self._cpu(cpu)) or None

    def kmem_cache_alloc_from_sheaf(self, sheaf: int) -> int | None:
        """Take an object of such a sheaf, which never waits; None once it is empty."""
        return self._do_with_objects("kmem_cache_alloc_from_sheaf", sheaf) or None

    def kmem_cache_return_sheaf(self, sheaf: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> None:
        """Give a sheaf back with what is left in it."""
        self._do_with_objects("kmem_cache_return_sheaf", sheaf, self._gfp(gfp), self._cpu(cpu))

    def mempool_create(self, min_nr: int, cache: str) -> int:
        """Keep `min_nr` objects of a cache for the moment when there is no memory; returns the pool's number."""
        number: int = self._do_with_objects("mempool_create", min_nr, cache)
        return number

    def mempool_alloc(self, pool: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Take an object, of the reserve if need be; None where the caller would wait for one to come back."""
        return self._do_with_objects("mempool_alloc", pool, self._gfp(gfp), self._cpu(cpu)) or None

    def mempool_free(self, pool: int, address: int, cpu: int = 0) -> None:
        """Give an object back: to the reserve first, if it is not complete."""
        self._do_with_objects("mempool_free", pool, address, self._cpu(cpu))

    def mempool_destroy(self, pool: int) -> None:
        """Give a reserve back."""
        self._do_with_objects("mempool_destroy", pool)

    def alloc_percpu(self, size: int, align: int = 8, gfp: int | str = GFP_KERNEL) -> int | None:
        """Allocate a copy for every cpu; returns the pointer for `per_cpu_ptr`, None where there is no memory."""
        return self._do_with_objects("alloc_percpu", size, align, self._gfp(gfp)) or None

    def free_percpu(self, pointer: int) -> None:
        """Give every cpu's copy back."""
        self._do_with_objects("free_percpu", pointer)

    def per_cpu_ptr(self, pointer: int, cpu: int = 0) -> int:
        """Return the address of a cpu's copy: the pointer's own distance behind that cpu's unit of the first chunk."""
        self.kmem_cache_init()
        assert self.objects.pools is not None
        return self.objects.pools.per_cpu_ptr(pointer, cpu)

    def kmem_cache_create(
        self, name: str, size: int, align: int = 0, flags: Sequence[str] | str = (), ctor: str = "", usersize: int = 0
    ) -> str:
        """Make a slab cache, or share one that serves as well; returns the name of the one that does.

        Parameters
        ----------
        name : str
        size, align, usersize : int
            Bytes.
        flags : sequence of str
            As /sys/kernel/slab names them: "hwcache_align", "reclaim_account", "red_zone", "poison", "store_user" ...
        ctor : str
            Name of a constructor.
        """
        words = flags if isinstance(flags, str) else ",".join(flags)
        made: str = self._do_with_objects("kmem_cache_create", name, size, align, words, ctor, usersize)
        return made

    def kmem_cache_destroy(self, cache: str) -> None:
        """Take a cache away."""
        self._do_with_objects("kmem_cache_destroy", cache)

    def kmem_cache_alloc(self, cache: str, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Take an object of a cache; None where there is no memory."""
        return self._do_with_objects("kmem_cache_alloc", cache, self._gfp(gfp), self._cpu(cpu)) or None

    def kmem_cache_free(self, cache: str, address: int, cpu: int = 0) -> None:
        """Give an object back."""
        self._do_with_objects("kmem_cache_free", cache, address, self._cpu(cpu))

    def kmem_cache_shrink(self, cache: str, cpu: int = 0) -> int:
        """Give a cache's empty slabs back; returns how many it has left."""
        left: int = self._do_with_objects("kmem_cache_shrink", cache, self._cpu(cpu))
        return left

    def kmem_cache_reap(self, cpu: int = 0) -> int:
        """Let the reaper of 2.4 or 2.6.11 come by: returns the pages that caches give back.

        2.4 calls it when pages are short, 2.6.11 by a timer of each cpu, every two seconds.
        """
        pages: int = self._do_with_objects("kmem_cache_reap", self._cpu(cpu))
        return pages

    def tune_cpucache(self, cache: str, limit: int, batchcount: int, sharedfactor: int = 0) -> None:
        """Choose the size of a cache's per-CPU arrays, as a line written to /proc/slabinfo does.

        For kernels with SLAB only: 2.6.11, and 2.4 with several cpus.
        """
        self._do_with_objects("tune_cpucache", cache, limit, batchcount, sharedfactor)

    def vmalloc(self, size: int, cpu: int = 0) -> int | None:
        """Allocate pages that are contiguous in addresses only; None where the kernel refuses."""
        return self._do_with_objects("vmalloc", size, self._cpu(cpu)) or None

    def vfree(self, address: int, cpu: int = 0) -> None:
        """Give back what vmalloc gave."""
        self._do_with_objects("vfree", address, self._cpu(cpu))

    def kmap(self, pfn: int) -> int | None:
        """Give a page of high memory an address; None where the caller would sleep until a slot is free."""
        return self._do("kmap", int(pfn)) or None

    def kunmap(self, pfn: int) -> None:
        """Give up what kmap gave."""
        self._do("kunmap", int(pfn))

    def kmap_local(self, pfn: int, cpu: int = 0, task: int = 0) -> int:
        """Give a page of high memory an address for a moment (5.11 and later).

        Parameters
        ----------
        pfn : int
        cpu : int
            Whose slot is taken: the task stays there until it has given all its mappings up.
        task : int
            Who asks. Another one may come on the same cpu meanwhile; it finds the slots empty.
        """
        address: int = self._do("kmap_local", int(pfn), self._cpu(cpu), task)
        return address

    def kunmap_local(self, address: int, cpu: int = 0, task: int = 0) -> None:
        """Give the task's newest such mapping up."""
        self._do("kunmap_local", address, self._cpu(cpu), task)

    def kmap_atomic(self, pfn: int, cpu: int = 0, task: int = 0, km_type: str = "") -> int:
        """Give a page an address for a moment, and forbid the cpu to run another task until `kunmap_atomic`.

        Parameters
        ----------
        pfn, cpu, task : int
        km_type : str
            2.4 and 2.6.11: the kind of user, which chooses the slot; "KM_USER0" if not given.
        """
        address: int = self._do("kmap_atomic", int(pfn), self._cpu(cpu), task, *((km_type,) if km_type else ()))
        return address

    def kunmap_atomic(self, address: int, cpu: int = 0, task: int = 0, km_type: str = "") -> None:
        """Give what kmap_atomic gave up: the newest where slots are a stack, else that of the kind of user."""
        self._do("kunmap_atomic", address, self._cpu(cpu), task, *((km_type,) if km_type else ()))

    def highmem(self) -> HighmemInfo | None:
        """Return how high memory is reached just now; None where every page has an address of its own."""
        return self.objects.highmem()

    def write_memory(self, address: int, data: bytes | str) -> None:
        """Write through a pointer into slab memory, as right or wrong code would; a str is hexadecimal digits."""
        self._do_with_objects("write_memory", address, data if isinstance(data, str) else data.hex())

    def slabs(self, cache: str, most: int = 200) -> tuple[SlabInfo, ...]:
        """Return a cache's slabs one by one: the cpus' first, then partial ones, then full ones."""
        return self.objects.slabs(cache, most)

    def slab_object(self, address: int) -> SlabObject:
        """Return the object at an address, with its bytes."""
        return self.objects.slab_object(address)

    @property
    def _interfaces(self) -> InterfaceCommands:
        if self.objects.interfaces is None:
            raise ValueError("the slab allocator is not up yet: call kmem_cache_init() first")
        return self.objects.interfaces

    def _do_with_objects(self, name: str, *arguments: Any) -> Any:
        self.kmem_cache_init()
        return self._do(name, *arguments)
