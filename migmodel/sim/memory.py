"""Guest RAM as ordered segments, and the migration thread's walk through them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_T = TypeVar("_T", bound=np.generic)

SHARE_SEGMENTS = 1024  # over all sweeping threads; the rest of RAM needs few
REST_SEGMENTS = 8


class PageKind(IntEnum):
    """What sending a page costs depends on this."""

    NORMAL = 0  # the destination has an older copy
    FRESH = 1  # never sent before: the destination must find memory for it
    ZERO = 2


_NORMAL = int(PageKind.NORMAL)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Contiguous memory of one kind, in address order.

    Attributes
    ----------
    pages : float
        Its size.
    zero : bool
        Its pages hold zeros and are sent as such.
    vcpu : int or None
        The sweeping thread that owns it.
    """

    pages: float
    zero: bool
    vcpu: int | None = None


class Renewal(NamedTuple):
    """A share's segments after a walk in which protection was renewed lazily.

    Attributes
    ----------
    was_set, still_set : ndarray
        Fraction set when the walk began, and now.
    at : ndarray
        When in the walk (0 to 1) the protection of the pages that were set was renewed;
        that of the others was at its begin.
    """

    was_set: Array
    still_set: Array
    at: Array


class Memory:
    """Segments with the expected fraction of their pages set in the migration bitmap.

    All pages are set at first. A walk starts at the cursor, takes set pages in circular
    order, and is laid down in the bitmap only when somebody looks (`settle`): sending
    costs nothing but a number.

    Parameters
    ----------
    stretches : list of Stretch
        RAM in address order.
    chunk_pages : float or None
        Protection is renewed lazily, when the walk first comes to a page of a chunk of
        so many (QEMU's clear_bmap with KVM's manual dirty-log protection); None: at
        the sync itself.
    """

    def __init__(
        self, stretches: list[Stretch], chunk_pages: float | None = None
    ) -> None:
        sharing = sum(1 for stretch in stretches if stretch.vcpu is not None)
        lengths: list[Array] = []
        kinds: list[NDArray[np.int8]] = []
        self.shares: dict[int, slice] = {}
        count = 0
        for stretch in stretches:
            if stretch.pages <= 0:
                continue
            parts = REST_SEGMENTS
            if stretch.vcpu is not None:
                parts = max(SHARE_SEGMENTS // sharing, 16)
                self.shares[stretch.vcpu] = slice(count, count + parts)
            lengths.append(np.full(parts, stretch.pages / parts))
            kind = PageKind.ZERO if stretch.zero else PageKind.FRESH
            kinds.append(np.full(parts, kind, dtype=np.int8))
            count += parts
        self.length: Array = np.concatenate(lengths)
        self.kind: NDArray[np.int8] = np.concatenate(kinds)
        self.dirty: Array = np.ones(count)
        self.total_pages = float(self.length.sum())
        self._chunk: NDArray[np.int64] | None = None
        if chunk_pages is not None and self.total_pages > chunk_pages:
            begin = self.length.cumsum() - self.length
            self._chunk = (begin / chunk_pages).astype(np.int64)
        self._renewed_at: Array | None = None
        self._was_set: Array = self.dirty
        # What a technique makes of the pages of the next walk; None: their own kind.
        self.walk_kind: NDArray[np.int64] | None = None
        self._cursor = 0
        self._mixed = True  # some set pages are not NORMAL
        self.begin_walk()

    # -- the walk --

    def begin_walk(self) -> None:
        """Order what is set from the cursor on; nothing of it is sent yet."""
        weight = self._from_cursor(self.dirty * self.length)
        self._cumulative: Array = weight.cumsum()
        self._total = float(self._cumulative[-1])
        self._sent = 0.0
        self._runs: list[tuple[float, int]] = [(self._total, _NORMAL)]
        if self.walk_kind is not None:
            self._runs = self._kind_runs(self.walk_kind)
        elif self._mixed:
            self._runs = self._kind_runs(self.kind)

    def _kind_runs(self, kinds: NDArray[Any]) -> list[tuple[float, int]]:
        """Ends of runs of one page kind, as cumulative set pages of the walk."""
        kind = self._from_cursor(kinds)
        ends = np.flatnonzero(kind[1:] != kind[:-1])
        runs = [(float(self._cumulative[end]), int(kind[end])) for end in ends]
        runs.append((self._total, int(kind[-1])))
        return runs

    def walk(self) -> tuple[NDArray[np.int64], Array, Array, float]:
        """Order of the segments, set pages before and in each, and those sent."""
        order = self._from_cursor(np.arange(len(self.dirty)))
        weight = (self.dirty * self.length)[order]
        return order, self._cumulative - weight, weight, self._sent

    def set_pages_ahead(self) -> Array:
        """Set pages that a walk from the cursor sends before each segment."""
        weight = self._from_cursor(self.dirty * self.length)
        return self._by_address(weight.cumsum() - weight)

    def _from_cursor(self, by_address: NDArray[_T]) -> NDArray[_T]:
        """Segments in the order of a walk from the cursor on."""
        cursor = self._cursor
        return np.concatenate((by_address[cursor:], by_address[:cursor]))

    def _by_address(self, walked: NDArray[_T]) -> NDArray[_T]:
        """Back from the order of the walk."""
        first = len(walked) - self._cursor
        return np.concatenate((walked[first:], walked[:first]))

    @property
    def pending_pages(self) -> float:
        """Set pages."""
        return max(self._total - self._sent, 0.0)

    def next_run(self) -> tuple[float, int]:
        """Set pages ahead of the cursor that are of one kind, and their kind."""
        for end, kind in self._runs:
            if end - self._sent > 1e-6:
                return end - self._sent, kind
        return 0.0, _NORMAL

    def pending_of(self, kind: int) -> float:
        """Set pages of a kind, of those that a walk has yet to come by."""
        begin, pages = self._sent, 0.0
        for end, of_kind in self._runs:
            if of_kind == kind:
                pages += max(end - begin, 0.0)
            begin = max(begin, end)
        return pages

    def take(self, pages: float) -> None:
        """Send so many set pages, in order."""
        self._sent = min(self._sent + pages, self._total)
        if self._total - self._sent < 1e-6:
            self._sent = self._total

    def settle(self) -> None:
        """Lay the walk down in the bitmap and move the cursor there."""
        if self._chunk is not None:
            self._renewed_at = self._chunk_touches(self._chunk)
            self._was_set = self.dirty.copy()
        count = len(self.dirty)
        passed = int(np.searchsorted(self._cumulative, self._sent, side="right"))
        if passed >= count:
            self._pass_over(slice(0, count))
            return
        end = self._cursor + passed
        self._pass_over(slice(self._cursor, min(end, count)))
        self._pass_over(slice(0, max(end - count, 0)))
        self._cursor = end % count
        left = float(self._cumulative[passed]) - self._sent
        self.dirty[self._cursor] = left / self.length[self._cursor]
        if self._mixed:
            self._mixed = bool((self.dirty[self.kind != PageKind.NORMAL] > 0).any())

    def _pass_over(self, segments: slice) -> None:
        """All set pages of these segments are sent."""
        self.dirty[segments] = 0.0
        if self._mixed:
            kind = self.kind[segments]
            kind[kind == PageKind.FRESH] = PageKind.NORMAL

    def _chunk_touches(self, chunk: NDArray[np.int64]) -> Array:
        """When in the walk (0 to 1) the protection of set pages was renewed.

        It is when their chunk's first set page was sent; that of pages that were clean
        at the sync was renewed there.
        """
        if self._sent <= 0:
            return np.zeros(len(chunk))
        weight = self.dirty * self.length
        before = self._by_address(self._cumulative) - weight
        is_set = weight >= 0.5
        first = np.full(int(chunk[-1]) + 1, self._sent)
        np.minimum.at(first, chunk[is_set], before[is_set])
        touched: Array = np.minimum(first[chunk] / self._sent, 1.0)
        return touched

    def renewal(self, vcpu: int) -> Renewal | None:
        """How a thread's pages were protected again; None: all at the sync."""
        if self._renewed_at is None:
            return None
        share = self.shares[vcpu]
        return Renewal(self._was_set[share], self.dirty[share], self._renewed_at[share])

    def merge(self, vcpu: int, written: Array) -> float:
        """Merge a thread's written fractions into the bitmap; newly set pages.

        Inside a segment the pages still set and those written lie independently, so
        an error is bounded by a quarter of the one segment that holds the cursor.
        """
        share = self.shares[vcpu]
        dirty = self.dirty[share]
        fresh = written * (1.0 - dirty)
        dirty += fresh
        return float(np.dot(fresh, self.length[share]))

    def round_up(self, host_pages: float, *, scattered: bool = False) -> None:
        """Set every page of a host page of which one is set (post-copy discards all).

        Set pages of a segment lie together, fronts being sharp; in the shares of random
        writers they lie `scattered`, and a host page is clean if none of them hits it.
        """
        if host_pages <= 1:
            return
        if scattered:
            for share in self.shares.values():
                self.dirty[share] = 1 - (1 - self.dirty[share]) ** host_pages
        whole = self.length >= host_pages
        pages = self.dirty * self.length
        rounded = np.ceil(pages / host_pages - 1e-9) * host_pages
        self.dirty[whole] = np.minimum(rounded / self.length, 1.0)[whole]
        page = ((self.length.cumsum() - self.length) / host_pages).astype(np.int64)
        some = np.bincount(page, pages * ~whole) > 0
        self.dirty[~whole & some[page]] = 1.0

    def reset_cursor(self) -> None:
        """Start over at the first page, as at the post-copy switch."""
        self._cursor = 0
