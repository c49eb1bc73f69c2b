"""QEMU's migration thread as a discrete-event process.

Source: QEMU 10.0 migration/migration.c (migration_thread, migration_iteration_run) and
migration/ram.c (migration_bitmap_sync). Equations M5 to M10 of docs/model.md.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from migmodel.managers.passes import PassCounter
from migmodel.physics.cpu import TICK_S
from migmodel.physics.versions import Behaviour
from migmodel.records import Scenario
from migmodel.records.policy import ACTING
from migmodel.sim.host import Host
from migmodel.sim.machine import Machine
from migmodel.sim.period import Period
from migmodel.sim.plan import EPSILON
from migmodel.sim.recorder import Recorder
from migmodel.sim.settings import Settings
from migmodel.sim.steady import Steady, SyncMark, counts_of
from migmodel.sim.stream import Stream
from migmodel.sim.xbzrle import make_cache
from migmodel.units import PAGE_BYTES

if TYPE_CHECKING:
    from migmodel.sim.postcopy import Push

TUNING_POLL_S = 1.0  # after the last step of tuning, until it shows

Process = Generator[simpy.Event, Any, None]


class Migration:
    """State of one migration; `run` is its thread.

    Managers, the periodic sync and the recorder look in from outside: they call
    `settle` first, change what they must, and `poke` the thread to plan anew.
    """

    def __init__(
        self,
        scenario: Scenario,
        host: Host,
        recorder: Recorder,
        env: simpy.Environment,
        rules: Behaviour | None = None,
    ) -> None:
        self.scenario = scenario
        self.host = host
        self.recorder = recorder
        self.env = env
        self.settings = Settings(scenario, rules)
        self.machine = Machine(scenario, host, recorder)
        self.memory = self.machine.memory
        self.stream = Stream(scenario, host, self.machine, self.settings)
        self.cache = make_cache(
            scenario, host, self.settings, self.stream.costs, self.machine
        )
        self.period = Period(self.settings, self.machine.throttle)
        self.status = "setup"
        self.reason = ""
        self.sync_count = 0
        self.stop_s: float | None = None
        self.resume_s: float | None = None
        self.end_s: float | None = None
        self.downtime_reported_s: float | None = None
        self.postcopy_requests: int | None = None
        self.push: Push | None = None
        outage = scenario.link.outage
        self.breaks_at_s: float | None = None
        if outage is not None and outage.since == "migrate":
            self.breaks_at_s = outage.at_s
        self.postcopy_requested = False
        self.paused_by_manager = False
        self.repeats_until_s = 0.0
        self.setup_time_s: float | None = None
        self.process: simpy.Process | None = None
        self.changed = self.env.event()
        self._steady = Steady()
        self._certain_never = False
        self._passes = PassCounter() if self.stream.syncs_each_iterate else None
        last_counts = self.settings.rules.last_sync_counts
        self.counts_last_sync = last_counts or self._passes is not None
        self.polled = False  # by a manager
        self._marked_pass = 0
        self._pass_index = 1
        self._pass_start_s = 0.0
        self._pass_pending = 0.0
        self._pass_bytes = 0.0

    @property
    def passes(self) -> int:
        """The pass that is running; where QEMU counts calls, as managers count it."""
        if self._passes is None:
            return self.sync_count
        return self._passes.count + (self.stop_s is not None)

    def count_passes(self) -> None:
        """Count where QEMU does not, as whoever looks at query-migrate now."""
        if self._passes is not None:
            sent_pages = self.stream.tally.pages
            self._passes.see(
                sent_pages, self.memory.pending_pages, self.memory.total_pages
            )

    def note_resume(self) -> None:
        """The guest runs on the destination in post-copy."""
        outage = self.scenario.link.outage
        if outage is not None and outage.since == "postcopy":
            self.breaks_at_s = self.env.now + outage.at_s

    def fail(self, reason: str) -> None:
        """It has failed, with nothing left to do."""
        self.status = "failed"
        self.reason = reason
        self.end_s = self.env.now

    @property
    def pending_bytes(self) -> float:
        """Set pages in bytes, as QEMU counts them: 4096 each whatever they cost."""
        return self.memory.pending_pages * PAGE_BYTES

    def below_threshold(self) -> bool:
        """The cheap test that comes before every iterate call (Eq M5)."""
        if self.settings.rules.completes_at_equal:
            return self.pending_bytes <= self.stream.threshold_bytes
        return self.pending_bytes < self.stream.threshold_bytes

    # -- the thread --

    def run(self) -> Process:
        """Migrate: set up, iterate until the rest fits the threshold, switch."""
        from migmodel.sim.switch import complete, run_postcopy

        yield from self.hold(
            self.host["setup_s"] + self.machine.crowded_s + self._pinning_s
        )
        self.setup_time_s = self.env.now
        if self.settings.lacks_return_path(self.scenario.link.transport):
            self.fail("this QEMU has no return path over RDMA")
            return
        self._begin()
        while self.status == "active":
            if self.below_threshold():
                yield from self._sync()
                if self.status != "active":
                    return
            first = self.postcopy_requested and self.settings.rules.postcopy_first
            fits = self.pending_bytes == 0 or self.below_threshold()
            if fits and not first:
                yield from complete(self)
            elif self.postcopy_requested:
                yield from run_postcopy(self)
            elif self._certain_never:
                self._certain_never = False
                yield from self._never()
            else:
                yield from self._iterate()
                if self.stream.syncs_each_iterate and self.status == "active":
                    yield from self._sync(self.stream.iterates)

    def _begin(self) -> None:
        now = self.env.now
        self.status = "active"
        self.sync_count = 1
        self.machine.advance(now)
        for sweeper in self.machine.sweepers:
            sweeper.armed = sweeper.written
        self.period.begin(now)
        self.stream.open_window(now)
        self._pass_start_s = now
        self._pass_pending = self.pending_bytes
        self.recorder.event(now, "MIGRATION", "active")
        self.sample()
        self.announce()

    @property
    def _pinning_s(self) -> float:
        """RDMA pins all RAM before it begins, if asked to [s]."""
        rdma = self.scenario.link.transport == "rdma"
        if not (rdma and self.settings.has("rdma-pin-all")):
            return 0.0
        return self.host["rdma_pin_page_s"] * self.memory.total_pages

    def hold(self, seconds: float) -> Process:
        """Let time pass, whoever interrupts; what they changed is seen afterwards."""
        until = self.env.now + seconds
        while until - self.env.now > EPSILON:
            try:
                yield self.env.timeout(until - self.env.now)
            except simpy.Interrupt:
                continue

    def _iterate(self) -> Process:
        """One iterate call, or many that are all alike.

        It goes on over pages of all kinds until the window's budget is used, 51 ms
        have passed or nothing is set; only then is the threshold looked at again.
        """
        self.stream.begin_call(self.env.now)
        over = False
        while self.status == "active" and self.memory.pending_pages > 0 and not over:
            self.machine.advance(self.env.now)
            plan = self.stream.make_plan(self.env.now)
            self.stream.plan = plan
            over = plan.ends_call
            try:
                yield self.env.timeout(max(plan.end_s - self.env.now, 0.0))
            except simpy.Interrupt:
                over = True
                if self.stream.plan is plan and self.postcopy_requested:
                    # The flag is looked at when the call ends; nobody wakes the thread.
                    yield from self.hold(plan.end_with_turn(self.env.now))
            self.drop_plan()
            over = over or self.env.now >= self.stream.call_end_s - EPSILON
            if over or self.memory.pending_pages == 0:
                self.stream.close_window(self.env.now, plan)
                self.sample()

    # -- syncing --

    def _sync(self, times: int = 1) -> Process:
        """The sync at the end of a pass, inside the window (Eq M6).

        `times` syncs of calls that were planned as one are one with the cost of all.
        """
        cost = times * self.host.sync_cost.seconds(self.memory.total_pages, 0.0)
        self.sync_count += times - 1
        yield from self.hold(cost)
        wait_s = self.vcpu_wait_s()
        new_pages = self.sync_bitmap(wait_s)
        dirty_cost = self.dirty_page_s * new_pages
        self.stream.source_cpu_s += cost + dirty_cost
        yield from self.hold(dirty_cost + wait_s)
        self.note_pass()

    @property
    def dirty_page_s(self) -> float:
        """What a page found dirty costs a sync [s]."""
        seconds = self.host["sync_dirty_page_s"]
        if self.machine.ring_entries is not None:
            seconds += self.host["ring_entry_s"]
        elif self.host.lazy_protection and not self.settings.rules.manual_protect:
            seconds += self.host["protect_page_s"]
        return seconds

    def vcpu_wait_s(self) -> float:
        """How long a sync waits for the vCPUs to leave what they are at [s].

        Under TCG each must come by once (QEMU 10.0 system/physmem.c,
        tcg_log_global_after_sync), and one that the throttle put to sleep comes when
        its sleep is over; where vCPUs crowd the CPUs, one that does not run at the
        moment comes when it is its turn, or this thread's, after it, if it has run for
        a tick without a break. KVM's log needs no vCPU.
        """
        if self.host.lazy_protection or self.machine.stopped:
            return 0.0
        now = self.env.now
        ran = min((now - self._pass_start_s) / TICK_S, 1.0)
        turn_s = ran * self.machine.crowded_s * self.host.noise.waiting()
        return self.machine.throttle.awake_from(now) - now + turn_s

    def sync_bitmap(self, wait_s: float = 0.0, *, last: bool = False) -> float:
        """Merge the dirty log into the bitmap and judge the period; new pages.

        QEMU looks at the clock for that after it has waited for the vCPUs. The `last`
        one comes after the guest has stopped for the switch.
        """
        now = self.env.now
        self.machine.advance(now)
        if self.cache is not None:
            self.cache.learn(self.sync_count)
        self.memory.settle()
        new_pages = self.machine.collect_dirty()
        if self.cache is not None:
            self.cache.classify()
        self.memory.begin_walk()
        if not last or self.counts_last_sync:
            self.sync_count += 1
            if not self.polled:
                self.count_passes()
            self.recorder.event(now, "MIGRATION_PASS", str(self.sync_count))
        self.period.add(new_pages, self.stream.sent_bytes, now + wait_s)
        self._watch_for_never(now)
        self.sample()
        self.announce()
        return new_pages

    def note_pass(self) -> None:
        """Note the pass that ends now."""
        now = self.env.now
        self.recorder.round(
            self._pass_index,
            self._pass_start_s,
            now,
            self._pass_pending,
            self.stream.sent_bytes - self._pass_bytes,
        )
        self._pass_index = self.sync_count
        self._pass_start_s = now
        self._pass_pending = self.pending_bytes
        self._pass_bytes = self.stream.sent_bytes

    # -- never --

    def _watch_for_never(self, now: float) -> None:
        policy = self.scenario.policy
        if policy.technique in ACTING:
            return  # a manager will end it
        if now <= policy.tuned_until_s + TUNING_POLL_S:
            return  # or help it further
        if self._passes is not None:
            # Syncs within a pass say nothing: look once a pass.
            if self.passes == self._marked_pass:
                return
            self._marked_pass = self.passes
        mark = SyncMark(
            now,
            self.pending_bytes,
            counts_of(self.stream),
            self.sync_count,
            self.machine.throttle.percent,
            self.period.hits,
        )
        self._certain_never = self._steady.certain(
            mark, self.stream.threshold_bytes, can_step=self.period.can_step
        )

    def _never(self) -> Process:
        """Nobody ends it: say so. Else repeat the same syncs until a limit does."""
        limits = self.scenario.limits
        if limits.max_time_s is None and limits.max_iters is None:
            self.status = "never"
            self.end_s = self.env.now
            return
        cycle = self._steady.cycle
        times = float("inf")
        if limits.max_time_s is not None:
            times = (limits.max_time_s - self.env.now) // cycle.seconds
        if limits.max_iters is not None:
            times = min(times, (limits.max_iters - self.sync_count) // cycle.syncs)
        if times > 0:
            self.repeats_until_s = self.env.now + times * cycle.seconds
            yield from self.hold(times * cycle.seconds)
            self.machine.advance(self.env.now)
            for sweeper in self.machine.sweepers:
                sweeper.armed = sweeper.written - sweeper.share_pages
            self.sync_count += int(times) * cycle.syncs
            cycle.repeat(self.stream, times)
            self.stream.open_window(self.env.now)
            self.announce()
        # Syncs of the timer may have seen it again meanwhile.
        self._steady.forget()
        self._certain_never = False

    # -- looking in --

    def settle(self) -> None:
        """Lay down what has been done by now, and let the guest catch up."""
        self.stream.settle(self.env.now)
        self.machine.advance(self.env.now)

    def drop_plan(self) -> None:
        """Forget the rest of the current plan; what it has done is laid down."""
        self.settle()
        self.stream.plan = None

    def sample(self) -> None:
        """Show the recorder what query-migrate would show now."""
        self.recorder.sample(
            (
                self.env.now,
                self.pending_bytes,
                self.stream.sent_bytes,
                self.machine.throttle.percent,
                self.sync_count,
                self.period.dirty_rate_pps,
            )
        )

    def announce(self) -> None:
        """Wake those who wait for a pass or a state to change."""
        self.changed.succeed()
        self.changed = self.env.event()

    @property
    def plan_end_s(self) -> float:
        """When the thread will next decide something, if nobody disturbs it [s]."""
        plan = self.stream.plan
        return self.env.now if plan is None else plan.end_s

    def poke(self) -> None:
        """Make the thread plan anew, after something was changed from outside."""
        if self.process is not None and self.process.is_alive:
            self.process.interrupt()
