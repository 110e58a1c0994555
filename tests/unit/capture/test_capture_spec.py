"""The description holds what a boot needs to know, and nothing of what it computed."""

from __future__ import annotations

import json
import lzma
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.capture.archive import MemoryFiles
from kmemwidgets.capture.description import cpu_list
from kmemwidgets.records import BadInput, MachineSpec

MIB = 1 << 20


def rewritten(capture: Capture, files: dict[str, str | None]) -> Capture:
    """Return a recording with some files changed, or taken out."""
    kept = {name: capture.bytes(name) for name in capture.files() if name not in files}
    kept.update({name: text.encode() for name, text in files.items() if text is not None})
    return Capture(MemoryFiles(kept), capture.name)


def test_a_machine_of_512_mib() -> None:
    spec = Capture.bundled("amd64-512m").spec()
    assert (spec.arch, spec.kernel, spec.cpus, spec.va_bits, spec.page_size) == ("x86_64", (6, 1, 192), 1, 48, 4096)
    usable = [(row.start, row.end) for row in spec.memory if row.kind == "usable"]
    assert usable == [(0, 0x9FC00), (0x100000, 0x1FFDD000)]
    assert [(row.name, row.start, row.end) for row in spec.reserved] == [
        ("kernel", 0x1000000, 0x4400000),
        ("initrd", 0x1FC08000, 0x1FFD0000),
    ]
    assert dict(spec.freed)["initrd"] == 3872 // 4
    assert "SMP alternatives" not in dict(spec.freed)
    assert spec.option("CONFIG_PREEMPT") == "n"
    assert spec.option("CONFIG_SPARSEMEM_VMEMMAP") == "y"
    assert spec.option("CONFIG_MAGIC") is None
    assert spec.bases == ()  # nokaslr: they follow from the architecture
    assert dict(spec.image)["code"] // 1024 == 14343
    assert spec.nodes == ()
    assert MachineSpec.from_json(spec.to_json()) == spec


def test_a_machine_of_two_nodes_with_kaslr() -> None:
    spec = Capture.bundled("amd64-2g-numa2").spec()
    assert [(row.nid, row.start // MIB, row.end // MIB) for row in spec.nodes] == [
        (0, 0, 0),
        (0, 1, 1024),
        (1, 1024, 2048),
    ]
    assert spec.cpu_node == (0, 1)
    assert spec.distances == ((10, 20), (20, 10))
    assert dict(spec.bases)["page_offset_base"] == 0xFFFF8C5A00000000
    assert dict(spec.bases)["kernel_text"] == 0xFFFFFFFF85800000


def test_a_32_bit_machine_whose_initrd_was_moved() -> None:
    spec = Capture.bundled("i386-pae-2g").spec()
    assert (spec.arch, spec.kernel, spec.pae, spec.va_bits) == ("x86_32", (6, 1, 176), True, 32)
    assert [(row.start, row.end) for row in spec.reserved if row.name == "initrd"] == [(0x36C4C000, 0x36FFE000)]


def test_an_arm64_machine_is_described_by_memblock() -> None:
    spec = Capture.bundled("arm64-1g").spec()
    assert [(row.start, row.end, row.kind) for row in spec.memory] == [(0x40000000, 0x80000000, "usable")]
    assert [(row.start, row.end) for row in spec.reserved if row.name == "initrd"] == [(0x48000000, 0x48350000)]
    assert [(row.start, row.end) for row in spec.reserved if row.kind == "cma"] == [(0x7AC00000, 0x7EC00000)]


def test_arm64_may_move_its_linear_map_below_address_0() -> None:
    capture = Capture.bundled("arm64-1g")
    start = 0x40000000 - (0x7F << 30)
    kcore = capture.text("kcore.txt").replace("=0x40000000\n", f"={start & (1 << 64) - 1:#x}\n")
    meta = {**capture.meta, "kaslr": True}
    files = {"kcore.txt": kcore, "meta.json": json.dumps(meta), "proc/cmdline": "quiet"}
    assert dict(rewritten(capture, files).spec().bases)["PHYS_OFFSET"] == start


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_blanking_the_recorded_answers_changes_no_description(path: Path) -> None:
    capture = Capture.load(path)
    log = capture.text("dmesg.txt").splitlines(keepends=True)
    answers = ("Zone ranges:", "  DMA", "  Normal", "  HighMem", "  node ", "Built ", "Fallback order", "Memory: ")
    blanked = "".join(line for line in log if not line.partition("] ")[2].startswith(answers))
    assert len(blanked.splitlines()) < len(log) - 4
    gone = {
        name: None
        for name in capture.files()
        if name.rpartition("/")[2].partition(".")[0]
        in (
            "zoneinfo",
            "buddyinfo",
            "pagetypeinfo",
            "meminfo",
            "vmstat",
            "slabinfo",
            "freelists",
            "kpageflags",
            "kpagecount",
        )
    }
    sysctls = capture.text("sys/vm_sysctl").splitlines(keepends=True)
    changed = "".join(line for line in sysctls if not line.startswith("min_free_kbytes"))
    other = rewritten(capture, {**gone, "dmesg.txt": blanked, "sys/vm_sysctl": changed})
    assert other.spec() == capture.spec()


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_every_recording_says_enough_to_boot(path: Path) -> None:
    spec = Capture.load(path).spec()
    assert any(row.kind == "usable" and row.end > 64 * MIB for row in spec.memory)
    assert spec.kernel >= (6, 1)
    assert spec.cmdline
    assert spec.config
    assert spec.cpus == max(1, len(spec.cpu_node) or spec.cpus)
    assert {row.name for row in spec.reserved} >= {"kernel", "initrd"}
    assert {name for name, _ in spec.freed} >= {"initrd"}


def test_memblock_debug_lists_what_the_early_allocator_still_holds() -> None:
    path = next(path for path in captures() if capture_id(path) == "amd64-512m-memblock")
    spec = Capture.load(path).spec()
    held = [(row.start, row.end) for row in spec.reserved if row.name == "memblock"]
    assert (0x1F200000, 0x1FA00000) in held  # the memory map
    assert (0x1F000000, 0x1F03E000) in held  # the first per-cpu chunk, less what it gave back
    assert all(start < end for start, end in held)
    assert all(end < after for (_, end), (after, _) in pairwise(held))


@pytest.mark.parametrize(
    ("banner", "release", "expected"),
    [
        ("Linux version 6.1.0-9-amd64 (x@y) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP Debian 6.1.27-1", "", (6, 1, 27)),
        ("Linux version 5.15.0-91-generic (x@y) #101-Ubuntu SMP", "", (5, 15, 0)),
        ("", "6.12.3-arch1-1", (6, 12, 3)),
        ("Linux version 6.18.44 (x@y) #1", "6.18.44", (6, 18, 44)),
    ],
)
def test_the_version_is_that_of_the_sources(banner: str, release: str, expected: tuple[int, ...]) -> None:
    meta = {"arch": "amd64", "kernel_release": release, "proc_version": banner}
    capture = Capture(MemoryFiles({"meta.json": json.dumps(meta).encode()}), "x")
    assert capture.spec().kernel == expected


def test_ubuntu_s_signature_names_the_version() -> None:
    meta = {"arch": "x86_64", "kernel_release": "5.15.0-91-generic"}
    files = {"meta.json": json.dumps(meta), "proc/version_signature": "Ubuntu 5.15.0-91.101-generic 5.15.131\n"}
    capture = Capture(MemoryFiles({name: text.encode() for name, text in files.items()}), "x")
    assert capture.spec().kernel == (5, 15, 131)


@pytest.mark.parametrize("meta", [{"kernel_release": "6.1"}, {"arch": "pdp11", "kernel_release": "6.1"}])
def test_an_unknown_architecture_is_refused(meta: dict[str, str]) -> None:
    capture = Capture(MemoryFiles({"meta.json": json.dumps(meta).encode()}), "x")
    with pytest.raises(BadInput, match=r"x/meta\.json: arch '.*'; expected one of amd64"):
        capture.spec()


def test_five_level_page_tables_are_seen_without_kcore() -> None:
    meta = {"arch": "x86_64", "kernel_release": "6.1"}
    files = {"meta.json": json.dumps(meta), "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu la57 x\nprocessor\t: 1\n"}
    plain = Capture(MemoryFiles({name: text.encode() for name, text in files.items()}), "x").spec()
    assert (plain.va_bits, plain.cpus) == (57, 2)
    files["proc/cmdline"] = "quiet no5lvl\n"
    off = Capture(MemoryFiles({name: text.encode() for name, text in files.items()}), "x").spec()
    assert off == replace(plain, va_bits=48, cmdline="quiet no5lvl")


def test_addresses_hidden_from_an_ordinary_user_are_not_taken_for_real() -> None:
    capture = Capture.bundled("amd64-512m")
    hidden = "".join(
        f"00000000-00000000 : {line.partition(' : ')[2]}\n" for line in capture.text("proc/iomem").splitlines()
    )
    spec = rewritten(capture, {"proc/iomem": hidden}).spec()
    assert [row.name for row in spec.reserved] == ["initrd"]
    assert dict(spec.image).keys() == {"init"}


def test_without_the_log_the_firmware_map_of_sysfs_serves() -> None:
    capture = Capture.bundled("amd64-512m")
    rows = [f"0x{row.start:x} 0x{row.end - 1:x} {row.kind}" for row in capture.spec().memory]
    table = "\n".join(rows).replace("usable", "System RAM").replace("reserved", "Reserved") + "\n"
    spec = rewritten(capture, {"dmesg.txt": None, "sys/firmware_memmap": table}).spec()
    assert spec.memory == capture.spec().memory
    assert spec.freed == ()


def test_lists_of_cpus() -> None:
    assert cpu_list("0-2,8\n") == (0, 1, 2, 8)
    assert cpu_list("\n") == ()


def test_packed_meta_is_read_like_any_file() -> None:
    files = {"meta.json": b'{"arch": "arm64", "kernel_release": "6.1.5"}', "proc/cmdline.xz": lzma.compress(b"quiet\n")}
    assert Capture(MemoryFiles(files), "x").spec().cmdline == "quiet"
