"""The page stream: what pages cost, windows and their threshold, what is sent next.

Source: QEMU 10.0 migration/migration.c (migration_update_counters,
migration_rate_limit) and migration/ram.c (ram_save_iterate). Equations M1 to M4 and M9
of docs/model.md.
"""

from __future__ import annotations

from migmodel.physics import wire
from migmodel.physics.cpu import Pipeline
from migmodel.records import Scenario
from migmodel.sim.host import Host
from migmodel.sim.machine import Machine
from migmodel.sim.memory import PageKind
from migmodel.sim.plan import EPSILON, Plan
from migmodel.sim.settings import Settings
from migmodel.units import MS_PER_S, PAGE_BYTES

UNLIMITED_PPS = float("inf")


def page_bytes(kind: PageKind) -> int:
    """Bytes that a page of this kind takes on the wire."""
    if kind is PageKind.ZERO:
        return wire.ZERO_PAGE_BYTES
    return wire.NORMAL_PAGE_BYTES


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
        self._link = scenario.link.bandwidth_bytes_per_s or host["link_bytes_per_s"]
        self._window_start_s = 0.0
        self._window_bytes = 0.0
        self._window_pages = 0.0  # other than zero pages

    # -- what a page costs --

    def pipeline(
        self, kind: PageKind, page_rate_limit: float = UNLIMITED_PPS
    ) -> Pipeline:
        """CPU costs of the page stream, and the pages/s that are asked for."""
        host = self._host
        link = min(self._link, host["link_bytes_per_s"])
        source_s, destination_s = host["page_source_s"], host["page_destination_s"]
        if kind is PageKind.ZERO:
            source_s = host["zero_page_source_s"]
            destination_s = host["zero_page_destination_s"]
        elif kind is PageKind.FRESH:
            destination_s += host["fresh_page_s"]
        # The guest's vCPUs share caches, memory and, as siblings, cores with it.
        slower = 1 + host["guest_interference"] * self._machine.running_cores
        source_s, destination_s = source_s * slower, destination_s * slower
        flush_s = host["flush_handoff_s"]
        flush_s += self._machine.crowding * host["crowded_flush_s"]
        return Pipeline(
            source_s,
            destination_s,
            min(link / page_bytes(kind), page_rate_limit),
            host["pipeline_overlap"],
            flush_s / _flush_pages(kind),
        )

    def postcopy_pipeline(self, page_rate_limit: float) -> Pipeline:
        """The stream into a running destination, where each page is placed."""
        plain = self.pipeline(PageKind.NORMAL, page_rate_limit)
        return Pipeline(
            plain.source_s,
            self._host["postcopy_page_s"],
            plain.page_rate_limit,
            plain.overlap,
            plain.handoff_s,
        )

    def charge(self, pages: float, kind: PageKind, costs: Pipeline) -> None:
        """Count pages that were sent."""
        self._memory.take(pages)
        self.sent_bytes += pages * page_bytes(kind)
        self.source_cpu_s += pages * costs.source_s
        self.destination_cpu_s += pages * costs.destination_s

    # -- what is sent next --

    def make_plan(self, now_s: float, call_end_s: float) -> Plan:
        """Plan what happens next in an iterate call that may last until `call_end_s`.

        Many calls that will all go alike, with nothing to decide before their end, are
        one plan.
        """
        run_pages, kind = self._memory.next_run()
        limit = self._settings.number("max-bandwidth")
        flush_pages = 1
        if self._settings.rules.counts_at_flush:
            flush_pages = _flush_pages(kind)
        size = page_bytes(kind)
        budget = wire.window_pages(limit, size, flush_pages)
        waiting = 0.0 if kind is PageKind.ZERO else self._window_pages % flush_pages
        left = wire.window_pages(limit, size, flush_pages, self._window_bytes, waiting)
        window_s = wire.WINDOW_S + self._host["wakeup_s"]
        asked = budget / window_s
        contended = self._machine.set_stream(self.pipeline(kind, asked))
        limited = contended >= asked * (1 - 1e-6)
        # A stream kept below its fair share gets a CPU when it wants it.
        burst = self.pipeline(kind).free_rate_pps if limited else contended

        def plan(turns: int, turn_s: float, pages: float, ends_call: bool) -> Plan:
            turn_s = max(turn_s, EPSILON)
            return Plan(now_s, turns, turn_s, pages, burst, kind, ends_call, limited)

        call_begins = call_end_s - now_s >= wire.ITERATE_S - EPSILON
        by_time = burst * max(call_end_s - now_s, 0.0)
        if limited and left <= min(run_pages, by_time):
            # The budget will be used up: sleep then until the window closes.
            fresh = now_s - self._window_start_s < EPSILON and not self._window_bytes
            if fresh and call_begins:
                turns = self._alike(run_pages, budget, budget * size / window_s)
                if turns > 1:
                    return plan(turns, window_s, budget, True)
            end_s = max(self._window_start_s + window_s, now_s + left / burst)
            return plan(1, end_s - now_s, left, True)
        if not limited and call_begins:
            pages = burst * wire.ITERATE_S
            turns = self._alike(run_pages, pages, burst * size)
            if turns > 1:
                many = plan(turns, wire.ITERATE_S, pages, True)
                many.turns_a_window = 2
                return many
        pages = min(run_pages, by_time)
        return plan(1, pages / burst, pages, pages < run_pages)

    def _alike(self, run_pages: float, turn_pages: float, bytes_per_s: float) -> int:
        """Turns before the threshold or the kind of page has to be looked at."""
        slack = 1 + 3 * self._host.noise.window_sd if self._host.noise.rng else 1.0
        usual = self._settings.threshold_bytes(bytes_per_s) * slack
        threshold = max(self.threshold_bytes, usual)
        undecided = self._memory.pending_pages - threshold / PAGE_BYTES
        return int(min(undecided, run_pages) / turn_pages)

    # -- what was sent --

    def settle(self, now_s: float) -> None:
        """Lay down what the plan has done by now."""
        plan = self.plan
        if plan is None:
            return
        pages = plan.pages_at(now_s)
        self.charge(pages - plan.done_pages, plan.kind, self.pipeline(plan.kind))
        self._window_bytes += (pages - plan.done_pages) * page_bytes(plan.kind)
        if plan.kind is not PageKind.ZERO:
            self._window_pages += pages - plan.done_pages
        plan.done_pages = pages
        if plan.turns > 1:
            self._close_windows_of(plan, now_s)

    def open_window(self, now_s: float) -> None:
        """Begin a window now, with nothing sent in it."""
        self._window_start_s = now_s
        self._window_bytes = 0.0
        self._window_pages = 0.0

    def close_window(self, now_s: float, limited: bool) -> bool:
        """Close the window that is open, if it has lasted; whether it has."""
        seconds = now_s - self._window_start_s
        if seconds < wire.WINDOW_S - EPSILON:
            return False
        self._judge_window(self._window_bytes, seconds, limited)
        self.open_window(now_s)
        return True

    def _close_windows_of(self, plan: Plan, now_s: float) -> None:
        """Close the windows that have passed in a plan of many turns, all alike."""
        window_s = plan.turns_a_window * plan.turn_s
        window_bytes = plan.turns_a_window * plan.turn_pages * page_bytes(plan.kind)
        windows = int((now_s - plan.start_s) / window_s + EPSILON)
        if windows > plan.done_windows:
            more = windows - plan.done_windows - 1
            self.source_cpu_s += more * self._host["window_source_s"]
            plan.done_windows = windows
            self._judge_window(window_bytes, window_s, plan.limited)
        self._window_start_s = plan.start_s + windows * window_s
        done_bytes = plan.done_pages * page_bytes(plan.kind)
        self._window_bytes = done_bytes - windows * window_bytes
        if plan.kind is not PageKind.ZERO:
            self._window_pages = self._window_bytes / page_bytes(plan.kind)

    def _judge_window(self, sent_bytes: float, seconds: float, limited: bool) -> None:
        """Bandwidth of a window, and the threshold that follows from it."""
        noise = self._host.noise
        if limited:
            # QEMU's clock has whole ms: what is over comes as one ms now and then.
            whole = int(seconds * MS_PER_S + EPSILON)
            over = noise.happens(seconds * MS_PER_S - whole)
            bandwidth = sent_bytes / ((whole + over) / MS_PER_S)
        else:
            bandwidth = sent_bytes / seconds * noise.window_factor()
        self.source_cpu_s += self._host["window_source_s"]
        self.threshold_bytes = self._settings.threshold_bytes(bandwidth)


def _flush_pages(kind: PageKind) -> int:
    if kind is PageKind.ZERO:
        return wire.FLUSH_ZERO_PAGES
    return wire.FLUSH_PAGES
