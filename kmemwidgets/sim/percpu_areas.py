"""Where the cpus' areas of a machine lie: the first chunk as boot laid it out, later ones in vmalloc's space."""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.records import MachineSpec

from .early import PERCPU_PAGES
from .memblock import Call
from .percpu import FirstChunk, PerCpu, atom_of, first_chunk
from .rules import pick
from .rules.interfaces import TABLE as INTERFACES
from .rules.interfaces import InterfaceRules
from .rules.layout import address_space, vmalloc_bytes
from .slub_pages import Pages
from .vmalloc import Vmalloc
from .vmap_percpu import Group, PerCpuAreas
from .zone_sizes import node_memory

#: Who asks the early allocator for the first chunk.
EMBEDDED = "pcpu_embed_first_chunk"


def cpus_of_nodes(spec: MachineSpec) -> dict[int, tuple[int, ...]]:
    """Return the possible cpus of each node that has some, nodes as they are met (pcpu_build_alloc_info)."""
    nodes = (*spec.cpu_node, *[0] * spec.cpus)[: spec.cpus]
    return {nid: tuple(cpu for cpu, node in enumerate(nodes) if node == nid) for nid in dict.fromkeys(nodes)}


def plan_of(spec: MachineSpec) -> FirstChunk:
    """Return how the first chunk is laid out.

    How large the image's own variables are, only the image knows: what the early allocator takes is an estimate.
    """
    counts = [len(cpus) for cpus in cpus_of_nodes(spec).values()]
    plan = first_chunk(0, counts, arch=spec.arch, page_size=spec.page_size)
    static = max(PERCPU_PAGES * 4096 - plan.reserved - plan.dynamic, 0)
    return first_chunk(static, counts, arch=spec.arch, page_size=spec.page_size)


def groups_of(spec: MachineSpec, plan: FirstChunk, calls: Sequence[Call], low_end: int) -> tuple[Group, ...]:
    """Return each node's part of the first chunk.

    Parameters
    ----------
    spec : MachineSpec
    plan : FirstChunk
    calls : sequence of Call
        What boot asked of the early allocator; where it didn't ask, a part is thought to lie at its node's end.
    low_end : int
        First physical address that has no place in the direct map.
    """
    atom = atom_of(spec.arch, spec.page_size)
    taken = [call.start for call in calls if call.caller == EMBEDDED]
    memory = node_memory(spec)
    found = []
    for nid, cpus in cpus_of_nodes(spec).items():
        share = atom // plan.unit if plan.unit < atom else 1
        units = -(-len(cpus) // share) * share
        starts = [taken[cpu] for cpu in cpus if cpu < len(taken)]
        own = [entry for entry in memory if entry.nid == nid] or list(memory)
        end = max(min(entry.end_pfn * spec.page_size, low_end) for entry in own)
        start = min(starts) if starts else end - units * plan.unit
        found.append(Group(max(start, 0) & -atom, cpus, units))
    return tuple(found)


def per_cpu(
    spec: MachineSpec,
    page_alloc: Pages,
    vmalloc: Vmalloc,
    memory: Sequence[tuple[int, int]],
    calls: Sequence[Call] = (),
) -> PerCpu:
    """Return the per-CPU allocator of a machine, its first chunk laid out.

    Parameters
    ----------
    spec : MachineSpec
    page_alloc : Pages
    vmalloc : Vmalloc
    memory : sequence of (int, int)
        RAM that the kernel uses, bytes, ascending.
    calls : sequence of Call
        See `groups_of`.
    """
    plan = plan_of(spec)
    space = address_space(spec, memory)
    groups = groups_of(spec, plan, calls, space.direct_end - space.page_offset + space.phys_offset)
    places = PerCpuAreas(
        vmalloc,
        groups,
        unit=plan.unit,
        atom=atom_of(spec.arch, spec.page_size),
        first=min(group.start for group in groups) - space.phys_offset + space.page_offset,
        end=vmalloc.start + vmalloc_bytes(spec, memory),
    )
    return PerCpu(
        plan,
        page_alloc,
        cpus=spec.cpus,
        nodes=spec.cpu_node or (0,),
        page_size=spec.page_size,
        places=places,
        function=pick(InterfaceRules, INTERFACES, spec.kernel).percpu_function,
    )
