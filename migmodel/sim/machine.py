"""The guest's machine while it is migrated: RAM, threads, and who gets which CPU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from migmodel.physics.cpu import Pipeline, share_cpus
from migmodel.physics.versions import behaviour
from migmodel.records import Scenario
from migmodel.records.scenario import BARE_OWN_PAGES
from migmodel.sim.guest import Sweeper, collect_dirty, make_sweepers
from migmodel.sim.host import Host
from migmodel.sim.memory import Memory, Stretch
from migmodel.sim.recorder import Recorder
from migmodel.sim.throttle_clock import ThrottleClock
from migmodel.units import GIB, MIB, PAGE_BYTES

# RAM blocks beside the guest's own RAM on -machine q35 without devices: firmware and
# option ROMs, seen as ram.total - RAM with QEMU 7.2 to 10.0.
FIRMWARE_BYTES = 532_480
BARE_BASE_BYTES = 4 * MIB  # where the bare stress guest's working set begins
CLEAR_CHUNK_BYTES = GIB  # x-clear-bitmap-shift 18


def lay_out(scenario: Scenario) -> list[Stretch]:
    """RAM in address order: what is zero, what is the guest's own, whose share."""
    guest, workload = scenario.guest, scenario.workload
    ram = guest.ram_bytes / PAGE_BYTES
    working = float(workload.pages)
    # Memory that holds zeros still is zero memory like the rest.
    still = 0.0 if workload.content == "zero" else float(workload.still_pages)
    base = min(BARE_BASE_BYTES / PAGE_BYTES, ram - working - still)
    rest = ram - working - base
    shares = [
        Stretch(pages=working / guest.vcpus, zero=workload.content == "zero", vcpu=vcpu)
        for vcpu in range(guest.vcpus if working else 0)
    ]
    if guest.kind == "linux":
        last = min(guest.struct_pages, rest - still)
        behind = still + min(guest.own_pages, rest - still - last)
    else:
        last, behind = still, 0.0
    return [
        Stretch(pages=min(BARE_OWN_PAGES, base), zero=False),
        Stretch(pages=max(base - BARE_OWN_PAGES, 0.0), zero=True),
        *shares,
        Stretch(pages=behind, zero=False),
        Stretch(pages=rest - behind - last, zero=True),
        Stretch(pages=last, zero=False),
        Stretch(pages=FIRMWARE_BYTES / PAGE_BYTES, zero=False),
    ]


class Machine:
    """The guest's threads on the host's CPUs, advanced lazily.

    Between two changes of conditions (throttle, stream, stop) everything runs at
    constant speed, so time is accounted for when somebody looks.
    """

    def __init__(self, scenario: Scenario, host: Host, recorder: Recorder) -> None:
        self.scenario = scenario
        self.host = host
        self.recorder = recorder
        self.ring_entries = scenario.guest.dirty_ring_size
        self.ring_sleep_s = 0.0  # of dirty-limit, at each full ring
        lazy = host.lazy_protection and self.ring_entries is None
        lazy = lazy and behaviour(scenario.version).manual_protect
        chunk = CLEAR_CHUNK_BYTES / PAGE_BYTES if lazy else None
        self.memory = Memory(lay_out(scenario), chunk)
        known = scenario.workload.phase
        phases = [
            host.noise.phase() if known is None else known
            for _ in range(scenario.guest.vcpus)
        ]
        self.sweepers: list[Sweeper] = make_sweepers(
            self.memory, scenario.workload.rate_pps, phases, scenario.workload.pattern
        )
        self.page_s = host.page_s(scenario)
        throttles = scenario.policy.has("auto-converge")
        self.throttle = ThrottleClock(
            host["throttle_sleep_extra_s"] if throttles else 0.0,
            host["console_line_s"] if throttles else 0.0,
            host.noise.throttled_factor,
            host.noise.turns,
        )
        self.stopped = False
        self._sharing = 0.0
        self._fronts: list[int] = []
        self._front_pps: float | None = None
        self.time_s = 0.0
        self.vcpu_share = 1.0
        self.vcpu_cpu_s = 0.0
        self.stream_pps = 0.0
        self._source_cores = 0.0
        self._destination_cores = 0.0
        self.set_stream(None)

    def stop(self) -> None:
        """The guest stands still from now on; the caller has advanced the machine."""
        self._sharing = self._sharing_ends
        self.stopped = True

    def begin_logging(self) -> None:
        """QEMU logs from now on what the guest writes."""
        self.page_s = self.host.page_s(self.scenario, logged=True)

    def resume(self) -> None:
        """The guest runs on at the destination, where nobody logs what it writes."""
        self.stopped = False
        self.page_s = self.host.page_s(self.scenario)

    @property
    def separation_s(self) -> float:
        """How long the stream's ends still share a CPU after the guest's stop [s]."""
        return self._sharing * self.host["separation_s"]

    @property
    def _sharing_ends(self) -> float:
        """How surely both ends of a UNIX socket have but one CPU, 0 to 1."""
        unix = self.scenario.link.transport == "unix"
        return min(self.displaced_ends, 1.0) if unix and self.host.same_host else 0.0

    @property
    def idle(self) -> bool:
        """Nothing is written, whatever time passes."""
        return self.stopped or not self.sweepers

    def _demand(self) -> float:
        """Share of a CPU that each vCPU wants."""
        if self.idle:
            return 0.0
        run = self.throttle.run_share
        if self._front_pps is not None:
            # A thread that waits for its page leaves the CPU to the stream.
            return min(run, self._front_pps * self.page_s)
        # One that is ahead of its pace waits for its next page at work, not asleep.
        return run

    @property
    def busy_cores(self) -> float:
        """CPUs that the vCPUs would keep busy together."""
        return len(self.sweepers) * self._demand()

    @property
    def crowding(self) -> float:
        """How surely a thread that wakes up finds every CPU taken by a vCPU, 0 to 1."""
        return min(max(self.busy_cores - (self.host.cpus - 1), 0.0), 1.0)

    @property
    def crowding_of_faults(self) -> float:
        """The same of one that serves a fault, whose vCPU waits for it, 0 to 1."""
        threads = len(self.sweepers) + (2.0 if self.host.same_host else 1.0)
        return min(max(threads - self.host.cpus, 0.0), 1.0)

    @property
    def crowded_s(self) -> float:
        """Until a vCPU that does not run at the moment has its turn [s]."""
        crowding = self.crowding
        return crowding * self.host["crowded_sync_s"] if crowding else 0.0

    @property
    def displaced_ends(self) -> float:
        """How many of the stream's ends share a CPU with another thread, 0 to 2.

        An end that has no CPU to itself is put on one, and off it, at every hand-over.
        """
        ends = 2.0 if self.host.same_host else 1.0
        return min(max(self.busy_cores + ends - self.host.cpus, 0.0), ends)

    def cores_beside(self, others: float = 0.0) -> float:
        """CPUs that vCPUs and so many others keep busy beside a thread of the stream.

        At most all but its own. The stream's own threads touch each other only as
        siblings on one core, which Linux fills when no core is left idle (Linux 6.18
        kernel/sched/fair.c, select_idle_cpu); a core is taken to have two of them.
        """
        siblings = max(self.busy_cores + 1 + others - self.host.cpus / 2, 0.0)
        beside = self.busy_cores + min(others, siblings)
        return min(beside, max(self.host.cpus - 1, 1.0))

    @property
    def competes(self) -> bool:
        """Whether the stream takes CPU time from the vCPUs."""
        return self.vcpu_share < self._demand() * (1 - 1e-6)

    def set_stream(self, pipeline: Pipeline | None, busy: float = 1.0) -> float:
        """Begin, change or end the page stream; its pages/s under competition.

        The caller has advanced the machine to now.

        Parameters
        ----------
        pipeline : Pipeline or None
            While it works.
        busy : float
            Share of the time that it does; it sleeps in between, and leaves the CPUs
            to the vCPUs.
        """
        share, rate = self._shares(pipeline)
        if busy < 1:
            share = busy * share + (1 - busy) * self._shares(None)[0]
            rate *= busy
        self.vcpu_share = share
        self.stream_pps = rate
        self._source_cores = self._destination_cores = 0.0
        if pipeline is not None:
            self._source_cores = rate * pipeline.source_cpu_s
            self._destination_cores = rate * pipeline.destination_cpu_s
        return rate

    def stream_rate_pps(self, pipeline: Pipeline, *, alone: bool = False) -> float:
        """Pages/s of such a stream beside the vCPUs, or alone; it is not begun."""
        if not alone:
            return self._shares(pipeline)[1]
        vcpus, host = len(self.sweepers), self.host
        return share_cpus(host.cpus, 0.0, vcpus, pipeline, host.same_host)[1]

    def _shares(self, pipeline: Pipeline | None) -> tuple[float, float]:
        """Share of a CPU of each vCPU, and pages/s of the stream, over a while.

        The throttle puts all vCPUs to sleep at the same time: for a while they compete
        in full, then the stream has the CPUs alone; its two ends may share one for the
        first part of a sleep, or all of it.
        """
        run = self.throttle.run_share
        demand = self._demand()
        vcpus, cpus, same_host = len(self.sweepers), self.host.cpus, self.host.same_host
        beside = pipeline.channels if pipeline is not None else None
        threads = vcpus + 2 + (beside.source + beside.destination if beside else 0)
        if demand <= 0 or run >= 1 or threads <= cpus:  # nobody competes
            return share_cpus(cpus, demand, vcpus, pipeline, same_host)
        awake = demand / run
        share, _ = share_cpus(cpus, awake, vcpus, pipeline, same_host)
        if pipeline is None:
            return run * share, 0.0
        free = replace(pipeline, page_rate_limit=float("inf"))
        _, crowded = share_cpus(cpus, awake, vcpus, free, same_host)
        _, alone = share_cpus(cpus, 0.0, vcpus, free, same_host)
        if beside is None and self._sharing_ends:
            _, together = share_cpus(cpus, 0.0, vcpus, free.on_one_cpu, same_host)
            sleep_s = (1 - run) * self.throttle.turn_s
            part = min(self.host["separation_s"] / sleep_s, 1.0)
            alone = part * together + (1 - part) * alone
        mean = run * crowded + (1 - run) * alone
        return run * share, min(mean, pipeline.page_rate_limit)

    def follow_stream(self, fronts: list[int], front_pps: float | None) -> None:
        """Hold faulting threads to the pace at which their pages come [pages/s]."""
        self._fronts = fronts
        self._front_pps = front_pps

    def touch_rate_pps(self) -> float:
        """Pages/s that a thread would write now if none were missing."""
        pace = self.sweepers[0].pace_pps
        rate = self.full_rate_pps()
        return rate if pace is None else min(rate, pace)

    def full_rate_pps(self) -> float:
        """The same of a thread that is behind its pace."""
        return self.throttle.run_share / self._touch_s()

    def _running_share(self) -> float:
        """Share of a CPU that a vCPU gets while it is let run.

        One that wants less than its fair share gets a whole CPU when it wants it.
        """
        demand = self._demand()
        if demand <= 0 or self.vcpu_share >= demand * (1 - 1e-6):
            return 1.0
        return self.vcpu_share / demand

    def _touch_s(self) -> float:
        """Time a page now, while the vCPU is let run [s]."""
        copying = self._source_cores + self._destination_cores
        busy = 1.0 + self.host["copy_interference"] * copying
        touch_s = self.page_s * busy / self._running_share()
        return touch_s + self._ring_page_s

    @property
    def _ring_page_s(self) -> float:
        """What a dirty ring adds to a page's time [s].

        A share larger than the ring fills it over and over, and every reaping protects
        the pages again: each write is a first write, and each full ring a stall.
        """
        entries = self.ring_entries
        if entries is None or not self.sweepers or self.stopped:
            return 0.0
        if self.sweepers[0].share_pages < entries:
            return 0.0
        full_s = self.host["ring_full_s"] + self.ring_sleep_s
        return self.host["first_write_s"] + full_s / entries

    def advance(self, now_s: float) -> None:
        """Let the guest run until now.

        Its clock stands still while it is stopped, so that a paced thread owes nothing
        for a blackout: QEMU saves the guest's clocks at the stop.
        """
        seconds = now_s - self.time_s
        if seconds <= 0:
            return
        vcpu_cores = 0.0
        if not self.idle:
            run_s = self.throttle.run_time(self.time_s, now_s)
            touch_s = self._touch_s()
            first_s = self.host["first_write_s"] / self._running_share()
            asleep_s = self.throttle.asleep_for(now_s)
            note = partial(self.recorder.work, turn_s=self.throttle.turn_s)
            for vcpu, sweeper in enumerate(self.sweepers):
                page_s = touch_s
                if self._front_pps is not None and vcpu in self._fronts:
                    page_s = max(touch_s, 1 / self._front_pps)
                slow, share = sweeper.first_sweep(run_s, page_s, first_s)
                pages = sweeper.advance(seconds, run_s, page_s, first_s, asleep_s)
                # Two levels, or the slow sweep after a sync drowns in a long pass.
                until_s = self.time_s + share * seconds
                note(vcpu, self.time_s, until_s, min(slow, pages))
                note(vcpu, until_s, now_s, max(pages - slow, 0.0))
            vcpu_cores = self.vcpu_share * len(self.sweepers)
            self.vcpu_cpu_s += seconds * vcpu_cores
        self.recorder.load(
            now_s,
            vcpu_cores,
            self._source_cores,
            self._destination_cores,
        )
        self.time_s = now_s

    def collect_dirty(self) -> float:
        """Merge what was written since the last sync; newly set pages."""
        if self.scenario.workload.touch == "read":
            return 0.0
        return collect_dirty(self.memory, self.sweepers)
