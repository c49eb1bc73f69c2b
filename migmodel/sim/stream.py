"""The page stream: what pages cost, windows and their threshold, what is sent next.

Source: QEMU 10.0 migration/migration.c (migration_update_counters,
migration_rate_limit) and migration/ram.c (ram_save_iterate). Equations M1 to M4 and M9
of docs/model.md.
"""

from __future__ import annotations

import math
from dataclasses import replace

from migmodel.physics import wire
from migmodel.physics.cpu import Pipeline
from migmodel.physics.multifd import packets_ahead
from migmodel.records import Scenario
from migmodel.sim.costs import Costs, PageCost
from migmodel.sim.host import Host
from migmodel.sim.link_queue import link_bytes_per_s, queue_of
from migmodel.sim.machine import Machine
from migmodel.sim.memory import PageKind
from migmodel.sim.plan import EPSILON, Plan
from migmodel.sim.settings import Settings
from migmodel.sim.spill import make_spill
from migmodel.sim.tally import Tally
from migmodel.sim.work import UNLIMITED_PPS, work_of
from migmodel.units import MS_PER_S, PAGE_BYTES

_ZERO = int(PageKind.ZERO)
_SYNCS_A_SCAN = 24
_MOST_CALLS_A_SYNC = 10  # where the throttle is judged by the second


class Stream:
    """Sends set pages in order, by plans; lays down what they have done.

    Attributes
    ----------
    sent_bytes : float
        On the wire so far.
    source_cpu_s, destination_cpu_s : float
        CPU time that it took so far.
    threshold_bytes : float
        As of the last window that closed; 0 before.
    plan : Plan or None
        What is under way.
    queue : LinkQueue or None
        What the sockets hold, where a link of its own drains them; None: a socket on
        one host, which holds about a flush.
    """

    def __init__(
        self, scenario: Scenario, host: Host, machine: Machine, settings: Settings
    ) -> None:
        self.sent_bytes = 0.0
        self.source_cpu_s = 0.0
        self.destination_cpu_s = 0.0
        self.threshold_bytes = 0.0
        self.plan: Plan | None = None
        self._host = host
        self._machine = machine
        self._memory = machine.memory
        self._settings = settings
        self.costs = Costs(scenario, host, settings)
        self.tally = Tally()
        connections = 1
        if settings.has("multifd"):
            connections = settings.number("multifd-channels")
        self._link = link = scenario.link
        self.link_bytes_per_s = link_bytes_per_s(link, host, connections)
        self.queue = queue_of(link, host, connections)
        self._spill = make_spill(self.costs, host, machine, settings, link)
        rules = settings.rules
        self.syncs_each_iterate = rules.syncs_each_iterate and settings.has(
            "postcopy-ram"
        )
        self.iterates = 1  # calls in the last plan
        self._unlimited = (
            scenario.link.transport == "rdma" and not rules.rdma_is_limited
        )
        self._rtt_s = link.rtt_s
        self._known_work: tuple[PageCost, float, Pipeline] | None = None
        self._window_start_s = 0.0
        self._window_bytes = 0.0
        self._window_pages = 0.0  # other than zero pages
        self._window_is_used_up = False
        self.call_end_s = 0.0
        self._call_start_s = 0.0
        self._call_ends_woken = False
        self._beyond = 0.5  # of a look at the clock, sent when the last window closed

    # -- what a page costs --

    def page_bytes(self, kind: int) -> float:
        """Bytes of a page of this kind, as QEMU counts them."""
        return self.costs[kind].counted_bytes

    def pipeline(
        self,
        kind: int,
        page_rate_limit: float = UNLIMITED_PPS,
        *,
        swallowed: bool = False,
    ) -> Pipeline:
        """CPU costs of the page stream, and the pages/s that are asked for.

        `swallowed`: the link's queue takes it all, as fast as it comes.
        """
        work = self._work(kind)
        if swallowed:
            return work
        link_pps = self.link_bytes_per_s / self.costs[kind].wire_bytes
        return replace(work, page_rate_limit=min(link_pps, page_rate_limit))

    def _work(self, kind: int) -> Pipeline:
        """What a page is for the CPUs, as busy as they are now, whatever the link.

        Asked for several times a plan, it is made when something has changed.
        """
        cost, busy_cores = self.costs[kind], self._machine.busy_cores
        known = self._known_work
        if known is None or known[0] is not cost or known[1] != busy_cores:
            transport = self._link.transport
            work = work_of(cost, self._host, self._machine, transport)
            known = self._known_work = cost, busy_cores, work
        return known[2]

    def swallowing(self, now_s: float, kind: int) -> tuple[float, float]:
        """Pages/s that go into the link's queue until it is full, and how long [s].

        The time is 0 where there is none, where it is full, and where the CPUs are no
        faster than the link, so that it never fills.
        """
        queue = self.queue
        if queue is None:
            return 0.0, 0.0
        queue.advance(now_s, 0.0, self.link_bytes_per_s)
        rate = self._machine.set_stream(self.pipeline(kind, swallowed=True))
        rate *= self._draining(self.costs[kind])
        bytes_per_s = rate * self.costs[kind].wire_bytes
        seconds = queue.fills_in_s(bytes_per_s, self.link_bytes_per_s)
        return rate, seconds if seconds < float("inf") else 0.0

    def enter_queue(self, now_s: float, pages: float, kind: int) -> None:
        """Pages that went into the link's sockets by now."""
        if self.queue is not None:
            entered = pages * self.costs[kind].wire_bytes
            self.queue.advance(now_s, entered, self.link_bytes_per_s)

    @property
    def socket_buffer_bytes(self) -> float:
        """What the sockets of one connection hold."""
        if self.queue is not None:
            # An unlimited stream has filled it again by the time that somebody waits.
            limit = self._settings.number("max-postcopy-bandwidth")
            limited = 0 < limit < self.link_bytes_per_s
            return 0.0 if limited else self.queue.capacity_bytes
        given = self._link.socket_buffer_bytes
        return self._host["socket_buffer_bytes"] if given is None else given

    def queue_s(self, now_s: float, more_bytes: float) -> float:
        """Until the destination has all that was sent, and so many bytes more [s]."""
        if self.queue is None:
            return 0.0
        self.queue.advance(now_s, 0.0, self.link_bytes_per_s)
        held = self.queue.held_bytes + more_bytes
        return held / self.link_bytes_per_s + self._rtt_s / 2

    def postcopy_pipeline(
        self, page_rate_limit: float, huge_pages: bool = False
    ) -> Pipeline:
        """The stream into a running destination, where each page is placed.

        A huge page is put together first, and placed as a whole.
        """
        plain = self.pipeline(PageKind.NORMAL, page_rate_limit)
        place_s = self._host["postcopy_page_s"]
        if huge_pages:
            place_s = plain.destination_s + self._host["huge_place_page_s"]
        return replace(plain, destination_s=place_s, channels=None)

    def charge(self, pages: float, kind: int, costs: Pipeline) -> None:
        """Count pages that were sent."""
        self._memory.take(pages)
        cost = self.costs[kind]
        self.sent_bytes += pages * cost.counted_bytes
        self.source_cpu_s += pages * costs.source_cpu_s
        self.destination_cpu_s += pages * costs.destination_cpu_s
        self.tally.add(pages, kind, cost)

    # -- what is sent next --

    def begin_call(self, now_s: float) -> None:
        """Begin an iterate call that may last until `call_end_s`."""
        self._call_start_s = now_s
        self.call_end_s = now_s + wire.ITERATE_S
        self._call_ends_woken = False

    def next_run(self, now_s: float, limit_bytes_per_s: int = 0) -> tuple[float, int]:
        """Set pages ahead that are of one kind, and their kind, at its cost now."""
        pages, kind = self._memory.next_run()
        if self._spill is not None:
            link = self.link_bytes_per_s, self.queue
            self._spill.settle(kind, now_s, limit_bytes_per_s, *link)
        return pages, kind

    def make_plan(self, now_s: float) -> Plan:
        """Plan what happens next in the iterate call.

        Many calls that will all go alike, with nothing to decide before their end, are
        one plan.
        """
        limit = 0 if self._unlimited else self._settings.number("max-bandwidth")
        run_pages, kind = self.next_run(now_s, limit)
        cost = self.costs[kind]
        size, flush_pages = cost.counted_bytes, cost.counted_pages
        ahead = self._ahead_pages(kind)
        budget = wire.window_pages(limit, size, flush_pages, ahead_pages=ahead)
        waiting = 0.0 if kind == _ZERO else self._window_pages % flush_pages
        left = wire.window_pages(
            limit, size, flush_pages, self._window_bytes, waiting, ahead
        )
        left = 0.0 if self._window_is_used_up else left
        window_s = wire.WINDOW_S + self._host["wakeup_s"]
        asked = budget / window_s
        contended = self._machine.set_stream(self.pipeline(kind))
        limited = contended >= asked * (1 - 1e-6)
        burst = contended * self._draining(cost)
        most_s, swallowing, link_bound = self.call_end_s - now_s, False, False
        if not limited:
            swallowed, fills_s = self.swallowing(now_s, kind)
            swallowing = fills_s > 0
            if swallowing:
                burst, most_s = swallowed, min(most_s, fills_s)
            else:
                self._machine.set_stream(self.pipeline(kind))
                link_bound = self._waits_for_link(contended, cost)
                if link_bound:
                    most_s = self._end_call_woken(now_s)

        def plan(turns: int, turn_s: float, pages: float, ends_call: bool) -> Plan:
            turn_s = max(turn_s, EPSILON)
            self.iterates = turns
            made = Plan(now_s, turns, turn_s, pages, burst, kind, ends_call, limited)
            made.link_bound = link_bound
            return made

        call_begins = now_s - self._call_start_s < EPSILON
        by_time = burst * max(most_s, 0.0)
        if left <= min(run_pages, by_time):
            # The budget will be used up: sleep then until the window closes. (So may
            # pages that would not use up one of their own, behind others.)
            limited = True
            fresh = now_s - self._window_start_s < EPSILON and not self._window_bytes
            if fresh and call_begins:
                turns = self._alike(run_pages, budget, budget * size / window_s)
                if turns > 1:
                    self._machine.set_stream(self.pipeline(kind), asked / contended)
                    return plan(turns, window_s, budget, True)
            if left > 0 and self._machine.competes:
                # vCPUs are slow while it sends, and not while it sleeps.
                sending = plan(1, left / burst, left, False)
                sending.uses_up = True
                return sending
            end_s = max(self._window_start_s + window_s, now_s + left / burst)
            rate = left / max(end_s - now_s, EPSILON)
            self._machine.set_stream(self.pipeline(kind), min(rate / burst, 1.0))
            return plan(1, end_s - now_s, left, True)
        if not limited and call_begins and not swallowing:
            pages = burst * most_s
            turns = self._alike(run_pages, pages, burst * size)
            if turns > 1:
                many = plan(turns, most_s, pages, True)
                many.turns_a_window = math.ceil(wire.WINDOW_S / most_s - EPSILON)
                return many
        pages = min(run_pages, by_time)
        ends_call = pages < run_pages and most_s >= self.call_end_s - now_s
        return plan(1, pages / burst, pages, ends_call)

    def _ahead_pages(self, kind: int) -> float:
        """Pages that channels send after the limiter has seen enough."""
        cost = self.costs[kind]
        if cost.ready_s is None or cost.channels is None:
            return 0.0
        packets_per_s = self.pipeline(kind).free_rate_pps / cost.flush_pages
        packets = packets_ahead(cost.channels.source, packets_per_s, cost.ready_s)
        return packets * cost.flush_pages

    def _waits_for_link(self, pages_per_s: float, cost: PageCost) -> bool:
        """Whether the link's queue is full and so many pages all that it drains."""
        drained = self.link_bytes_per_s * (1 - EPSILON)
        return self.queue is not None and pages_per_s * cost.wire_bytes >= drained

    def _end_call_woken(self, now_s: float) -> float:
        """Have the call end when the link lets the writer go on; time until then [s].

        Asleep in a write, which it is from now on, it does not look at the clock.
        """
        if self.queue is not None and not self._call_ends_woken:
            least_s = max(self.call_end_s - now_s, 0.0)
            waits_s = self.queue.woken_in_s(least_s, self.link_bytes_per_s)
            self.call_end_s = now_s + waits_s
            self._call_ends_woken = True
        return self.call_end_s - now_s

    def _draining(self, cost: PageCost) -> float:
        """Share of the time that channels drained after each iterate call leave."""
        if cost.channels is None or not self._settings.rules.multifd_syncs_each_iterate:
            return 1.0
        return wire.ITERATE_S / (wire.ITERATE_S + self._host["multifd_sync_s"])

    def _alike(self, run_pages: float, turn_pages: float, bytes_per_s: float) -> int:
        """Turns before the threshold or the kind of page has to be looked at."""
        slack = 1 + 3 * self._host.noise.window_sd if self._host.noise.rng else 1.0
        usual = self._settings.threshold_bytes(bytes_per_s) * slack
        threshold = max(self.threshold_bytes, usual)
        undecided = self._memory.pending_pages - threshold / PAGE_BYTES
        turns = int(min(undecided, run_pages) / turn_pages)
        if self.syncs_each_iterate:
            # Syncs that change little are taken together.
            calls = int(self._memory.total_pages / turn_pages / _SYNCS_A_SCAN)
            if self._settings.auto_converges:
                calls = min(calls, _MOST_CALLS_A_SYNC)
            turns = min(turns, max(calls, 1))
        return turns

    # -- what was sent --

    def settle(self, now_s: float) -> None:
        """Lay down what the plan has done by now."""
        plan = self.plan
        if plan is None:
            return
        pages = plan.pages_at(now_s)
        self.enter_queue(now_s, pages - plan.done_pages, plan.kind)
        self.charge(pages - plan.done_pages, plan.kind, self._work(plan.kind))
        self._window_bytes += (pages - plan.done_pages) * self.page_bytes(plan.kind)
        if plan.kind != _ZERO:
            self._window_pages += pages - plan.done_pages
        plan.done_pages = pages
        self._window_is_used_up |= plan.uses_up and now_s >= plan.end_s - EPSILON
        if plan.turns > 1:
            self._close_windows_of(plan, now_s)

    def open_window(self, now_s: float) -> None:
        """Begin a window now, with nothing sent in it."""
        self._window_start_s = now_s
        self._window_bytes = 0.0
        self._window_pages = 0.0
        self._window_is_used_up = False

    def close_window(self, now_s: float, plan: Plan) -> None:
        """Close the window that is open, if it has lasted."""
        seconds = now_s - self._window_start_s
        if seconds >= wire.WINDOW_S - EPSILON:
            self._judge_window(self._window_bytes, seconds, plan)
            self.open_window(now_s)

    def _close_windows_of(self, plan: Plan, now_s: float) -> None:
        """Close the windows that have passed in a plan of many turns, all alike."""
        window_s = plan.turns_a_window * plan.turn_s
        window_bytes = (
            plan.turns_a_window * plan.turn_pages * self.page_bytes(plan.kind)
        )
        windows = int((now_s - plan.start_s) / window_s + EPSILON)
        if windows > plan.done_windows:
            self.charge_waking(plan.sleeps * (windows - plan.done_windows - 1))
            plan.done_windows = windows
            self._judge_window(window_bytes, window_s, plan)
        self._window_start_s = plan.start_s + windows * window_s
        done_bytes = plan.done_pages * self.page_bytes(plan.kind)
        self._window_bytes = done_bytes - windows * window_bytes
        if plan.kind != _ZERO:
            self._window_pages = self._window_bytes / self.page_bytes(plan.kind)

    def charge_waking(self, count: float) -> None:
        """What waking up for a burst costs each side: cold caches, a clock at rest."""
        self.source_cpu_s += count * self._host["window_source_s"]
        self.destination_cpu_s += count * self._host["window_destination_s"]

    def _judge_window(self, sent_bytes: float, seconds: float, plan: Plan) -> None:
        """Bandwidth of a window, and the threshold that follows from it."""
        noise = self._host.noise
        if plan.limited:
            # QEMU's clock has whole ms: what is over comes as one ms now and then.
            whole = int(seconds * MS_PER_S + EPSILON)
            over = noise.happens(seconds * MS_PER_S - whole)
            bandwidth = sent_bytes / ((whole + over) / MS_PER_S)
        elif plan.link_bound and self._host.same_host:
            # One host's noise is its CPUs', which a link of its own evens out. What
            # differs is how much a writer has sent when, woken, it sees the clock.
            before, self._beyond = self._beyond, noise.phase()
            pages = max(wire.CLOCK_PAGES, self.costs[plan.kind].counted_pages)
            more = (self._beyond - before) * pages * self.page_bytes(plan.kind)
            bandwidth = (sent_bytes + more) / seconds
        else:
            bandwidth = sent_bytes / seconds * noise.window_factor()
        self.charge_waking(float(plan.sleeps))
        self.threshold_bytes = self._settings.threshold_bytes(bandwidth)
