"""The allocator stream: our verbs beside a textbook allocator in Python and a minimal one in C, in the same run.

CPU time of the process, medians of seven runs, peers and ours in turn. Run by path: pytest -s tests/benchmarks
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from kmemwidgets import Machine
from kmemwidgets.sim.gfp import GFP_KERNEL

OPERATIONS = 200_000
RUNS = 7
PAGES = 262_144

#: A buddy allocator with intrusive lists and nothing else: what the machine can do at most.
MINIMAL = r"""
#include <stdint.h>
#include <stdlib.h>
#define TOP 10
static int32_t *next, *prev, head[TOP + 1];
static int8_t *order_of;
static void push(int32_t p, int o) {
    order_of[p] = (int8_t)o; prev[p] = -1; next[p] = head[o];
    if (head[o] >= 0) prev[head[o]] = p;
    head[o] = p;
}
static void cut(int32_t p, int o) {
    if (prev[p] >= 0) next[prev[p]] = next[p]; else head[o] = next[p];
    if (next[p] >= 0) prev[next[p]] = prev[p];
    order_of[p] = -1;
}
static int32_t take(int o) {
    int at = o;
    while (at <= TOP && head[at] < 0) at++;
    if (at > TOP) return -1;
    int32_t p = head[at];
    cut(p, at);
    while (at > o) { at--; push(p + (1 << at), at); }
    return p;
}
static void give(int32_t p, int o) {
    while (o < TOP) {
        int32_t buddy = p ^ (1 << o);
        if (order_of[buddy] != o) break;
        cut(buddy, o);
        p &= buddy; o++;
    }
    push(p, o);
}
int run(int pages, int operations) {
    next = malloc(4 * (size_t)pages); prev = malloc(4 * (size_t)pages); order_of = malloc((size_t)pages);
    int32_t *live = malloc(4 * 20000); int8_t *orders = malloc(20000);
    int n = 0;
    for (int i = 0; i < pages; i++) order_of[i] = -1;
    for (int o = 0; o <= TOP; o++) head[o] = -1;
    for (int p = pages - (1 << TOP); p >= 0; p -= 1 << TOP) push(p, TOP);
    uint32_t x = 12345;
    for (int i = 0; i < operations; i++) {
        x ^= x << 13; x ^= x >> 17; x ^= x << 5;
        uint32_t r = x;
        if (n < 16 || (n < 20000 && (r & 1))) {
            int o = __builtin_ctz((r >> 1) | 16);
            live[n] = take(o); orders[n] = (int8_t)o; n++;
        } else {
            int at = (int)((r >> 1) % (uint32_t)n);
            give(live[at], orders[at]);
            n--; live[at] = live[n]; orders[at] = orders[n];
        }
    }
    free(next); free(prev); free(order_of); free(live); free(orders);
    return n;
}
"""


def stream(alloc: Callable[[int], Any], free: Callable[[Any, int], None]) -> float:
    """Run the stream and return its CPU time."""
    begin = time.process_time()
    x = 12345
    live: list[tuple[Any, int]] = []
    n = 0
    for _ in range(OPERATIONS):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        if n < 16 or (n < 20_000 and x & 1):
            bits = (x >> 1) | 16
            order = (bits & -bits).bit_length() - 1
            live.append((alloc(order), order))
            n += 1
        else:
            at = (x >> 1) % n
            block, order = live[at]
            live[at] = live[-1]
            live.pop()
            n -= 1
            free(block, order)
    return time.process_time() - begin


def stream_of_verbs(machine: Machine) -> float:
    """Run the same stream through a machine's verbs, called as a user calls them."""
    alloc, free = machine.alloc_pages, machine.free_pages
    begin = time.process_time()
    x = 12345
    live: list[tuple[Any, int]] = []
    n = 0
    for _ in range(OPERATIONS):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        if n < 16 or (n < 20_000 and x & 1):
            bits = (x >> 1) | 16
            order = (bits & -bits).bit_length() - 1
            live.append((alloc(GFP_KERNEL, order), order))
            n += 1
        else:
            at = (x >> 1) % n
            block, order = live[at]
            live[at] = live[-1]
            live.pop()
            n -= 1
            free(block, order)
    return time.process_time() - begin


def stream_of_peer(peer: Any) -> float:
    """Run the same stream through cocotbext-axi's allocator."""
    alloc, free = peer.alloc, peer.free
    begin = time.process_time()
    x = 12345
    live: list[int] = []
    n = 0
    for _ in range(OPERATIONS):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        if n < 16 or (n < 20_000 and x & 1):
            bits = (x >> 1) | 16
            order = (bits & -bits).bit_length() - 1
            live.append((alloc(1 << order), order))  # type: ignore[arg-type]
            n += 1
        else:
            at = (x >> 1) % n
            block, _ = live[at]  # type: ignore[misc]
            live[at] = live[-1]
            live.pop()
            n -= 1
            free(block)
    return time.process_time() - begin


def boot(memory: str = "1G", *, lists: bool = True, listening: bool = False) -> Machine:
    """Boot a machine for the stream."""
    machine = Machine.boot(memory=memory, cpus=1, kernel="6.18")
    if not lists:
        machine.page_alloc.use_per_cpu_lists(False)
    if listening:
        machine.record_events(limit=None)
    return machine


def minimal(folder: Path) -> Callable[[], float] | None:
    """Compile the minimal allocator and return what times it, None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, library = folder / "minimal.c", folder / "minimal.so"
    source.write_text(MINIMAL)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    call = ctypes.CDLL(str(library)).run

    def timed() -> float:
        begin = time.process_time()
        call(PAGES, OPERATIONS)
        return time.process_time() - begin

    return timed


def test_stream(tmp_path: Path) -> None:
    peers = pytest.importorskip("cocotbext.axi.buddy_allocator")
    compiled = minimal(tmp_path)

    def alone() -> float:
        area = boot().page_alloc.zones[-1].free_area
        return stream(lambda order: area.alloc(order, 0), area.free)

    runs: dict[str, Callable[[], float]] = {
        "empty loop": lambda: stream(lambda order: order, lambda _block, _order: None),
        "cocotbext-axi": lambda: stream_of_peer(peers.BuddyAllocator(PAGES)),
        "verbs": lambda: stream_of_verbs(boot()),
        "verbs, events recorded": lambda: stream_of_verbs(boot(listening=True)),
        "verbs, no per-CPU lists": lambda: stream_of_verbs(boot(lists=False)),
        "verbs, 64 MiB": lambda: stream_of_verbs(boot("64M")),
        "verbs, 64 GiB": lambda: stream_of_verbs(boot("64G")),
        "free areas alone": alone,
    }
    if compiled is not None:
        runs["minimal C"] = compiled
    times: dict[str, deque[float]] = {name: deque() for name in runs}
    for _ in range(RUNS):
        for name, run in runs.items():
            times[name].append(run())
    middle = {name: median(each) for name, each in times.items()}
    peer = middle["cocotbext-axi"]
    print()
    for name, seconds in middle.items():
        print(f"{name:<26} {OPERATIONS / seconds / 1000:9.0f} k/s   {peer / seconds:7.2f} x cocotbext-axi")
    print(f"growth from 64 MiB to 64 GiB: {middle['verbs, 64 GiB'] / middle['verbs, 64 MiB']:.2f}")
    print(f"events on / off: {middle['verbs'] / middle['verbs, events recorded']:.2f}")
    # Ratios are printed, not promised: other work on the machine moves them. A growth this large would be ours.
    assert middle["verbs, 64 GiB"] < 2 * middle["verbs, 64 MiB"]
