"""What differs between QEMU versions, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Version = tuple[int, int]
MultifdCount = Literal["queued", "data", "wire"]
BackgroundSync = Literal["none", "ticks", "watched", "aside"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Version-dependent rules of the migration thread.

    Attributes
    ----------
    counts_at_flush : bool
        The rate limiter sees bytes only when the stream buffer is flushed
        (migration/migration-stats.c, since 8.2); before, when they are put in.
    background_sync : {'none', 'ticks', 'watched', 'aside'}
        How auto-converge syncs the bitmap in long passes. `ticks`: at every 5 s if
        nobody else has since the last (migration/cpu-throttle.c, since 9.2). The others
        were posted and not merged (qemu-devel, Sept 2024, cover.1727630000 and
        cover.1726390098): a look every second, and a sync if the last judgement is more
        than 5 s ago; `aside` keeps what it finds for the end of the pass.
    steps_on_ratio : bool
        Posted with them and not merged: the throttle also steps when the ratio of
        dirtied to sent bytes has been high and no lower than before, twice.
    completes_at_equal : bool
        The last pass begins at pending <= threshold (since 10.1), not <.
    postcopy_tail_unlimited : bool
        Post-copy's rest below the threshold ignores max-postcopy-bandwidth
        (up to 10.0).
    throttle_hits : int
        Periods above the trigger threshold that it takes for one throttle step: the
        counter is compared before it is raised up to 2.9 (migration/ram.c), so three.
    throttle_needs_rate : bool
        A period counts as a hit only when dirty-pages-rate is known from one before, so
        that the first never does (migration/ram.c, seen in 2.5, 2.8 and 2.9).
    manual_protect : bool
        KVM's log is cleared chunk by chunk as pages are sent (accel/kvm/kvm-all.c,
        since 5.0); before, fetching the log protects every dirty page again.
    postcopy_first : bool
        A requested post-copy begins even if the rest would fit the downtime limit
        (migration_iteration_run, since 10.1).
    syncs_each_iterate : bool
        With postcopy-ram on, the bitmap is synced at every iterate call (seen with
        11.1).
    last_sync_counts : bool
        The sync after the guest has stopped is a pass of its own in dirty-sync-count
        and MIGRATION_PASS (seen up to 10.0); with 11.1 it is not.
    postcopy_recovers : bool
        A broken post-copy is paused and can be recovered (since 2.12); before, the
        guest is lost.
    preempt_jumps : bool
        With preempt the background stream goes on behind the last urgent page: up to
        7.2, where one thread sends both (ram_find_and_save_block keeps its place), and
        since 10.1 by a hint.
    preempt_shares_thread : bool
        With preempt urgent pages are sent by the migration thread, which may be waiting
        for the bulk's socket (up to 7.2); later by the return path's (8.0).
    rdma_is_limited : bool
        The limiter counts what RDMA writes (since 8.2); before, only the stream beside
        it, so that RDMA runs at the link's speed.
    rdma_returns : bool
        RDMA carries a return path, which post-copy needs (migration/rdma.c, since 3.1:
        74637e6f08); before, a migration that wants one fails at once
        (migration/migration.c, migrate_fd_connect).
    multifd_counts : {'queued', 'data', 'wire'}
        What multifd adds to the bytes that the limiter and the threshold see: pages
        and header when queued, whatever they are compressed to (up to 8.0); what was
        written without the header (8.1); what was written (since 8.2).
    multifd_syncs_each_iterate : bool
        All channels are drained after every iterate call (up to 8.0); later once a
        scan of RAM.
    multifd_finds_zeros : bool
        The channels look for zero pages and list them in their packets (since 9.0);
        before, the migration thread does and sends them itself.
    multifd_levels : bool
        Levels set by migrate-set-parameters are used (since 9.0).
    """

    counts_at_flush: bool
    background_sync: BackgroundSync
    completes_at_equal: bool
    postcopy_tail_unlimited: bool
    steps_on_ratio: bool = False
    throttle_hits: int = 2
    throttle_needs_rate: bool = False
    manual_protect: bool = True
    postcopy_first: bool = False
    syncs_each_iterate: bool = False
    last_sync_counts: bool = True
    postcopy_recovers: bool = True
    preempt_jumps: bool = False
    preempt_shares_thread: bool = False
    rdma_is_limited: bool = True
    rdma_returns: bool = True
    multifd_counts: MultifdCount = "wire"
    multifd_syncs_each_iterate: bool = False
    multifd_finds_zeros: bool = True
    multifd_levels: bool = True


def behaviour(version: Version) -> Behaviour:
    """Rules of a QEMU version, given as (major, minor)."""
    counts: MultifdCount = "wire"
    if version <= (8, 1):
        counts = "data" if version == (8, 1) else "queued"
    return Behaviour(
        counts_at_flush=version >= (8, 2),
        background_sync="ticks" if version >= (9, 2) else "none",
        completes_at_equal=version >= (10, 1),
        postcopy_tail_unlimited=version <= (10, 0),
        throttle_hits=3 if version <= (2, 9) else 2,
        throttle_needs_rate=version <= (2, 9),
        manual_protect=version >= (5, 0),
        postcopy_first=version >= (10, 1),
        syncs_each_iterate=version >= (11, 1),
        last_sync_counts=version < (11, 1),
        postcopy_recovers=version >= (2, 12),
        preempt_jumps=version < (8, 0) or version >= (10, 1),
        preempt_shares_thread=version < (8, 0),
        rdma_is_limited=version >= (8, 2),
        rdma_returns=version >= (3, 1),
        multifd_counts=counts,
        multifd_syncs_each_iterate=version <= (8, 0),
        multifd_finds_zeros=version >= (9, 0),
        multifd_levels=version >= (9, 0),
    )
