"""The sizes of struct kmem_cache and struct kmem_cache_node, field by field (mm/slab.h)."""

from __future__ import annotations

from kmemwidgets.records import MachineSpec

from .rules import pick
from .rules.slub import align_up
from .rules.slub_structs import TABLE, StructRules
from .slub_options import word_size

#: Bytes of fields with one word each, by bytes of a word: struct kobject, work_struct, percpu_ref, rcu_head.
_KOBJECT, _WORK, _PERCPU_REF, _RCU_HEAD = {8: 64, 4: 36}, {8: 32, 4: 16}, {8: 56, 4: 28}, {8: 16, 4: 8}
_INT = 4


def struct_sizes(spec: MachineSpec) -> tuple[int, int]:
    """Return the bytes of struct kmem_cache without its array of nodes, and of struct kmem_cache_node.

    Parameters
    ----------
    spec : MachineSpec
        Version, architecture and configuration; an option that isn't given is taken as distributions set it.
    """
    rules = pick(StructRules, TABLE, spec.kernel)
    word = word_size(spec)
    numa = spec.option("CONFIG_NUMA") == "y" or (spec.option("CONFIG_NUMA") is None and word == 8)
    end = 0
    for size, align in _cache_fields(rules, spec, word, numa=numa):
        end = align_up(end, align) + size
    node = align_up(_INT, word) + 3 * word
    node += 4 * word if spec.option("CONFIG_SLUB_DEBUG") != "n" else 0
    node += word if rules.sheaves else 0
    return align_up(end, word), node


def _cache_fields(rules: StructRules, spec: MachineSpec, word: int, *, numa: bool) -> list[tuple[int, int]]:
    """Return size and alignment of each field, in order."""
    pointer, number = (word, word), (_INT, _INT)
    fields = [pointer, *([pointer] if rules.sheaves else []), number, pointer, number, number]
    fields += [number, number] if rules.reciprocal else []
    fields.append(number)
    if spec.option("CONFIG_SLUB_CPU_PARTIAL") != "n":
        fields += [number] * (1 + rules.cpu_partial_slabs)
    # Capacity, orders, flags and owners; the constructor; three offsets; name and list.
    fields += [number] * (rules.sheaves + 2 + rules.largest_order + 2)
    fields += [pointer, number, number, number, pointer, (2 * word, word), (_KOBJECT[word], word)]
    if rules.memcg_params:
        fields.append((_WORK[word], word))
        if spec.option("CONFIG_MEMCG") != "n":
            own = 6 * word + _PERCPU_REF[word] + max(_WORK[word], _RCU_HEAD[word])
            fields += [(word + own, word), number, pointer]
    if spec.option("CONFIG_SLAB_FREELIST_HARDENED") != "n":
        fields.append(pointer)
    if numa:
        fields.append(number)
    if spec.option("CONFIG_SLAB_FREELIST_RANDOM") != "n":
        fields.append(pointer)
    return [*fields, number, number]
