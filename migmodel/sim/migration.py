"""QEMU's migration thread as a discrete-event process.

Source: QEMU 10.0 migration/migration.c (migration_thread, migration_iteration_run,
migration_update_counters, migration_rate_limit) and migration/ram.c
(ram_save_iterate, migration_bitmap_sync). Equations M1 to M9 of docs/model.md.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

import simpy

from migmodel.physics import throttle, wire
from migmodel.physics.cpu import Pipeline
from migmodel.physics.versions import behaviour
from migmodel.records import Scenario
from migmodel.records.parameters import ParameterValue
from migmodel.sim.host import Host
from migmodel.sim.machine import Machine
from migmodel.sim.memory import PageKind
from migmodel.sim.recorder import Recorder
from migmodel.units import MS_PER_S, PAGE_BYTES

Process = Generator[simpy.Event, Any, None]
_EPSILON = 1e-9
# When so many syncs find no less than as many before them, with nothing left that could
# change it and the threshold out of reach, it will be so for ever.
STEADY_SYNCS = 8
STEADY_TOLERANCE = 0.02
STEADY_S = 5.0
NEAR_THRESHOLD = 1.5
PATIENCE_SYNCS = 300  # near the threshold: luck has had its chances


@dataclass(slots=True)
class Plan:
    """Turns of sending, alike, from `start_s` on: what `settle` may lay down.

    Attributes
    ----------
    start_s : float
        Begin of the first turn.
    turns : int
        How many.
    turn_s, turn_pages : float
        Length of a turn and pages that it sends.
    pages_per_s : float
        Speed within the turn's burst.
    page_bytes : float
        Bytes on the wire a page.
    kind : PageKind
        What kind of pages.
    """

    start_s: float
    turns: int
    turn_s: float
    turn_pages: float
    pages_per_s: float
    page_bytes: float
    kind: PageKind
    done_pages: float = 0.0

    def pages_at(self, now_s: float) -> float:
        """Pages sent by now."""
        elapsed = max(now_s - self.start_s, 0.0)
        whole = min(int(elapsed / self.turn_s + _EPSILON), self.turns)
        if whole >= self.turns:
            return self.turns * self.turn_pages
        rest = (elapsed - whole * self.turn_s) * self.pages_per_s
        return whole * self.turn_pages + min(rest, self.turn_pages)


def page_bytes(kind: PageKind) -> int:
    """Bytes that a page of this kind takes on the wire."""
    if kind is PageKind.ZERO:
        return wire.ZERO_PAGE_BYTES
    return wire.NORMAL_PAGE_BYTES


class SyncMark(NamedTuple):
    """How things stood at a sync."""

    time_s: float
    pending_bytes: float
    sent_bytes: float
    sync_count: int
    throttle: float
    hits: int


class Migration:
    """State of one migration; `run` is its thread.

    Managers, the periodic sync and the recorder look in from outside: they call
    `settle` first, change what they must, and interrupt the thread to plan anew.
    """

    def __init__(self, scenario: Scenario, host: Host, recorder: Recorder) -> None:
        self.scenario = scenario
        self.host = host
        self.recorder = recorder
        self.env = simpy.Environment()
        self.machine = Machine(scenario, host, recorder)
        self.memory = self.machine.memory
        self.rules = behaviour(scenario.version)
        self.parameters: dict[str, ParameterValue] = dict(scenario.policy.parameters)
        self.capabilities = scenario.policy.all_capabilities
        self.status = "setup"
        self.reason = ""
        self.sync_count = 0
        self.sent_bytes = 0.0
        self.source_cpu_s = 0.0
        self.destination_cpu_s = 0.0
        self.peak_throttle = 0.0
        self.dirty_rate_pps = 0.0
        self.stop_s: float | None = None
        self.resume_s: float | None = None
        self.end_s: float | None = None
        self.downtime_reported_s: float | None = None
        self.postcopy_requests: int | None = None
        self.postcopy_requested = False
        self.paused_by_manager = False
        self.certain_never = False
        self._threshold_bytes = 0.0
        self._window_start_s = 0.0
        self._window_bytes = 0.0
        self._plan: Plan | None = None
        self._last_rate_s = 0.0
        self._period_dirty = 0.0
        self._period_bytes = 0.0
        self._hits = 0
        self._pass_index = 1
        self._pass_start_s = 0.0
        self._pass_pending = 0.0
        self._pass_bytes = 0.0
        self._marks: list[SyncMark] = []
        self.repeats_until_s = 0.0
        self.process: simpy.Process | None = None
        self.changed = self.env.event()

    # -- parameters --

    def parameter(self, name: str) -> ParameterValue:
        """A QEMU parameter as it stands now."""
        if name in self.parameters:
            return self.parameters[name]
        return self.scenario.policy.parameter(name)

    @property
    def downtime_limit_s(self) -> float:
        """downtime-limit as it stands now [s]."""
        return int(self.parameter("downtime-limit")) / MS_PER_S

    @property
    def pending_bytes(self) -> float:
        """Set pages in bytes, as QEMU counts them: 4096 each whatever they cost."""
        return self.memory.pending_pages * PAGE_BYTES

    def below_threshold(self) -> bool:
        """The cheap test that comes before every iterate call."""
        if self.rules.completes_at_equal:
            return self.pending_bytes <= self._threshold_bytes
        return self.pending_bytes < self._threshold_bytes

    # -- the thread --

    def run(self) -> Process:
        """Migrate: set up, iterate until the rest fits the threshold, switch."""
        from migmodel.sim.switch import complete, run_postcopy

        yield from self.hold(self.host["setup_s"])
        self._begin()
        while self.status == "active":
            if self.below_threshold():
                yield from self._sync()
                if self.status != "active":
                    return
            if self.pending_bytes == 0 or self.below_threshold():
                yield from complete(self)
            elif self.postcopy_requested:
                yield from run_postcopy(self)
            elif self.certain_never:
                self.certain_never = False
                yield from self._never()
            else:
                yield from self._iterate()

    def _begin(self) -> None:
        now = self.env.now
        self.status = "active"
        self.sync_count = 1
        self.machine.advance(now)
        for sweeper in self.machine.sweepers:
            sweeper.armed = sweeper.written
        self._last_rate_s = self._window_start_s = self._pass_start_s = now
        self._pass_pending = self.pending_bytes
        self.recorder.event(now, "MIGRATION", "active")
        self.sample()
        self.announce()

    def hold(self, seconds: float) -> Process:
        """Let time pass, whoever interrupts; what they changed is seen afterwards."""
        until = self.env.now + seconds
        while until - self.env.now > _EPSILON:
            try:
                yield self.env.timeout(until - self.env.now)
            except simpy.Interrupt:
                continue

    # -- sending --

    def pipeline(self, kind: PageKind, page_rate_limit: float) -> Pipeline:
        """CPU costs of the page stream, and the pages/s that are asked for."""
        host = self.host
        link = host["link_bytes_per_s"]
        own = self.scenario.link.bandwidth_bytes_per_s
        limit = min(min(link, own or link) / page_bytes(kind), page_rate_limit)
        source_s, destination_s = host["page_source_s"], host["page_destination_s"]
        flush_pages = wire.FLUSH_PAGES
        if kind is PageKind.ZERO:
            flush_pages = wire.FLUSH_ZERO_PAGES
            source_s = host["zero_page_source_s"]
            destination_s = host["zero_page_destination_s"]
        elif kind is PageKind.FRESH:
            destination_s += host["fresh_page_s"]
        handoff_s = host["flush_handoff_s"] / flush_pages
        overlap = host["pipeline_overlap"]
        return Pipeline(source_s, destination_s, limit, overlap, handoff_s)

    def postcopy_pipeline(self, page_rate_limit: float) -> Pipeline:
        """The stream into a running destination, where each page is placed."""
        plain = self.pipeline(PageKind.NORMAL, page_rate_limit)
        return Pipeline(
            plain.source_s,
            self.host["postcopy_page_s"],
            plain.page_rate_limit,
            plain.overlap,
            plain.handoff_s,
        )

    def _iterate(self) -> Process:
        """One iterate call, or many that are all alike.

        It goes on over pages of all kinds until the window's budget is used, 51 ms
        have passed or nothing is set; only then is the threshold looked at again.
        """
        turn_end_s = self.env.now + wire.ITERATE_S
        while self.status == "active" and self.memory.pending_pages > 0:
            whole = yield from self._send_run(turn_end_s)
            if whole or self.env.now >= turn_end_s - _EPSILON:
                return

    def _send_run(self, turn_end_s: float) -> Generator[simpy.Event, Any, bool]:
        """Send pages of one kind; whether that ended the iterate call."""
        _, kind = self.memory.next_run()
        window_pages = wire.window_pages(
            int(self.parameter("max-bandwidth")), self.rules.counts_at_flush
        )
        window_pages *= wire.NORMAL_PAGE_BYTES / page_bytes(kind)
        window_s = wire.WINDOW_S + self.host["wakeup_s"]
        self.machine.advance(self.env.now)
        asked = window_pages / window_s
        contended = self.machine.set_stream(self.pipeline(kind, asked))
        limited = contended >= asked * (1 - 1e-6)
        # A stream kept below its fair share gets a CPU when it wants it.
        burst = contended
        if limited:
            burst = self.pipeline(kind, float("inf")).free_rate_pps
        plan, ends_turn = self._next_plan(
            turn_end_s, window_pages, window_s, burst, kind, limited
        )
        self._plan = plan
        try:
            yield self.env.timeout(
                max(plan.start_s + plan.turns * plan.turn_s - self.env.now, 0.0)
            )
        except simpy.Interrupt:
            ends_turn = True
            if self._plan is plan and self.postcopy_requested:
                # The flag is looked at when the turn ends; nobody wakes the thread.
                elapsed = self.env.now - plan.start_s
                plan.turns = min(int(elapsed / plan.turn_s) + 1, plan.turns)
                yield from self.hold(plan.turns * plan.turn_s - elapsed)
        self.settle()
        self._plan = None
        window_over = self.env.now >= self._window_start_s + wire.WINDOW_S - _EPSILON
        turn_over = ends_turn or self.env.now >= turn_end_s - _EPSILON
        if window_over and (turn_over or self.memory.pending_pages == 0):
            self._close_window(plan, limited)
        return ends_turn

    def _next_plan(
        self,
        turn_end_s: float,
        window_pages: float,
        window_s: float,
        burst: float,
        kind: PageKind,
        limited: bool,
    ) -> tuple[Plan, bool]:
        """What happens next, and whether it ends the iterate call."""
        now = self.env.now
        run_pages, _ = self.memory.next_run()
        wire_bytes = page_bytes(kind)
        used = self._window_bytes / wire_bytes

        def plan(turns: int, turn_s: float, pages: float) -> Plan:
            turn_s = max(turn_s, _EPSILON)
            return Plan(now, turns, turn_s, pages, burst, wire_bytes, kind)

        begins_turn = turn_end_s - now >= wire.ITERATE_S - _EPSILON
        pages_by_time = burst * max(turn_end_s - now, 0.0)
        left = window_pages - used
        if limited and left <= min(run_pages, pages_by_time):
            # The budget will be used up: sleep then until the window closes.
            if used == 0 and begins_turn:
                rate = window_pages * wire_bytes / window_s
                turns = self._alike_turns(run_pages, window_pages, rate)
                if turns > 1:
                    return plan(turns, window_s, window_pages), True
            pages = max(left, 0.0)
            end_s = max(self._window_start_s + window_s, now + pages / burst)
            return plan(1, end_s - now, pages), True
        if not limited and begins_turn:
            turn_pages = burst * wire.ITERATE_S
            turns = self._alike_turns(run_pages, turn_pages, burst * wire_bytes)
            if turns > 1:
                return plan(turns, wire.ITERATE_S, turn_pages), True
        pages = min(run_pages, pages_by_time)
        return plan(1, pages / burst, pages), pages < run_pages

    def _alike_turns(
        self, run_pages: float, turn_pages: float, bytes_per_s: float
    ) -> int:
        """Turns that will all go alike, with nothing to decide before their end."""
        slack = 1 + 3 * self.host.noise.window_sd if self.host.noise.rng else 1.0
        threshold = max(self._threshold_bytes, self._threshold(bytes_per_s) * slack)
        undecided = self.memory.pending_pages - threshold / PAGE_BYTES
        return int(min(undecided, run_pages) / turn_pages)

    def settle(self) -> None:
        """Lay down what the plan has done by now, and let the guest catch up."""
        now = self.env.now
        plan = self._plan
        if plan is not None:
            pages = plan.pages_at(now)
            self._send(pages - plan.done_pages, plan)
            plan.done_pages = pages
            if plan.turns > 1:
                # Only the last turn's bytes belong to the window that is open now.
                whole = min(int((now - plan.start_s) / plan.turn_s), plan.turns - 1)
                self._window_start_s = plan.start_s + whole * plan.turn_s
                self._window_bytes = (pages - whole * plan.turn_pages) * plan.page_bytes
        self.machine.advance(now)

    def _send(self, pages: float, plan: Plan) -> None:
        self.memory.take(pages)
        bytes_ = pages * plan.page_bytes
        self.sent_bytes += bytes_
        self._window_bytes += bytes_
        costs = self.pipeline(plan.kind, float("inf"))
        self.source_cpu_s += pages * costs.source_s
        self.destination_cpu_s += pages * costs.destination_s

    def _close_window(self, plan: Plan, limited: bool) -> None:
        """Bandwidth of the window, and the threshold that follows from it."""
        now = self.env.now
        bandwidth = self._window_bytes / (now - self._window_start_s)
        if not limited:
            bandwidth *= self.host.noise.window_factor()
        windows = max(plan.turns, 1) if limited else 1
        self.source_cpu_s += windows * self.host["window_source_s"]
        self._threshold_bytes = self._threshold(bandwidth)
        self._window_start_s = now
        self._window_bytes = 0.0
        self.sample()

    def _threshold(self, bandwidth: float) -> float:
        """Bandwidth x downtime-limit, with the bandwidth given or seen [bytes]."""
        given = int(self.parameter("avail-switchover-bandwidth"))
        return (given or bandwidth) * self.downtime_limit_s

    # -- syncing --

    def _sync(self) -> Process:
        """The sync at the end of a pass, inside the window."""
        cost = self.host.sync_cost.seconds(self.memory.total_pages, 0.0)
        yield from self.hold(cost)
        self.source_cpu_s += cost
        new_pages = self.sync_bitmap()
        dirty_cost = self.host["sync_dirty_page_s"] * new_pages
        self.source_cpu_s += dirty_cost
        yield from self.hold(dirty_cost + self.vcpu_wait_s())
        self.note_pass()

    def vcpu_wait_s(self) -> float:
        """How long a sync waits for the vCPUs to leave what they are at [s].

        Under TCG each must come by once (QEMU 10.0 system/physmem.c,
        tcg_log_global_after_sync), and one that the throttle put to sleep comes when
        its sleep is over. KVM's log needs no vCPU.
        """
        if self.host.lazy_protection or self.machine.stopped:
            return 0.0
        return self.machine.throttle.awake_from(self.env.now) - self.env.now

    def sync_bitmap(self) -> float:
        """Merge the dirty log into the bitmap and judge the period; new pages."""
        now = self.env.now
        self.machine.advance(now)
        self.memory.settle()
        new_pages = self.machine.collect_dirty()
        self.memory.begin_walk()
        self.sync_count += 1
        self._period_dirty += new_pages
        self.recorder.event(now, "MIGRATION_PASS", str(self.sync_count))
        if now > self._last_rate_s + throttle.PERIOD_S:
            self._judge_period(now)
        self._watch_for_never(now)
        self.sample()
        self.announce()
        return new_pages

    def _judge_period(self, now: float) -> None:
        sent = self.sent_bytes - self._period_bytes
        dirty = self._period_dirty
        if self.capabilities.get("auto-converge"):
            rule = self.throttle_rule
            if throttle.exceeds(rule, dirty, sent):
                self._hits += 1
            if self._hits >= rule.hits:
                self._hits = 0
                clock = self.machine.throttle
                percent = throttle.next_percent(rule, clock.percent, dirty, sent)
                clock.set_percent(percent, now)
                self.peak_throttle = max(self.peak_throttle, percent)
        self.dirty_rate_pps = dirty / (now - self._last_rate_s)
        self._last_rate_s = now
        self._period_dirty = 0.0
        self._period_bytes = self.sent_bytes

    @property
    def throttle_rule(self) -> throttle.ThrottleRule:
        """Auto-converge's parameters as they stand now."""
        return throttle.ThrottleRule(
            trigger_threshold=int(self.parameter("throttle-trigger-threshold")),
            initial=int(self.parameter("cpu-throttle-initial")),
            increment=int(self.parameter("cpu-throttle-increment")),
            maximum=int(self.parameter("max-cpu-throttle")),
            tailslow=bool(self.parameter("cpu-throttle-tailslow")),
            hits=self.rules.throttle_hits,
        )

    def note_pass(self) -> None:
        """Note the pass that ends now."""
        now = self.env.now
        self.recorder.round(
            self._pass_index,
            self._pass_start_s,
            now,
            self._pass_pending,
            self.sent_bytes - self._pass_bytes,
        )
        self._pass_index = self.sync_count
        self._pass_start_s = now
        self._pass_pending = self.pending_bytes
        self._pass_bytes = self.sent_bytes

    def _watch_for_never(self, now: float) -> None:
        """Certain that nothing will change: the same syncs, over and over."""
        self._marks.append(
            SyncMark(
                now,
                self.pending_bytes,
                self.sent_bytes,
                self.sync_count,
                self.machine.throttle.percent,
                self._hits,
            )
        )
        if self.scenario.policy.technique in ("pause", "postcopy"):
            return  # a manager will end it
        recent = self._marks[-2 * STEADY_SYNCS :]
        if len(recent) < 2 * STEADY_SYNCS:
            return
        first, last = recent[0], recent[-1]
        older = min(mark.pending_bytes for mark in recent[:STEADY_SYNCS])
        newer = min(mark.pending_bytes for mark in recent[STEADY_SYNCS:])
        if self._can_step():
            # Quiet for long enough for auto-converge to have judged several periods.
            quiet = (first.throttle, first.hits) == (last.throttle, last.hits)
            quiet = quiet and now - first.time_s > STEADY_S
        else:
            quiet = first.throttle == last.throttle
        far = newer > NEAR_THRESHOLD * self._threshold_bytes
        steady = newer >= older * (1 - STEADY_TOLERANCE)
        self.certain_never = quiet and (
            (steady and far) or len(self._marks) >= PATIENCE_SYNCS
        )

    def _can_step(self) -> bool:
        return (
            self.capabilities.get("auto-converge", False)
            and self.machine.throttle.percent < self.throttle_rule.maximum
        )

    def _never(self) -> Process:
        """Nobody ends it: say so. Else repeat the same pass until a limit does."""
        limits = self.scenario.limits
        if limits.max_time_s is None and limits.max_iters is None:
            self.status = "never"
            self.end_s = self.env.now
            return
        first, last = self._marks[-STEADY_SYNCS], self._marks[-1]
        cycle_s = last.time_s - first.time_s
        syncs = last.sync_count - first.sync_count
        cycles = float("inf")
        if limits.max_time_s is not None:
            cycles = (limits.max_time_s - self.env.now) // cycle_s
        if limits.max_iters is not None:
            cycles = min(cycles, (limits.max_iters - self.sync_count) // syncs)
        if cycles > 0:
            self.repeats_until_s = self.env.now + cycles * cycle_s
            yield from self.hold(cycles * cycle_s)
            self.machine.advance(self.env.now)
            for sweeper in self.machine.sweepers:
                sweeper.armed = sweeper.written - sweeper.share_pages
            self.sync_count += int(cycles) * syncs
            self.sent_bytes += cycles * (last.sent_bytes - first.sent_bytes)
            self._window_start_s = self.env.now
            self.announce()
        self._marks.clear()

    def drop_plan(self) -> None:
        """Forget the rest of the current plan; what it has done is laid down."""
        self.settle()
        self._plan = None

    # -- looking in --

    def sample(self) -> None:
        """Show the recorder what query-migrate would show now."""
        self.recorder.sample(
            (
                self.env.now,
                self.pending_bytes,
                self.sent_bytes,
                self.machine.throttle.percent,
                self.sync_count,
                self.dirty_rate_pps,
            )
        )

    def announce(self) -> None:
        """Wake those who wait for a pass or a state to change."""
        self.changed.succeed()
        self.changed = self.env.event()

    @property
    def plan_end_s(self) -> float:
        """When the thread will next decide something, if nobody disturbs it [s]."""
        if self._plan is None:
            return self.env.now
        return self._plan.start_s + self._plan.turns * self._plan.turn_s

    def poke(self) -> None:
        """Make the thread plan anew, after something was changed from outside."""
        if self.process is not None and self.process.is_alive:
            self.process.interrupt()
