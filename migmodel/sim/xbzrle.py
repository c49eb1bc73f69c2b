"""XBZRLE in the simulation: which pages the cache holds, and what became of them.

Source: QEMU 10.0 migration/ram.c (save_xbzrle_page, find_dirty_block) and
migration/page_cache.c. Equations X1 to X5 of docs/model.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from migmodel.physics import wire, xbzrle
from migmodel.records import Scenario
from migmodel.sim.costs import Costs, PageCost
from migmodel.sim.guest import Sweeper
from migmodel.sim.host import Host
from migmodel.sim.machine import Machine
from migmodel.sim.memory import Array, Memory, PageKind
from migmodel.sim.settings import Settings
from migmodel.units import PAGE_BYTES

_LEVELS = 16  # shares of hits and changes are rounded to so many parts
_BINS = 32  # of the cache's slots
_BINS_A_SEGMENT = 8
_MOST_FLUSH_PAGES = 4096.0
_WORD_BYTES = 8  # what touch `page` changes


class XbzrleCache:
    """The direct-mapped cache, as the expected share of each segment that it holds.

    A segment's pages map to slots (page number modulo slots), which are followed in
    bins: a bin holds as many pages as it has slots, first come first kept, until those
    that hold it are two generations old.
    """

    def __init__(
        self,
        scenario: Scenario,
        host: Host,
        settings: Settings,
        costs: Costs,
        memory: Memory,
        sweepers: list[Sweeper],
    ) -> None:
        self._workload = scenario.workload
        self._host = host
        self._at_flush = settings.rules.counts_at_flush
        self._costs = costs
        self._memory = memory
        self._sweepers = sweepers
        self.started = False
        self.first_misses = 0.0  # in the walk in which it began
        size = settings.number("xbzrle-cache-size")
        self.slots = 1 << (max(size // PAGE_BYTES, 1)).bit_length() - 1
        self._kinds: dict[tuple[int, int], int] = {}
        self._lay_out_slots()
        count = len(memory.length)
        self._sent_at: Array = np.zeros(count)  # the owner's position at the last send
        self._walk_from: Array = np.array([each.written for each in sweepers])
        self._advance_a_page: Array = np.zeros(len(sweepers))

    def _lay_out_slots(self) -> None:
        length = self._memory.length
        begin = length.cumsum() - length
        slots = float(self.slots)
        longest = float(length.max())
        per_segment = max(int(slots / max(longest, 1.0) * _BINS_A_SEGMENT), 4)
        self._bins = min(_BINS, per_segment)
        width = slots / self._bins
        # A piece is what a segment has in one bin. One larger than the cache is cut as
        # if it were as large, and its pieces are stretched.
        span = np.minimum(length, slots)
        first_bin = np.floor(begin / width).astype(np.int64)
        pieces = np.floor((begin + span) / width).astype(np.int64) - first_bin + 1
        pieces[self._memory.kind == PageKind.ZERO] = 0
        segment = np.repeat(np.arange(len(length)), pieces)
        turn = np.arange(len(segment)) - np.repeat(pieces.cumsum() - pieces, pieces)
        edge = first_bin[segment] + turn
        low = np.maximum(edge * width, begin[segment])
        high = np.minimum((edge + 1) * width, (begin + span)[segment])
        keep = high > low
        self._segment = segment[keep]
        self._bin = (edge % self._bins)[keep]
        self._pages: Array = ((high - low) * (length / span)[segment])[keep]
        self._width = width
        self._resident: Array = np.zeros(len(self._pages))
        self._age = np.full(len(self._pages), -xbzrle.GENERATIONS)

    @property
    def resident_bytes(self) -> float:
        """Memory that the cached pages take."""
        return float(self._resident.sum()) * PAGE_BYTES

    # -- what the walk has sent --

    def learn(self, generation: int) -> None:
        """Take in what the walk that ends now has sent, before it is laid down."""
        memory = self._memory
        order, before, weight, sent = memory.walk()
        now = np.array([each.written for each in self._sweepers])
        if sent > 0:
            passed = np.zeros(len(order), dtype=bool)
            passed[order] = (before + weight <= sent + 1e-6) & (weight > 0)
            begin = np.zeros(len(order))
            begin[order] = before / sent
            self._note_positions(passed, begin, now)
            wrapped = order[0] > 0 and bool(passed[: order[0]].any())
            if self.started:
                self._insert(passed, memory.dirty, generation)
            elif wrapped:
                passed[order[0] :] = False
                # These were misses, though nobody knew yet that they would be.
                pages = memory.dirty * memory.length * (memory.kind != PageKind.ZERO)
                self.first_misses = float(pages[passed].sum())
                self._insert(passed, memory.dirty, generation)
            self.started = self.started or wrapped or memory.pending_pages == 0
            self._advance_a_page = (now - self._walk_from) / sent
        self._walk_from = now

    def _note_positions(self, passed: NDArray[np.bool_], at: Array, now: Array) -> None:
        for vcpu, share in self._memory.shares.items():
            from_ = self._walk_from[vcpu]
            position = from_ + (now[vcpu] - from_) * at[share]
            self._sent_at[share] = np.where(
                passed[share], position, self._sent_at[share]
            )

    def _insert(self, passed: NDArray[np.bool_], dirty: Array, generation: int) -> None:
        """Refresh what was found and fill free slots, in order of address."""
        rate = np.where(passed, dirty, 0.0)[self._segment]
        found = self._resident > 0
        missed = rate * (self._pages - self._resident)
        stale = found & (self._age + xbzrle.GENERATIONS <= generation) & (rate <= 0)
        kept = np.where(stale, 0.0, self._resident)
        free = self._width - np.bincount(self._bin, kept, self._bins)
        order = np.argsort(self._bin, kind="stable")
        wanted = missed[order]
        cumulative = wanted.cumsum()
        groups = self._bin[order]
        starts = np.searchsorted(groups, np.arange(self._bins))
        offset = np.concatenate(([0.0], cumulative))[starts][groups]
        room = np.maximum(free[groups] - (cumulative - wanted - offset), 0.0)
        taken = np.zeros_like(missed)
        taken[order] = np.minimum(wanted, room)
        # The stale are put out as far as their slots are needed.
        need = np.bincount(self._bin, taken, self._bins)
        old = np.bincount(self._bin, np.where(stale, self._resident, 0.0), self._bins)
        spare = np.maximum(free - old, 0.0)
        out = np.clip((need - spare) / np.maximum(old, 1e-9), 0.0, 1.0)
        left = np.where(stale, self._resident * (1 - out[self._bin]), self._resident)
        self._resident = left + taken
        self._age = np.where((rate > 0) & (self._resident > 0), generation, self._age)

    # -- what the next walk will send --

    def classify(self) -> None:
        """Give each segment the kind of page that its set pages are now."""
        memory = self._memory
        if not self.started:
            return
        kinds = memory.kind.astype(np.int64)
        hit = np.bincount(self._segment, self._resident, len(kinds)) / memory.length
        changed = self._changed_shares()
        parts = _LEVELS + 1
        keys = np.rint(hit * _LEVELS) * parts + np.rint(changed * _LEVELS)
        where = memory.kind != PageKind.ZERO
        for key in np.unique(keys[where]):
            kinds[where & (keys == key)] = self._kind(divmod(int(key), parts))
        memory.walk_kind = kinds

    def _changed_shares(self) -> Array:
        """Of the set pages of each segment, those whose content differs when sent."""
        memory = self._memory
        shares = np.zeros(len(memory.length))
        ahead = memory.set_pages_ahead()
        for vcpu, where in memory.shares.items():
            sweeper = self._sweepers[vcpu]
            since = self._sent_at[where]
            later = sweeper.written + self._advance_a_page[vcpu] * ahead[where]
            shares[where] = self._changed(sweeper, since, later, memory.dirty[where])
        return shares

    def _changed(
        self, sweeper: Sweeper, since: Array, later: Array, dirty: Array
    ) -> Array:
        if self._workload.pattern == "random":
            before = sweeper.fraction(since, sweeper.written)
            surely = np.minimum(before / np.maximum(dirty, 1e-9), 1.0)
            after = sweeper.fraction(sweeper.written, later)
            mixed: Array = surely + (1 - surely) * after
            return mixed
        sweeps = np.floor(np.maximum(later - since, 0.0) / sweeper.share_pages)
        once_more = sweeper.fraction(since + sweeps * sweeper.share_pages, later)
        if self._workload.touch == "study":
            odd = sweeps % 2
            alternating: Array = odd * (1 - once_more) + (1 - odd) * once_more
            return alternating
        # A set page was written before the sync; did that come after its last send?
        until_now = np.maximum(sweeper.written - since, 0.0)
        before = sweeper.fraction(since, sweeper.written)
        whole = until_now >= sweeper.share_pages
        surely = np.where(whole, 1.0, np.minimum(before / np.maximum(dirty, 1e-9), 1.0))
        after = np.where(sweeps > 0, 1.0, once_more)
        share: Array = surely + (1 - surely) * after
        return share

    def _kind(self, key: tuple[int, int]) -> int:
        kind = self._kinds.get(key)
        if kind is None:
            hit, changed = key[0] / _LEVELS, key[1] / _LEVELS
            kind = self._costs.add(self._cost(hit, changed))
            self._kinds[key] = kind
        return kind

    def _cost(self, hit: float, changed: float) -> PageCost:
        """Mean cost of a page that is found so surely, and then has changed so."""
        host = self._host
        plain = self._costs[PageKind.NORMAL]
        run = self._workload.delta_bytes
        if run is None:
            run = _WORD_BYTES if self._workload.touch == "page" else PAGE_BYTES
        miss, differs = 1 - hit, hit * changed
        overflow = differs if xbzrle.overflows(run) else 0.0
        encoded = differs - overflow
        small_bytes = xbzrle.run_bytes(0, run) + xbzrle.FRAME_BYTES
        whole = miss + overflow
        compare_s = host["zero_page_source_s"] + host["xbzrle_compare_s"]
        # What is encoded is read as a page is, and copied once more.
        read_s = (plain.destination_s + host["xbzrle_insert_s"]) * run / PAGE_BYTES
        decode_s = host["xbzrle_decode_s"] + read_s
        bytes_a_page = whole * wire.NORMAL_PAGE_BYTES + encoded * small_bytes
        flushes = whole / wire.FLUSH_PAGES + encoded * small_bytes / wire.BUFFER_BYTES
        flush_pages = min(1 / max(flushes, 1e-9), _MOST_FLUSH_PAGES)
        counted_encoded = encoded * (small_bytes - wire.PAGE_HEADER_BYTES)
        return PageCost(
            max(bytes_a_page, 1e-3),
            max(bytes_a_page, 1e-3),
            flush_pages if self._at_flush else 1,
            flush_pages,
            whole * plain.source_s
            + miss * host["xbzrle_insert_s"]
            + hit * compare_s
            + host["xbzrle_byte_s"] * (encoded * run + overflow * PAGE_BYTES),
            whole * plain.destination_s
            + encoded * (host["zero_page_destination_s"] + decode_s),
            xbzrle=(miss, hit, overflow, counted_encoded + overflow * PAGE_BYTES),
        )


def make_cache(
    scenario: Scenario, host: Host, settings: Settings, costs: Costs, machine: Machine
) -> XbzrleCache | None:
    """Make the cache; None where XBZRLE is off, or multifd's channels ignore it."""
    if not settings.has("xbzrle") or settings.has("multifd"):
        return None
    return XbzrleCache(
        scenario, host, settings, costs, machine.memory, machine.sweepers
    )
