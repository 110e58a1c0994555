"""Exercises of "The slab idea and SLUB"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.sim.machine import Machine
from kmemwidgets.sim.rules.slub import TABLE, SlubRules
from kmemwidgets.sim.rules.table import pick
from kmemwidgets.sim.slub_layout import Tunables, calculate_order

_RULES = pick(SlubRules, TABLE, (6, 1, 192))


def _lifo() -> str:
    machine = Machine.boot(memory="64M", cpus=1)
    cache = machine.kmem_cache_create("exercise", 192, flags=["no_merge"])
    names = {machine.kmem_cache_alloc(cache): name for name in "ABC"}
    for address in names:
        assert address is not None
        machine.kmem_cache_free(cache, address)
    return "".join(names[machine.kmem_cache_alloc(cache)] for _ in range(2))


def _full() -> str:
    machine = Machine.boot(memory="64M", cpus=1)
    cache = machine.kmem_cache_create("exercise", 192, flags=["no_merge"])
    for _ in range(22):
        machine.kmem_cache_alloc(cache)
    place = next(slab.place for slab in machine.slabs(cache) if slab.cpu is None)
    return "none" if place == "full" else place


EXERCISES = (
    Exercise(
        "slub.left",
        lambda: 4096 % 320,
        "12 objects take 3840 bytes, {right} are left over.",
        "How many objects fit, and how many bytes do they take?",
        (
            Slip(lambda _: 4096 // 320, "So many objects fit. How many bytes are left over?"),
            Slip(lambda _: 3840, "So many bytes are used."),
        ),
    ),
    Exercise(
        "slub.lifo",
        _lifo,
        "Last in, first out: C came last.",
        "Which of them was freed last?",
        (
            Slip(lambda _: "AB", "That would be first in, first out."),
            Slip(lambda _: "C", "That is the first one. And the second?"),
        ),
    ),
    Exercise(
        "slub.order",
        lambda: calculate_order(_RULES, 1152, Tunables(4, 4)),
        "8 pages hold 28 objects, and 512 bytes are left: less than a sixteenth.",
        "The table above has it.",
        (
            Slip(lambda order: 1 << order, "That is pages. The order is the power of two."),
            Slip(lambda _: 0, "One page would hold too few objects; SLUB wants 16 with 4 CPUs, if it can."),
        ),
    ),
    Exercise(
        "slub.full",
        _full,
        "Nobody needs to find a full slab until one of its objects is freed.",
        "Could anybody take an object from it?",
        (Slip(lambda _: "node partial", "It isn't partial: all of its objects are in use."),),
    ),
    Exercise(
        "slub.pointer",
        lambda: _RULES.free_pointer(192, 8),
        "In the middle, rounded down to 8: a small overflow of the object before does not reach it.",
        "Since 5.7 the link lies in the middle of the object.",
        (
            Slip(lambda _: 0, "There it was before 5.7."),
            Slip(lambda _: 192, "Behind the object it lies only where the object must keep its contents."),
        ),
    ),
)
