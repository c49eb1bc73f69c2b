"""What differs between QEMU versions, as data."""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Version-dependent rules of the migration thread.

    Attributes
    ----------
    counts_at_flush : bool
        The rate limiter sees bytes only when the stream buffer is flushed
        (migration/migration-stats.c, since 8.2); before, when they are put in.
    periodic_sync : bool
        Auto-converge syncs the bitmap every 5 s in long passes
        (migration/cpu-throttle.c, since 9.2).
    completes_at_equal : bool
        The last pass begins at pending <= threshold (since 10.1), not <.
    postcopy_tail_unlimited : bool
        Post-copy's rest below the threshold ignores max-postcopy-bandwidth
        (up to 10.0).
    throttle_hits : int
        Periods above the trigger threshold that it takes for one throttle step.
    """

    counts_at_flush: bool
    periodic_sync: bool
    completes_at_equal: bool
    postcopy_tail_unlimited: bool
    throttle_hits: int = 2


def behaviour(version: Version) -> Behaviour:
    """Rules of a QEMU version, given as (major, minor)."""
    return Behaviour(
        counts_at_flush=version >= (8, 2),
        periodic_sync=version >= (9, 2),
        completes_at_equal=version >= (10, 1),
        postcopy_tail_unlimited=version <= (10, 0),
    )
