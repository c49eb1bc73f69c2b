"""Post-copy faults that wait for what is queued: random ones, and many threads'.

Source: QEMU 10.0 migration/ram.c (get_queued_page, ram_save_host_page_urgent), Linux
tcp(7). Equations P8 to P12 of docs/model.md.
"""

from __future__ import annotations

from migmodel.physics import wire
from migmodel.physics.cpu import Pipeline
from migmodel.physics.faults import (
    answered_s,
    blocked_requests,
    dispersed_share,
    run_pages,
)
from migmodel.sim.in_order import InOrderPush, MeetingPush, goes_in_order
from migmodel.sim.memory import PageKind
from migmodel.sim.migration import Migration, Process
from migmodel.sim.postcopy import Faults, Push

_PARTS = 64  # of what is missing, within which it is as likely everywhere
_FEWEST_PAGES = 512.0

Ways = list[tuple[float, float, float]]  # share of the requests, mean and jitter [s]


class QueuedPush(InOrderPush):
    """Several sweeps call the stream from one to the other, through full sockets."""

    def __init__(self, migration: Migration) -> None:
        super().__init__(migration)
        self._shares_thread = migration.settings.rules.preempt_shares_thread

    def _note_following(
        self, faults: Faults, pages: float, rate: float, fronts: int
    ) -> float:
        """Beside the faults at its front: the calls that brought it there (Eq P12)."""
        queued = self._queued_pages(rate, self._limit()[0] / wire.WINDOW_S)
        one = fronts < 2 or queued < fronts * wire.FLUSH_PAGES
        beside = self._preempts and not self._shares_thread
        if one or beside or self._host_pages > 1:
            # What is under way is one call's.
            return super()._note_following(faults, pages, rate, fronts)
        waits_s = self._stall_s + queued / rate
        calls = pages / run_pages(rate, waits_s, fronts)
        self.requests += calls
        self.latencies.add(calls, waits_s, self._stall_s)
        if not self._preempts:
            waited_s = super()._note_following(faults, pages, rate, fronts)
            return waited_s + calls * waits_s
        # The page itself comes at once; the run behind it comes, queued, in the bulk.
        self.latencies.add(calls, self._stall_s)
        place_s = self._migration.host["postcopy_page_s"]
        beside_them = pages * sum(a_page for a_page, _ in faults)
        follows_s = 0.5 / rate + place_s
        self.latencies.add(beside_them, follows_s)
        self.requests += calls + beside_them
        return calls * (waits_s + self._stall_s) + beside_them * follows_s

    def _answered_s(self, between_s: float, threads: int) -> float:
        """Where vCPUs leave no CPU idle those that answer take turns (Eq P12)."""
        rtt_s = self._migration.scenario.link.rtt_s
        if not self._migration.machine.crowding:
            return self._stall_s
        away_s = between_s + self._wakeup_s + rtt_s
        alone_s, cpus = self._stall_s - rtt_s, self._migration.host.cpus
        return rtt_s + answered_s(alone_s, away_s, threads, cpus)

    def _free(self) -> Pipeline:
        stream = self._migration.stream
        return stream.postcopy_pipeline(float("inf"), self._host_pages > 1)

    def _queued_pages(self, rate: float, limit_pps: float) -> float:
        """Pages that the sockets hold between source and destination (Eq P8).

        They are full where the destination or the link is slower than the source, and
        empty where the source is, or max-postcopy-bandwidth.
        """
        free = self._free()
        slowest_s = max(free.destination_cpu_s, 1 / free.page_rate_limit)
        if slowest_s <= free.source_cpu_s or limit_pps <= rate * (1 + 1e-6):
            return 0.0
        return self._migration.stream.socket_buffer_bytes / wire.NORMAL_PAGE_BYTES


class RandomPush(QueuedPush):
    """Each fault is for a page that the stream is nowhere near."""

    def __init__(self, migration: Migration) -> None:
        super().__init__(migration)
        rules = migration.settings.rules
        self._jumps = not self._preempts or rules.preempt_jumps
        self._apart = False

    def _go_together(self, fronts: list[int]) -> Process:
        """Send a part of what is missing while the threads fault wherever they are."""
        migration = self._migration
        machine, memory = migration.machine, migration.memory
        window_pages, most = self._limit()
        limit_pps = window_pages / wire.WINDOW_S
        pipeline = migration.stream.postcopy_pipeline(limit_pps, self._host_pages > 1)
        rate = machine.set_stream(pipeline)
        missing = sum(self._missing[vcpu] for vcpu in fronts)
        queued = self._queued_pages(rate, limit_pps)
        share_pages = sum(machine.sweepers[vcpu].share_pages for vcpu in fronts)
        # What is on its way is not there either.
        hit = dispersed_share(missing + queued, share_pages)
        on_its_way = queued / (missing + queued)
        touch_s = 1 / machine.touch_rate_pps()
        ways = self._ways(rate, limit_pps, queued, on_its_way, touch_s / hit)
        mean_s = sum(share * seconds for share, seconds, _ in ways)
        walk = 1 / (touch_s + hit * (mean_s + self._wakeup_s))
        machine.follow_stream(fronts, walk)
        rate = machine.set_stream(pipeline)
        faults = len(fronts) * walk * hit
        asked = faults * (1 - on_its_way) * self._host_pages
        # With preempt requests are answered whatever the limit (Eq P2).
        total = rate + asked if self._preempts else max(rate, asked)
        of_share = 1.0 if self._jumps else missing / memory.pending_pages
        going = asked + (total - asked) * of_share
        pages = max(memory.pending_pages / _PARTS, _FEWEST_PAGES)
        pages = min(pages, max(most, 1.0), memory.pending_pages)
        pages = min(pages, max(missing, 1.0) * total / going)
        seconds = yield from self._timed(pages / total)
        gone = min(going * seconds / max(missing, 1e-9), 1.0)
        for vcpu in fronts:
            self._missing[vcpu] *= 1 - gone
        self.requests += faults * seconds
        self._stand_still(fronts, walk * hit * seconds * mean_s)
        for share, wait_s, jitter_s in ways:
            self.latencies.add(faults * seconds * share, wait_s, jitter_s)
        sent = min(total * seconds, memory.pending_pages)
        self._sent(sent, PageKind.NORMAL, pipeline)

    def _ways(
        self,
        rate: float,
        limit_pps: float,
        queued: float,
        on_its_way: float,
        between_s: float,
    ) -> Ways:
        """What requests wait for; a thread has `between_s` between two of them."""
        stall_s, unit, free = self._stall_s, self._host_pages, self._free()
        blocked, blocked_s = 0.0, 0.0
        if self._preempts:
            # Beside the bulk it has its fair half of the link, or what that leaves.
            link_pps = free.page_rate_limit
            own_pps = min(max(link_pps / 2, link_pps - rate), free.free_rate_pps)
            asked_s = stall_s + unit / own_pps
            if self._shares_thread:
                blocked, blocked_s = blocked_requests(
                    queued * wire.SOCKET_REFILL_SHARE / rate,
                    rate * free.source_cpu_s,
                    between_s + asked_s,
                )
        elif limit_pps <= rate * (1 + 1e-6):
            # Within a window's burst it is answered, after that by the next one's.
            asked_s = stall_s + unit / free.free_rate_pps
            burst_s = min(limit_pps * wire.WINDOW_S / free.free_rate_pps, wire.WINDOW_S)
            rest_s = wire.WINDOW_S - burst_s
            if between_s > wire.WINDOW_S:
                blocked, blocked_s = rest_s / wire.WINDOW_S, rest_s / 2
            else:
                blocked = 1 / (1 + burst_s / (between_s + asked_s))
                blocked_s = rest_s
        else:
            # Behind half of what is being put together and all that the sockets hold.
            together = max(wire.FLUSH_PAGES, unit)
            ahead = queued + unit if queued else together
            asked_s = stall_s + (together / 2 + ahead) / rate
        asked = 1 - on_its_way
        half_s = stall_s + queued / rate / 2
        return [
            (asked * (1 - blocked), asked_s, stall_s),
            (asked * blocked, asked_s + blocked_s, stall_s),
            (on_its_way, half_s, half_s),
        ]


def make_push(migration: Migration) -> Push:
    """The push that fits the guest's pattern and threads."""
    if migration.scenario.workload.pattern == "random":
        return RandomPush(migration)
    threads = len(migration.machine.sweepers)
    if threads > 1:
        return QueuedPush(migration)
    if threads and goes_in_order(migration.settings):
        return MeetingPush(migration)
    return Push(migration)
