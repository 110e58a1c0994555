"""The events that are understood: system, name, and what they print.

Source: the ``print fmt`` of /sys/kernel/tracing/events/SYSTEM/NAME/format, Linux 5.6 to 6.12
(include/trace/events/*.h). Where the text changed, the newest form stands first.
"""

from __future__ import annotations

from dataclasses import dataclass

from .template import Template


@dataclass(frozen=True, slots=True)
class EventLayout:
    """What one event prints: its forms, newest first."""

    system: str
    name: str
    forms: tuple[Template, ...]


_PAGE = "page={page:p} pfn={pfn:x}"
_SLAB = "call_site={call_site:y} ptr={ptr:p}"
_BYTES = "bytes_req={bytes_req:d} bytes_alloc={bytes_alloc:d} gfp_flags={gfp_flags:s}"
_NODE = "node={node:d}"
_ACCOUNTED = "accounted={accounted:b}"
_ZONE = "node={node:d} zone={zone:8} order={order:d}"
_DEFER = "order_failed={order_failed:d} consider={consider:d} limit={limit:d}"
_SCANNED = "nr_scanned={nr_scanned:d} nr_taken={nr_taken:d}"
_SPAN = (
    "zone_start={zone_start:x} migrate_pfn={migrate_pfn:x} free_pfn={free_pfn:x} zone_end={zone_end:x}, mode={mode:s}"
)
_RECLAIM = "order={order:d} gfp_flags={gfp_flags:s}"
_RECLAIMED = "nr_reclaimed={nr_reclaimed:d}"

# By system: the name of an event, what it prints now, what it printed in older kernels.
_TABLE: dict[str, tuple[tuple[str, ...], ...]] = {
    "kmem": (
        ("mm_page_alloc", _PAGE + " order={order:d} migratetype={migratetype:d} gfp_flags={gfp_flags:s}"),
        ("mm_page_free", _PAGE + " order={order:d}"),
        ("mm_page_free_batched", _PAGE + " order={order:d}"),
        (
            "mm_page_alloc_zone_locked",
            _PAGE + " order={order:d} migratetype={migratetype:d} percpu_refill={percpu_refill:d}",
        ),
        ("mm_page_pcpu_drain", _PAGE + " order={order:d} migratetype={migratetype:d}"),
        (
            "mm_page_alloc_extfrag",
            _PAGE + " alloc_order={alloc_order:d} fallback_order={fallback_order:d} pageblock_order={pageblock_order:d}"
            " alloc_migratetype={alloc_migratetype:d} fallback_migratetype={fallback_migratetype:d}"
            " fragmenting={fragmenting:d} change_ownership={change_ownership:d}",
        ),
        (
            "kmalloc",
            f"{_SLAB} {_BYTES} {_NODE} {_ACCOUNTED}",
            f"{_SLAB} {_BYTES} {_NODE}",
            f"{_SLAB} {_BYTES}",
        ),
        ("kmalloc_node", f"{_SLAB} {_BYTES} {_NODE} {_ACCOUNTED}", f"{_SLAB} {_BYTES} {_NODE}"),
        (
            "kmem_cache_alloc",
            f"{_SLAB} {_BYTES} {_NODE} {_ACCOUNTED}",
            f"{_SLAB} {_BYTES} {_ACCOUNTED}",
            f"{_SLAB} {_BYTES}",
        ),
        (
            "kmem_cache_alloc_node",
            f"{_SLAB} {_BYTES} {_NODE} {_ACCOUNTED}",
            f"{_SLAB} {_BYTES} {_NODE}",
        ),
        ("kfree", _SLAB),
        ("kmem_cache_free", _SLAB + " name={name:l}", _SLAB),
        (
            "rss_stat",
            "mm_id={mm_id:d} curr={curr:d} type={type:s} size={size:d}B",
            "mm_id={mm_id:d} curr={curr:d} member={member:d} size={size:d}B",
        ),
        (
            "mm_alloc_contig_migrate_range_info",
            (
                "start={start:x} end={end:x} migratetype={migratetype:d}"
                " nr_migrated={nr_migrated:d} nr_reclaimed={nr_reclaimed:d} nr_mapped={nr_mapped:d}"
            ),
        ),
    ),
    "compaction": (
        ("mm_compaction_isolate_migratepages", "range=({start_pfn:x} ~ {end_pfn:x}) " + _SCANNED),
        ("mm_compaction_isolate_freepages", "range=({start_pfn:x} ~ {end_pfn:x}) " + _SCANNED),
        ("mm_compaction_fast_isolate_freepages", "range=({start_pfn:x} ~ {end_pfn:x}) " + _SCANNED),
        ("mm_compaction_migratepages", "nr_migrated={nr_migrated:d} nr_failed={nr_failed:d}"),
        ("mm_compaction_begin", _SPAN),
        ("mm_compaction_end", _SPAN + " status={status:s}"),
        (
            "mm_compaction_try_to_compact_pages",
            "order={order:d} gfp_mask={gfp_mask:s} priority={priority:d}",
        ),
        ("mm_compaction_finished", _ZONE + " ret={ret:s}"),
        ("mm_compaction_suitable", _ZONE + " ret={ret:s}"),
        ("mm_compaction_deferred", f"{_ZONE} {_DEFER}"),
        ("mm_compaction_defer_compaction", f"{_ZONE} {_DEFER}"),
        ("mm_compaction_defer_reset", f"{_ZONE} {_DEFER}"),
        ("mm_compaction_kcompactd_sleep", "nid={nid:d}"),
        ("mm_compaction_wakeup_kcompactd", "nid={nid:d} order={order:d} classzone_idx={classzone_idx:8}"),
        ("mm_compaction_kcompactd_wake", "nid={nid:d} order={order:d} classzone_idx={classzone_idx:8}"),
    ),
    "migrate": (
        (
            "mm_migrate_pages",
            (
                "nr_succeeded={nr_succeeded:d} nr_failed={nr_failed:d} nr_thp_succeeded={nr_thp_succeeded:d}"
                " nr_thp_failed={nr_thp_failed:d} nr_thp_split={nr_thp_split:d} nr_split={nr_split:d}"
                " mode={mode:s} reason={reason:s}"
            ),
            (
                "nr_succeeded={nr_succeeded:d} nr_failed={nr_failed:d} nr_thp_succeeded={nr_thp_succeeded:d}"
                " nr_thp_failed={nr_thp_failed:d} nr_thp_split={nr_thp_split:d} mode={mode:s} reason={reason:s}"
            ),
            "nr_succeeded={nr_succeeded:d} nr_failed={nr_failed:d} mode={mode:s} reason={reason:s}",
        ),
    ),
    "vmscan": (
        ("mm_vmscan_kswapd_sleep", "nid={nid:d}"),
        ("mm_vmscan_kswapd_wake", "nid={nid:d} order={order:d}"),
        (
            "mm_vmscan_wakeup_kswapd",
            "nid={nid:d} order={order:d} gfp_flags={gfp_flags:s}",
            "nid={nid:d} zid={zid:d} order={order:d} gfp_flags={gfp_flags:s}",
        ),
        ("mm_vmscan_direct_reclaim_begin", _RECLAIM),
        ("mm_vmscan_direct_reclaim_end", _RECLAIMED),
        ("mm_vmscan_memcg_reclaim_begin", _RECLAIM),
        ("mm_vmscan_memcg_reclaim_end", _RECLAIMED),
        ("mm_vmscan_memcg_softlimit_reclaim_begin", _RECLAIM),
        ("mm_vmscan_memcg_softlimit_reclaim_end", _RECLAIMED),
        (
            "mm_vmscan_lru_isolate",
            (
                "classzone={classzone:d} order={order:d} nr_requested={nr_requested:d} nr_scanned={nr_scanned:d}"
                " nr_skipped={nr_skipped:d} nr_taken={nr_taken:d} lru={lru:s}"
            ),
            (
                "isolate_mode={isolate_mode:d} classzone={classzone:d} order={order:d} nr_requested={nr_requested:d}"
                " nr_scanned={nr_scanned:d} nr_skipped={nr_skipped:d} nr_taken={nr_taken:d} lru={lru:s}"
            ),
        ),
        (
            "mm_vmscan_lru_shrink_inactive",
            (
                "nid={nid:d} nr_scanned={nr_scanned:d} nr_reclaimed={nr_reclaimed:d} nr_dirty={nr_dirty:d}"
                " nr_writeback={nr_writeback:d} nr_congested={nr_congested:d} nr_immediate={nr_immediate:d}"
                " nr_activate_anon={nr_activate_anon:d} nr_activate_file={nr_activate_file:d}"
                " nr_ref_keep={nr_ref_keep:d} nr_unmap_fail={nr_unmap_fail:d} priority={priority:d} flags={flags:s}"
            ),
        ),
        (
            "mm_vmscan_lru_shrink_active",
            (
                "nid={nid:d} nr_taken={nr_taken:d} nr_active={nr_active:d} nr_deactivated={nr_deactivated:d}"
                " nr_referenced={nr_referenced:d} priority={priority:d} flags={flags:s}"
            ),
        ),
        ("mm_vmscan_write_folio", _PAGE + " flags={flags:s}"),
        ("mm_vmscan_writepage", _PAGE + " flags={flags:s}"),
        ("mm_vmscan_node_reclaim_begin", "nid={nid:d} order={order:d} gfp_flags={gfp_flags:s}"),
        ("mm_vmscan_node_reclaim_end", _RECLAIMED),
        (
            "mm_vmscan_throttled",
            "nid={nid:d} usec_timeout={usec_timeout:d} usect_delayed={usect_delayed:d} reason={reason:s}",
        ),
        (
            "mm_shrink_slab_start",
            (
                "{shrink:y} {shr:p}: nid: {nid:d} objects to shrink {nr_objects_to_shrink:d} gfp_flags {gfp_flags:s}"
                " cache items {cache_items:d} delta {delta:d} total_scan {total_scan:d} priority {priority:d}"
            ),
        ),
        (
            "mm_shrink_slab_end",
            (
                "{shrink:y} {shr:p}: nid: {nid:d} unused scan count {unused_scan:d} new scan count {new_scan:d}"
                " total_scan {total_scan:d} last shrinker return val {retval:d}"
            ),
        ),
    ),
    "oom": (
        (
            "mark_victim",
            (
                "pid={pid:d} comm={comm:c} total-vm={total_vm:d}kB anon-rss={anon_rss:d}kB file-rss:{file_rss:d}kB"
                " shmem-rss:{shmem_rss:d}kB uid={uid:d} pgtables={pgtables:d}kB oom_score_adj={oom_score_adj:d}"
            ),
            "pid={pid:d}",
        ),
        ("oom_score_adj_update", "pid={pid:d} comm={comm:c} oom_score_adj={oom_score_adj:d}"),
        (
            "reclaim_retry_zone",
            _ZONE + " reclaimable={reclaimable:d} available={available:d} min_wmark={min_wmark:d}"
            " no_progress_loops={no_progress_loops:d} wmark_check={wmark_check:d}",
        ),
        ("wake_reaper", "pid={pid:d}"),
        ("start_task_reaping", "pid={pid:d}"),
        ("finish_task_reaping", "pid={pid:d}"),
        ("skip_task_reaping", "pid={pid:d}"),
        (
            "compact_retry",
            (
                "order={order:d} priority={priority:s} compaction_result={compaction_result:s} retries={retries:d}"
                " max_retries={max_retries:d} should_retry={should_retry:d}"
            ),
        ),
    ),
    "exceptions": (
        ("page_fault_user", "address={address:s} ip={ip:s} error_code={error_code:x}"),
        ("page_fault_kernel", "address={address:s} ip={ip:s} error_code={error_code:x}"),
    ),
    "mmap": (
        (
            "vm_unmapped_area",
            (
                "addr={addr:x} err={err:d} total_vm={total_vm:x} flags={flags:x} len={len:x} lo={lo:x} hi={hi:x}"
                " mask={mask:x} ofs={ofs:x}"
            ),
        ),
        ("vma_store", "mt_mod {mt:p}, ({vma:p}), STORE, {vm_start:d}, {vm_end:d},"),
        ("vma_mas_szero", "mt_mod {mt:p}, (NULL), SNULL, {start:d}, {end:d},"),
        ("exit_mmap", "mt_mod {mt:p}, DESTROY"),
    ),
    "filemap": (
        (
            "mm_filemap_add_to_page_cache",
            "dev {major:d}:{minor:d} ino {i_ino:h} pfn={pfn:x} ofs={ofs:d} order={order:d}",
            "dev {major:d}:{minor:d} ino {i_ino:h} page={page:p} pfn={pfn:x} ofs={ofs:d}",
        ),
        (
            "mm_filemap_delete_from_page_cache",
            "dev {major:d}:{minor:d} ino {i_ino:h} pfn={pfn:x} ofs={ofs:d} order={order:d}",
            "dev {major:d}:{minor:d} ino {i_ino:h} page={page:p} pfn={pfn:x} ofs={ofs:d}",
        ),
    ),
    "pagemap": (
        ("mm_lru_insertion", "folio={folio:p} pfn={pfn:x} lru={lru:d} flags={flags:l}"),
        ("mm_lru_activate", "folio={folio:p} pfn={pfn:x}"),
    ),
    "writeback": (
        (
            "global_dirty_state",
            (
                "dirty={dirty:d} writeback={writeback:d} bg_thresh={bg_thresh:d} thresh={thresh:d} limit={limit:d}"
                " dirtied={dirtied:d} written={written:d}"
            ),
        ),
        *(
            (
                name,
                (
                    "bdi {bdi:s}: sb_dev {major:d}:{minor:d} nr_pages={nr_pages:d} sync_mode={sync_mode:d}"
                    " kupdate={kupdate:d} range_cyclic={range_cyclic:d} background={background:d} reason={reason:s}"
                    " cgroup_ino={cgroup_ino:d}"
                ),
            )
            for name in ("writeback_start", "writeback_written", "writeback_queue", "writeback_exec", "writeback_wait")
        ),
    ),
    "block": (
        (
            "block_rq_issue",
            "{major:d},{minor:d} {rwbs:s} {bytes:d} ({cmd:s}) {sector:d} + {nr_sector:d} [{comm:c}]",
        ),
    ),
    "huge_memory": (
        (
            "mm_khugepaged_scan_pmd",
            (
                "mm={mm:p}, scan_pfn={scan_pfn:x}, writable={writable:d}, referenced={referenced:d},"
                " none_or_zero={none_or_zero:d}, status={status:s}, unmapped={unmapped:d}"
            ),
        ),
    ),
    "signal": (
        (
            "signal_generate",
            "sig={sig:d} errno={errno:d} code={code:d} comm={comm:c} pid={pid:d} grp={grp:d} res={res:d}",
        ),
    ),
    "sched": (
        ("sched_process_exit", "comm={comm:c} pid={pid:d} prio={prio:d}"),
        ("sched_process_free", "comm={comm:c} pid={pid:d} prio={prio:d}"),
        (
            "sched_process_fork",
            "comm={comm:c} pid={pid:d} child_comm={child_comm:c} child_pid={child_pid:d}",
        ),
    ),
    "module": (
        ("module_load", "{name:s} {taints:s}"),
        ("module_free", "{name:s}"),
    ),
    "ftrace": (("tracing_mark_write", "{text:l}"),),
}

#: Every event that is understood, by name.
EVENTS: dict[str, EventLayout] = {
    name: EventLayout(system, name, tuple(Template(form) for form in forms))
    for system, rows in _TABLE.items()
    for name, *forms in rows
}

#: The page allocator's own events.
PAGE_EVENTS = frozenset(name for name in EVENTS if name.startswith("mm_page_"))
#: The slab allocator's events.
SLAB_EVENTS = frozenset(
    ("kmalloc", "kmalloc_node", "kfree", "kmem_cache_alloc", "kmem_cache_alloc_node", "kmem_cache_free")
)
KMEM_EVENTS = PAGE_EVENTS | SLAB_EVENTS
