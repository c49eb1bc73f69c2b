"""Pages counted by what became of them, as query-migrate does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from migmodel.sim.costs import PageCost
from migmodel.sim.memory import PageKind
from migmodel.units import PAGE_BYTES

_ZERO = int(PageKind.ZERO)  # looking an enum up each time would take longer than this


@dataclass(slots=True)
class Tally:
    """What was sent so far.

    Attributes
    ----------
    pages : float
        All.
    zero_pages : float
        Sent as zero (ram.duplicate).
    encoded_pages, encoded_bytes : float
        That went through a codec, and what it made of them.
    multifd_bytes : float
        On the channels, as counted (ram.multifd-bytes).
    misses, hits, overflows, xbzrle_bytes : float
        As xbzrle-cache has them.
    """

    pages: float = 0.0
    zero_pages: float = 0.0
    encoded_pages: float = 0.0
    encoded_bytes: float = 0.0
    multifd_bytes: float = 0.0
    misses: float = 0.0
    hits: float = 0.0
    overflows: float = 0.0
    xbzrle_bytes: float = 0.0

    def add(self, pages: float, kind: int, cost: PageCost) -> None:
        """Count pages that were sent."""
        self.pages += pages
        if kind == _ZERO:
            self.zero_pages += pages
        if cost.xbzrle is not None:
            miss, hit, overflow, size = cost.xbzrle
            self.misses += pages * miss
            self.hits += pages * hit
            self.overflows += pages * overflow
            self.xbzrle_bytes += pages * size
        self.encoded_pages += pages * cost.encoded_share
        self.encoded_bytes += pages * cost.encoded_bytes
        if cost.channels is not None and cost.channels.overlap is not None:
            self.multifd_bytes += pages * cost.counted_bytes

    @property
    def counts(self) -> tuple[float, ...]:
        """All of it, in order."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def set_counts(self, counts: Sequence[float]) -> None:
        """Set all of it, in the order of `counts`."""
        for each, value in zip(fields(self), counts, strict=True):
            setattr(self, each.name, value)

    @property
    def ratio(self) -> float | None:
        """Bytes that went through a codec / what it made of them; None without."""
        if not self.encoded_bytes:
            return None
        return self.encoded_pages * PAGE_BYTES / self.encoded_bytes
