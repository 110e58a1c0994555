"""What the SLAB of 2.4.22 and 2.6.11 says of wrong pointers and of caches that can't be.

Both trees are known to the line, so lines are told. Pointers are looked at by a kernel with CONFIG_DEBUG_SLAB only.
"""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule
from .words import CUT_HERE


@dataclass(frozen=True, slots=True)
class SlabWords:
    """The words; ``{name}``, ``{pointer}`` and others are filled in.

    Attributes
    ----------
    dma_of_plain, plain_of_dma : str
        Of memory for DMA that is asked of another cache, and of other memory asked of a cache for DMA.
    bad_pointer : str
        Of a pointer into no slab.
    wrong_cache : str
        Of an object of the cache ``{name}`` at ``{cache}`` given to ``{other}`` at ``{other_cache}``.
    no_object : str
        Of a pointer into an object.
    freed_twice, freed_twice_zoned : str
        Of an object that is free, without and with red zones; ``{zone}`` is what these hold.
    bad_arguments, bad_flags, duplicate : str
        Of a cache that can't be: its size or name, its flags, a name that is taken.
    """

    dma_of_plain: str
    plain_of_dma: str
    bad_pointer: str
    wrong_cache: str
    no_object: str
    freed_twice: str
    freed_twice_zoned: str
    bad_arguments: str
    bad_flags: str
    duplicate: str


def _old(line: int) -> str:
    return f"kernel BUG at slab.c:{line}!"


def _new(line: int) -> str:
    return f"{CUT_HERE}\nkernel BUG at mm/slab.c:{line}!"


def _rule(name: str, since: tuple[int, ...], value: str, says: str, function: str) -> Rule:
    return Rule(name, since, value, says, f"mm/slab.c, {function}", ("source",))


_NO_WORD = "Only a kernel with CONFIG_DEBUG_SLAB asks whose memory is for DMA."
_ZONES = "slab error in cache_free_debugcheck(): cache `{name}': double free, or memory outside object was overwritten"

TABLE: tuple[Rule, ...] = (
    _rule("dma_of_plain", (2, 4), _old(1235), "Memory for DMA is asked of caches for DMA.", "kmem_cache_alloc_head"),
    _rule("dma_of_plain", (2, 6), "", _NO_WORD, "kmem_flagcheck"),
    _rule("plain_of_dma", (2, 4), _old(1238), "Nothing else is asked of them.", "kmem_cache_alloc_head"),
    _rule("plain_of_dma", (2, 6), "", _NO_WORD, "kmem_flagcheck"),
    _rule("bad_pointer", (2, 4), f"kfree: bad ptr {{pointer:x}}h.\n{_old(1406)}", "The page is no slab's.",
          "CHECK_PAGE"),
    _rule("bad_pointer", (2, 6), f"kfree_debugcheck: bad ptr {{pointer:x}}h.\n{_new(1881)}", "The page is no slab's.",
          "kfree_debugcheck"),
    _rule("wrong_cache", (2, 4), _old(1582), "The slab is another cache's.", "kmem_cache_free"),
    _rule("wrong_cache", (2, 6),
          "mismatch in kmem_cache_free: expected cache {cache:08x}, got {other_cache:08x}\n"
          "{other_cache:08x} is {other}.\n{cache:08x} is {name}.\n"
          "Badness in cache_free_debugcheck at mm/slab.c:1900",
          "The slab is another cache's: both are named.", "cache_free_debugcheck"),
    _rule("no_object", (2, 4), _old(1220), "No object begins there.", "kmem_extra_free_checks"),
    _rule("no_object", (2, 6), _new(1920), "No object begins there.", "cache_free_debugcheck"),
    _rule("freed_twice", (2, 4), _old(1225), "It is on the slab's list of free objects.", "kmem_extra_free_checks"),
    _rule("freed_twice", (2, 6),
          f"slab: double free detected in cache '{{name}}', objp {{pointer:08x}}.\n{_new(2185)}",
          "The slab has it as free.", "free_block"),
    _rule("freed_twice_zoned", (2, 4), _old(1439), "The red zones are those of a free object.", "kmem_cache_free_one"),
    _rule("freed_twice_zoned", (2, 6),
          f"{_ZONES}\n{{pointer:08x}}: redzone 1: 0x{{zone:x}}, redzone 2: 0x{{zone:x}}.",
          "The red zones are those of a free object.", "cache_free_debugcheck"),
    _rule("bad_arguments", (2, 4), _old(640), "What can be no cache stops the kernel.", "kmem_cache_create"),
    _rule("bad_arguments", (2, 6), f"kmem_cache_create: Early error in slab {{name}}\n{_new(1204)}",
          "What can be no cache stops the kernel, which says its name first.", "kmem_cache_create"),
    _rule("bad_flags", (2, 4), _old(670), "Unknown flags stop the kernel.", "kmem_cache_create"),
    _rule("bad_flags", (2, 6), _new(1239), "Unknown flags stop the kernel.", "kmem_cache_create"),
    _rule("duplicate", (2, 4), _old(815), "A name that is taken stops the kernel.", "kmem_cache_create"),
    _rule("duplicate", (2, 6), f"kmem_cache_create: duplicate cache {{name}}\n{_new(1472)}",
          "A name that is taken stops the kernel, which says it first.", "kmem_cache_create"),
)  # fmt: skip
