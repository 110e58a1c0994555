"""The counters that kernels from 2.6 to 6.18 print in vmstat and zoneinfo (mm/vmstat.c, vmstat_text)."""

from __future__ import annotations

import re

#: Per zone and per node: numbers of pages, and numa events.
PAGES = frozenset(
    """
    nr_free_pages nr_free_pages_blocks nr_alloc_batch nr_zone_inactive_anon nr_zone_active_anon nr_zone_inactive_file
    nr_zone_active_file nr_zone_unevictable nr_zone_write_pending nr_mlock nr_bounce nr_zspages nr_free_cma
    nr_unaccepted nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable nr_active nr_inactive
    nr_slab nr_slab_reclaimable nr_slab_unreclaimable nr_isolated_anon nr_isolated_file nr_anon_pages nr_mapped
    nr_file_pages nr_dirty nr_writeback nr_writeback_temp nr_unstable nr_shmem nr_shmem_hugepages nr_shmem_pmdmapped
    nr_file_hugepages nr_file_pmdmapped nr_anon_transparent_hugepages nr_vmscan_write nr_vmscan_immediate_reclaim
    nr_dirtied nr_written nr_throttled_written nr_kernel_misc_reclaimable nr_indirectly_reclaimable nr_foll_pin_acquired
    nr_foll_pin_released nr_kernel_stack nr_shadow_call_stack nr_page_table_pages nr_sec_page_table_pages nr_iommu_pages
    nr_swapcached nr_pages_scanned nr_dirty_threshold nr_dirty_background_threshold nr_memmap_pages nr_memmap_boot_pages
    nr_hugetlb nr_balloon_pages nr_kernel_file_pages nr_gpu_active nr_gpu_reclaim nr_page_cache
    numa_hit numa_miss numa_foreign numa_interleave numa_local numa_other interleave_hit local_node other_node
    pgpromote_success pgpromote_candidate pgpromote_candidate_nrl
    pgdemote_kswapd pgdemote_direct pgdemote_khugepaged pgdemote_proactive
    workingset_nodes workingset_refault workingset_refault_anon workingset_refault_file workingset_activate
    workingset_activate_anon workingset_activate_file workingset_restore workingset_restore_anon
    workingset_restore_file workingset_nodereclaim
    """.split()  # noqa: SIM905 - a list of 100 quoted names is harder to read
)

_EVENTS = frozenset(
    """
    pgpgin pgpgout pswpin pswpout pgalloc pgfree pgactivate pgdeactivate pglazyfree pglazyfreed pgfault pgmajfault
    pgrefill pgreuse pgsteal_kswapd pgsteal_direct pgsteal_khugepaged pgsteal_proactive pgdemote_kswapd pgdemote_direct
    pgscan_kswapd pgscan_direct pgscan_khugepaged pgscan_proactive pgscan_direct_throttle pgscan_anon pgscan_file
    pgsteal_anon pgsteal_file zone_reclaim_failed zone_reclaim_success pginodesteal slabs_scanned kswapd_steal
    kswapd_inodesteal kswapd_low_wmark_hit_quickly kswapd_high_wmark_hit_quickly pageoutrun allocstall pgrotated
    drop_pagecache drop_slab oom_kill numa_pte_updates numa_huge_pte_updates numa_hint_faults numa_hint_faults_local
    numa_pages_migrated numa_task_migrated pgmigrate_success pgmigrate_fail compact_migrate_scanned compact_free_scanned
    compact_isolated compact_stall compact_fail compact_success compact_daemon_wake compact_daemon_migrate_scanned
    compact_daemon_free_scanned compact_blocks_moved compact_pages_moved compact_pagemigrate_failed
    htlb_buddy_alloc_success htlb_buddy_alloc_fail cma_alloc_success cma_alloc_fail
    balloon_inflate balloon_deflate balloon_migrate swap_ra swap_ra_hit swpin_zero swpout_zero ksm_swpin_copy cow_ksm
    zswpin zswpout zswpwb zswpwb_compress_ok nr_tlb_remote_flush nr_tlb_remote_flush_received nr_tlb_local_flush_all
    nr_tlb_local_flush_one vmacache_find_calls vmacache_find_hits vmacache_full_flushes
    direct_map_level2_splits direct_map_level3_splits direct_map_level2_collapses direct_map_level3_collapses
    vma_lock_success vma_lock_abort vma_lock_retry vma_lock_miss kstack_1k kstack_2k kstack_4k kstack_8k kstack_16k
    kstack_32k kstack_64k kstack_rest
    """.split()  # noqa: SIM905 - a list of 100 quoted names is harder to read
)

_FAMILIES = re.compile(
    r"(?:pgalloc|pgrefill|pgsteal|pgsteal_kswapd|pgsteal_direct|pgscan_kswapd|pgscan_direct|pgskip|allocstall)"
    r"_(?:dma|dma32|normal|high|movable|device)|thp_[a-z_]+|unevictable_pgs_[a-z]+"
)


def known_counter(name: str) -> bool:
    """Whether some kernel up to 6.18 prints this counter."""
    return name in PAGES or name in _EVENTS or _FAMILIES.fullmatch(name) is not None
