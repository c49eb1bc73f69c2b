"""Post-copy with preempt from 8.0 to 10.0: the stream goes on in order of address.

Source: QEMU 10.0 migration/ram.c (ram_save_host_page_urgent, ram_find_and_save_block).
Equation P3 of docs/model.md.
"""

from __future__ import annotations

import numpy as np

from migmodel.physics import wire
from migmodel.physics.faults import dispersed_share
from migmodel.sim.memory import PageKind
from migmodel.sim.migration import Migration, Process
from migmodel.sim.postcopy import Push
from migmodel.sim.settings import Settings

_PARTS = 64  # of what is missing, within which it is as likely everywhere


def goes_in_order(settings: Settings) -> bool:
    """Whether the stream stays where it is when a page is asked for."""
    return settings.has("postcopy-preempt") and not settings.rules.preempt_jumps


class InOrderPush(Push):
    """Sends in order wherever faults are, where the version does so with preempt."""

    def __init__(self, migration: Migration) -> None:
        super().__init__(migration)
        self._apart = goes_in_order(migration.settings)
        self._zeros = migration.memory.pending_of(PageKind.ZERO)

    @property
    def _transfer_s(self) -> float:
        """What a page that was asked for takes on the link [s]."""
        size = self._host_pages * wire.NORMAL_PAGE_BYTES
        return size / self._migration.stream.link_bytes_per_s

    def _go_beside(self, fronts: list[int]) -> Process:
        if self._apart:
            return self._go_apart(fronts)
        return self._go_together(fronts)

    def _go_apart(self, fronts: list[int]) -> Process:
        """A thread's next page is missing as often as pages of its share are."""
        migration = self._migration
        machine, stream = migration.machine, migration.stream
        window_pages, most = self._limit()
        limit_pps = window_pages / wire.WINDOW_S
        pipeline = stream.postcopy_pipeline(limit_pps, self._host_pages > 1)
        machine.set_stream(pipeline)
        touch_s = 1 / machine.touch_rate_pps()
        memory = migration.memory
        # As many zero pages are among those that the stream sends as among all.
        zeros = min(self._zeros / memory.pending_pages, 1.0)
        missing = sum(self._missing[vcpu] for vcpu in fronts)
        share_pages = sum(machine.sweepers[vcpu].share_pages for vcpu in fronts)
        # A thread's next page is missing as often as pages of its share are.
        hit = dispersed_share(missing, share_pages)
        between_s = self._host_pages * touch_s / max(hit, 1e-9)
        latency_s = self._answered_s(between_s, len(fronts)) + self._transfer_s
        stalled_s = hit * (latency_s + self._wakeup_s) / self._host_pages
        walk = len(fronts) / (touch_s + stalled_s)
        machine.follow_stream(fronts, walk / len(fronts))
        cheap = stream.pipeline(
            PageKind.ZERO, self._limit(PageKind.ZERO)[0] / wire.WINDOW_S
        )
        page_s = zeros / machine.set_stream(cheap) if zeros else 0.0
        rate = 1 / (page_s + (1 - zeros) / machine.set_stream(pipeline))
        faults = walk * hit / self._host_pages
        by_faults = faults * self._host_pages
        total = rate + by_faults
        pages = min(max(memory.pending_pages / _PARTS, 512.0), memory.pending_pages)
        pages = min(pages, max(most, 1.0))
        of_share = missing / memory.pending_pages
        going = rate * of_share + by_faults
        pages = min(pages, max(missing, 1.0) * total / max(going, 1e-9))
        seconds = yield from self._timed(pages / total)
        gone = min(going * seconds / max(missing, 1e-9), 1.0)
        for vcpu in fronts:
            self._missing[vcpu] *= 1 - gone
        requests = faults * seconds
        self.requests += requests
        self.latencies.add(requests, latency_s)
        self._stand_still(fronts, requests / len(fronts) * latency_s)
        sent_zeros = min(rate * zeros * seconds, self._zeros)
        self._zeros -= sent_zeros
        self._sent(sent_zeros, PageKind.ZERO, cheap)
        sent = min(total * seconds - sent_zeros, memory.pending_pages)
        self._sent(sent, PageKind.NORMAL, pipeline)


class MeetingPush(InOrderPush):
    """One sweep asks for page after page until the stream comes to where it is.

    From there on it runs into the stream's front, as without preempt. A stream that is
    slower than the asking never meets it.
    """

    def __init__(self, migration: Migration) -> None:
        super().__init__(migration)
        memory = migration.memory
        [(vcpu, share)] = memory.shares.items()
        sweeper = migration.machine.sweepers[vcpu]
        length = memory.length[share]
        start = length.cumsum() - length
        position = sweeper.written % sweeper.share_pages
        passed = np.clip((position - start) / length, 0.0, 1.0)
        # Missing pages that the stream has before it: outside, and of the share.
        self._outside = float(memory.set_pages_ahead()[share][0])
        self._behind = float((memory.dirty[share] * length * passed).sum())
        self._meets = True

    def _go_apart(self, fronts: list[int]) -> Process:
        """Go towards the thread, which asks for what it needs meanwhile."""
        migration = self._migration
        machine, stream = migration.machine, migration.stream
        limit_pps = self._limit()[0] / wire.WINDOW_S
        data = stream.postcopy_pipeline(limit_pps, self._host_pages > 1)
        latency_s = self._stall_s + self._transfer_s
        touch_s = self._host_pages / machine.touch_rate_pps()
        asked_pps = self._host_pages / (latency_s + self._wakeup_s + touch_s)
        if not self._meets or asked_pps >= machine.stream_rate_pps(data):
            self._meets = False
            yield from super()._go_apart(fronts)
            return
        if self._outside + self._behind < 1:
            yield from self._go_together(fronts)
            return
        pages, kind = migration.memory.next_run()
        window_pages, most = self._limit(kind)
        pipeline = data
        if kind == PageKind.ZERO:
            pipeline = stream.pipeline(kind, window_pages / wire.WINDOW_S)
        machine.follow_stream(fronts, asked_pps)
        rate = machine.set_stream(pipeline)
        pages = min(pages, max(most, 1.0), self._outside + self._behind)
        seconds = yield from self._timed(pages / rate)
        asked = self._passed(fronts[0], rate * seconds, asked_pps * seconds)
        requests = asked / self._host_pages
        self.requests += requests
        self.latencies.add(requests, latency_s)
        self._stand_still(fronts, requests * latency_s)
        stream.charge(asked, PageKind.NORMAL, data)
        self._sent(rate * seconds, kind, pipeline)

    def _passed(self, vcpu: int, streamed: float, asked: float) -> float:
        """Take what the stream brought, and what the thread asked for; the latter."""
        outside = min(streamed, self._outside)
        of_share = min(streamed - outside, self._behind)
        self._outside -= outside
        self._behind -= of_share
        left = self._missing[vcpu] - of_share
        asked = min(asked, left)
        # At its share's end it begins anew, where the stream has not been.
        beyond = max(asked - (left - self._behind), 0.0)
        self._behind = max(self._behind - beyond, 0.0)
        self._missing[vcpu] = left - asked
        return asked
