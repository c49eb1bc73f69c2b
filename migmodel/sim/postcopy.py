"""Post-copy after the switch: the rest of RAM, and threads that run into it.

Source: QEMU 10.0 migration/ram.c (get_queued_page, ram_save_host_page_urgent),
migration/migration.c (postcopy_pause). Equations P1 to P6 of docs/model.md.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any

import simpy

from migmodel.physics import wire
from migmodel.physics.cpu import Pipeline
from migmodel.physics.faults import (
    FaultLatencies,
    faults_at_front,
    front_rate_pps,
)
from migmodel.records.scenario import UNRECOVERED
from migmodel.sim.memory import PageKind
from migmodel.sim.migration import Migration, Process
from migmodel.units import PAGE_BYTES

Faults = list[tuple[float, float]]  # a page, and how long each waits [s]
Spell = Generator[simpy.Event, Any, float]  # tells how much of it has passed
_STANDSTILL_PPS = 1e-6
_MEETING_STEPS = 4  # halve what the stream and its followers are apart, and more


class Push:
    """Sends the rest of RAM while the guest runs on the destination."""

    def __init__(self, migration: Migration) -> None:
        self._migration = migration
        host, scenario = migration.host, migration.scenario
        memory = migration.memory
        self._host_pages = scenario.guest.host_page_bytes / PAGE_BYTES
        self._preempts = migration.settings.has("postcopy-preempt")
        stall = host["preempt_fault_s"] if self._preempts else host["fault_s"]
        self._stall_s = stall + scenario.link.rtt_s
        # What a thread in step with the stream waits for is on its way already.
        self._following_stall_s = stall
        # What neither latencies nor blocktime hold: QEMU sees the fault later than the
        # vCPU has it, and the vCPU wakes up later than its page is placed.
        self._wakeup_s = host["preempt_wakeup_s"] if self._preempts else 0.0
        self._missing = {
            vcpu: float((memory.dirty[share] * memory.length[share]).sum())
            for vcpu, share in memory.shares.items()
        }
        self.requests = 0.0
        self._charged_requests = 0.0
        self.first_wait_s = 0.0  # of a thread, for the window after the switch's
        self.latencies = FaultLatencies(host["fault_jitter_sd"])
        # Of each thread, in all its faults.
        self._stalls_s = dict.fromkeys(self._missing, 0.0)
        self.began_s = migration.env.now

    def run(self) -> Process:
        """Push until nothing is missing, or the connection breaks for good."""
        migration = self._migration
        while migration.memory.pending_pages > 0 and migration.status != "failed":
            migration.machine.advance(migration.env.now)
            fronts = [vcpu for vcpu, pages in self._missing.items() if pages >= 1]
            if fronts:
                yield from self._go_beside(fronts)
            else:
                yield from self._go_on()
        migration.machine.set_stream(None)

    # -- legs --

    def _limit(self, kind: int = PageKind.NORMAL) -> tuple[float, float]:
        """Pages of a window that max-postcopy-bandwidth allows, and until how many.

        Counted as before the switch (Eq M2), but for host pages, which are sent whole.
        Up to 10.0 the rest that fits the threshold is sent as a last stage, whatever
        the limit.
        """
        migration = self._migration
        limit = migration.settings.number("max-postcopy-bandwidth")
        pending = migration.memory.pending_pages
        cost = migration.stream.costs[kind]
        size, unit = cost.counted_bytes, max(cost.counted_pages, self._host_pages)
        window_pages = wire.window_pages(limit, size, unit)
        if window_pages < float("inf") and (
            migration.settings.rules.postcopy_tail_unlimited
        ):
            bandwidth = window_pages * size / wire.WINDOW_S
            rest = migration.settings.threshold_bytes(bandwidth) / PAGE_BYTES
            if pending <= rest + 1:
                return float("inf"), pending
            return window_pages, pending - rest
        return window_pages, pending

    def _go_beside(self, fronts: list[int]) -> Process:
        """Send a leg's pages while threads run into missing ones."""
        return self._go_together(fronts)

    def _go_together(self, fronts: list[int]) -> Process:
        """The stream goes on behind each requested page: it runs beside the sweeps."""
        migration = self._migration
        machine, stream = migration.machine, migration.stream
        window_pages, most = self._limit()
        limit_pps = window_pages / wire.WINDOW_S
        pipeline = stream.postcopy_pipeline(limit_pps, self._host_pages > 1)
        rate = machine.set_stream(pipeline)
        touch_pps = machine.touch_rate_pps()
        if rate >= limit_pps * (1 - 1e-9) and touch_pps > rate / len(fronts):
            yield from self._go_by_windows(fronts, pipeline, window_pages, most)
            return
        # A thread that waits for its pages leaves the CPU to the stream, which is
        # faster then, and so is the thread.
        for _ in range(_MEETING_STEPS):
            # Only a huge page has to come whole before anything in it is touched.
            stall_s = self._following_stall_s if self._host_pages > 1 else 0.0
            front = front_rate_pps(rate, stall_s, self._host_pages, len(fronts))
            machine.follow_stream(fronts, front)
            rate = machine.set_stream(pipeline)
        faults = self._following(rate, len(fronts), pipeline.destination_s)
        touch_pps = machine.touch_rate_pps()
        if touch_pps > front:
            rate = self._beside_answers(pipeline, faults)
            front = front_rate_pps(rate, stall_s, self._host_pages, len(fronts))
            machine.follow_stream(fronts, front)
        each = min(self._missing[vcpu] for vcpu in fronts)
        seconds = each / max(front, rate / len(fronts))
        each, pages, seconds = self._leg(fronts, each, seconds, most)
        share = yield from self._hold(seconds)
        self._arrived(fronts, each * share)
        pages *= share
        if rate >= limit_pps * (1 - 1e-9):
            stream.charge_waking(seconds * share / wire.WINDOW_S)
        if touch_pps > front:
            waited_s = self._note_following(faults, pages, rate, len(fronts))
            self._stand_still(fronts, waited_s / len(fronts))
        else:
            self.requests += len(fronts)
            self._note_first(fronts, rate)
        self._sent(pages, PageKind.NORMAL, pipeline)

    def _beside_answers(self, pipeline: Pipeline, faults: Faults) -> float:
        """Pages/s of a stream that leaves the CPUs to who asks and answers (Eq P4).

        Where no CPU is idle, what requests take is what the stream does not get.
        """
        machine, host = self._migration.machine, self._migration.host
        crowding = machine.crowding_of_faults
        if not crowding:
            return machine.stream_pps
        request_s = host["request_destination_s"]
        if host.same_host:
            request_s += host["request_source_s"]
        a_page = sum(often for often, _ in faults)
        free = replace(pipeline, page_rate_limit=float("inf"))
        page_s = 1 / machine.stream_rate_pps(free) + crowding * a_page * request_s
        return min(machine.stream_pps, 1 / page_s)

    def _leg(
        self, fronts: list[int], each: float, seconds: float, most: float
    ) -> tuple[float, float, float]:
        """What one leg brings each thread and all, and its time; `most` cuts it off."""
        pages = min(each * len(fronts), self._migration.memory.pending_pages)
        if pages > most + 1:
            each, seconds, pages = (x * most / pages for x in (each, seconds, pages))
        return each, pages, seconds

    def _arrived(self, fronts: list[int], each: float) -> None:
        for vcpu in fronts:
            self._missing[vcpu] -= each

    def _go_by_windows(
        self, fronts: list[int], pipeline: Pipeline, window_pages: float, most: float
    ) -> Process:
        """Threads faster than the limit: a burst of pages for each window.

        What they ask for when the window's budget is spent is answered at once only
        with preempt, by the return path's thread. Its bytes come too late to count: the
        next window begins anew.
        """
        migration = self._migration
        host, machine, stream = migration.host, migration.machine, migration.stream
        free = stream.postcopy_pipeline(float("inf"), self._host_pages > 1)
        # Who wakes up for a burst finds cold caches.
        free = replace(
            free,
            source_s=free.source_s + host["window_source_s"] / window_pages,
            destination_s=free.destination_s
            + host["window_destination_s"] / window_pages,
        )
        burst_pps = free.free_rate_pps
        burst_s = min(window_pages / burst_pps, wire.WINDOW_S)
        own_pps = latency_s = 0.0
        if self._preempts:
            touch_s = self._host_pages / machine.touch_rate_pps()
            latency_s = self._answered_s(touch_s, len(fronts))
            latency_s += self._host_pages * len(fronts) / burst_pps
            own_pps = self._host_pages / (latency_s + self._wakeup_s + touch_s)
            own_pps *= 1 - burst_s / wire.WINDOW_S
        front = window_pages / wire.WINDOW_S / len(fronts) + own_pps
        machine.follow_stream(fronts, front)
        machine.set_stream(pipeline)
        faults = self._following(burst_pps, len(fronts), free.destination_s)
        each = min(self._missing[vcpu] for vcpu in fronts)
        each, pages, seconds = self._leg(fronts, each, each / front, most)
        share = yield from self._hold(seconds)
        self._arrived(fronts, each * share)
        seconds *= share
        stream.charge_waking(seconds / wire.WINDOW_S)
        if self._preempts:
            requests = own_pps * seconds * len(fronts) / self._host_pages
            self.requests += requests
            self.latencies.add(requests, latency_s)
            self._stand_still(fronts, requests / len(fronts) * latency_s)
        else:
            count = len(fronts)
            waited_s = self._note_following(faults, pages * share, burst_pps, count)
            waited_s += self._note_waits(seconds / wire.WINDOW_S, burst_s, count)
            self._stand_still(fronts, waited_s / count)
        self._sent(pages * share, PageKind.NORMAL, pipeline)

    def _answered_s(self, between_s: float, threads: int) -> float:  # noqa: ARG002
        """How long an answer with preempt takes, beside the page's transfer [s].

        `between_s`: what a thread does between two of them.
        """
        return self._stall_s

    def _go_on(self) -> Process:
        """Nobody faults: the rest in order of address."""
        migration = self._migration
        pages, kind = migration.memory.next_run()
        window_pages, most = self._limit(kind)
        limit_pps = window_pages / wire.WINDOW_S
        pages = min(pages, max(most, 1.0))
        stream = migration.stream
        pipeline = stream.pipeline(kind, limit_pps)
        if kind != PageKind.ZERO:
            pipeline = stream.postcopy_pipeline(limit_pps, self._host_pages > 1)
        rate = migration.machine.set_stream(pipeline)
        seconds = yield from self._timed(pages / rate)
        if rate >= limit_pps * (1 - 1e-9):
            stream.charge_waking(seconds / wire.WINDOW_S)
        self._sent(rate * seconds, kind, pipeline)

    def _sent(self, pages: float, kind: int, pipeline: Pipeline) -> None:
        migration = self._migration
        migration.machine.advance(migration.env.now)
        migration.machine.follow_stream([], None)
        stream, host = migration.stream, migration.host
        stream.charge(pages, kind, pipeline)
        requests = self.requests - self._charged_requests
        self._charged_requests = self.requests
        stream.source_cpu_s += requests * host["request_source_s"]
        stream.destination_cpu_s += requests * host["request_destination_s"]
        migration.sample()

    # -- faults --

    def _following(self, rate: float, fronts: int, place_s: float) -> Faults:
        """Faults a page of threads that run into such a stream's front; their waits.

        With preempt the answer may come first.
        """
        host, stream = self._migration.host, self._migration.stream
        stall_s = self._following_stall_s
        if (unit := self._host_pages) > 1:
            return [(1 / unit, unit / rate + self._stall_s)]
        batch = float(wire.FLUSH_PAGES)
        link_pps = stream.link_bytes_per_s / wire.NORMAL_PAGE_BYTES
        if stream.queue is not None and rate >= link_pps * (1 - 1e-6):
            batch = wire.SEGMENT_BYTES / wire.NORMAL_PAGE_BYTES
        full_pps = self._migration.machine.full_rate_pps()
        page_s = 1 / full_pps + host["placed_touch_s"]
        stands_s, most = stall_s + self._wakeup_s, host["fault_pages"]
        found = faults_at_front(rate, place_s, page_s, stands_s, batch, most, fronts)
        answer_s = self._stall_s if self._preempts else math.inf
        return [
            (a_page, min(wait_s + 0.5 / rate, answer_s) + place_s)
            for a_page, wait_s in found
        ]

    def _note_waits(self, windows: float, burst_s: float, fronts: int) -> float:
        """The last request of each window and thread; how long they wait [s].

        Such a request wakes the migration thread, but qemu_savevm_state_iterate sends
        nothing while the window is over its budget (QEMU 10.0 migration/savevm.c): the
        thread turns in circles until the next one, and the request waits for that.
        """
        wait_s = wire.WINDOW_S - burst_s
        self.first_wait_s = self.first_wait_s or wait_s
        self.latencies.add(windows * fronts, wait_s, jitter_s=0.0)
        self._migration.stream.source_cpu_s += windows * wait_s
        self.requests += windows * fronts
        return windows * fronts * wait_s

    def _note_following(
        self,
        faults: Faults,
        pages: float,
        rate: float,  # noqa: ARG002, this and the next: for several threads' calls
        fronts: int,  # noqa: ARG002
    ) -> float:
        """Requests of threads that run into the stream's own front; their waits [s]."""
        for a_page, wait_s in faults:
            self.requests += pages * a_page
            self.latencies.add(pages * a_page, wait_s)
        return pages * sum(a_page * wait_s for a_page, wait_s in faults)

    def _note_first(self, fronts: list[int], rate: float) -> None:
        """The first page of a thread comes behind all that is on its way already."""
        migration = self._migration
        buffered = 0.0
        if not self._preempts:
            buffered = migration.stream.socket_buffer_bytes / wire.NORMAL_PAGE_BYTES
            buffered += wire.FLUSH_PAGES / 2
        latency_s = (buffered + self._host_pages) / rate + self._stall_s
        self.latencies.add(len(fronts), latency_s)
        self._stand_still(fronts, latency_s)

    def _stand_still(self, fronts: Iterable[int], seconds: float) -> None:
        for vcpu in fronts:
            self._stalls_s[vcpu] += seconds

    def blocktimes_s(self) -> list[float]:
        """Time in which each vCPU stands still [s]; an idle one never does."""
        seconds = self._migration.env.now - self.began_s
        return [
            min(self._stalls_s.get(vcpu, 0.0), seconds)
            for vcpu in range(self._migration.scenario.guest.vcpus)
        ]

    def blocktime_s(self, fronts: int) -> float:
        """Time in which all threads stand still together [s]."""
        seconds = self._migration.env.now - self.began_s
        if seconds <= 0 or not fronts:
            return 0.0
        # The last to have its pages was there in all the others' stalls.
        stall_s = max(self._stalls_s.values())
        return float(seconds * min(stall_s / seconds, 1.0) ** fronts)

    # -- the connection --

    def _timed(self, seconds: float) -> Spell:
        share = yield from self._hold(seconds)
        return seconds * share

    def _hold(self, seconds: float) -> Spell:
        """Let time pass, unless the connection breaks; share of it that has passed."""
        migration = self._migration
        breaks_s = migration.breaks_at_s
        now = migration.env.now
        if breaks_s is None or seconds <= 0 or breaks_s >= now + seconds:
            yield from migration.hold(seconds)
            return 1.0
        passed = max(breaks_s - now, 0.0)
        yield from migration.hold(passed)
        yield from self._break()
        return passed / seconds

    def _break(self) -> Process:
        """The connection breaks: the guest is lost, or paused until recovered."""
        migration = self._migration
        machine, env = migration.machine, migration.env
        outage = migration.scenario.link.outage
        assert outage is not None
        migration.breaks_at_s = None
        if not migration.settings.rules.postcopy_recovers:
            migration.fail("the connection broke in post-copy: the guest is lost")
            return
        migration.status = "postcopy-paused"
        migration.recorder.event(env.now, "MIGRATION", "postcopy-paused")
        machine.advance(env.now)
        machine.set_stream(None)
        machine.follow_stream(list(self._missing), _STANDSTILL_PPS)
        if outage.recovered_after_s is None:
            migration.fail(UNRECOVERED)
            return
        began = env.now
        # Each block's map of received pages comes back: a bit a page.
        bitmap_s = migration.memory.total_pages / 8 / migration.stream.link_bytes_per_s
        wait_s = outage.recovered_after_s + migration.host["recover_s"] + bitmap_s
        yield from migration.hold(wait_s + 2 * migration.scenario.link.rtt_s)
        machine.advance(env.now)
        machine.follow_stream([], None)
        self._stand_still(self._missing, env.now - began)
        self.latencies.add(len(self._missing), wait_s)
        migration.status = "postcopy-active"
        migration.recorder.event(env.now, "MIGRATION", "postcopy-active")
