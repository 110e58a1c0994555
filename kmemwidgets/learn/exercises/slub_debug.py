"""Exercises of "Finding memory bugs with slub_debug"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.sim.machine import Machine

_CMDLINE = "slub_debug=FZPU"


def _watched() -> Machine:
    return Machine.boot(memory="64M", kernel="6.1", cmdline=_CMDLINE)


def _last() -> int:
    machine = _watched()
    cache = machine.kmem_cache_create("exercise", 32, flags=["no_merge"])
    address = machine.kmem_cache_alloc(cache)
    assert address is not None
    machine.kmem_cache_free(cache, address)
    opened = machine.slab_object(address)
    return opened.data[address - opened.start + 31]


def _state() -> str:
    machine = _watched()
    address = machine.kmalloc(32)
    assert address is not None
    used = machine.slab_object(address).data[address - machine.slab_object(address).start + 32]
    return "in use" if used == 0xBB else "free"


def _size() -> int:
    machine = _watched()
    machine.kmem_cache_init()
    caches = machine.snapshot().slabs or ()
    return next(cache.slab_size or 0 for cache in caches if cache.name == "kmalloc-64")


EXERCISES = (
    Exercise(
        "slub_debug.last",
        _last,
        "The poison ends in another byte, so that a read past its end shows: POISON_END, 0xa5.",
        "The object is full of one byte, but ends in another. Look at the panel, or at a report.",
        (
            Slip(lambda _: 0x6B, "That fills the object, up to the last byte but one."),
            Slip(lambda _: 0xBB, "That is the red zone behind it."),
        ),
    ),
    Exercise(
        "slub_debug.state",
        _state,
        "0xbb is the red zone of a free object, 0xcc that of one in use.",
        "Which byte is around objects in use, which around free ones?",
        (Slip(lambda _: "in use", "Around objects in use it is 0xcc."),),
    ),
    Exercise(
        "slub_debug.kind",
        lambda: "use after free",
        "Poison fills free objects; somebody wrote into one.",
        "When is an object poisoned?",
        (
            Slip(lambda _: "overflow", "An overflow would hit the red zone first."),
            Slip(lambda _: "double free", "A double free writes nothing into the object."),
        ),
    ),
    Exercise(
        "slub_debug.size",
        _size,
        "Red zones at both sides, the left one as wide as the alignment; the link; two tracks; aligned to 64: {right}.",
        "The last table prints it.",
        (
            Slip(lambda _: 64, "That is the object alone, as without debugging."),
            Slip(lambda _: 128, "And the tracks?"),
        ),
    ),
)
