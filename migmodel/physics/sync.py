"""What a dirty bitmap sync costs.

Source: QEMU 10.0 migration/ram.c (migration_bitmap_sync): the log of every RAM block is
fetched and merged bit by bit, then protection is renewed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SyncCost:
    """Time of one sync: fixed, a page of RAM, a page found dirty [s]."""

    fixed_s: float
    page_s: float
    dirty_page_s: float

    def seconds(self, ram_pages: float, dirty_pages: float) -> float:
        """Duration of one sync [s]."""
        return self.fixed_s + self.page_s * ram_pages + self.dirty_page_s * dirty_pages
