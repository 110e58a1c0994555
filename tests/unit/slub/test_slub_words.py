"""What each kernel says of wrong pointers and of caches that can't go, with nothing changed."""

from __future__ import annotations

import re

import pytest
from refusals import said

from kmemwidgets import KernelBug, Machine

KERNELS = ("5.6", "5.15", "6.1", "6.12", "6.18")
CUT = "------------[ cut here ]------------"


def boot(kernel: str, **described: object) -> Machine:
    machine = Machine.boot(kernel=kernel, **{"memory": "64M", "cpus": 1, **described})
    machine.kmem_cache_init()
    return machine


def warned(kernel: str) -> str:
    """Return where free_large_kmalloc warns: mm/slab_common.c from 6.1 to 6.7, else mm/slub.c."""
    file = "mm/slab_common.c" if kernel == "6.1" else "mm/slub.c"
    return f"{CUT}\nWARNING: CPU: 0 PID: 0 at {file} free_large_kmalloc"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kfree_of_a_single_page(kernel: str) -> None:
    """kfree [5.6], free_nonslab_page [5.15], free_large_kmalloc [6.1, 6.12; since 6.15 it knows its own pages]."""
    machine = boot(kernel)
    pfn = machine.alloc_pages("GFP_KERNEL")
    pointer = machine.objects.slub.page_offset + pfn * 4096
    text = said(machine, "kfree", pointer)
    page = rf"page:? ?\S* ?refcount:1 mapcount:0 mapping:0{{16}} index:0x0 pfn:{pfn:#x}\nflags: \S+"
    if kernel == "5.6":
        assert text == f"{CUT}\nkernel BUG at mm/slub.c! (!PageCompound(page) in kfree, 0x{pointer:016x})"
    elif kernel == "5.15":
        why = re.escape(f"VM_BUG_ON_PAGE(!PageCompound(page))\n{CUT}\nkernel BUG at mm/slub.c!")
        assert re.fullmatch(rf"{page}\npage dumped because: {why}", text)
    elif kernel == "6.18":
        assert re.fullmatch(
            rf"{re.escape(warned(kernel))}\n{page}\npage dumped because: Not a kmalloc allocation", text
        )
    else:
        assert text == f"{warned(kernel)}\nobject pointer: 0x{pointer:016x}"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kfree_of_a_block_that_is_not_kmallocs(kernel: str) -> None:
    """Before 6.15 every compound page is taken for kmalloc's; then the page is shown and left alone."""
    machine = boot(kernel)
    pfn = machine.alloc_pages("GFP_KERNEL|__GFP_COMP", 2)
    text = said(machine, "kfree", machine.objects.slub.page_offset + (pfn + 1) * 4096)
    if kernel == "6.18":
        assert re.search(rf"pfn:{pfn:#x}\nhead: order:2 .*\nflags: \S+\(head\|node=0\|zone=1\|", text)
        assert text.endswith("page dumped because: Not a kmalloc allocation")
    else:
        assert text == f"this kernel says nothing (the block of 4 pages at pfn {pfn:#x} is not kmalloc's)"


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_pointer_into_a_large_block_frees_it(kernel: str) -> None:
    """virt_to_head_page, virt_to_folio: no version asks where in the block the pointer points."""
    machine = boot(kernel)
    free = machine.snapshot().meminfo.values["MemFree"]
    pointer = machine.kmalloc(40000)
    general = machine.objects.slub.general
    if kernel in ("5.6", "5.15"):
        assert general.ksize(pointer + 5000) == 65536
    else:
        with pytest.raises(KernelBug, match=r"WARNING: CPU: 0 PID: 0 at mm/slab_common\.c __ksize"):
            general.ksize(pointer + 5000)
    assert general.ksize(pointer) == 65536
    machine.kfree(pointer + 0x9000)
    assert general.large == {}
    assert machine.snapshot().meminfo.values["MemFree"] == free


@pytest.mark.parametrize("kernel", KERNELS)
def test_ksize_of_what_is_not_kmallocs(kernel: str) -> None:
    """__ksize: WARN_ON(!PageCompound(page)) in mm/slub.c, since 6.0 in mm/slab_common.c."""
    machine = boot(kernel)
    pointer = machine.objects.slub.page_offset + machine.alloc_pages("GFP_KERNEL") * 4096
    file = "mm/slub.c" if kernel in ("5.6", "5.15") else "mm/slab_common.c"
    with pytest.raises(KernelBug) as told:
        machine.objects.slub.general.ksize(pointer)
    assert str(told.value).startswith(f"{CUT}\nWARNING: CPU: 0 PID: 0 at {file} __ksize (")


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_object_of_another_cache(kernel: str) -> None:
    """cache_from_obj: mm/slab.h, since 6.8 mm/slub.c; WARN_ONCE in 5.6; since 5.10 with who had the object."""
    machine = boot(kernel, cmdline="slub_debug=U,mine")
    machine.kmem_cache_create("mine", 64, flags="no_merge")
    machine.kmem_cache_create("yours", 64, flags="no_merge")
    file = "mm/slab.h" if kernel in ("5.6", "5.15", "6.1") else "mm/slub.c"
    words = (
        f"{CUT}\ncache_from_obj: Wrong slab cache. yours but object is from mine\n"
        f"WARNING: CPU: 0 PID: 0 at {file} cache_from_obj"
    )
    for _ in range(2):
        machine.kmem_cache_free("yours", machine.kmem_cache_alloc("mine"))
    assert machine.dmesg.count(words) == (1 if kernel == "5.6" else 2)
    told = [line for line in machine.dmesg if line.startswith("Allocated in kmem_cache_alloc age=")]
    assert len(told) == (0 if kernel == "5.6" else 2)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kmem_cache_free_of_what_lies_in_no_slab(kernel: str) -> None:
    """virt_to_cache: WARN_ONCE, and nothing is freed."""
    machine = boot(kernel)
    machine.kmem_cache_create("mine", 64, flags="no_merge")
    pointer = machine.objects.slub.page_offset + machine.alloc_pages("GFP_KERNEL") * 4096
    file = "mm/slab.h" if kernel in ("5.6", "5.15", "6.1") else "mm/slub.c"
    assert said(machine, "kmem_cache_free", "mine", pointer) == (
        f"{CUT}\nvirt_to_cache: Object is not a Slab page!\nWARNING: CPU: 0 PID: 0 at {file} virt_to_cache"
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_double_free_with_hardened_links(kernel: str) -> None:
    """set_freepointer: BUG_ON(object == fp)."""
    machine = boot(kernel, config={"CONFIG_SLAB_FREELIST_HARDENED": "y"})
    pointer = machine.kmalloc(64)
    machine.kfree(pointer)
    text = said(machine, "kfree", pointer)
    assert text.startswith(f"{CUT}\nkernel BUG at mm/slub.c! (object == fp in set_freepointer, kmalloc-")
    assert text.endswith(f"0x{pointer:016x})")


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_cache_with_objects_left(kernel: str) -> None:
    """list_slab_objects, then kmem_cache_destroy: a line until 5.15, a warning since 5.16.

    Of full slabs nothing is told; 6.12.94 and 6.15 tell the objects before the slab, and warn of it.
    """
    machine = boot(kernel, cmdline="slub_debug=U,things")
    machine.kmem_cache_create("things", 64, flags="no_merge")
    held = [machine.kmem_cache_alloc("things") for _ in range(3)]
    machine.kmem_cache_free("things", held.pop(1))
    lines = said(machine, "kmem_cache_destroy", "things").splitlines()
    (slab,) = machine.objects.slabs("things")
    new = kernel in ("6.12", "6.18")
    prefix = "INFO: " if kernel == "5.6" else ""
    where = "" if new else " in things"
    assert lines[:4] == [
        "=" * 77, f"BUG things (Not tainted): Objects remaining{where} on __kmem_cache_shutdown()", "-" * 77, "",
    ]  # fmt: skip
    objects = [line for line in lines if re.match(rf"{prefix}Object 0x", line)]
    assert objects == [f"{prefix}Object 0x{at:016x} @offset={at - slab.address}" for at in sorted(held)]
    (told,) = [line for line in lines if line.startswith(f"{prefix}Slab 0x")]
    assert f" objects={len(slab.objects)} used=2 fp=0x" in told
    assert (lines.index(told) > lines.index(objects[0])) == new
    assert sum(f"{prefix}Allocated in kmem_cache_alloc age=" in line for line in lines) == 2
    assert lines.count("\tkmem_cache_alloc" if kernel in ("5.6", "5.15") else " kmem_cache_alloc") == 2
    if kernel in ("5.6", "5.15"):
        assert lines[-1] == "kmem_cache_destroy things: Slab cache still has objects"
    else:
        assert lines[-3:] == [
            CUT, "kmem_cache_destroy things: Slab cache still has objects when called from 0x0",
            "WARNING: CPU: 0 PID: 0 at mm/slab_common.c kmem_cache_destroy",
        ]  # fmt: skip
    if kernel in ("5.6", "5.15", "6.1"):
        assert not any("mm/slub.c" in line for line in lines)
    else:
        assert "WARNING: CPU: 0 PID: 0 at mm/slub.c __slab_err" in lines


def test_the_flags_of_a_slabs_page_hold_where_it_lies() -> None:
    """print_page_info, print_slab_info: 5.6 writes the word alone; slab is no flag any more in 6.12."""
    for kernel, flags in (
        ("5.6", "0xfffffc0010200"),
        ("6.1", "0xfffffc0010200(slab|head|node=0|zone=1|lastcpupid=0x1fffff)"),
        # Since 6.8 a slab on a node's list is marked.
        ("6.12", "0xfffffc0000240(workingset|head|node=0|zone=1|lastcpupid=0x1fffff)"),
    ):
        machine = boot(kernel, cmdline="slub_debug=U,things")
        machine.kmem_cache_create("things", 1000, flags="no_merge")
        machine.kmem_cache_alloc("things")
        lines = said(machine, "kmem_cache_destroy", "things").splitlines()
        assert next(line for line in lines if "Slab 0x" in line).endswith(f" flags={flags}")


@pytest.mark.parametrize("kernel", KERNELS)
def test_several_at_once_and_later(kernel: str) -> None:
    """build_detached_freelist asks cache_from_obj; kfree_rcu ends in kfree; nobody looks inside a slab."""
    machine = boot(kernel)
    machine.kmem_cache_create("mine", 64, flags="no_merge")
    single = machine.objects.slub.page_offset + machine.alloc_pages("GFP_KERNEL") * 4096
    file = "mm/slab.h" if kernel in ("5.6", "5.15", "6.1") else "mm/slub.c"
    assert said(machine, "kmem_cache_free_bulk", "mine", [single]) == (
        f"{CUT}\nvirt_to_cache: Object is not a Slab page!\nWARNING: CPU: 0 PID: 0 at {file} virt_to_cache"
    )
    assert said(machine, "kfree_rcu", single) == said(machine, "kfree", single)
    wrong = machine.kmalloc(64) + 8
    assert re.fullmatch(rf"this kernel says nothing \(0x{wrong:016x} is no object of \S+\)", said(
        machine, "kfree_rcu", wrong
    ))  # fmt: skip
    own = said(machine, "kmem_cache_destroy", "kmem_cache")
    assert own == "this kernel says nothing (kmem_cache is the allocator's own cache)"


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_size_that_no_chunk_has(kernel: str) -> None:
    """mm/percpu.c pcpu_alloc, since 6.10 pcpu_alloc_noprof: a warning, and NULL."""
    name = "pcpu_alloc_noprof" if kernel in ("6.12", "6.18") else "pcpu_alloc"
    assert said(boot(kernel), "alloc_percpu", 65536) == (
        f"{CUT}\nillegal size (65536) or align (8) for percpu allocation\nWARNING: CPU: 0 PID: 0 at mm/percpu.c {name}"
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_who_had_an_object(kernel: str) -> None:
    """print_track: kmalloc and kfree are named by who called; "INFO: " until 5.13, a tab before a frame until 5.18."""
    machine = boot(kernel, cmdline="slub_debug=FU")
    address = machine.kmalloc(64, caller="load_module")
    for _ in range(2):
        machine.kfree(address)
    lines = [re.sub(r"\d+", "N", line) for line in machine.dmesg]
    prefix = "INFO: " if kernel == "5.6" else ""
    frame = "\t" if kernel in ("5.6", "5.15") else " "
    at = lines.index(f"{prefix}Allocated in load_module age=N cpu=N pid=N")
    assert lines[at + 1 : at + 4] == [
        f"{frame}load_module", f"{prefix}Freed in kfree age=N cpu=N pid=N", f"{frame}kfree",
    ]  # fmt: skip
