#!/usr/bin/env python3
"""Record what a Linux machine shows of its memory management: one file, standard library only, Python 3.6 or newer.

Usage: python3 record_host.py [--redact] [--redact-addresses] [--processes] [--no-frames] OUT

OUT is a folder, or a file that ends in .tar.xz; it must not exist yet. As root it reads more than as an ordinary user;
what could not be read, and why, is told at the end and in OUT/meta.json. Nothing is written to the machine but OUT.
Read it with `kmem explain OUT`, or kmemwidgets.Capture.load("OUT").
"""

# This file also runs alone on old machines, so it is written for Python 3.6: typing's names, no strict zip, os.path,
# which goes with os.open and os.read. `kmem capture --script` prints it to be copied to such a machine: that is why it
# is not split, long as it is.
# ruff: noqa: UP006, UP031, UP035, UP045, B905
# ruff: noqa: PTH100, PTH103, PTH104, PTH110, PTH112, PTH113, PTH114, PTH115, PTH118, PTH119, PTH120, PTH123, PTH208

import argparse
import errno
import gzip
import io
import json
import os
import re
import shutil
import struct
import sys
import tarfile
import tempfile
import textwrap
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

try:
    import lzma
except ImportError:  # Python built without it
    lzma = None  # type: ignore[assignment]

VERSION = 1

#: Files of /proc, each recorded under its own name.
PROC = (
    "meminfo", "zoneinfo", "buddyinfo", "pagetypeinfo", "slabinfo", "vmallocinfo", "vmstat", "iomem", "swaps",
    "version", "version_signature", "cmdline", "cpuinfo", "modules", "loadavg", "filesystems",
)  # fmt: skip
#: Files of a process.
PROCESS = ("maps", "smaps", "status")
#: Files of a NUMA node.
NODE = ("meminfo", "numastat", "vmstat", "cpulist", "distance")
#: Sysctls of /proc/sys/vm that do something when they are read or can't be read.
NOT_SYSCTL = ("compact_memory", "stat_refresh", "drop_caches")
#: Folders of kernel settings, and single ones.
SETTING_FOLDERS = (
    "sys/kernel/mm/transparent_hugepage", "sys/kernel/mm/transparent_hugepage/khugepaged", "sys/kernel/mm/lru_gen",
    "sys/kernel/mm/ksm", "sys/kernel/mm/numa", "sys/kernel/mm/swap", "sys/kernel/debug/extfrag",
)  # fmt: skip
#: Columns of slab.tsv: files of /sys/kernel/slab/CACHE.
SLAB = (
    "object_size", "slab_size", "objs_per_slab", "order", "align", "min_partial", "cpu_partial", "aliases", "objects",
    "total_objects", "partial", "slabs", "ctor", "red_zone", "poison", "store_user", "reclaim_account",
    "hwcache_align", "cache_dma", "sanity_checks", "trace", "usersize", "destroy_by_rcu", "objects_partial",
    "slabs_cpu_partial", "cpu_slabs", "remote_node_defrag_ratio",
)  # fmt: skip
#: Files of a control group, version 2 and 1.
CGROUP_2 = (
    "memory.max", "memory.high", "memory.low", "memory.min", "memory.current", "memory.peak", "memory.stat",
    "memory.events", "memory.swap.max", "memory.swap.current", "memory.numa_stat", "memory.pressure", "cpuset.mems",
    "cpuset.mems.effective",
)  # fmt: skip
CGROUP_1 = (
    "memory.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes",
    "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", "memory.kmem.limit_in_bytes", "memory.stat",
    "memory.swappiness", "memory.oom_control", "memory.numa_stat",
)  # fmt: skip
#: CONFIG options that decide how memory is managed.
CONFIG = re.compile(
    r"^(?:# )?CONFIG_(?:\w*NUMA\w*|NODES_SHIFT|NR_CPUS\w*|SL[AU]B\w*|\w*SPARSEMEM\w*|FLATMEM\w*|\w*HIGHMEM\w*|ZONE_\w+"
    r"|\w*HUGE_?PAGE\w*|HUGETLB\w*|COMPACTION|MIGRATION|KSM|CMA\w*|MEMCG\w*|SWAP|Z(?:SWAP|RAM|SMALLOC|BUD)\w*"
    r"|LRU_GEN\w*"
    r"|PGTABLE_LEVELS|X86_(?:5LEVEL|PAE|32|64)|ARM64_\w*(?:PAGE|VA_BITS|PA_BITS)\w*|RANDOMIZE_\w+|PHYSICAL_\w+|HZ"
    r"|PAGE_(?:OFFSET|EXTENSION|OWNER|POISONING|REPORTING)|VMSPLIT\w*|VMAP_STACK|DEFERRED_STRUCT_PAGE_INIT"
    r"|SHUFFLE_PAGE_ALLOCATOR|INIT_ON_\w+|DEBUG_(?:VM|PAGEALLOC)\w*|KASAN\w*|KFENCE\w*|PREEMPT\w*|ARCH_MMAP_RND\w*"
    r"|DEFAULT_MMAP_MIN_ADDR|USERFAULTFD|PER_VMA_LOCK|IDLE_PAGE_TRACKING|HARDENED_USERCOPY|THREAD_INFO_IN_TASK"
    r"|RANDOM_KMALLOC_CACHES|ARCH_FORCE_MAX_ORDER|FORCE_MAX_ZONEORDER|CRASH_DUMP|KEXEC\w*|LOG_BUF_SHIFT)"
    r"(?:=| is not set)"
)

#: Bytes of one text; a process's smaps can be long.
MAX_TEXT = 1 << 26
#: Page frames of which flags and counts are recorded: 256 GiB of 4 KiB pages.
MAX_FRAMES = 1 << 26
#: Processes recorded with --processes.
MAX_PROCESSES = 4096
_CHUNK = 1 << 20
_PIECE = 1 << 17


class Failure(Exception):
    """What stops a recording, told in one line."""


class Recorder:
    """Reads a machine's files.

    Parameters
    ----------
    root : str
        Where /proc and /sys are found; "/" but in tests.
    processes : bool
        Whether other processes' maps are taken too.
    max_frames : int
        Up to how many page frames the flags and counts of every frame are taken; 0: never.
    pack : bool
        Whether what is large is packed.
    progress : callable
        Called with what is being read and which part of it is done.
    """

    def __init__(
        self,
        root: str = "/",
        processes: bool = False,
        max_frames: int = MAX_FRAMES,
        pack: bool = True,
        progress: Callable[[str, float], None] = lambda _word, _part: None,
    ) -> None:
        self.root = root
        self.processes = processes
        self.max_frames = max_frames
        self.pack = pack
        self.progress = progress
        self.taken = []  # type: List[str]
        self.missed = {}  # type: Dict[str, str]
        self.notes = []  # type: List[str]

    def path(self, name: str) -> str:
        """Return a file's path on this host."""
        return os.path.join(self.root, name)

    def read(self, name: str, needed: bool = True) -> Optional[bytes]:
        """Return a file's contents; None, and a note why if it is needed, where it can't be read."""
        data = b""
        try:
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                # A sysctl needs a buffer as large as what is asked for, so ask for little at a time.
                piece = os.read(descriptor, _PIECE)
                while piece and len(data) <= MAX_TEXT:
                    data += piece
                    piece = os.read(descriptor, _PIECE)
            finally:
                os.close(descriptor)
        except OSError as error:
            if needed:
                self.missed["/" + name] = "not there" if error.errno == errno.ENOENT else error.strerror or str(error)
            return None
        if len(data) > MAX_TEXT:
            self.missed["/" + name] = "more than %d bytes" % MAX_TEXT
            return None
        return data

    def text(self, name: str) -> str:
        """Return a file's text, "" where it can't be read, without a note."""
        return (self.read(name, needed=False) or b"").decode("utf-8", "replace")

    def names(self, folder: str) -> List[str]:
        """List a folder, sorted; empty where it can't be read."""
        try:
            return sorted(os.listdir(self.path(folder)))
        except OSError:
            return []

    def collect(self) -> Iterator[Tuple[str, bytes]]:
        """Yield every file of the recording but meta.json."""
        for part in (
            self._proc, self._nodes, self._settings, self._slab, self._memblock, self._cgroup, self._log,
            self._processes, self._kcore, self._frames,
        ):  # fmt: skip
            for name, data in part():
                self.taken.append(name)
                self.progress(name, 1.0)
                yield name, data

    def _proc(self) -> Iterator[Tuple[str, bytes]]:
        for name in PROC:
            data = self.read("proc/" + name, needed=name != "version_signature")
            if data is not None:
                yield "proc/" + name, data

    def _nodes(self) -> Iterator[Tuple[str, bytes]]:
        folder = "sys/devices/system/node"
        for node in self.names(folder):
            if re.match(r"node\d+$", node):
                for name in NODE:
                    data = self.read("%s/%s/%s" % (folder, node, name))
                    if data is not None:
                        yield "node/%s.%s" % (node, name), data

    def _settings(self) -> Iterator[Tuple[str, bytes]]:
        rows = []
        for name in self.names("proc/sys/vm"):
            data = None if name in NOT_SYSCTL else self.read("proc/sys/vm/" + name)
            if data is not None:
                rows.append(name.encode() + b"=" + data.strip() + b"\n")
        if rows:
            yield "sys/vm_sysctl", b"".join(rows)
        settings = []
        for folder in SETTING_FOLDERS + tuple(self._hugepage_folders()):
            for name in self.names(folder):
                if os.path.isfile(self.path(folder + "/" + name)):
                    data = self.read(folder + "/" + name, needed=False)
                    if data is not None:
                        settings.append(("== /%s/%s\n" % (folder, name)).encode() + data.rstrip(b"\n") + b"\n")
        if settings:
            yield "sys/mm_settings", b"".join(settings)
        rows = []
        for entry in self.names("sys/firmware/memmap"):
            values = [self.text("sys/firmware/memmap/%s/%s" % (entry, key)).strip() for key in ("start", "end", "type")]
            if all(values):
                rows.append((" ".join(values) + "\n").encode())
        if rows:
            yield "sys/firmware_memmap", b"".join(rows)

    def _hugepage_folders(self) -> List[str]:
        return ["sys/kernel/mm/hugepages/" + name for name in self.names("sys/kernel/mm/hugepages")]

    def _slab(self) -> Iterator[Tuple[str, bytes]]:
        folder = "sys/kernel/slab"
        lines = []
        for name in self.names(folder):
            link = self.path(folder + "/" + name)
            target = os.path.basename(os.readlink(link)) if os.path.islink(link) else "-"
            cells = [self.text("%s/%s/%s" % (folder, name, column)) for column in SLAB]
            if any(cells):
                cells = [re.sub(r"\s+", " ", cell).strip() for cell in cells]
                lines.append("\t".join([name, target, *cells]) + "\n")
        if lines:
            yield "slab.tsv", ("\t".join(("name", "target", *SLAB)) + "\n" + "".join(lines)).encode()
        else:
            self.missed["/" + folder] = "nothing in it can be read" if self.names(folder) else "not there"

    def _memblock(self) -> Iterator[Tuple[str, bytes]]:
        for name in ("memory", "reserved"):
            data = self.read("sys/kernel/debug/memblock/" + name, needed=False)
            if data:
                yield "memblock/" + name, data

    def cgroup_levels(self) -> Tuple[int, List[str]]:
        """Return the version of control groups that counts memory, and its folders from this process's up."""
        version, path = 0, ""
        for line in self.text("proc/self/cgroup").splitlines():
            parts = line.split(":", 2)
            if len(parts) == 3 and "memory" in parts[1].split(","):
                version, path = 1, parts[2]
            elif len(parts) == 3 and parts[0] == "0" and version == 0:
                version, path = 2, parts[2]
        base = "sys/fs/cgroup/memory" if version == 1 else "sys/fs/cgroup"
        # In a container the path may be one of the host, which isn't there; then the group is the mount's top.
        if not os.path.isdir(self.path(base + path)):
            path = ""
        parts = [part for part in path.split("/") if part]
        return version, ["/".join([base, *parts[:length]]) for length in range(len(parts), -1, -1)]

    def _cgroup(self) -> Iterator[Tuple[str, bytes]]:
        version, levels = self.cgroup_levels()
        data = self.read("proc/self/cgroup")
        if data:
            yield "cgroup/self_cgroup", data
        for level, folder in enumerate(levels if version else []):
            for name in CGROUP_1 if version == 1 else CGROUP_2:
                data = self.read(folder + "/" + name, needed=False)
                if data is not None:
                    yield "cgroup/%d/%s" % (level, name), data

    def cgroup_limit(self) -> Dict[str, Any]:
        """Say what the control group allows: the tightest limit from this process's group up; None: no limit."""
        version, levels = self.cgroup_levels()
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        usage = "memory.usage_in_bytes" if version == 1 else "memory.current"
        limits = []
        for folder in levels if version else []:
            word = self.text(folder + "/" + name).strip()
            # Version 1 writes "no limit" as the largest number of whole pages.
            if word.isdigit() and int(word) < 1 << 60:
                limits.append(int(word))
        used = self.text(levels[0] + "/" + usage).strip() if version else ""
        return {
            "version": version or None,
            "limit_bytes": min(limits) if limits else None,
            "usage_bytes": int(used) if used.isdigit() else None,
        }

    def container(self) -> Optional[str]:
        """Say by what sign this is a container; None where there is none."""
        for path in (".dockerenv", "run/.containerenv", "run/systemd/container"):
            if os.path.exists(self.path(path)):
                return "/" + path
        found = re.search(r"(docker|kubepods|lxc|libpod|containerd)", self.text("proc/self/cgroup"))
        if found:
            return "/proc/self/cgroup names " + found.group(1)
        environment = (self.read("proc/1/environ", needed=False) or b"").split(b"\0")
        if any(word.startswith(b"container=") for word in environment):
            return "container= in the environment of process 1"
        return None

    def _log(self) -> Iterator[Tuple[str, bytes]]:
        lines, first = self._kmsg()
        # The ring buffer may be closed or have lost the boot; some distributions keep a copy of that.
        saved = "" if lines and not first else self.text("var/log/dmesg")
        banner = " ".join(self.text("proc/version").split()[:3])
        if saved and banner and banner in saved:
            yield "dmesg.txt", saved.encode()
        elif lines:
            if first:
                self.notes.append("the first %d lines of the kernel's log were already lost" % first)
            yield "dmesg.txt", "".join(lines).encode("utf-8", "replace")

    def _kmsg(self) -> Tuple[List[str], int]:
        """Read the kernel's log, and the number of its oldest line that is left."""
        lines = []  # type: List[str]
        first = 0
        try:
            descriptor = os.open(self.path("dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.missed["/dev/kmsg"] = error.strerror or str(error)
            return lines, first
        try:
            while True:
                try:
                    record = os.read(descriptor, 8192).decode("utf-8", "replace")
                except OSError as error:
                    if error.errno == errno.EPIPE:  # overwritten while reading: the next read goes on behind it
                        continue
                    if error.errno != errno.EAGAIN:
                        self.missed["/dev/kmsg"] = error.strerror or str(error)
                    break
                head, _, rest = record.partition(";")
                fields = head.split(",")
                if len(fields) < 3 or not record:
                    break
                if not lines:
                    first = int(fields[1])
                seconds, micros = divmod(int(fields[2]), 1000000)
                text = _unescaped(rest.split("\n", 1)[0])
                lines.extend("[%5d.%06d] %s\n" % (seconds, micros, line) for line in text.split("\n"))
        finally:
            os.close(descriptor)
        return lines, first

    def _processes(self) -> Iterator[Tuple[str, bytes]]:
        pids = sorted((name for name in self.names("proc") if name.isdigit()), key=int) if self.processes else []
        if len(pids) > MAX_PROCESSES:
            self.notes.append("only the first %d of %d processes" % (MAX_PROCESSES, len(pids)))
        hidden = 0
        for pid in ["self", *pids[:MAX_PROCESSES]]:
            for name in PROCESS:
                data = self.read("proc/%s/%s" % (pid, name), needed=pid == "self")
                if data:
                    yield "proc/%s_%s" % (pid, name), data
                hidden += data is None and name == PROCESS[0]
        if hidden:
            self.notes.append("%d processes could not be read" % hidden)

    def _kcore(self) -> Iterator[Tuple[str, bytes]]:
        try:
            with open(self.path("proc/kcore"), "rb", buffering=0) as file:
                text = kcore_text(file)
        except (OSError, struct.error, ValueError) as error:
            self.missed["/proc/kcore"] = getattr(error, "strerror", None) or str(error)
            return
        yield "kcore.txt", text.encode()

    def _frames(self) -> Iterator[Tuple[str, bytes]]:
        for name in ("kpageflags", "kpagecount"):
            if not self.max_frames:
                continue
            frames = highest_pfn(self.text("proc/zoneinfo"))
            if frames > self.max_frames:
                self.missed["/proc/" + name] = "%d frames, more than %d" % (frames, self.max_frames)
                continue
            try:
                data = self._per_frame(name, frames)
            except OSError as error:
                self.missed["/proc/" + name] = error.strerror or str(error)
                continue
            if data and not self.pack:
                yield name, data
            elif data:
                yield (name + ".xz", lzma.compress(data, preset=1)) if lzma else (name + ".gz", gzip.compress(data))

    def _per_frame(self, name: str, frames: int) -> bytes:
        pieces = io.BytesIO()
        with open(self.path("proc/" + name), "rb", buffering=0) as file:
            while pieces.tell() < self.max_frames * 8:
                piece = file.read(_CHUNK)
                if not piece:
                    break
                pieces.write(piece)
                self.progress(name, min(1.0, pieces.tell() / (frames * 8 or 1)))
        return pieces.getvalue()

    def config(self) -> List[str]:
        """Return the CONFIG lines that matter, from wherever the system keeps them."""
        release = self.text("proc/sys/kernel/osrelease").strip()
        packed = self.read("proc/config.gz", needed=False)
        text = gzip.decompress(packed).decode("utf-8", "replace") if packed else ""
        for name in ("boot/config-" + release, "lib/modules/%s/config" % release):
            text = text or self.text(name)
        return [line for line in text.splitlines() if CONFIG.match(line)]

    def meta(self, name: str) -> Dict[str, Any]:
        """Describe the recording; call it after `collect`."""
        return {
            "name": name,
            "arch": os.uname().machine,
            "kernel_release": self.text("proc/sys/kernel/osrelease").strip() or os.uname().release,
            "proc_version": self.text("proc/version").strip(),
            "cmdline": self.text("proc/cmdline").strip(),
            "page_size": os.sysconf("SC_PAGE_SIZE"),
            "cpus": len(re.findall(r"^processor\s*:", self.text("proc/cpuinfo"), re.M)) or os.cpu_count(),
            "config": self.config(),
            "root": os.geteuid() == 0,
            "container": self.container(),
            "cgroup": self.cgroup_limit(),
            "recorder": VERSION,
            "files": sorted(self.taken),
            "unreadable": self.missed,
            "notes": self.notes,
        }


def _unescaped(text: str) -> str:
    """Undo the escapes of /dev/kmsg."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found.group(1), 16)), text)


def highest_pfn(zoneinfo: str) -> int:
    """Return the first pfn behind all zones."""
    spanned = [int(word) for word in re.findall(r"^ +spanned +(\d+)", zoneinfo, re.M)]
    starts = [int(word) for word in re.findall(r"^ +start_pfn: +(\d+)", zoneinfo, re.M)]
    return max([start + pages for start, pages in zip(starts, [n for n in spanned if n])] or [0])


def kcore_text(file: Any) -> str:
    """Read the address ranges and the VMCOREINFO note out of /proc/kcore's ELF headers (fs/proc/kcore.c)."""
    ident = file.read(16)
    if ident[:4] != b"\x7fELF":
        raise ValueError("is no ELF file")
    order = ">" if ident[5:6] == b"\x02" else "<"
    wide = ident[4:5] == b"\x02"
    rest = file.read(48 if wide else 36)
    head = struct.unpack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), rest)
    offset, entry_size, count = head[4], head[8], min(head[9], 4096)
    lines = []
    for index in range(count):
        file.seek(offset + index * entry_size)
        raw = file.read(56 if wide else 32)
        if wide:
            kind, _, at, vaddr, _, filesz, memsz, _ = struct.unpack(order + "IIQQQQQQ", raw)
        else:
            kind, at, vaddr, _, filesz, memsz, _, _ = struct.unpack(order + "IIIIIIII", raw)
        if kind == 1:
            lines.append("LOAD vaddr=0x%x size=0x%x\n" % (vaddr, memsz))
        elif kind == 4:
            file.seek(at)
            lines.extend(_vmcoreinfo(file.read(min(filesz, 1 << 17)), order))
    return "".join(sorted(lines, key=lambda line: not line.startswith("LOAD")))


def _vmcoreinfo(notes: bytes, order: str) -> List[str]:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, _ = struct.unpack_from(order + "III", notes, at)
        name_at = at + 12
        data_at = name_at + (name_size + 3) // 4 * 4
        if notes[name_at : name_at + 10] == b"VMCOREINFO":
            return notes[data_at : data_at + size].decode("ascii", "replace").splitlines(True)
        at = data_at + (size + 3) // 4 * 4
    return []


class Redactor:
    """Takes out of a recording what tells whose machine it is.

    Texts that hold nothing but the kernel's own words and numbers stay as they are.
    """

    #: Options of the kernel's command line whose values say nothing of the owner.
    SAFE = re.compile(
        r"(?:console|loglevel|log_buf_len|mem|memmap|memblock|memtest|movable_?node|movablecore|kernelcore|highmem|vmalloc"
        r"|lowmem\w*|hugepages\w*|default_hugepagesz|transparent_hugepage|sl[au]b_\w+|init_on_\w+|cgroup\w*|numa\w*"
        r"|sysctl[./]vm[./]\w+|deferred_init"
        r"|cma|page_\w+|page_alloc\.\w+|crashkernel|mitigations|pti|nosmp|maxcpus|nr_cpus|possible_cpus|isolcpus|nohz\w*"
        r"|rcu\w*\.?\w*|acpi|efi|panic|trace_\w+|swapaccount|zswap\.\w+|percpu_\w+|psi|hash_pointers|hashdist"
        r"|[dit]hash_entries|[dit]hash|no5lvl|nokaslr|no_hash_pointers|nopti|nosmt|noapic|nomodeset"
        r"|splash|lru_gen\w*|tsc|clocksource|preempt|audit|quiet|ro|rw)"
    )
    #: Lines of the kernel's log that are kept.
    LOG = re.compile(
        r"Linux version|ommand line: |e820|BIOS-|SRAT|NUMA|NODE_DATA|Zone ranges|Movable zone|Early memory node|Initmem"
        r"|^  (?:DMA|Normal|HighMem|Movable|Device|node )|On node|onlists|Fallback order|Policy zone|Memory: |reeing "
        r"|RAMDISK|cma: |hash table entries|nr_cpu_ids|memblock|percpu: |pcpu-alloc|SLUB: |HIGHMEM|LOWMEM|low ram"
        r"|mem auto-init|deferred pages|last_pfn|zswap|lockup page|page allocator|hugepages|HugeTLB"
    )
    #: Files of which every line may hold names.
    FREE_TEXT = re.compile(r"dmesg|proc/(?:version|version_signature|\w+_status|modules|filesystems)$|cgroup/")
    MAPS = re.compile(r"proc/\w+_s?maps$")

    MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b")
    UUID = re.compile(r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b")
    LONG_ID = re.compile(r"\b[0-9a-f]{32,}\b")
    IPV4 = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
    SERIAL = re.compile(r"(?i)(\bserial(?: ?number)?\s*[:=#]\s*|\bS/N\s*[:=]?\s*)\S+")
    MAIL = re.compile(r"[\w.+-]+@[\w.-]+")
    KERNEL_ADDRESS = re.compile(r"\b(?:0x)?ffff[0-9a-f]{12}\b")

    def __init__(self, words: Dict[str, str], addresses: bool = False) -> None:
        self.words = {word: name for word, name in words.items() if len(word) > 1}
        self.addresses = addresses
        self.paths = {}  # type: Dict[str, str]
        self.groups = {}  # type: Dict[str, str]
        self.done = set()  # type: Any

    def __call__(self, name: str, data: bytes) -> Optional[bytes]:
        """Return a file without what identifies; None where nothing of it may stay."""
        if name.startswith(("kpageflags", "kpagecount")):
            return data
        text = data.decode("utf-8", "surrogateescape")
        if self.MAPS.search(name):
            text = self._maps(text)
        elif name == "proc/swaps":
            text = re.sub(r"(?m)^/(?!dev/)\S+", lambda found: self._path(found.group(0)), text)
        elif name == "proc/cmdline":
            text = self._cmdline(text)
        elif name.startswith("dmesg"):
            text = self._log(text)
        elif name == "cgroup/self_cgroup":
            text = re.sub(r"(?m)(?<=:)/.*$", lambda found: self._group(found.group(0)), text)
        elif name == "proc/slabinfo":
            text = re.sub(r"\(\d+:[^)\s]+\)", "", text)  # a cache of one control group, by its name
        elif re.match(r"proc/\d+_status$", name):
            text = re.sub(r"(?m)^Name:\t.*$", "Name:\tprocess", text)
        if self.FREE_TEXT.search(name):
            text = self.free_text(text)
        if self.addresses:
            without = self._without_addresses(name, text)
            if without is None:
                return None
            text = without
        return text.encode("utf-8", "surrogateescape")

    def meta(self, meta: Dict[str, Any]) -> Dict[str, Any]:
        """Redact meta.json, and say in it what was done."""
        clean = dict(meta)
        clean["cmdline"] = self._cmdline(meta["cmdline"])
        clean["proc_version"] = self.free_text(meta["proc_version"])
        clean["kernel_release"] = self.free_text(meta["kernel_release"])
        clean["name"] = self.free_text(meta["name"])
        clean["redacted"] = sorted(self.done)
        return clean

    def free_text(self, text: str) -> str:
        """Take names, addresses of networks and serial numbers out of a text."""
        for what, pattern, instead in (
            ("hardware addresses", self.MAC, "00:00:00:00:00:00"),
            ("UUIDs", self.UUID, "00000000-0000-0000-0000-000000000000"),
            ("serial numbers", self.SERIAL, r"\g<1>0"),
            ("mail addresses and builders of the kernel", self.MAIL, "user@host"),
            ("network addresses", self.IPV4, "0.0.0.0"),  # noqa: S104 - no socket is bound
            ("long hexadecimal names", self.LONG_ID, "0"),
        ):
            text, count = pattern.subn(instead, text)
            if count:
                self.done.add(what)
        for word, instead in self.words.items():
            text, count = re.subn(r"(?i)(?<![A-Za-z0-9])%s(?![A-Za-z0-9])" % re.escape(word), instead, text)
            if count:
                self.done.add("host and user names")
        text, count = re.subn(r"/(home|Users)/[^\s/]+", r"/\1/user", text)
        if count:
            self.done.add("host and user names")
        return text

    def _maps(self, text: str) -> str:
        def row(found: Any) -> str:
            return str(found.group(1)) + self._path(found.group(2))

        text = re.sub(r"(?m)^([0-9a-f]+-[0-9a-f]+ \S{4} [0-9a-f]+ \S+ \d+ +)(/.*)$", row, text)
        return re.sub(r"\[anon(?:_shmem)?:[^\]\n]*\]", "[anon:name]", text)

    def _path(self, path: str) -> str:
        self.done.add("paths of files")
        gone = " (deleted)" if path.endswith(" (deleted)") else ""
        name = self.paths.setdefault(path[: len(path) - len(gone)], "/file/%d" % (len(self.paths) + 1))
        return name + gone

    def _group(self, path: str) -> str:
        self.done.add("names of control groups")
        parts = [part for part in path.split("/") if part]
        return "/" + "/".join(self.groups.setdefault(part, "group%d" % (len(self.groups) + 1)) for part in parts)

    def _cmdline(self, text: str) -> str:
        words = []
        for word in text.split():
            key, sign, _ = word.partition("=")
            if self.SAFE.match(key) and self.SAFE.match(key).end() == len(key):  # type: ignore[union-attr]
                words.append(word)
            else:
                self.done.add("values on the kernel's command line")
                words.append(key + "=redacted" if sign else "redacted")
        return self.free_text(" ".join(words)) + ("\n" if text.endswith("\n") else "")

    def _log(self, text: str) -> str:
        self.done.add("lines of the kernel's log that don't speak of memory")
        lines = []
        for line in text.splitlines():
            found = re.match(r"((?:<\d+>)?\[ *\d+\.\d+\] ?)?(.*)", line)
            stamp, rest = (found.group(1) or "", found.group(2)) if found else ("", line)
            if not self.LOG.search(rest):
                continue
            head, sign, options = rest.partition("ommand line: ")
            if sign:
                rest = head + sign + self._cmdline(options)
            lines.append(stamp + rest + "\n")
        return "".join(lines)

    def _without_addresses(self, name: str, text: str) -> Optional[str]:
        self.done.add("kernel addresses")
        if name == "kcore.txt":
            return None
        if name == "proc/vmallocinfo":
            return re.sub(r"0x[0-9a-f]{8,16}(?=-0x|\s)", lambda found: "0x" + "0" * (len(found.group(0)) - 2), text)
        if name == "proc/iomem":
            return "".join(line for line in text.splitlines(True) if " : Kernel " not in line)
        if name == "proc/modules":
            return re.sub(r"\b0x[0-9a-f]{8,16}\b", "0x0", text)
        if name.startswith("dmesg"):
            return self.KERNEL_ADDRESS.sub("0x0", text)
        return text


#: Names of hosts and users that tell nobody from another, and that the kernel's own texts use: they stay.
COMMON_NAMES = frozenset(
    """
    linux gnu kernel debian ubuntu fedora arch archlinux alpine centos rocky suse opensuse gentoo nixos kali mint
    raspberrypi localhost host guest vm kvm qemu xen pc box server laptop desktop test user admin root system
    memory mem page pages node zone slab cache swap cpu numa acpi bios efi normal dma movable device free reserved
    """.split()  # noqa: SIM905 - a list of quoted names is harder to read
)


def owner_words(recorder: Recorder) -> Dict[str, str]:
    """Return the words that name the machine and its users, and what to write instead."""
    host = recorder.text("proc/sys/kernel/hostname").strip()
    words = {host: "host", host.split(".")[0]: "host"}
    words[recorder.text("etc/machine-id").strip()] = "0"
    for line in recorder.text("etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) > 3 and fields[2].isdigit() and 1000 <= int(fields[2]) < 65000:
            words[fields[0]] = "user"
    for variable in ("USER", "LOGNAME", "SUDO_USER"):
        if os.environ.get(variable) not in (None, "root"):
            words[os.environ[variable]] = "user"
    return {word: instead for word, instead in words.items() if word and word.lower() not in COMMON_NAMES}


def write(out: str, recorder: Recorder, redact: Optional[Redactor] = None) -> Dict[str, Any]:
    """Record into a folder or .tar.xz that doesn't exist yet; whole, or not at all.

    Returns
    -------
    dict
        What meta.json holds.
    """
    out = os.path.abspath(out)
    if os.path.lexists(out):
        raise Failure("%s is there already; name a new folder or .tar.xz" % out)
    parent, base = os.path.split(out)
    packed = base.endswith(".tar.xz")
    if packed and lzma is None:
        raise Failure("this Python can't write .xz; name a folder")
    name = base[: -len(".tar.xz")] if packed else base
    try:
        beside = tempfile.mkdtemp(prefix=".%s." % base, dir=parent)
    except OSError as error:
        raise Failure("%s: %s" % (parent, error.strerror)) from error
    try:
        target = os.path.join(beside, base)
        meta = _write_into(target, name, packed, recorder, redact)
        if os.path.lexists(out):
            raise Failure("%s appeared meanwhile; nothing was written" % out)
        os.rename(target, out)
    except OSError as error:
        raise Failure("%s: %s" % (out, error.strerror or error)) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return meta


def _write_into(target: str, name: str, packed: bool, recorder: Recorder, redact: Optional[Redactor]) -> Dict[str, Any]:
    tar = tarfile.open(target, "w:xz") if packed else None  # noqa: SIM115 - closed below; a folder needs none
    try:
        for path, raw in recorder.collect():
            data = redact(path, raw) if redact else raw
            if data is None:
                recorder.taken.remove(path)
                recorder.missed[path] = "left out: it shows kernel addresses"
            else:
                _add(tar, target, name, path, data)
        meta = recorder.meta(name)
        if redact:
            meta = redact.meta(meta)
        _add(tar, target, name, "meta.json", (json.dumps(meta, indent=1, sort_keys=True) + "\n").encode())
    finally:
        if tar is not None:
            tar.close()
    return meta


def _add(tar: Optional[tarfile.TarFile], target: str, name: str, path: str, data: bytes) -> None:
    if tar is not None:
        member = tarfile.TarInfo(name + "/" + path)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
        return
    full = os.path.join(target, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(data)


class Progress:
    """A line on the terminal, for what takes longer than a second."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.shown = False

    def __call__(self, word: str, part: float) -> None:
        """Show what is being read, and how far it is."""
        if sys.stderr.isatty() and time.monotonic() - self.start > 1:
            bar = ("#" * int(part * 20)).ljust(20, ".")
            sys.stderr.write("\r\033[K[%s] %s" % (bar, word))
            sys.stderr.flush()
            self.shown = True

    def done(self) -> None:
        """Wipe the line."""
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("out", metavar="OUT", nargs="?", help="a new folder, or a new file that ends in .tar.xz")
    parser.add_argument(
        "--redact", action="store_true", help="leave out host and user names, paths, serial numbers and secrets"
    )
    parser.add_argument(
        "--redact-addresses", action="store_true", help="as --redact, and kernel addresses are left out too"
    )
    parser.add_argument("--processes", action="store_true", help="record the maps of all processes, not only my own")
    parser.add_argument("--no-frames", action="store_true", help="leave out the flags of every page frame")


def record(args: argparse.Namespace) -> Dict[str, Any]:
    """Record this machine as the arguments say; return what meta.json holds."""
    if not args.out:
        raise Failure("name OUT, a new folder or .tar.xz")
    if not sys.platform.startswith("linux"):
        raise Failure("only a Linux machine can be recorded; this is %s" % sys.platform)
    progress = Progress()
    recorder = Recorder(processes=args.processes, max_frames=0 if args.no_frames else MAX_FRAMES, progress=progress)
    redact = None
    if args.redact or args.redact_addresses:
        redact = Redactor(owner_words(recorder), addresses=args.redact_addresses)
    try:
        return write(args.out, recorder, redact)
    finally:
        progress.done()


def report(out: str, meta: Dict[str, Any]) -> None:
    """Say what was taken and what could not be."""
    print("%s: %d files" % (out, len(meta["files"])))
    print(textwrap.fill("taken: " + ", ".join(meta["files"]), 120, break_on_hyphens=False))
    for path, reason in sorted(meta["unreadable"].items()):
        print("not taken: %s (%s)" % (path, reason))
    for note in meta["notes"]:
        print("note: " + note)
    if "redacted" in meta:
        print("redacted: " + ", ".join(meta["redacted"]))


def main() -> int:
    """Run as a program."""
    doc = (__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(description=doc)
    add_arguments(parser)
    try:
        args = parser.parse_args()
        report(args.out, record(args))
    except Failure as error:
        sys.stderr.write("%s: %s\n" % (parser.prog, error))
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("%s: interrupted, nothing was written\n" % parser.prog)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
